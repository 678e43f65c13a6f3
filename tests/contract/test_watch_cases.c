/* test_watch_cases.c - the cases that the Windows write watch is held to, in the terms of the internal contract
 *
 * Numbered as in Wine's own test. 1, 2, 3, 21, 22, 26 and 27 are about arguments that only public calls can get wrong;
 * 15, 17 and 18 ask that a read marks its whole buffer before it has begun, of which we keep what matters: all bytes
 * really written count, and the call does not fail where the backend counts them. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"

static void store(const struct watched *watched, size_t offset)
{
    ((volatile unsigned char *)watched->memory)[offset] = 5;
}

TRAP_TEST(watch_cases, c04_fresh_memory_is_clean)
{
    CHECK_PEEK(watched, 0);
    CHECK_REARM(watched, 0);
}

TRAP_TEST(watch_cases, c05_to_c07_one_byte_one_page)
{
    store(watched, watched->page_bytes + 1);
    struct svp_watch_run run = { 0, 0 };
    size_t count = 0;
    uintptr_t resume = 0;
    size_t bytes = TRAP_PAGES * watched->page_bytes;
    for (int turn = 0; turn < 3; turn++) { /* 5: exactly that page, at its start; 6: as often as one asks */
        CHECK_OK(watched->backend->collect(watched->watch, (uintptr_t)watched->memory, bytes, SVP_WATCH_PEEK, 0, &run,
                                           1, &count, &resume, NULL));
        CHECK_EQ(count, 1);
        CHECK_EQ(run.start, (uintptr_t)watched->memory + (watched->caps.arms_memory ? watched->page_bytes : 0));
        CHECK_EQ(run.bytes, watched->caps.arms_memory ? watched->page_bytes : bytes);
    }
    CHECK_REARM(watched, PAGE(1)); /* 7 */
    CHECK_REARM(watched, 0);
}

TRAP_TEST(watch_cases, c08_to_c10_ascending_and_in_part)
{
    size_t resume = 0;
    store(watched, 4 * watched->page_bytes);
    store(watched, 2 * watched->page_bytes);
    CHECK_PEEK(watched, PAGE(2) | PAGE(4)); /* 8: the fixture checks that runs ascend */
    uint64_t part = collect_some(watched, SVP_WATCH_PEEK, 3, 2, 0, 64, &resume);
    CHECK_EQ(part, watched->caps.arms_memory ? PAGE(4) : PAGES(3, 5)); /* 9 */
    part = collect_some(watched, SVP_WATCH_REARM, 0, 3, 0, 64, &resume);
    CHECK_EQ(part, watched->caps.arms_memory ? PAGE(2) : PAGES(0, 3));
    CHECK_PEEK(watched, PAGE(4)); /* 10 */
    CHECK_REARM(watched, PAGE(4));
}

TRAP_TEST(watch_cases, c11_c12_straddling_and_counted)
{
    size_t resume = 0;
    uint32_t value = 0x01020304;
    memcpy(watched->memory + 2 * watched->page_bytes - 2, &value, sizeof value);
    store(watched, 4 * watched->page_bytes);
    CHECK_PEEK(watched, PAGES(1, 3) | PAGE(4)); /* 11 */
    uint64_t part = collect_some(watched, SVP_WATCH_REARM, 0, TRAP_PAGES, 1, 64, &resume);
    CHECK_EQ(part, watched->caps.arms_memory ? PAGE(1) : PAGE(0)); /* 12: one page wanted, one re-armed */
    CHECK_PEEK(watched, PAGE(2) | PAGE(4));
    CHECK_REARM(watched, PAGE(2) | PAGE(4));
}

TRAP_TEST(watch_cases, c13_read_only_and_back)
{
    store(watched, 4 * watched->page_bytes);
    CHECK_EQ(mprotect(watched->memory, 3 * watched->page_bytes, PROT_READ), 0);
    CHECK_EQ(mprotect(watched->memory, 3 * watched->page_bytes, PROT_READ | PROT_WRITE), 0);
    CHECK_REARM(watched, PAGE(4)); /* no state has changed */
    store(watched, 1);
    if (is(watched, "signal")) { /* the application has opened it: the remedy is to mark */
        CHECK_PEEK(watched, 0);
        CHECK_OK(watched_mark(watched, 0, 1));
    }
    CHECK_REARM(watched, PAGE(0));
}

TRAP_TEST(watch_cases, c14_all_of_it)
{
    fill_pages(watched, 0, TRAP_PAGES, 6);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    CHECK_REARM(watched, 0);
}

/* ---- 15 to 20: what the kernel writes */

struct reader {
    unsigned char *to;
    size_t bytes;
    int file;
    ssize_t got;
};

static void *read_it(void *argument)
{
    struct reader *reader = argument;
    reader->got = read(reader->file, reader->to, reader->bytes);
    return NULL;
}

