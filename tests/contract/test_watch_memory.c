/* test_watch_memory.c - kinds of memory, and what the application does to memory under watch (docs/PLATFORMS.md) */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch_fixture.h"

#ifndef MADV_FREE
#define MADV_FREE 8
#endif

/* The backends see different things; the expectations below name the one that differs. */
static bool is(const struct watched *watched, const char *name)
{
    return strcmp(watched->backend->name, name) == 0;
}

static unsigned char *page_address(const struct watched *watched, size_t page)
{
    return watched->memory + page * watched->page_bytes;
}

/* ---- reading and populating */

CHECK_TEST(watch_memory, reading_reports_nothing)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        unsigned sum = 0;
        for (size_t page = 0; page < 8; page++) {
            sum += *(volatile unsigned char *)page_address(&watched, page);
        }
        CHECK_EQ(sum, 0);
        CHECK_REARM(&watched, 0);
        write_page(&watched, 5);
        CHECK_REARM(&watched, PAGE(5));
        watched_close(&watched);
    }
}

CHECK_TEST(watch_memory, locking_loses_nothing)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        write_page(&watched, 3);
        (void)mlock(watched.memory, 8 * watched.page_bytes);
        CHECK(collect_pages(&watched, SVP_WATCH_REARM) & PAGE(3)); /* uffd reports all: populating counts */
        CHECK_REARM(&watched, 0);
        write_page(&watched, 4);
        CHECK_REARM(&watched, PAGE(4));
        munlock(watched.memory, 8 * watched.page_bytes);
        watched_close(&watched);
    }
}

/* ---- discarding, moving and replacing */

CHECK_TEST(watch_memory, discarded_pages)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        unsigned char *memory = map_pages(8);
        memset(memory, 1, 8 * host_page_bytes());
        watched_open_on(&watched, backend, memory, 8);
        CHECK_EQ(madvise(page_address(&watched, 2), 2 * watched.page_bytes, MADV_DONTNEED), 0);
        CHECK_EQ(memory[2 * watched.page_bytes], 0);
        if (is(&watched, "signal")) { /* sees stores only */
            CHECK_PEEK(&watched, 0);
            CHECK_OK(watched_mark(&watched, 2, 2));
        }
        CHECK_REARM(&watched, PAGES(2, 4));
        write_page(&watched, 3);
        CHECK_REARM(&watched, PAGE(3));
        if (madvise(page_address(&watched, 5), watched.page_bytes, MADV_FREE) == 0) {
            write_page(&watched, 5);
            CHECK(collect_pages(&watched, SVP_WATCH_REARM) & PAGE(5));
        }
        watched_close(&watched);
        munmap(memory, 8 * host_page_bytes());
    }
}

CHECK_TEST(watch_memory, a_hole_hides_nothing_behind_it)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 12);
        write_page(&watched, 1);
        write_page(&watched, 4);
        CHECK_EQ(munmap(page_address(&watched, 4), 2 * watched.page_bytes), 0);
        write_page(&watched, 9);
        for (int i = 0; i < 3; i++) {
            uint64_t found = collect_pages(&watched, SVP_WATCH_REARM);
            CHECK((found & PAGE(9)) != 0 && (i > 0 || (found & PAGE(1)) != 0));
            CHECK(!watched.caps.arms_memory || (found & ~(PAGE(1) | PAGES(4, 6) | PAGE(9))) == 0);
            write_page(&watched, 9);
        }
        watched_remove(&watched, 0, 12);
        write_page(&watched, 0);
        write_page(&watched, 11);
        watched_close(&watched);
    }
}

/* uffd notices, and says that the answer is unknown; signal does not: mark is the remedy. */
CHECK_TEST(watch_memory, pages_mapped_over)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        void *over = mmap(page_address(&watched, 3), 2 * watched.page_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(over == page_address(&watched, 3));
        write_page(&watched, 3);
        if (is(&watched, "uffd")) {
            CHECK_STATUS(try_collect(&watched, SVP_WATCH_PEEK), SAVEPOINT_BAD_MEMORY);
            CHECK_STATUS(try_collect(&watched, SVP_WATCH_REARM), SAVEPOINT_BAD_MEMORY);
            watched_remove(&watched, 0, 8);
            CHECK_OK(watched_add(&watched, 0, 8));
        } else {
            CHECK_PEEK(&watched, 0);
            CHECK_OK(watched_mark(&watched, 3, 2));
            CHECK_REARM(&watched, PAGES(3, 5));
        }
        write_page(&watched, 3);
        write_page(&watched, 7);
        CHECK_REARM(&watched, PAGE(3) | PAGE(7));
        watched_close(&watched);
    }
}

