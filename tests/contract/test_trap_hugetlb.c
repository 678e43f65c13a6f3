/* test_trap_hugetlb.c - explicit huge pages (hugetlbfs): refused by uffd, one unit to signal */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"

static const char pool[] = "/proc/sys/vm/nr_hugepages";
enum { HUGE_BYTES = 2 << 20 };

/* Locks the pool against other tests that change it, until the file is closed. */
static int lock_pool(long *pages)
{
    char text[32] = "";
    int file = open(pool, O_RDONLY | O_CLOEXEC);
    if (file < 0 || flock(file, LOCK_EX) != 0 || read(file, text, sizeof text - 1) <= 0) {
        CHECK_SKIP("this system has no explicit huge pages");
    }
    *pages = strtol(text, NULL, 10);
    return file;
}

static void set_pool(long pages)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%ld", pages);
    int file = open(pool, O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        (void)!write(file, text, (size_t)length);
        close(file);
    }
}

/* Two explicit huge pages, reserved for us when the system has none to give. The pool is put back as soon as they are
 * mapped: pages in use stay until they are unmapped. */
static unsigned char *map_huge(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    long before = 0;
    int lock = lock_pool(&before);
    void *memory = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) {
        set_pool(before + 2);
        memory = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (memory != MAP_FAILED) {
            memset(memory, 1, 2 * HUGE_BYTES);
        }
        set_pool(before);
    }
    close(lock);
    if (memory == MAP_FAILED) {
        CHECK_SKIP("no explicit huge page can be had: write 2 to %s", pool);
    }
    memset(memory, 1, 2 * HUGE_BYTES);
    return memory;
}

static void check_refused(struct watched *watched, unsigned char *memory)
{
    struct savepoint_error error;
    CHECK_STATUS(watched->backend->add(watched->watch, (uintptr_t)memory, 2 * HUGE_BYTES, &error),
                 SAVEPOINT_BAD_MEMORY);
    CHECK_MSG(strstr(error.message, "MADV_HUGEPAGE") != NULL, "message: %s", error.message);
    memset(memory, 2, 2 * HUGE_BYTES); /* nothing is armed */
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(read(ends[0], memory, 1), 1);
    close(ends[0]);
    close(ends[1]);
}

/* The system can close and open a whole huge page only: so much is reported for a write to it. */
static void check_by_huge_page(const struct watched *watched, unsigned char *memory, size_t written, size_t bytes)
{
    struct svp_watch_run runs[4] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    ((volatile unsigned char *)memory)[written] = 3;
    CHECK_OK(watched->backend->collect(watched->watch, (uintptr_t)memory, 2 * HUGE_BYTES, SVP_WATCH_REARM, 0, runs, 4,
                                       &count, &resume, NULL));
    CHECK_EQ(count, 1);
    CHECK_EQ(runs[0].start, (uintptr_t)memory + (bytes == HUGE_BYTES ? written / HUGE_BYTES * HUGE_BYTES : 0));
    CHECK_EQ(runs[0].bytes, bytes);
}

TRAP_TEST(trap_hugetlb, refused_or_tracked_by_the_huge_page)
{
    unsigned char *memory = map_huge();
    if (is(watched, "uffd")) {
        check_refused(watched, memory);
    } else {
        rewatch(watched, memory, 2 * HUGE_BYTES / watched->page_bytes);
        for (int turn = 0; turn < 2; turn++) {
            size_t unit = watched->caps.arms_memory ? HUGE_BYTES : 2 * HUGE_BYTES;
            check_by_huge_page(watched, memory, 5000, unit);
            check_by_huge_page(watched, memory, HUGE_BYTES + 70000, unit);
        }
        CHECK_EQ(watched->backend->widened(watched->watch), watched->caps.arms_memory);
        watched_remove(watched, 0, watched->pages);
        memset(memory, 2, 2 * HUGE_BYTES);
        watched->owned = false;
    }
    CHECK_EQ(munmap(memory, 2 * HUGE_BYTES), 0);
}
