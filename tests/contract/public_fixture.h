/* public_fixture.h - memory under a public write-watch, and collects of it as sets of pages */
#ifndef PUBLIC_FIXTURE_H
#define PUBLIC_FIXTURE_H

#include "savepoint/watch.h"
#include "watch_fixture.h"

struct guarded {
    struct savepoint_write_watch *watch;
    struct savepoint_watch_capabilities caps;
    unsigned char *memory;
    size_t pages, page_bytes;
};
void guarded_open(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages); /* at most 63 */
void guarded_close(struct guarded *guarded);

void *guarded_page(const struct guarded *guarded, size_t page);
void guarded_write(const struct guarded *guarded, size_t page); /* one byte; several threads may */
struct savepoint_watch_span guarded_span(const struct guarded *guarded, size_t first, size_t end);

/* All written pages, collected in all three shapes, which must agree: peeks first, the last one with `flags`. */
uint64_t guarded_collect(const struct guarded *guarded, size_t first, size_t end, uint32_t flags);

/* What must be reported of pages [first, end) when `written` was: that, or everything where nothing is armed. */
uint64_t guarded_expected(const struct guarded *guarded, size_t first, size_t end, uint64_t written);
#define CHECK_GUARDED(guarded, first, end, flags, written)                                                             \
    CHECK_EQ(guarded_collect((guarded), (first), (end), (flags)),                                                      \
             guarded_expected((guarded), (first), (end), (written)))

#endif