static void move_and_write(void *argument)
{
    struct watched *watched = argument;
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    struct watched own;
    watched_open(&own, watched->backend, 8);
    unsigned char *target = map_pages(8);
    size_t bytes = 8 * own.page_bytes;
    CHECK(mremap(own.memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    own.owned = false;
    if (own.caps.arms_memory) { /* gone: unknown, or nothing to report */
        enum savepoint_status status = try_collect(&own, SVP_WATCH_REARM);
        CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_BAD_MEMORY);
    }
    target[0] = 1; /* signal: left read-only, and a fault of the application's now */
    CHECK(!is(&own, "signal"));
    watched_close(&own);
}

CHECK_TEST(watch_memory, moved_pages_are_no_longer_watched)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched = { .backend = backend };
        int status = run_child(move_and_write, &watched);
        if (is(&watched, "signal")) {
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        } else {
            CHECK_EQ(status, 0);
        }
    }
}

/* uffd: kept through all changes. signal: the protection is its only means, so an application that lifts it must
 * mark what it wrote. */
CHECK_TEST(watch_memory, protection_changed_by_the_application)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        write_page(&watched, 1);
        CHECK_EQ(mprotect(watched.memory, 4 * watched.page_bytes, PROT_NONE), 0);
        CHECK_EQ(mprotect(watched.memory, 4 * watched.page_bytes, PROT_READ), 0);
        CHECK_EQ(mprotect(watched.memory, 4 * watched.page_bytes, PROT_READ | PROT_WRITE), 0);
        write_page(&watched, 2);
        if (is(&watched, "signal")) {
            CHECK_PEEK(&watched, PAGE(1));
            CHECK_OK(watched_mark(&watched, 0, 4));
            CHECK_REARM(&watched, PAGES(0, 4));
        } else {
            CHECK_REARM(&watched, PAGE(1) | PAGE(2));
        }
        CHECK_REARM(&watched, 0);
        write_page(&watched, 0);
        write_page(&watched, 3);
        CHECK_REARM(&watched, PAGE(0) | PAGE(3));
        watched_close(&watched);
    }
}

/* uffd: the application's will is done. signal: it cannot tell whose protection it meets, and opens the page. */
static void write_to_a_closed_page(void *argument)
{
    struct watched *watched = argument;
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    struct watched own;
    watched_open(&own, watched->backend, 8);
    CHECK_EQ(mprotect(own.memory, 8 * own.page_bytes, PROT_READ), 0);
    write_page(&own, 3);
    CHECK(is(&own, "signal"));
    CHECK_REARM(&own, PAGE(3));
    watched_close(&own);
}

CHECK_TEST(watch_memory, pages_made_read_only_by_the_application)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched = { .backend = backend };
        int status = run_child(write_to_a_closed_page, &watched);
        if (is(&watched, "signal")) {
            CHECK_EQ(status, 0);
        } else {
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        }
    }
}

/* ---- kinds of memory */

CHECK_TEST(watch_memory, transparent_huge_pages_are_tracked_page_by_page)
{
    const size_t huge_bytes = 2u << 20;
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        unsigned char *memory = map_pages(3 * huge_bytes / host_page_bytes());
        unsigned char *aligned = memory + (huge_bytes - (uintptr_t)memory % huge_bytes);
        (void)madvise(aligned, 2 * huge_bytes, MADV_HUGEPAGE);
        memset(aligned, 1, 2 * huge_bytes);
        struct watched watched;
        watched_open_on(&watched, backend, aligned, 2 * huge_bytes / host_page_bytes());
        write_page(&watched, 700);
        struct svp_watch_run runs[4] = { { 0, 0 } };
        size_t count = 0;
        uintptr_t resume = 0;
        for (int turn = 0; turn < 2 && watched.caps.arms_memory; turn++) {
            CHECK_OK(backend->collect(watched.watch, (uintptr_t)aligned, 2 * huge_bytes, SVP_WATCH_REARM, 0, runs, 4,
                                      &count, &resume, NULL));
            CHECK_EQ(count, 1);
            CHECK_EQ(runs[0].start, (uintptr_t)aligned + (turn == 0 ? 700 : 701) * watched.page_bytes);
            CHECK_EQ(runs[0].bytes, watched.page_bytes);
            write_page(&watched, 701);
        }
        watched_close(&watched);
        munmap(memory, 3 * huge_bytes);
    }
}

