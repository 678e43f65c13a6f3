/* test_write_watch_calls.c - GetWriteWatch in our terms: system calls that write, and bad arguments; numbered */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "write_watch_fixture.h"

/* ---- 15 to 20: system calls. They succeed, and what they have written is reported; Windows marks all of the buffer
 * when the call begins, which is not asked for here. The signal watch must be told before. */

static uint64_t prepared(void)
{
    if (by_signal) {
        CHECK_OK(savepoint_watch_prepare(watch, at(0), PAGES_ALLOCATED * page_bytes, NULL));
    }
    return by_signal ? ALL_PAGES : 0;
}

struct reading {
    int file;
    size_t got;
};

static void *read_all(void *argument)
{
    struct reading *reading = argument;
    ssize_t got = read(reading->file, at(0), PAGES_ALLOCATED * page_bytes);
    reading->got = got >= 0 ? (size_t)got : SIZE_MAX;
    return NULL;
}

CHECK_TEST(write_watch, case_15_16_a_read_from_a_pipe)
{
    int ends[2];
    pthread_t thread;
    begin();
    CHECK_EQ(pipe(ends), 0);
    struct reading reading = { ends[0], 0 };
    uint64_t before = prepared();
    CHECK_EQ(pthread_create(&thread, NULL, read_all, &reading), 0);
    check_all(0, before); /* while it waits */
    CHECK_EQ(write(ends[1], "123456789", 9), 9);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(reading.got, 9);
    CHECK_MEM(at(0), "123456789", 9);
    check_all(RESET, PAGE(0) | before);
    check_all(RESET, 0);
    close(ends[0]);
    close(ends[1]);
    end();
}

CHECK_TEST(write_watch, case_17_18_a_read_from_a_file)
{
    begin();
    char name[] = "/tmp/test_write_watch.XXXXXX";
    struct reading reading = { mkstemp(name), 0 };
    size_t bytes = 2 * page_bytes + 3;
    unsigned char *contents = malloc(bytes);
    CHECK(reading.file >= 0 && contents != NULL);
    unlink(name);
    memset(contents, 7, bytes);
    CHECK_EQ(write(reading.file, contents, bytes), bytes);
    CHECK_EQ(lseek(reading.file, 0, SEEK_SET), 0);
    uint64_t before = prepared();
    read_all(&reading);
    CHECK_EQ(reading.got, bytes);
    CHECK_MEM(at(0), contents, bytes);
    check_all(RESET, PAGES(0, 3) | before);
    before = prepared();
    read_all(&reading);
    CHECK_EQ(reading.got, 0); /* the end: nothing is written */
    check_all(RESET, before);
    free(contents);
    close(reading.file);
    end();
}

/* 19 a read that fails; 20 a structure that the kernel fills in, over a border between pages. */
CHECK_TEST(write_watch, case_19_20_other_calls)
{
    begin();
    struct reading reading = { -1, 0 };
    read_all(&reading);
    CHECK_EQ(reading.got, SIZE_MAX);
    check_all(RESET, 0);
    uint64_t before = prepared();
    int *ends = (int *)((unsigned char *)at(15) - sizeof(int));
    CHECK_EQ(pipe(ends), 0);
    check_all(RESET, PAGE(14) | PAGE(15) | before);
    int copies[2] = { ends[0], ends[1] };
    close(copies[0]);
    close(copies[1]);
    end();
}

/* ---- 21 to 26: arguments, and the order in which they are looked at */

CHECK_TEST(write_watch, case_21_22_23_arguments)
{
    begin();
    void *addresses[PAGES_ALLOCATED] = { NULL };
    size_t bytes = PAGES_ALLOCATED * page_bytes;
    size_t count = PAGES_ALLOCATED;
    size_t none = 0;
    uint32_t granularity = 77;
    memory[3 * page_bytes] = 1;
    check_refused(EINVAL, 0, at(0), bytes, addresses, &none, &granularity);
    check_refused(EFAULT, 0, at(0), bytes, addresses, NULL, &granularity);
    check_refused(EFAULT, 0, at(0), bytes, addresses, &count, NULL);
    check_refused(EFAULT, 0, at(0), bytes, NULL, &count, &granularity);
    check_refused(EINVAL, 0, at(0), bytes, NULL, &none, &granularity); /* the count goes first */
    check_refused(EFAULT, 0, NULL, 0, NULL, NULL, NULL);               /* and their being there before that */
    check_refused(EFAULT, 0, NULL, bytes, NULL, &count, &granularity); /* addresses before memory */
    check_refused(EINVAL, 2, at(0), bytes, addresses, &count, &granularity);
    check_refused(EINVAL, RESET | 4, at(0), bytes, NULL, &count, &granularity); /* flags before addresses */
    check_refused(EINVAL, 0, at(0), 0, addresses, &count, &granularity);
    check_refused(EINVAL, 0, at(0), 0, NULL, &count, &granularity);
    CHECK(addresses[0] == NULL && granularity == 77);
    check_all(0, PAGE(3)); /* nothing was reset */
    end();
}

/* 24 beyond the allocation; 25 rounding up goes beyond it; 26 reset of nothing, and of foreign memory. */
CHECK_TEST(write_watch, case_24_25_26_memory)
{
    begin();
    memory[15 * page_bytes] = 1;
    unsigned char *foreign = map_pages(1);
    check_bad_part(RESET, at(0), PAGES_ALLOCATED * page_bytes + 1);
    check_bad_part(RESET, at(0), SIZE_MAX);
    check_bad_part(RESET, at(0), SIZE_MAX - (uintptr_t)at(0));
    check_bad_part(RESET, (unsigned char *)at(1) + 100, SIZE_MAX - 50); /* its end lies before its base */
    check_bad_part(RESET, at(15), page_bytes + 1);
    check_bad_part(RESET, at(16), 1);
    check_reset_refused(at(15), page_bytes + 1);
    check_reset_refused(at(0), 0);
    check_reset_refused(at(0), SIZE_MAX);
    check_reset_refused(NULL, page_bytes);
    check_reset_refused(foreign, page_bytes);
    check_all(0, PAGE(15));
    munmap(foreign, page_bytes);
    end();
}
