/* test_trap_pages.c - pages that come, go and stay: populated, locked, discarded, reclaimed, swapped, moved about */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap_fixture.h"

/* Newer than the headers of Debian 12, or than glibc's. */
enum { ADVICE_FREE = 8, ADVICE_MERGEABLE = 12, ADVICE_READ_ALL = 22, ADVICE_WRITE_ALL = 23 };

static int advise(const struct watched *watched, size_t first, size_t pages, int advice)
{
    return madvise(page_address(watched, first), pages * watched->page_bytes, advice) == 0 ? 0 : errno;
}

/* ---- never populated, and zero */

TRAP_TEST(trap_pages, never_populated)
{
    CHECK_PEEK(watched, 0);
    write_page(watched, 5);
    CHECK_REARM(watched, PAGE(5));
    check_alive(watched);
}

TRAP_TEST(trap_pages, zero_pages_read)
{
    unsigned sum = 0;
    for (size_t page = 0; page < TRAP_PAGES; page++) {
        sum += *(volatile unsigned char *)page_address(watched, page);
    }
    CHECK_EQ(sum, 0);
    CHECK_PEEK(watched, 0);
    check_alive(watched);
}

TRAP_TEST(trap_pages, populated_by_reading)
{
    CHECK_EQ(advise(watched, 0, TRAP_PAGES, ADVICE_READ_ALL), 0);
    CHECK_PEEK(watched, 0);
    check_alive(watched);
}

/* uffd: as if written. signal: refused, the pages are read-only. */
TRAP_TEST(trap_pages, populated_by_writing)
{
    int failure = advise(watched, 3, 4, ADVICE_WRITE_ALL);
    CHECK_EQ(failure == 0, !is(watched, "signal"));
    CHECK_REARM(watched, failure == 0 ? PAGES(3, 7) : 0);
    check_alive(watched);
}

TRAP_TEST(trap_pages, locked)
{
    write_page(watched, 3);
    /* Not by its name: sanitizers make that do nothing. */
    CHECK_EQ(syscall(SYS_mlock, watched->memory, 8 * watched->page_bytes), 0);
    /* Locking populates as writing does; what is there already is left alone. */
    CHECK_REARM(watched, is(watched, "signal") ? PAGE(3) : PAGES(0, 8));
    check_alive(watched);
    CHECK_EQ(syscall(SYS_munlock, watched->memory, 8 * watched->page_bytes), 0);
    check_alive(watched);
}

/* ---- discarded */

TRAP_TEST(trap_pages, discarded)
{
    fill_pages(watched, 0, 8, 7);
    CHECK_REARM(watched, PAGES(0, 8));
    write_page(watched, 1);
    /* Written, clean, and never populated: all are zero now. */
    CHECK_EQ(advise(watched, 0, TRAP_PAGES - 4, MADV_DONTNEED), 0);
    CHECK_EQ(watched->memory[0], 0);
    if (is(watched, "signal")) {
        CHECK_REARM(watched, PAGE(1));
    }
    check_seen_by_uffd(watched, 0, TRAP_PAGES - 4);
    check_alive(watched);
}

/* The kernel may give up the emptied page table as well: nothing is left there that could say "written". */
CHECK_TEST(trap_pages, discarded_with_their_page_table)
{
    const size_t table_bytes = 2u << 20;
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        size_t pages = table_bytes / host_page_bytes();
        unsigned char *memory = map_pages(4 * pages);
        unsigned char *aligned = memory + (table_bytes - (uintptr_t)memory % table_bytes);
        struct watched watched;
        memset(aligned, 1, 3 * table_bytes);
        watched_open_on(&watched, backend, aligned, 3 * pages);
        for (int turn = 0; turn < 2; turn++) {
            struct svp_watch_run runs[4] = { { 0, 0 } };
            size_t count = 0;
            uintptr_t resume = 0;
            CHECK_EQ(madvise(aligned + table_bytes, table_bytes, MADV_DONTNEED), 0);
            if (is(&watched, "signal")) {
                CHECK_OK(watched_mark(&watched, pages, pages));
            }
            CHECK_OK(backend->collect(watched.watch, (uintptr_t)aligned, 3 * table_bytes, SVP_WATCH_REARM, 0, runs, 4,
                                      &count, &resume, NULL));
            CHECK_EQ(count, 1);
            CHECK_EQ(runs[0].bytes, watched.caps.arms_memory ? table_bytes : 3 * table_bytes);
            write_page(&watched, pages + 7); /* armed again, though there was nothing to arm */
            CHECK_OK(backend->collect(watched.watch, (uintptr_t)aligned, 3 * table_bytes, SVP_WATCH_REARM, 0, runs, 4,
                                      &count, &resume, NULL));
            CHECK_EQ(count, 1);
            CHECK_EQ(runs[0].bytes, watched.caps.arms_memory ? watched.page_bytes : 3 * table_bytes);
        }
        watched_close(&watched);
        munmap(memory, 4 * table_bytes);
    }
}

/* Free to be dropped, but not yet dropped: nothing has changed. A write takes the page back, and is a write. */
TRAP_TEST(trap_pages, freed_and_kept)
{
    fill_pages(watched, 0, 4, 7);
    CHECK_REARM(watched, PAGES(0, 4));
    CHECK_EQ(advise(watched, 1, 2, ADVICE_FREE), 0);
    write_page(watched, 2);
    CHECK_REARM(watched, PAGE(2));
    check_alive(watched);
}

/* Dropped by reclaim, which the advice to page out forces. */
TRAP_TEST(trap_pages, freed_and_dropped)
{
    fill_pages(watched, 0, 4, 7);
    CHECK_REARM(watched, PAGES(0, 4));
    CHECK_EQ(advise(watched, 1, 2, ADVICE_FREE), 0);
    page_out(watched, 1, 2);
    CHECK_EQ(watched->memory[watched->page_bytes], 0);
    CHECK_EQ(watched->memory[2 * watched->page_bytes], 0);
    check_seen_by_uffd(watched, 1, 2);
    check_alive(watched);
}

/* ---- kept, but elsewhere */

static void write_setting(const char *path, const char *value)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, value, strlen(value)) != (ssize_t)strlen(value)) {
        CHECK_SKIP("%s cannot be set to %s: %s", path, value, strerror(errno));
    }
    close(file);
}

TRAP_TEST(trap_pages, compacted)
{
    for (int turn = 0; turn < 2; turn++) {
        fill_pages(watched, 0, 8, 7 + turn);
        CHECK_REARM(watched, PAGES(0, 8));
        write_page(watched, 3);
        write_setting("/proc/sys/vm/compact_memory", "1");
        CHECK_REARM(watched, PAGE(3));
    }
    check_alive(watched);
}
