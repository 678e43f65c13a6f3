/* test_watch_limit.c - the signal backend where the system allows no further mapping */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "watch_fixture.h"

/* Cuts memory into as many mappings as the system allows. */
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

static void check_all_reported(const struct watched *watched, size_t step)
{
    static struct svp_watch_run runs[4096];
    static bool reported[4096];
    size_t count = 0;
    uintptr_t resume = 0;
    uintptr_t start = (uintptr_t)watched->memory;
    memset(reported, 0, sizeof reported);
    CHECK_OK(watched->backend->collect(watched->watch, start, watched->pages * watched->page_bytes, SVP_WATCH_REARM, 0,
                                       runs, 4096, &count, &resume, NULL));
    CHECK_EQ(resume, start + watched->pages * watched->page_bytes);
    for (size_t i = 0; i < count; i++) {
        for (size_t done = 0; done < runs[i].bytes; done += watched->page_bytes) {
            reported[(runs[i].start + done - start) / watched->page_bytes] = true;
        }
    }
    for (size_t page = 0; page < watched->pages; page += step) {
        CHECK_MSG(reported[page], "page %zu was written and is not reported", page);
    }
}

static void write_at_the_limit(void *argument)
{
    (void)argument;
    struct watched watched;
    watched_open(&watched, svp_watch_backend_find("signal"), 4096);
    exhaust_mappings();
    for (int turn = 0; turn < 5; turn++) {
        for (size_t page = 0; page < 4096; page += 3) {
            errno = 4321;
            write_page(&watched, page);
            CHECK_EQ(errno, 4321); /* though attempts to open the page alone fail */
        }
        check_all_reported(&watched, 3);
    }
    CHECK(watched.backend->widened(watched.watch));
    CHECK_OK(watched_prepare(&watched, 100, 3));
    write_page(&watched, 2000);
    watched_remove(&watched, 0, 4096);
    memset(watched.memory, 1, 4096 * watched.page_bytes);
}

CHECK_TEST(watch_limit, the_mapping_limit_is_survived)
{
    CHECK_CHILD(write_at_the_limit, NULL);
}
