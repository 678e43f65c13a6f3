/* test_watch_ranges.c - adding ranges: what is refused, what overlaps, and watches side by side */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "watch/mapping.h"
#include "watch_fixture.h"

static void check_refused(const struct watched *watched, size_t bad_page, const char *why)
{
    struct savepoint_error error;
    CHECK_STATUS(
        watched->backend->add(watched->watch, (uintptr_t)watched->memory, watched->pages * watched->page_bytes, &error),
        SAVEPOINT_BAD_MEMORY);
    char address[32];
    snprintf(address, sizeof address, "0x%" PRIxPTR, (uintptr_t)watched->memory + bad_page * watched->page_bytes);
    CHECK_MSG(strstr(error.message, address) != NULL && strstr(error.message, why) != NULL, "message: %s",
              error.message);
}

/* Nothing may be armed: a part can be watched anew, and is clean and live. */
static void check_nothing_armed(struct watched *watched, size_t good_pages)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    for (size_t page = 0; page < good_pages; page++) {
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(read(ends[0], watched->memory + page * watched->page_bytes, 1), 1);
    }
    close(ends[0]);
    close(ends[1]);
    size_t pages = watched->pages;
    CHECK_OK(watched_add(watched, 0, good_pages));
    watched->pages = good_pages;
    write_page(watched, 1);
    CHECK_REARM(watched, PAGE(1));
    watched_remove(watched, 0, good_pages);
    watched->pages = pages;
}

CHECK_TEST(watch_ranges, a_failed_add_leaves_nothing_armed)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 10);
        watched_remove(&watched, 0, 10);
        unsigned char *bad = watched.memory + 7 * watched.page_bytes;
        CHECK_EQ(mprotect(bad, watched.page_bytes, PROT_NONE), 0);
        check_refused(&watched, 7, "not readable and writable");
        check_nothing_armed(&watched, 7);
        CHECK_EQ(mprotect(bad, watched.page_bytes, PROT_READ), 0);
        check_refused(&watched, 7, "not readable and writable");
        check_nothing_armed(&watched, 7);
        CHECK_EQ(munmap(bad, watched.page_bytes), 0);
        check_refused(&watched, 7, "not mapped");
        check_nothing_armed(&watched, 7);
        watched_close(&watched);
    }
}

CHECK_TEST(watch_ranges, memory_that_is_not_there_is_refused)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 4);
        watched_remove(&watched, 0, 4);
        munmap(watched.memory, 4 * watched.page_bytes);
        check_refused(&watched, 0, "not mapped");
        watched.owned = false;
        watched_close(&watched);
    }
}

CHECK_TEST(watch_ranges, overlaps_are_refused)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched first;
        struct watched second;
        watched_open(&first, backend, 12);
        watched_remove(&first, 0, 12);
        CHECK_OK(watched_add(&first, 4, 4));
        unsigned char *elsewhere = map_pages(1);
        watched_open_on(&second, backend, elsewhere, 1);
        second.memory = first.memory;
        struct watched *const watches[] = { &first, &second };
        for (size_t i = 0; i < 2; i++) {
            enum savepoint_status wanted = first.caps.exclusive ? SAVEPOINT_OVERLAP : SAVEPOINT_OK;
            CHECK_STATUS(watched_add(watches[i], 4, 4), wanted);
            CHECK_STATUS(watched_add(watches[i], 0, 5), wanted);
            CHECK_STATUS(watched_add(watches[i], 7, 5), wanted);
            CHECK_STATUS(watched_add(watches[i], 0, 12), wanted);
            CHECK_STATUS(watched_add(watches[i], 5, 1), wanted);
        }
        /* The first one lives on. */
        size_t resume = 0;
        write_page(&first, 5);
        CHECK_EQ(collect_some(&first, SVP_WATCH_REARM, 4, 4, 0, 64, &resume),
                 first.caps.arms_memory ? PAGE(5) : PAGES(4, 8));
        CHECK_OK(watched_add(&second, 0, 4));
        CHECK_OK(watched_add(&second, 8, 4));
        /* What was refused has left no trace. */
        watched_remove(&first, 4, 4);
        CHECK_OK(watched_add(&second, 4, 4));
        watched_close(&second);
        watched_close(&first);
        munmap(elsewhere, host_page_bytes());
    }
}