static int memory_file(size_t pages)
{
    int file = memfd_create("test_watch_memory", MFD_CLOEXEC);
    CHECK(file >= 0);
    CHECK_EQ(ftruncate(file, (off_t)(pages * host_page_bytes())), 0);
    return file;
}

static unsigned char *map_file(int file, size_t first, size_t pages, int flags)
{
    void *memory =
        mmap(NULL, pages * host_page_bytes(), PROT_READ | PROT_WRITE, flags, file, (off_t)(first * host_page_bytes()));
    CHECK(memory != MAP_FAILED);
    return memory;
}

CHECK_TEST(watch_memory, private_file_mappings)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        int file = memory_file(8);
        unsigned char *memory = map_file(file, 0, 8, MAP_PRIVATE);
        unsigned char *other = map_file(file, 0, 8, MAP_PRIVATE); /* harmless: writes stay apart */
        struct watched watched;
        watched_open_on(&watched, backend, memory, 8);
        write_page(&watched, 0);
        write_page(&watched, 6);
        CHECK_REARM(&watched, PAGE(0) | PAGE(6));
        write_page(&watched, 6);
        CHECK_REARM(&watched, PAGE(6));
        watched_close(&watched);
        munmap(memory, 8 * host_page_bytes());
        munmap(other, 8 * host_page_bytes());
        close(file);
    }
}

/* Shared memory is watched through one mapping. A second one is refused where it is there already; writes through
 * a later one must be marked. */
CHECK_TEST(watch_memory, shared_memory_and_its_second_mapping)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        int file = memory_file(8);
        unsigned char *memory = map_file(file, 0, 8, MAP_SHARED);
        struct watched watched;
        watched_open_on(&watched, backend, memory, 8);
        write_page(&watched, 2);
        CHECK_REARM(&watched, PAGE(2));
        unsigned char *other = map_file(file, 2, 4, MAP_SHARED);
        other[watched.page_bytes] = 1; /* page 3 */
        CHECK_EQ(memory[3 * watched.page_bytes], 1);
        CHECK_PEEK(&watched, 0);
        CHECK_OK(watched_mark(&watched, 3, 1));
        CHECK_REARM(&watched, PAGE(3));
        watched_remove(&watched, 0, 8);
        enum savepoint_status refusal = watched.caps.arms_memory ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK;
        CHECK_STATUS(watched_add(&watched, 0, 8), refusal);
        CHECK_STATUS(watched_add(&watched, 4, 1), refusal);
        CHECK_OK(watched_add(&watched, 6, 2)); /* not in the second mapping */
        CHECK_OK(watched_add(&watched, 0, 2));
        CHECK_EQ(mprotect(other, 4 * watched.page_bytes, PROT_READ), 0);
        CHECK_OK(watched_add(&watched, 2, 4)); /* it cannot be written */
        watched_close(&watched);
        munmap(memory, 8 * host_page_bytes());
        munmap(other, 4 * host_page_bytes());
        close(file);
    }
}

static _Alignas(65536) unsigned char in_data[65536] = { 1 };
static _Alignas(65536) unsigned char in_bss[65536];

static void check_pages_of(const struct svp_watch_backend *backend, unsigned char *memory)
{
    struct watched watched;
    watched_open_on(&watched, backend, memory, 65536 / host_page_bytes());
    size_t last = watched.pages - 1;
    write_page(&watched, 0);
    write_page(&watched, last);
    CHECK_REARM(&watched, PAGE(0) | PAGE(last));
    write_page(&watched, last);
    CHECK_REARM(&watched, PAGE(last));
    watched_close(&watched);
}

CHECK_TEST(watch_memory, data_bss_and_buffers_on_the_stack)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        _Alignas(65536) unsigned char on_stack[65536];
        memset(on_stack, 1, sizeof on_stack);
        check_pages_of(backend, in_data);
        check_pages_of(backend, in_bss);
        check_pages_of(backend, on_stack);
    }
}

CHECK_TEST(watch_memory, the_running_stack)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        uintptr_t page_bytes = watched.page_bytes;
        uintptr_t start = (uintptr_t)&watched / page_bytes * page_bytes - 4 * page_bytes;
        volatile unsigned char touch[8 * 4096]; /* the pages below exist */
        for (size_t i = 0; i < sizeof touch; i += 4096) {
            touch[i] = 1;
        }
        enum savepoint_status status = backend->add(watched.watch, start, 5 * page_bytes, NULL);
        CHECK_STATUS(status, is(&watched, "signal") ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK);
        CHECK_EQ(touch[0], 1);
        watched_close(&watched);
    }
}
