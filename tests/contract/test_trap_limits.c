/* test_trap_limits.c - full result buffers of any size, and a process that may have no further mapping */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "trap_fixture.h"

enum { MANY_PAGES = 1200 };

/* ---- full buffers: around the batches that a backend may fetch in, and its words of bits */

/* Collects all by resuming; every page that was written is reported once, and no other. */
static void walk(const struct watched *watched, size_t capacity, size_t max_pages, const unsigned char *written)
{
    static struct svp_watch_run runs[MANY_PAGES];
    static unsigned char reported[MANY_PAGES];
    uintptr_t start = (uintptr_t)watched->memory;
    uintptr_t end = start + MANY_PAGES * watched->page_bytes;
    uintptr_t at = start;
    memset(reported, 0, sizeof reported);
    while (at < end) {
        size_t count = 0;
        size_t pages = 0;
        uintptr_t resume = 0;
        CHECK_OK(watched->backend->collect(watched->watch, at, end - at, SVP_WATCH_REARM, max_pages, runs, capacity,
                                           &count, &resume, NULL));
        CHECK(count <= capacity && resume > at && resume <= end);
        for (size_t i = 0; i < count; i++) {
            CHECK(runs[i].start >= at && runs[i].start + runs[i].bytes <= resume);
            at = runs[i].start + runs[i].bytes;
            for (size_t page = (runs[i].start - start) / watched->page_bytes; page < (at - start) / watched->page_bytes;
                 page++) {
                reported[page]++;
                pages++;
            }
        }
        CHECK(max_pages == 0 || pages <= max_pages);
        at = resume;
    }
    for (size_t page = 0; page < MANY_PAGES; page++) {
        CHECK_MSG(reported[page] == (watched->caps.arms_memory ? written[page] : 1),
                  "%s, %zu runs, %zu pages: page %zu was reported %u times, written %u", watched->backend->name,
                  capacity, max_pages, page, reported[page], written[page]);
    }
}

TRAP_TEST(trap_limits, full_result_buffers)
{
    static const size_t capacities[] = { 1, 63, 64, 127, 128, 129, 256, 257, MANY_PAGES };
    static const size_t page_limits[] = { 0, 1, 63, 64, 65, 127, 128, 129, 255, 599, 1199 };
    static unsigned char written[MANY_PAGES];
    struct watched many;
    watched_open(&many, watched->backend, MANY_PAGES);
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        for (size_t j = 0; j < sizeof page_limits / sizeof page_limits[0]; j++) {
            size_t step = 1 + (i + j) % 3; /* all, every second, every third */
            memset(written, 0, sizeof written);
            for (size_t page = j; page < MANY_PAGES; page += step) {
                write_page(&many, page);
                written[page] = 1;
            }
            walk(&many, capacities[i], page_limits[j], written);
        }
    }
    memset(written, 0, sizeof written);
    walk(&many, MANY_PAGES, 0, written);
    watched_close(&many);
}

/* ---- the limit of mappings (vm.max_map_count) */

static void exhaust_mappings(void)
{
    size_t page_bytes = host_page_bytes();
    size_t pages = 400000;
    unsigned char *memory =
        mmap(NULL, pages * page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    size_t page = 1;
    while (page < pages && mprotect(memory + page * page_bytes, page_bytes, PROT_READ) == 0) {
        page += 2;
    }
    CHECK_MSG(page < pages, "the limit was not reached");
}

static void live_at_the_limit(void *argument)
{
    const struct watched *before = argument;
    struct watched watched;
    watched_open(&watched, before->backend, TRAP_PAGES);
    unsigned char *memory = map_pages(12);
    exhaust_mappings();
    for (int turn = 0; turn < 3; turn++) {
        uint64_t written = 0;
        for (size_t page = (size_t)turn; page < TRAP_PAGES; page += 3) {
            write_page(&watched, page);
            written |= PAGE(page);
        }
        uint64_t found = collect_pages(&watched, SVP_WATCH_REARM);
        CHECK_EQ(found & written, written);
        CHECK(!is(&watched, "uffd") || found == written);
    }
    CHECK_EQ(watched.backend->widened(watched.watch), is(&watched, "signal"));
    /* A part of a mapping cannot be told from the rest any more: refused, and as it was. */
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status =
        watched.backend->add(watched.watch, (uintptr_t)memory + 4 * watched.page_bytes, 4 * watched.page_bytes, &error);
    CHECK_STATUS(status, watched.caps.arms_memory ? SAVEPOINT_NO_MEMORY : SAVEPOINT_OK);
    CHECK(status == SAVEPOINT_OK || error.message[0] != '\0');
    memset(memory, 1, 12 * watched.page_bytes);
    /* What is there still works: marks, and the end. */
    CHECK_OK(watched_mark(&watched, 5, 1));
    CHECK_EQ(collect_pages(&watched, SVP_WATCH_REARM) & PAGE(5), PAGE(5));
    watched_remove(&watched, 0, TRAP_PAGES);
    fill_pages(&watched, 0, TRAP_PAGES, 1);
    watched_close(&watched);
}

TRAP_TEST(trap_limits, no_further_mapping)
{
    CHECK_CHILD(live_at_the_limit, watched);
}
