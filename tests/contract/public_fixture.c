/* public_fixture.c - memory under a public write-watch, and collects of it as sets of pages */
#define _GNU_SOURCE
#include "public_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { PAGES_MAX = 63 };

void guarded_open(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages)
{
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    struct savepoint_watch_info info;
    struct savepoint_error error = { .message = "" };
    options.backend = backend->name;
    *guarded = (struct guarded){ .memory = map_pages(pages), .pages = pages };
    enum savepoint_status status = savepoint_watch_open(&guarded->watch, &options, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s: %s", backend->name, error.message);
    CHECK_OK(savepoint_watch_describe(guarded->watch, &info, NULL));
    CHECK_STR(info.backend, backend->name);
    guarded->caps = info.capabilities;
    guarded->page_bytes = info.capabilities.page_bytes;
    CHECK_OK(savepoint_watch_add(guarded->watch, guarded->memory, pages * guarded->page_bytes, NULL));
}

void guarded_close(struct guarded *guarded)
{
    savepoint_watch_close(guarded->watch);
    munmap(guarded->memory, guarded->pages * guarded->page_bytes);
}

void *guarded_page(const struct guarded *guarded, size_t page)
{
    return guarded->memory + page * guarded->page_bytes;
}

void guarded_write(const struct guarded *guarded, size_t page)
{
    atomic_uchar *at = (atomic_uchar *)(guarded->memory + page * guarded->page_bytes + page % 64);
    atomic_fetch_add_explicit(at, 1, memory_order_relaxed);
}

struct savepoint_watch_span guarded_span(const struct guarded *guarded, size_t first, size_t end)
{
    return (struct savepoint_watch_span){ guarded_page(guarded, first), guarded_page(guarded, end) };
}

static size_t page_of(const struct guarded *guarded, const void *address)
{
    size_t offset = (size_t)((const unsigned char *)address - guarded->memory);
    CHECK_EQ(offset % guarded->page_bytes, 0);
    return offset / guarded->page_bytes;
}

static uint64_t as_ranges(const struct guarded *guarded, size_t first, size_t end, uint32_t flags)
{
    struct savepoint_watch_range ranges[PAGES_MAX];
    struct savepoint_watch_span span = guarded_span(guarded, first, end);
    size_t count = SIZE_MAX;
    size_t behind = first;
    uint64_t found = 0;
    CHECK_OK(savepoint_watch_collect_ranges(guarded->watch, ranges, PAGES_MAX, &count, &span, 0, flags, NULL));
    CHECK(span.next == span.end);
    for (size_t i = 0; i < count; i++) {
        size_t page = page_of(guarded, ranges[i].start);
        size_t pages = ranges[i].bytes / guarded->page_bytes;
        CHECK(i == 0 ? page >= behind : page > behind); /* ascending and apart */
        CHECK(pages > 0 && page + pages <= end);
        behind = page + pages;
        found |= PAGES(page, behind);
    }
    return found;
}

static uint64_t as_addresses(const struct guarded *guarded, size_t first, size_t end, uint32_t flags)
{
    void *addresses[PAGES_MAX];
    struct savepoint_watch_span span = guarded_span(guarded, first, end);
    size_t count = SIZE_MAX;
    uint64_t found = 0;
    CHECK_OK(savepoint_watch_collect_addresses(guarded->watch, addresses, PAGES_MAX, &count, &span, flags, NULL));
    CHECK(span.next == span.end);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || addresses[i] > addresses[i - 1]);
        found |= PAGE(page_of(guarded, addresses[i]));
    }
    return found;
}

static uint64_t as_bits(const struct guarded *guarded, size_t first, size_t end, uint32_t flags)
{
    uint64_t found = 0;
    size_t count = SIZE_MAX;
    struct savepoint_watch_span span = guarded_span(guarded, first, end);
    CHECK_OK(savepoint_watch_collect_bitmap(guarded->watch, &found, guarded->memory, &count, &span, 0, flags, NULL));
    CHECK(span.next == span.end);
    size_t bits = 0;
    for (uint64_t left = found; left != 0; left &= left - 1) {
        bits++;
    }
    CHECK_EQ(count, bits);
    return found;
}

uint64_t guarded_collect(const struct guarded *guarded, size_t first, size_t end, uint32_t flags)
{
    typedef uint64_t collect_shape(const struct guarded *, size_t, size_t, uint32_t);
    static collect_shape *const shapes[] = { as_ranges, as_addresses, as_bits };
    static size_t turn;
    turn++; /* each shape is the one that re-arms now and then */
    uint64_t found = shapes[turn % 3](guarded, first, end, SAVEPOINT_WATCH_PEEK);
    CHECK_EQ(shapes[(turn + 1) % 3](guarded, first, end, SAVEPOINT_WATCH_PEEK), found);
    CHECK_EQ(shapes[(turn + 2) % 3](guarded, first, end, flags), found);
    return found;
}

uint64_t guarded_expected(const struct guarded *guarded, size_t first, size_t end, uint64_t written)
{
    return guarded->caps.arms_memory ? written & PAGES(first, end) : PAGES(first, end);
}
