/* write_watch_fixture.h - memory of savepoint_write_watch_alloc, and what GetWriteWatch must say about it */
#ifndef WRITE_WATCH_FIXTURE_H
#define WRITE_WATCH_FIXTURE_H

#include "savepoint/watch.h"
#include "watch_fixture.h"

enum { PAGES_ALLOCATED = 16 };
#define ALL_PAGES PAGES(0, PAGES_ALLOCATED)
#define RESET SAVEPOINT_WRITE_WATCH_RESET

/* Set by begin(). */
extern struct savepoint_write_watch *watch; /* of the process; its backend is the one under test */
extern struct savepoint_watch_capabilities caps;
extern bool by_signal;
extern size_t page_bytes;
extern volatile unsigned char *memory; /* the pages allocated */

void begin(void);
void end(void); /* frees the memory */
void *at(size_t page);

/* What GetWriteWatch reports must be `written`, as far as it lies in the part and the capacity reaches; everything is
 * written where nothing is armed. */
void check_get(uint32_t flags, void *base, size_t bytes, size_t capacity, uint64_t written);
void check_all(uint32_t flags, uint64_t written);

/* A call that must fail with `code` and leave its outputs as they were. */
void check_refused(int code, uint32_t flags, void *base, size_t bytes, void **addresses, size_t *count,
                   uint32_t *granularity);
void check_bad_part(uint32_t flags, void *base, size_t bytes);
void check_reset_refused(void *base, size_t bytes);

#endif
