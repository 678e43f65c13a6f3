/* test_watch.c - the laws of the write-watch, over every backend */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "watch_fixture.h"

CHECK_TEST(watch, memory_is_clean_once_added)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        unsigned char *memory = map_pages(8);
        memory[3 * host_page_bytes()] = 1;
        struct watched watched;
        watched_open_on(&watched, backend, memory, 8);
        CHECK_PEEK(&watched, 0);
        CHECK_REARM(&watched, 0);
        watched_close(&watched);
        munmap(memory, 8 * host_page_bytes());
    }
}

CHECK_TEST(watch, one_byte_reports_its_page)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        for (size_t page = 0; page < 8; page++) {
            const size_t offsets[] = { 0, 1, watched.page_bytes / 2, watched.page_bytes - 1 };
            for (size_t i = 0; i < 4; i++) {
                ((volatile unsigned char *)watched.memory)[page * watched.page_bytes + offsets[i]] = 7;
                CHECK_REARM(&watched, PAGE(page));
            }
        }
        CHECK_REARM(&watched, 0);
        watched_close(&watched);
    }
}

CHECK_TEST(watch, a_store_across_a_border_reports_both_pages)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 4);
        for (size_t shift = 1; shift < 8; shift++) {
            uint64_t value = UINT64_C(0x0102030405060708);
            memcpy(watched.memory + 2 * watched.page_bytes - shift, &value, sizeof value);
            CHECK_REARM(&watched, PAGES(1, 3));
        }
        watched_close(&watched);
    }
}

CHECK_TEST(watch, a_write_of_the_same_value_may_not_be_lost)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 4);
        ((volatile unsigned char *)watched.memory)[0] = 0;
        CHECK_REARM(&watched, PAGE(0));
        watched_close(&watched);
    }
}

CHECK_TEST(watch, looking_changes_nothing)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        write_page(&watched, 2);
        write_page(&watched, 5);
        for (int i = 0; i < 3; i++) {
            CHECK_PEEK(&watched, PAGE(2) | PAGE(5));
        }
        write_page(&watched, 6);
        CHECK_PEEK(&watched, PAGE(2) | PAGE(5) | PAGE(6));
        CHECK_REARM(&watched, PAGE(2) | PAGE(5) | PAGE(6));
        CHECK_PEEK(&watched, 0);
        write_page(&watched, 5);
        CHECK_PEEK(&watched, PAGE(5));
        watched_close(&watched);
    }
}

/* Collects by resuming until the end; whatever the limits, each written page is reported exactly once. */
static void walk(const struct watched *watched, size_t max_pages, size_t run_capacity, uint64_t written)
{
    uint64_t all = 0;
    for (size_t page = 0; page < watched->pages;) {
        uint64_t found =
            collect_some(watched, SVP_WATCH_REARM, page, watched->pages - page, max_pages, run_capacity, &page);
        CHECK_EQ(all & found, 0);
        all |= found;
    }
    CHECK_EQ(all, expected(watched, written));
}

CHECK_TEST(watch, limits_are_resumed_without_loss)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 48);
        for (size_t limit = 1; limit < 9; limit++) {
            uint64_t written = 0;
            for (size_t page = limit % 3; page < 48; page += 1 + (page * limit) % 4) {
                write_page(&watched, page);
                written |= PAGE(page);
            }
            walk(&watched, limit % 2 == 0 ? limit : 0, limit % 2 == 0 ? 64 : limit, written);
            CHECK_REARM(&watched, 0);
        }
        watched_close(&watched);
    }
}

/* Every written set of four pages, every sub-range, every limit: what is not reported stays as it was. */
static void check_partial(const struct watched *watched, uint64_t written, size_t first, size_t pages, size_t max_pages,
                          size_t run_capacity)
{
    for (size_t page = 0; page < 4; page++) {
        if ((written & PAGE(page)) != 0) {
            write_page(watched, page);
        }
    }
    size_t resume = 0;
    uint64_t found = collect_some(watched, SVP_WATCH_REARM, first, pages, max_pages, run_capacity, &resume);
    CHECK_EQ(found, written & PAGES(first, resume));
    CHECK_PEEK(watched, written & ~found);
    CHECK_REARM(watched, written & ~found);
}

CHECK_TEST(watch, only_reported_pages_are_rearmed)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 4);
        for (uint64_t written = 0; written < 16 && watched.caps.arms_memory; written++) {
            for (size_t first = 0; first < 4; first++) {
                for (size_t pages = 1; pages <= 4 - first; pages++) {
                    for (size_t max_pages = 0; max_pages < 4; max_pages++) {
                        check_partial(&watched, written, first, pages, max_pages, 1 + max_pages % 2);
                    }
                }
            }
        }
        watched_close(&watched);
    }
}

