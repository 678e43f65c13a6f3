/* test_write_watch.c - GetWriteWatch and ResetWriteWatch in our terms: what Windows programs rely on, numbered */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "watch/mapping.h"
#include "write_watch_fixture.h"

/* 1 watched memory is ordinary, zero-filled memory; 4 it is clean; 30 freeing ends it. */
CHECK_TEST(write_watch, case_1_4_30_alloc_and_free)
{
    begin();
    enum savepoint_status mapped = svp_mapping_check((uintptr_t)memory, PAGES_ALLOCATED * page_bytes, 0, NULL, NULL);
    CHECK(mapped == SAVEPOINT_OK || by_signal); /* whose protection shows */
    check_all(0, 0);
    for (size_t i = 0; i < PAGES_ALLOCATED * page_bytes; i += 512) {
        CHECK_EQ(memory[i], 0);
    }
    check_all(0, 0); /* reading is not writing */
    void *base = at(0);
    end();
    check_bad_part(0, base, page_bytes);
    check_reset_refused(base, page_bytes);
    errno = 0;
    CHECK_EQ(savepoint_write_watch_free(base), -1);
    CHECK_EQ(errno, EINVAL);
}

CHECK_TEST(write_watch, odd_sizes_are_rounded_up)
{
    begin();
    unsigned char *odd = savepoint_write_watch_alloc(page_bytes + 1);
    CHECK(odd != NULL);
    CHECK_EQ(savepoint_reset_write_watch(odd, 2 * page_bytes), 0);
    odd[2 * page_bytes - 1] = 1;
    CHECK_EQ(savepoint_write_watch_free(odd + page_bytes), -1);
    CHECK_EQ(savepoint_write_watch_free(odd), 0);
    errno = 0;
    CHECK(savepoint_write_watch_alloc(0) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(savepoint_write_watch_alloc(SIZE_MAX - 5) == NULL && errno == ENOMEM);
    CHECK(savepoint_write_watch_alloc(SIZE_MAX / 2) == NULL);
    end();
}

/* 2 no base; 3 memory that is not watched. */
CHECK_TEST(write_watch, case_2_3_foreign_memory)
{
    begin();
    unsigned char *foreign = map_pages(2);
    check_bad_part(0, NULL, page_bytes);
    check_bad_part(0, foreign, page_bytes);
    check_bad_part(RESET, (void *)UINTPTR_MAX, 1);
    check_bad_part(0, (unsigned char *)at(0) - 1, 2);
    munmap(foreign, 2 * page_bytes);
    end();
}

/* 5 one byte; 6 a query without reset repeats; 7 with reset it does not. */
CHECK_TEST(write_watch, case_5_6_7_one_byte)
{
    begin();
    memory[page_bytes + 1] = 1;
    check_all(0, PAGE(1));
    check_all(0, PAGE(1));
    check_all(RESET, PAGE(1));
    check_all(RESET, 0);
    end();
}

/* 8 ascending; 9 a part; 10 reset of a part; 11 a store over a border; 12 a full buffer resets what it holds. */
CHECK_TEST(write_watch, case_8_to_12_parts)
{
    begin();
    memory[4 * page_bytes + 5] = 1;
    memory[2 * page_bytes + 9] = 1;
    check_all(0, PAGE(2) | PAGE(4));
    check_get(0, at(3), 2 * page_bytes, PAGES_ALLOCATED, PAGE(4));
    CHECK_EQ(savepoint_reset_write_watch(at(0), 3 * page_bytes), 0);
    check_all(0, PAGE(4));
    CHECK_EQ(savepoint_reset_write_watch(at(0), PAGES_ALLOCATED * page_bytes), 0);

    uint32_t word = 0x01020304;
    memcpy((unsigned char *)at(2) - 2, &word, sizeof word);
    memory[4 * page_bytes] = 1;
    check_all(0, PAGE(1) | PAGE(2) | PAGE(4));
    check_get(RESET, at(0), PAGES_ALLOCATED * page_bytes, 1, PAGE(1));
    check_all(0, PAGE(2) | PAGE(4));
    check_get(RESET, at(0), PAGES_ALLOCATED * page_bytes, 1, PAGE(2));
    check_all(0, PAGE(4));
    end();
}

/* Base and end need not be pages: the base is rounded down, the end up. */
CHECK_TEST(write_watch, parts_are_widened_to_pages)
{
    begin();
    memory[page_bytes + 100] = 1;
    memory[3 * page_bytes] = 1;
    check_get(0, (unsigned char *)at(1) + 200, 1, PAGES_ALLOCATED, PAGE(1));
    check_get(0, (unsigned char *)at(2) - 1, page_bytes + 2, PAGES_ALLOCATED, PAGE(1) | PAGE(3));
    CHECK_EQ(savepoint_reset_write_watch((unsigned char *)at(1) + 4, 1), 0);
    check_all(0, PAGE(3));
    end();
}

/* 13 making pages read-only and back changes nothing. The signal watch is disarmed by it: mark and collect them. */
CHECK_TEST(write_watch, case_13_protection_comes_and_goes)
{
    begin();
    memory[page_bytes] = 1;
    memory[5 * page_bytes] = 1;
    CHECK_EQ(mprotect(at(0), 3 * page_bytes, PROT_READ), 0);
    check_all(0, PAGE(1) | PAGE(5));
    CHECK_EQ(mprotect(at(0), 3 * page_bytes, PROT_READ | PROT_WRITE), 0);
    check_all(0, PAGE(1) | PAGE(5));
    if (by_signal) {
        CHECK_OK(savepoint_watch_mark(watch, at(0), 3 * page_bytes, NULL));
        CHECK_EQ(savepoint_reset_write_watch(at(0), 3 * page_bytes), 0);
        memory[page_bytes] = 1;
    }
    memory[2 * page_bytes] = 1;
    check_all(RESET, PAGE(1) | PAGE(2) | PAGE(5));
    check_all(RESET, 0);
    end();
}

/* 14 all of it. */
CHECK_TEST(write_watch, case_14_all_pages)
{
    begin();
    for (int turn = 0; turn < 2; turn++) {
        memset(at(0), turn, PAGES_ALLOCATED * page_bytes);
        check_all(RESET, ALL_PAGES);
        check_all(RESET, 0);
    }
    end();
}

/* ---- 27 to 29: what becomes of pages. 27 is a flag of VirtualAlloc that has no match here. */

/* 28 a page that was written and closed is still reported. */
CHECK_TEST(write_watch, case_28_closed_pages)
{
    begin();
    memory[5 * page_bytes] = 1;
    CHECK_EQ(mprotect(at(0), PAGES_ALLOCATED * page_bytes, PROT_NONE), 0);
    check_all(0, PAGE(5));
    CHECK_EQ(mprotect(at(0), PAGES_ALLOCATED * page_bytes, PROT_READ | PROT_WRITE), 0);
    check_all(0, PAGE(5));
    end();
}

/* 29 a page that was written and given back is still reported. */
CHECK_TEST(write_watch, case_29_discarded_pages)
{
    begin();
    memory[5 * page_bytes] = 1;
    CHECK_EQ(madvise(at(0), PAGES_ALLOCATED * page_bytes, MADV_DONTNEED), 0);
    CHECK(memory[5 * page_bytes] == 0 || memory[5 * page_bytes] == 1); /* Linux forgets it; Darwin need not */
    void *addresses[PAGES_ALLOCATED];
    size_t count = PAGES_ALLOCATED;
    uint32_t granularity = 0;
    CHECK_EQ(savepoint_get_write_watch(0, at(5), page_bytes, addresses, &count, &granularity), 0);
    CHECK_EQ(count, 1);
    end();
}

/* ---- the process and its children */

static void use_in_child(void *argument)
{
    (void)argument;
    void *addresses[1];
    size_t count = 1;
    uint32_t granularity = 0;
    memory[0] = 1;
    check_refused(EPERM, 0, at(0), page_bytes, addresses, &count, &granularity);
    errno = 0;
    CHECK(savepoint_reset_write_watch(at(0), page_bytes) == -1 && errno == EPERM);
    errno = 0;
    CHECK(savepoint_write_watch_free(at(0)) == -1 && errno == EPERM);
    /* A watch of its own. */
    void *inherited = at(0);
    begin();
    check_bad_part(0, inherited, page_bytes);
    memory[7 * page_bytes] = 1;
    check_all(RESET, PAGE(7));
    check_all(RESET, 0);
    end();
    memset(inherited, 1, page_bytes);
}

CHECK_TEST(write_watch, a_child_begins_anew)
{
    begin();
    memory[2 * page_bytes] = 1;
    CHECK_CHILD(use_in_child, NULL);
    check_all(RESET, PAGE(2));
    memory[3 * page_bytes] = 1;
    check_all(RESET, PAGE(3));
    end();
}

/* Each call tells as much as it has room for. With nothing armed that is the first pages each time, whatever was reset:
 * one has to go on behind the last address. */
CHECK_TEST(write_watch, going_on_behind_the_last_address)
{
    begin();
    memset(at(0), 1, PAGES_ALLOCATED * page_bytes);
    void *addresses[4];
    uint32_t granularity = 0;
    for (size_t page = 0; page < PAGES_ALLOCATED; page += 4) {
        size_t count = 4;
        CHECK_EQ(savepoint_get_write_watch(RESET, at(page), (PAGES_ALLOCATED - page) * page_bytes, addresses, &count,
                                           &granularity),
                 0);
        CHECK_EQ(count, 4);
        CHECK_EQ(addresses[3], at(page + 3));
    }
    size_t count = 4;
    CHECK_EQ(savepoint_get_write_watch(RESET, at(0), PAGES_ALLOCATED * page_bytes, addresses, &count, &granularity), 0);
    CHECK_EQ(count, caps.arms_memory ? 0 : 4);
    CHECK(caps.arms_memory || addresses[0] == at(0));
    end();
}

/* What is taken out of the watch is ordinary memory of the caller's. */
CHECK_TEST(write_watch, memory_taken_out_of_the_watch)
{
    begin();
    CHECK_OK(savepoint_watch_remove(watch, at(0), PAGES_ALLOCATED * page_bytes, NULL));
    errno = 0;
    CHECK(savepoint_write_watch_free(at(0)) == -1 && errno == EINVAL);
    check_bad_part(0, at(0), page_bytes);
    memset(at(0), 1, PAGES_ALLOCATED * page_bytes);
    CHECK_EQ(munmap(at(0), PAGES_ALLOCATED * page_bytes), 0);
}

/* Memory of the program's own can be added to the watch behind it all. */
CHECK_TEST(write_watch, memory_of_the_caller)
{
    begin();
    unsigned char *own = map_pages(4);
    void *addresses[4];
    size_t count = 4;
    uint32_t granularity = 0;
    CHECK_OK(savepoint_watch_add(watch, own, 4 * page_bytes, NULL));
    own[page_bytes] = 1;
    CHECK_EQ(savepoint_get_write_watch(RESET, own, 4 * page_bytes, addresses, &count, &granularity), 0);
    CHECK_EQ(count, caps.arms_memory ? 1 : 4);
    errno = 0;
    CHECK(savepoint_write_watch_free(own) == -1 && errno == EINVAL); /* not ours to unmap */
    CHECK_OK(savepoint_watch_remove(watch, own, 4 * page_bytes, NULL));
    munmap(own, 4 * page_bytes);
    CHECK_STATUS(savepoint_watch_default(NULL, NULL), SAVEPOINT_INVALID);
    end();
}
