/* collect.c - a write-watch by itself: written pages as ranges, addresses and bits; reset, mark, prepare */
#include <inttypes.h>

#include "public.h"
#include "status.h"

/* Runs are fetched in batches of this many, through the stack. Each batch costs the signal write-watch a wait for its
 * handlers: not too few. */
enum { BATCH = 512 };

/* Enters behind the gate: beside others where the backend can. Leaves it again unless OK is returned. */
static enum savepoint_status enter(struct savepoint_write_watch *watch, uintptr_t start, size_t bytes,
                                   const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check_part(watch, start, bytes, operation, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_gate_enter(&watch->gate, !watch->caps.concurrent_collects);
    if (svp_public_find(watch, start, bytes) == NULL) {
        svp_gate_leave(&watch->gate, !watch->caps.concurrent_collects);
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, operation,
                               "no range of this write-watch holds all of %zu bytes at 0x%" PRIxPTR, bytes, start);
    }
    return SAVEPOINT_OK;
}

static void leave(struct savepoint_write_watch *watch)
{
    svp_gate_leave(&watch->gate, !watch->caps.concurrent_collects);
}

/* ---- one walk for all shapes */

/* Where written pages go. `put` takes the runs of one batch; `room` tells how many runs may come at most. */
struct sink {
    void (*put)(struct sink *sink, const struct svp_watch_run *runs, size_t run_count);
    size_t room;       /* runs that still fit; SIZE_MAX: any number */
    size_t pages_left; /* that may still be reported; SIZE_MAX: any number */
    size_t page_bytes;
    size_t count; /* ranges, addresses or pages so far */
    union {
        struct savepoint_watch_range *ranges;
        void **addresses;
        struct {
            uint64_t *bitmap;
            uintptr_t origin;
        } bits;
    } to;
};

/* Collects from *next up to `end` into the sink until that is full; *next is moved as far as it got. */
static enum savepoint_status walk(const struct savepoint_write_watch *watch, struct sink *sink, uintptr_t *next,
                                  uintptr_t end, enum svp_watch_mode mode, struct savepoint_error *error)
{
    struct svp_watch_run runs[BATCH];
    while (*next < end && sink->room > 0 && sink->pages_left > 0) {
        size_t run_count = 0;
        size_t capacity = sink->room < BATCH ? sink->room : BATCH;
        size_t max_pages = sink->pages_left == SIZE_MAX ? 0 : sink->pages_left;
        enum savepoint_status status = watch->backend->collect(watch->watch, *next, end - *next, mode, max_pages, runs,
                                                               capacity, &run_count, next, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        for (size_t i = 0; max_pages != 0 && i < run_count; i++) {
            sink->pages_left -= runs[i].bytes / sink->page_bytes;
        }
        sink->room -= sink->room == SIZE_MAX ? 0 : run_count;
        sink->put(sink, runs, run_count);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status collect(struct savepoint_write_watch *watch, struct sink *sink,
                                     struct savepoint_watch_span *span, uint32_t flags, struct savepoint_error *error)
{
    uintptr_t next = (uintptr_t)span->next;
    uintptr_t end = (uintptr_t)span->end;
    if ((flags & ~(uint32_t)SAVEPOINT_WATCH_PEEK) != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "collect", "flags %#x are not known", flags);
    }
    if (end <= next) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "collect",
                               end < next ? "the span ends before it begins"
                                          : "nothing is left of the span: next is its end already");
    }
    enum savepoint_status status = enter(watch, next, end - next, "collect", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    sink->page_bytes = watch->caps.page_bytes;
    status =
        walk(watch, sink, &next, end, (flags & SAVEPOINT_WATCH_PEEK) != 0 ? SVP_WATCH_PEEK : SVP_WATCH_REARM, error);
    leave(watch);
    if (status == SAVEPOINT_OK) {
        span->next = (void *)next;
    }
    return status;
}

static size_t limit_of(size_t max_pages)
{
    return max_pages == 0 ? SIZE_MAX : max_pages;
}

/* ---- the shapes */

static enum savepoint_status refuse_null(const char *name, struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_INVALID, "collect", "%s is NULL", name);
}

static void put_ranges(struct sink *sink, const struct svp_watch_run *runs, size_t run_count)
{
    for (size_t i = 0; i < run_count; i++) {
        sink->to.ranges[sink->count++] = (struct savepoint_watch_range){ (void *)runs[i].start, runs[i].bytes };
    }
}

enum savepoint_status
savepoint_watch_collect_ranges(struct savepoint_write_watch *watch, struct savepoint_watch_range *ranges,
                               size_t range_capacity, size_t *range_count, struct savepoint_watch_span *span,
                               size_t max_pages, uint32_t flags, struct savepoint_error *error)
{
    if (ranges == NULL || range_count == NULL || span == NULL) {
        return refuse_null(ranges == NULL ? "ranges" : range_count == NULL ? "range_count" : "span", error);
    }
    if (range_capacity == 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "collect", "there is room for no range");
    }
    struct sink sink = {
        .put = put_ranges, .room = range_capacity, .pages_left = limit_of(max_pages), .to.ranges = ranges
    };
    enum savepoint_status status = collect(watch, &sink, span, flags, error);
    if (status == SAVEPOINT_OK) {
        *range_count = sink.count;
    }
    return status;
}

