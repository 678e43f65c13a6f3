/* region.h - making, growing and ending one region */
#ifndef SVP_REGION_H
#define SVP_REGION_H

#include "session/session.h"

/* A region over [base, base + bytes): memory of its own, nothing watched yet. NULL: no memory. */
struct svp_region *svp_region_new(const char *name, uint8_t *base, size_t bytes);
void svp_region_free(struct svp_region *region);
/* Makes it larger; the new pages are pending. False: no memory, all as before. */
bool svp_region_resize(struct svp_region *region, size_t bytes);

/* Watches [start, start + bytes), a part of the region. */
enum savepoint_status
svp_region_arm(struct svp_region *region, uintptr_t start, size_t bytes, struct savepoint_error *error);
void svp_region_disarm(struct svp_region *region);

/* Collects a part of one of the region's ranges into `written`; when the watch fails, everything it has not reported
 * counts as written. */
enum savepoint_status
svp_region_collect_range(struct svp_region *region, const struct svp_range *range, enum svp_watch_mode mode,
                         struct svp_pageset *written, struct svp_watch_run *runs, size_t run_capacity,
                         struct savepoint_error *error);

/* Collects what was written: adds it to `written` (as large as the region). Never fails to be safe: when the watch
 * fails, everything it has not reported counts as written; then the result is BAD_MEMORY if a part of the region is
 * not mapped any more, else OK. */
enum savepoint_status
svp_region_collect(struct svp_region *region, enum svp_watch_mode mode, struct svp_pageset *written,
                   struct svp_watch_run *runs, struct savepoint_error *error);

/* Before so many of its pages are written: a watch that protects them lets go, unless its faults are the cheaper way.
 * BAD_MEMORY for memory that cannot be written. */
enum savepoint_status svp_region_prepare(struct svp_region *region, uint64_t pages, struct savepoint_error *error);
/* MISMATCH: what a snapshot has of the region does not fit into it, or was mapped elsewhere. */
enum savepoint_status svp_region_check_fits(const struct svp_region *region, const struct svp_region_entry *entry,
                                            const char *operation, struct savepoint_error *error);

/* With `watching` held: system calls may write to [start, end), whole host pages, until the next take. */
enum savepoint_status
svp_region_prepare_range(struct svp_region *region, uintptr_t start, uintptr_t end, struct savepoint_error *error);

/* With the mutex held, and `watching` since they were collected: the pages were written. Whoever collects calls it, for
 * all histories, and so that no copy made before counts. */
void svp_region_report(struct svp_region *region, const struct svp_pageset *written);

/* With the mutex held, or no take in flight: the pages may differ from whatever was captured. */
void svp_region_pend(struct svp_region *region, uint64_t first_page, uint64_t page_count);

/* Forgets what is stored of a page (it is excluded): it counts as zeros until it is stored again. */
void svp_region_forget(struct svp_region *region, uint64_t page);

#endif
