/* test_trap_huge.c - huge pages under watch: transparent ones, made before and after, and explicit ones */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "trap_fixture.h"

enum { HUGE_BYTES = 2 << 20, ADVICE_COLLAPSE = 25 };

/* Two huge pages' worth of aligned memory, in a mapping of its own; freed whole by free_aligned. */
static unsigned char *map_aligned(unsigned char **mapping)
{
    *mapping = map_pages(4 * HUGE_BYTES / host_page_bytes());
    unsigned char *aligned = *mapping + (2 * HUGE_BYTES - (uintptr_t)*mapping % HUGE_BYTES);
    CHECK_EQ(madvise(aligned - HUGE_BYTES, HUGE_BYTES, MADV_NOHUGEPAGE), 0); /* a neighbour that does not merge */
    return aligned;
}

/* The only run reported now, or NULL for none; everything where nothing is armed. */
static const struct svp_watch_run *only_run(const struct watched *watched, enum svp_watch_mode mode)
{
    static struct svp_watch_run runs[4];
    size_t count = 0;
    uintptr_t resume = 0;
    CHECK_OK(watched->backend->collect(watched->watch, (uintptr_t)watched->memory, watched->pages * watched->page_bytes,
                                       mode, 0, runs, 4, &count, &resume, NULL));
    CHECK(count <= 1);
    return count == 0 ? NULL : &runs[0];
}

static void check_only(const struct watched *watched, size_t first, size_t pages)
{
    for (int mode = 0; mode < 2 && watched->caps.arms_memory; mode++) {
        const struct svp_watch_run *run = only_run(watched, mode == 0 ? SVP_WATCH_PEEK : SVP_WATCH_REARM);
        CHECK(pages == 0 ? run == NULL : run != NULL);
        CHECK(run == NULL || run->start == (uintptr_t)page_address(watched, first));
        CHECK(run == NULL || run->bytes == pages * watched->page_bytes);
    }
}

static void check_page_by_page(const struct watched *watched)
{
    for (size_t page = 0; page < watched->pages; page += 100) {
        check_only(watched, 0, 0);
        write_page(watched, page);
        check_only(watched, page, 1);
    }
    check_only(watched, 0, 0);
}

/* ---- transparent huge pages */

static void over_huge_pages(void (*body)(struct watched *watched, unsigned char *aligned))
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        unsigned char *mapping = NULL;
        unsigned char *aligned = map_aligned(&mapping);
        watched_open(&watched, backend, 1);
        body(&watched, aligned);
        watched.owned = false;
        watched_close(&watched);
        munmap(mapping, 4 * HUGE_BYTES);
    }
}

static void need_huge_pages(const unsigned char *memory)
{
    if (smaps_kib(memory, "AnonHugePages") == 0) {
        CHECK_SKIP("the kernel gave no transparent huge page (see /sys/kernel/mm/transparent_hugepage/enabled)");
    }
}

static void huge_first(struct watched *watched, unsigned char *aligned)
{
    CHECK_EQ(madvise(aligned, 2 * HUGE_BYTES, MADV_HUGEPAGE), 0);
    memset(aligned, 1, 2 * HUGE_BYTES);
    need_huge_pages(aligned);
    rewatch(watched, aligned, 2 * HUGE_BYTES / host_page_bytes());
    check_page_by_page(watched);
    /* A collect that ends in the middle of a huge page leaves its other half as it was. */
    memset(aligned, 2, 2 * HUGE_BYTES);
    struct svp_watch_run runs[4] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    CHECK_OK(watched->backend->collect(watched->watch, (uintptr_t)aligned, HUGE_BYTES / 2, SVP_WATCH_REARM, 0, runs, 4,
                                       &count, &resume, NULL));
    check_only(watched, HUGE_BYTES / 2 / watched->page_bytes, (2 * HUGE_BYTES - HUGE_BYTES / 2) / watched->page_bytes);
}

CHECK_TEST(trap_huge, watched_when_huge_already)
{
    over_huge_pages(huge_first);
}

static void huge_later(struct watched *watched, unsigned char *aligned)
{
    memset(aligned, 1, 2 * HUGE_BYTES);
    rewatch(watched, aligned, 2 * HUGE_BYTES / host_page_bytes());
    CHECK_EQ(madvise(aligned, 2 * HUGE_BYTES, MADV_HUGEPAGE), 0);
    write_page(watched, 3);
    (void)madvise(aligned, 2 * HUGE_BYTES, ADVICE_COLLAPSE); /* refused while pages are armed */
    check_only(watched, 3, 1);
    check_page_by_page(watched);
    /* All of it written: now it may become huge, and stays written. */
    memset(aligned, 2, 2 * HUGE_BYTES);
    (void)madvise(aligned, 2 * HUGE_BYTES, ADVICE_COLLAPSE);
    check_only(watched, 0, 2 * HUGE_BYTES / watched->page_bytes);
    check_page_by_page(watched);
}

CHECK_TEST(trap_huge, made_huge_under_watch)
{
    over_huge_pages(huge_later);
}

/* Discarding a whole huge page, then a part of one. */
static void huge_discarded(struct watched *watched, unsigned char *aligned)
{
    size_t huge_pages = HUGE_BYTES / host_page_bytes();
    CHECK_EQ(madvise(aligned, 2 * HUGE_BYTES, MADV_HUGEPAGE), 0);
    memset(aligned, 1, 2 * HUGE_BYTES);
    rewatch(watched, aligned, 2 * huge_pages);
    CHECK_EQ(madvise(aligned, HUGE_BYTES, MADV_DONTNEED), 0);
    CHECK_EQ(madvise(aligned + HUGE_BYTES, 2 * watched->page_bytes, MADV_DONTNEED), 0);
    if (is(watched, "signal")) {
        check_only(watched, 0, 0);
        CHECK_OK(watched_mark(watched, 0, huge_pages + 2));
    }
    check_only(watched, 0, huge_pages + 2);
    check_page_by_page(watched);
}

CHECK_TEST(trap_huge, discarded)
{
    over_huge_pages(huge_discarded);
}