/* 15, 16: a read that waits in another thread, while pages are collected. */
TRAP_TEST(watch_cases, c15_c16_a_pending_read)
{
    int ends[2];
    pthread_t thread;
    CHECK_EQ(pipe(ends), 0);
    struct reader reader = { watched->memory, TRAP_PAGES * watched->page_bytes, ends[0], -1 };
    if (!watched->caps.kernel_writes_counted) {
        CHECK_OK(watched_prepare(watched, 0, TRAP_PAGES));
    }
    CHECK_EQ(pthread_create(&thread, NULL, read_it, &reader), 0);
    usleep(20000);
    if (watched->caps.kernel_writes_counted) { /* prepared memory must not be re-armed before the read is done */
        (void)collect_pages(watched, SVP_WATCH_REARM);
    }
    CHECK_EQ(write(ends[1], "pipe", 4), 4);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(reader.got, 4);
    CHECK_MEM(watched->memory, "pipe", 4);
    uint64_t found = collect_pages(watched, SVP_WATCH_REARM);
    bool exact = watched->caps.kernel_writes_counted && watched->caps.arms_memory;
    CHECK_EQ(found, exact ? PAGE(0) : PAGES(0, TRAP_PAGES));
    check_alive(watched);
    close(ends[0]);
    close(ends[1]);
}

TRAP_TEST(watch_cases, c17_to_c19_files)
{
    int file = disk_file(3, 'f');
    size_t bytes = 2 * watched->page_bytes + 3;
    if (!watched->caps.kernel_writes_counted) {
        CHECK_OK(watched_prepare(watched, 1, 3));
    }
    CHECK_EQ(pread(file, page_address(watched, 1), bytes, 0), bytes); /* 17 */
    CHECK(page_address(watched, 3)[2] == 'f' && page_address(watched, 3)[3] == 0);
    CHECK_REARM(watched, PAGES(1, 4));
    /* 18: at the end of the file nothing is written; 19: nor by a call that fails. */
    CHECK_EQ(pread(file, watched->memory, bytes, (off_t)(3 * watched->page_bytes)), 0);
    CHECK_EQ(read(-1, watched->memory, bytes), -1);
    uint64_t found = collect_pages(watched, SVP_WATCH_REARM);
    CHECK(watched->caps.arms_memory ? (found & ~PAGES(0, 3)) == 0 : found != 0);
    check_alive(watched);
    close(file);
}

/* 20: the bookkeeping of a call lies in watched memory as well as its buffer. */
TRAP_TEST(watch_cases, c20_what_a_call_returns_by_pointer)
{
    int *ends = (void *)page_address(watched, 9);
    if (!watched->caps.kernel_writes_counted) {
        CHECK_EQ(pipe(ends), -1);
        CHECK_EQ(errno, EFAULT);
        CHECK_OK(watched_prepare(watched, 9, 1));
    }
    CHECK_EQ(pipe(ends), 0);
    CHECK_REARM(watched, PAGE(9));
    close(ends[0]);
    close(ends[1]);
}

/* ---- 23 to 30: ranges, and memory that comes and goes */

TRAP_TEST(watch_cases, c23_to_c25_the_first_and_last_page)
{
    size_t resume = 0;
    store(watched, 0);
    store(watched, TRAP_PAGES * watched->page_bytes - 1);
    uint64_t part = collect_some(watched, SVP_WATCH_PEEK, TRAP_PAGES - 1, 1, 0, 1, &resume);
    CHECK_EQ(part, PAGE(TRAP_PAGES - 1));
    CHECK_EQ(resume, TRAP_PAGES);
    part = collect_some(watched, SVP_WATCH_REARM, 0, 1, 0, 1, &resume);
    CHECK_EQ(part, PAGE(0));
    CHECK_REARM(watched, PAGE(TRAP_PAGES - 1));
}

/* 28: memory that nobody may touch is nothing to watch; opened, written and closed again, it is still reported. */
TRAP_TEST(watch_cases, c28_closed_memory)
{
    unsigned char *memory = map_pages(TRAP_PAGES);
    size_t bytes = TRAP_PAGES * watched->page_bytes;
    CHECK_EQ(mprotect(memory, bytes, PROT_NONE), 0);
    CHECK_STATUS(watched->backend->add(watched->watch, (uintptr_t)memory, bytes, NULL), SAVEPOINT_BAD_MEMORY);
    CHECK_EQ(mprotect(memory, bytes, PROT_READ | PROT_WRITE), 0);
    rewatch(watched, memory, TRAP_PAGES);
    CHECK_PEEK(watched, 0);
    write_page(watched, 5);
    CHECK_EQ(mprotect(memory, bytes, PROT_NONE), 0);
    CHECK_PEEK(watched, PAGE(5));
    CHECK_EQ(mprotect(memory, bytes, PROT_READ | PROT_WRITE), 0);
    CHECK_REARM(watched, PAGE(5));
}

/* 29: given back to the system, a page that was written stays reported. 30: the end. */
TRAP_TEST(watch_cases, c29_c30_decommitted_and_released)
{
    write_page(watched, 5);
    CHECK_EQ(madvise(page_address(watched, 5), watched->page_bytes, MADV_DONTNEED), 0);
    CHECK_PEEK(watched, PAGE(5));
    CHECK_REARM(watched, PAGE(5));
    watched_remove(watched, 0, TRAP_PAGES);
    fill_pages(watched, 0, TRAP_PAGES, 1);
}