static void put_addresses(struct sink *sink, const struct svp_watch_run *runs, size_t run_count)
{
    for (size_t i = 0; i < run_count; i++) {
        for (size_t done = 0; done < runs[i].bytes; done += sink->page_bytes) {
            sink->to.addresses[sink->count++] = (void *)(runs[i].start + done);
        }
    }
}

enum savepoint_status
savepoint_watch_collect_addresses(struct savepoint_write_watch *watch, void **addresses, size_t address_capacity,
                                  size_t *address_count, struct savepoint_watch_span *span, uint32_t flags,
                                  struct savepoint_error *error)
{
    if (addresses == NULL || address_count == NULL || span == NULL) {
        return refuse_null(addresses == NULL ? "addresses" : address_count == NULL ? "address_count" : "span", error);
    }
    if (address_capacity == 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "collect", "there is room for no address");
    }
    struct sink sink = {
        .put = put_addresses, .room = SIZE_MAX, .pages_left = address_capacity, .to.addresses = addresses
    };
    enum savepoint_status status = collect(watch, &sink, span, flags, error);
    if (status == SAVEPOINT_OK) {
        *address_count = sink.count;
    }
    return status;
}

static void set_bits(uint64_t *bitmap, size_t first, size_t end)
{
    for (size_t bit = first; bit < end;) {
        size_t low = bit % 64;
        size_t count = 64 - low < end - bit ? 64 - low : end - bit;
        bitmap[bit / 64] |= (~UINT64_C(0) >> (64 - count)) << low;
        bit += count;
    }
}

static void put_bits(struct sink *sink, const struct svp_watch_run *runs, size_t run_count)
{
    for (size_t i = 0; i < run_count; i++) {
        size_t first = (runs[i].start - sink->to.bits.origin) / sink->page_bytes;
        size_t pages = runs[i].bytes / sink->page_bytes;
        set_bits(sink->to.bits.bitmap, first, first + pages);
        sink->count += pages;
    }
}

enum savepoint_status
savepoint_watch_collect_bitmap(struct savepoint_write_watch *watch, uint64_t *bitmap, const void *origin,
                               size_t *page_count, struct savepoint_watch_span *span, size_t max_pages, uint32_t flags,
                               struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check(watch, "collect", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (bitmap == NULL || origin == NULL || span == NULL) {
        return refuse_null(bitmap == NULL ? "bitmap" : origin == NULL ? "origin" : "span", error);
    }
    if (origin > span->next || (uintptr_t)origin % watch->caps.page_bytes != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "collect",
                               "the origin of the bitmap, %p, is no page at or below the span, %p", origin, span->next);
    }
    struct sink sink = {
        .put = put_bits, .room = SIZE_MAX, .pages_left = limit_of(max_pages), .to.bits = { bitmap, (uintptr_t)origin }
    };
    status = collect(watch, &sink, span, flags, error);
    if (status == SAVEPOINT_OK && page_count != NULL) {
        *page_count = sink.count;
    }
    return status;
}

/* ---- without a report */

static void put_nothing(struct sink *sink, const struct svp_watch_run *runs, size_t run_count)
{
    (void)sink;
    (void)runs;
    (void)run_count;
}

enum savepoint_status
savepoint_watch_reset(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    enum savepoint_status status = enter(watch, (uintptr_t)start, bytes, "reset", error);
    if (status == SAVEPOINT_OK) {
        struct sink sink = { .put = put_nothing, .room = SIZE_MAX, .pages_left = SIZE_MAX };
        uintptr_t next = (uintptr_t)start;
        status = walk(watch, &sink, &next, next + bytes, SVP_WATCH_REARM, error);
        leave(watch);
        if (status != SAVEPOINT_OK && error != NULL) {
            error->operation = "reset";
        }
    }
    return status;
}

enum savepoint_status
savepoint_watch_mark(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    enum savepoint_status status = enter(watch, (uintptr_t)start, bytes, "mark", error);
    if (status == SAVEPOINT_OK) {
        status = watch->backend->mark(watch->watch, (uintptr_t)start, bytes, error);
        leave(watch);
    }
    return status;
}

enum savepoint_status
savepoint_watch_prepare(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    enum savepoint_status status = enter(watch, (uintptr_t)start, bytes, "prepare", error);
    if (status == SAVEPOINT_OK) {
        status = watch->backend->prepare(watch->watch, (uintptr_t)start, bytes, error);
        leave(watch);
    }
    return status;
}