CHECK_TEST(watch, many_runs_come_in_one_collect)
{
    enum { PAGES_WATCHED = 2048 };
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, PAGES_WATCHED);
        for (size_t page = 0; page < PAGES_WATCHED; page += 2) {
            write_page(&watched, page);
        }
        static struct svp_watch_run runs[PAGES_WATCHED];
        size_t count = 0;
        uintptr_t resume = 0;
        CHECK_OK(backend->collect(watched.watch, (uintptr_t)watched.memory, PAGES_WATCHED * watched.page_bytes,
                                  SVP_WATCH_REARM, 0, runs, PAGES_WATCHED, &count, &resume, NULL));
        CHECK_EQ(count, watched.caps.arms_memory ? PAGES_WATCHED / 2 : 1);
        CHECK_EQ(resume, (uintptr_t)watched.memory + PAGES_WATCHED * watched.page_bytes);
        for (size_t i = 0; i < count && watched.caps.arms_memory; i++) {
            CHECK_EQ(runs[i].start, (uintptr_t)watched.memory + 2 * i * watched.page_bytes);
            CHECK_EQ(runs[i].bytes, watched.page_bytes);
        }
        /* All written: neighbours are one run, across every word and batch. */
        memset(watched.memory, 1, PAGES_WATCHED * watched.page_bytes);
        CHECK_OK(backend->collect(watched.watch, (uintptr_t)watched.memory, PAGES_WATCHED * watched.page_bytes,
                                  SVP_WATCH_REARM, 0, runs, PAGES_WATCHED, &count, &resume, NULL));
        CHECK_EQ(count, 1);
        CHECK_EQ(runs[0].bytes, PAGES_WATCHED * watched.page_bytes);
        CHECK(!backend->widened(watched.watch));
        watched_close(&watched);
    }
}

CHECK_TEST(watch, marked_pages_are_reported_once)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 16);
        CHECK_OK(watched_mark(&watched, 3, 4));
        CHECK_PEEK(&watched, PAGES(3, 7));
        CHECK_REARM(&watched, PAGES(3, 7));
        CHECK_REARM(&watched, 0);
        write_page(&watched, 4);
        CHECK_OK(watched_mark(&watched, 4, 1));
        CHECK_REARM(&watched, PAGE(4));
        write_page(&watched, 4);
        CHECK_REARM(&watched, PAGE(4));
        CHECK_OK(watched_mark(&watched, 0, 16));
        write_page(&watched, 9);
        CHECK_REARM(&watched, PAGES(0, 16));
        write_page(&watched, 9);
        CHECK_REARM(&watched, PAGE(9));
        watched_close(&watched);
    }
}

CHECK_TEST(watch, prepared_pages_are_reported_until_rearmed)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 16);
        CHECK_OK(watched_prepare(&watched, 2, 3));
        CHECK_PEEK(&watched, PAGES(2, 5));
        write_page(&watched, 3);
        CHECK_REARM(&watched, PAGES(2, 5));
        CHECK_REARM(&watched, 0);
        write_page(&watched, 3);
        CHECK_REARM(&watched, PAGE(3));
        watched_close(&watched);
    }
}

/* True when read(2) can write there, which it cannot do to armed memory of the signal watch. */
static bool kernel_can_write(const struct watched *watched, size_t page)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    bool written = read(ends[0], watched->memory + page * watched->page_bytes, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return written;
}

CHECK_TEST(watch, memory_is_ordinary_after_remove)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 12);
        write_page(&watched, 1);
        watched_remove(&watched, 0, 12);
        for (size_t page = 0; page < 12; page++) {
            CHECK(kernel_can_write(&watched, page));
            CHECK_EQ(watched.memory[page * watched.page_bytes], 'x');
            write_page(&watched, page);
        }
        CHECK_OK(watched_add(&watched, 0, 12));
        CHECK_PEEK(&watched, 0);
        write_page(&watched, 11);
        CHECK_REARM(&watched, PAGE(11));
        watched_close(&watched);
    }
}

CHECK_TEST(watch, neighbouring_ranges_are_separate)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        size_t resume = 0;
        watched_open(&watched, backend, 12);
        watched_remove(&watched, 0, 12);
        CHECK_OK(watched_add(&watched, 4, 4));
        CHECK_OK(watched_add(&watched, 0, 4));
        CHECK_OK(watched_add(&watched, 8, 4));
        write_page(&watched, 3);
        write_page(&watched, 4);
        watched_remove(&watched, 4, 4);
        CHECK(kernel_can_write(&watched, 4));
        uint64_t found = collect_some(&watched, SVP_WATCH_REARM, 0, 4, 0, 64, &resume);
        CHECK_EQ(found, watched.caps.arms_memory ? PAGE(3) : PAGES(0, 4));
        write_page(&watched, 9);
        found = collect_some(&watched, SVP_WATCH_REARM, 8, 4, 0, 64, &resume);
        CHECK_EQ(found, watched.caps.arms_memory ? PAGE(9) : PAGES(8, 12));
        watched_close(&watched);
    }
}

CHECK_TEST(watch, close_ends_everything)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        unsigned char *memory = map_pages(8);
        watched_open_on(&watched, backend, memory, 8);
        watched_close(&watched);
        for (size_t page = 0; page < 8; page++) {
            CHECK(kernel_can_write(&watched, page));
        }
        backend->close(NULL);
        munmap(memory, 8 * host_page_bytes());
    }
}

CHECK_TEST(watch, the_far_end_of_a_large_range)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        enum { LARGE = 64 * 1024 };
        struct watched watched;
        watched_open(&watched, backend, LARGE);
        write_page(&watched, LARGE - 1);
        struct svp_watch_run runs[4] = { { 0, 0 } };
        size_t count = 0;
        uintptr_t resume = 0;
        CHECK_OK(backend->collect(watched.watch, (uintptr_t)watched.memory, LARGE * watched.page_bytes, SVP_WATCH_REARM,
                                  0, runs, 4, &count, &resume, NULL));
        CHECK_EQ(count, 1);
        CHECK_EQ(runs[0].bytes, (watched.caps.arms_memory ? 1 : LARGE) * watched.page_bytes);
        CHECK_EQ(runs[0].start + runs[0].bytes, resume);
        watched_close(&watched);
    }
}