CHECK_TEST(watch_ranges, many_ranges_come_and_go)
{
    enum { RANGES = 200 };
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 2 * RANGES);
        watched_remove(&watched, 0, 2 * RANGES);
        for (size_t i = 0; i < RANGES; i++) {
            CHECK_OK(watched_add(&watched, 2 * (i * 77 % RANGES), 1));
        }
        for (size_t i = 0; i < RANGES; i += 2) {
            watched_remove(&watched, 2 * (i * 31 % RANGES), 1);
        }
        for (size_t page = 0; page < 2 * RANGES; page++) {
            write_page(&watched, page);
        }
        for (size_t i = 1; i < RANGES; i += 2) {
            struct svp_watch_run run = { 0, 0 };
            size_t count = 0;
            uintptr_t resume = 0;
            uintptr_t start = (uintptr_t)watched.memory + 2 * (i * 31 % RANGES) * watched.page_bytes;
            CHECK_OK(backend->collect(watched.watch, start, watched.page_bytes, SVP_WATCH_REARM, 0, &run, 1, &count,
                                      &resume, NULL));
            CHECK_EQ(count, 1);
            CHECK_EQ(run.start, start);
        }
        watched_close(&watched);
    }
}

CHECK_TEST(watch_ranges, backends_work_side_by_side)
{
    struct watched watches[8];
    size_t count = 0;
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        watched_open(&watches[count++], backend, 8);
        watched_open(&watches[count++], backend, 8);
    }
    for (size_t i = 0; i < count; i++) {
        write_page(&watches[i], i);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK_REARM(&watches[i], PAGE(i));
        CHECK_PEEK(&watches[i], 0);
    }
    for (size_t i = 0; i < count; i++) {
        write_page(&watches[i], 6);
        write_page(&watches[count - 1], i);
        watched_close(&watches[i]);
    }
}

CHECK_TEST(watch_ranges, executable_memory_stays_executable)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        size_t bytes = 4 * host_page_bytes();
        bool executable = false;
        unsigned char *memory = map_pages(4);
        CHECK_EQ(mprotect(memory, bytes, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
        watched_open_on(&watched, backend, memory, 4);
#if defined(__x86_64__)
        memory[0] = 0xC3; /* ret */
        memory[watched.page_bytes] = 0xC3;
        CHECK_REARM(&watched, PAGES(0, 2));
        void (*returns)(void);
        memcpy(&returns, &memory, sizeof returns);
        returns();
        CHECK_PEEK(&watched, 0);
#endif
        write_page(&watched, 2);
        CHECK_REARM(&watched, PAGE(2));
        watched_close(&watched);
        CHECK_OK(svp_mapping_check((uintptr_t)memory, bytes, 0, &executable, NULL));
        CHECK(executable);
        munmap(memory, bytes);
    }
}

CHECK_TEST(watch_ranges, partly_executable_memory)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        watched_remove(&watched, 0, 8);
        unsigned char *middle = watched.memory + 3 * watched.page_bytes;
        CHECK_EQ(mprotect(middle, 2 * watched.page_bytes, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
        if (strcmp(backend->name, "signal") == 0) { /* restores one protection, so it needs one */
            check_refused(&watched, 3, "executable");
            CHECK_OK(watched_add(&watched, 0, 3));
            CHECK_OK(watched_add(&watched, 3, 2));
        } else {
            CHECK_OK(watched_add(&watched, 0, 8));
            write_page(&watched, 4);
            CHECK_REARM(&watched, PAGE(4));
        }
        watched_close(&watched);
    }
}
