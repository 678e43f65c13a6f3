/* test_recall.c - what was restored into new memory has no second copy, and is not missed: takes and restores after it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

enum { PAGE = 4096, PAGES = 512, SNAPSHOTS = 5, CHANGED = 60 };
#define BYTES ((size_t)PAGES * PAGE)

struct lab {
    char path[64];
    uint32_t noise;
    struct savepoint *session;
    uint8_t *memory;
    unsigned count;
    uint8_t *models[2 * SNAPSHOTS];
    struct savepoint_snapshot made[2 * SNAPSHOTS];
};

static uint32_t draw(struct lab *lab)
{
    lab->noise = lab->noise * 1664525 + 1013904223;
    return lab->noise >> 8;
}

static void open_session(struct lab *lab)
{
    void *memory;
    CHECK_OK(savepoint_open(&lab->session, lab->path, NULL, NULL));
    CHECK_OK(savepoint_map(lab->session, &memory, "r", BYTES, NULL, NULL));
    lab->memory = memory;
}

static struct savepoint_statistics read_statistics(const struct lab *lab)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(lab->session, &statistics, NULL));
    return statistics;
}

static void close_session(const struct lab *lab)
{
    CHECK_EQ(read_statistics(lab).restores_around, 0);
    CHECK_OK(savepoint_close(lab->session, NULL));
}

static void reopen(struct lab *lab)
{
    close_session(lab);
    open_session(lab);
    CHECK_OK(savepoint_resume(lab->session, NULL, NULL));
    CHECK_MEM(lab->memory, lab->models[lab->count - 1], BYTES);
}

/* A few bytes of some pages. */
static void change(struct lab *lab)
{
    for (unsigned i = 0; i < CHANGED; i++) {
        lab->memory[draw(lab) % PAGES * (size_t)PAGE + draw(lab) % PAGE] ^= 0x5a;
    }
}

static void take(struct lab *lab)
{
    struct savepoint_snapshot *made = &lab->made[lab->count];
    CHECK_OK(savepoint_take(lab->session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(lab->session, 0, made, NULL));
    lab->models[lab->count] = malloc(BYTES);
    CHECK(lab->models[lab->count] != NULL);
    memcpy(lab->models[lab->count++], lab->memory, BYTES);
}

/* Half of the pages hold noise; the others are zeros until something changes in them. */
static void open_lab(struct lab *lab)
{
    *lab = (struct lab){ .noise = 5 };
    snprintf(lab->path, sizeof lab->path, "recall-%ld.svp", (long)getpid());
    unlink(lab->path);
    open_session(lab);
    for (size_t i = 0; i < BYTES / 2; i++) {
        lab->memory[i] = (uint8_t)draw(lab);
    }
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        take(lab);
        change(lab);
    }
    memcpy(lab->memory, lab->models[SNAPSHOTS - 1], BYTES);
}

static void close_lab(struct lab *lab)
{
    for (unsigned i = 0; i < lab->count; i++) {
        CHECK_OK(savepoint_restore(lab->session, &lab->made[i].id, NULL, NULL));
        CHECK_MEM(lab->memory, lab->models[i], BYTES);
    }
    close_session(lab);
    for (unsigned i = 0; i < lab->count; i++) {
        free(lab->models[i]);
    }
    unlink(lab->path);
}

/* What the pages in the noise become: deltas where the version before is known. */
static void touch_noise(struct lab *lab, unsigned pages)
{
    for (unsigned page = 0; page < pages; page++) {
        lab->memory[page * (size_t)PAGE + 17] ^= 1;
    }
}

CHECK_TEST(recall, a_take_after_a_resume_stores_deltas)
{
    struct lab lab;
    open_lab(&lab);
    reopen(&lab);
    touch_noise(&lab, PAGES / 4);
    take(&lab);
    struct savepoint_statistics statistics = read_statistics(&lab);
    CHECK_EQ(statistics.pages_delta, PAGES / 4);
    CHECK_EQ(statistics.pages_whole, 0);
    touch_noise(&lab, PAGES / 4);
    take(&lab);
    CHECK_EQ(read_statistics(&lab).pages_delta, PAGES / 2);
    close_lab(&lab);
}

CHECK_TEST(recall, what_was_marked_and_not_written_is_not_stored)
{
    struct lab lab;
    open_lab(&lab);
    reopen(&lab);
    CHECK_OK(savepoint_mark(lab.session, lab.memory, BYTES, NULL));
    take(&lab);
    CHECK_EQ(lab.made[lab.count - 1].changed_pages, 0);
    CHECK_EQ(read_statistics(&lab).pages_unchanged, PAGES);
    close_lab(&lab);
}

CHECK_TEST(recall, what_cannot_be_read_is_stored_whole)
{
    struct lab lab;
    open_lab(&lab);
    reopen(&lab);
    touch_noise(&lab, PAGES / 4);
    fault_arm(FAULT_READ, 1, true, EIO);
    take(&lab);
    CHECK(fault_hits(FAULT_READ) > 0);
    fault_disarm();
    CHECK_EQ(read_statistics(&lab).pages_whole, PAGES / 4);
    touch_noise(&lab, PAGES / 2);
    take(&lab);
    CHECK_EQ(read_statistics(&lab).pages_whole, PAGES / 4);
    close_lab(&lab);
}

/* What one look fails to bring is looked for page by page. */
CHECK_TEST(recall, what_could_not_be_read_once_is_read_again)
{
    struct lab lab;
    open_lab(&lab);
    reopen(&lab);
    touch_noise(&lab, PAGES / 4);
    fault_arm(FAULT_READ, 1, false, EIO);
    take(&lab);
    CHECK(fault_hits(FAULT_READ) > 0);
    fault_disarm();
    CHECK_EQ(read_statistics(&lab).pages_delta, PAGES / 4);
    close_lab(&lab);
}

static uint64_t reads_of_a_take(struct lab *lab)
{
    touch_noise(lab, PAGES / 2);
    fault_arm(FAULT_READ, 0, false, 0);
    take(lab);
    uint64_t reads = fault_calls(FAULT_READ);
    fault_disarm();
    return reads;
}

CHECK_TEST(recall, what_lies_beside_a_captured_page_is_not_read_again)
{
    enum { BESIDE = 16 };
    struct lab lab;
    open_lab(&lab);
    const uint64_t reads = reads_of_a_take(&lab);
    reopen(&lab);
    for (unsigned page = 0; page < PAGES / 2; page += BESIDE) {
        lab.memory[page * (size_t)PAGE + 17] ^= 1;
    }
    take(&lab);
    CHECK_EQ(reads_of_a_take(&lab), reads);
    CHECK_EQ(read_statistics(&lab).pages_whole, 0);
    close_lab(&lab);
}

/* Sparse pages: beside the zeros that the library's copy holds instead they look like a small change. */
CHECK_TEST(recall, what_cannot_be_read_is_not_taken_for_zeros)
{
    struct lab lab;
    open_lab(&lab);
    for (size_t page = PAGES / 2; page < PAGES; page++) {
        for (size_t i = 0; i < PAGE / 4; i++) {
            lab.memory[page * PAGE + i] = (uint8_t)(draw(&lab) >> 12); /* the low bits come again too soon */
        }
    }
    take(&lab);
    reopen(&lab);
    for (size_t page = PAGES / 2; page < PAGES; page++) {
        memset(lab.memory + page * PAGE, 0, PAGE / 8);
    }
    fault_arm(FAULT_READ, 1, true, EIO);
    take(&lab);
    fault_disarm();
    reopen(&lab);
    close_lab(&lab);
}

CHECK_TEST(recall, without_memory_the_next_take_is_right)
{
    struct lab lab;
    open_lab(&lab);
    for (uint64_t number = 1;; number += 1 + number / 4) {
        uint64_t ticket;
        reopen(&lab);
        touch_noise(&lab, PAGES / 8);
        fault_arm(FAULT_MEMORY, number, false, ENOMEM);
        enum savepoint_status status = savepoint_take(lab.session, &ticket, NULL, NULL);
        status = status == SAVEPOINT_OK ? savepoint_wait(lab.session, ticket, NULL, NULL) : status;
        bool reached = fault_hits(FAULT_MEMORY) > 0;
        fault_disarm();
        CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY);
        free(lab.models[--lab.count]);
        take(&lab); /* in any case what is there now */
        if (!reached) {
            break;
        }
    }
    close_lab(&lab);
}

CHECK_TEST(recall, restores_after_a_resume_are_right_written_or_not)
{
    struct lab lab;
    open_lab(&lab);
    for (unsigned round = 0; round < 24; round++) {
        reopen(&lab);
        if (round % 3 != 0) {
            change(&lab);
        }
        if (round % 3 == 2) {
            fault_arm(FAULT_READ, 1 + round, true, EIO);
            enum savepoint_status status = savepoint_restore(lab.session, &lab.made[0].id, NULL, NULL);
            fault_disarm();
            CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_IO);
            change(&lab);
        }
        const unsigned target = draw(&lab) % lab.count;
        CHECK_OK(savepoint_restore(lab.session, &lab.made[target].id, NULL, NULL));
        CHECK_MEM(lab.memory, lab.models[target], BYTES);
        change(&lab);
        if (round % 6 == 0) {
            take(&lab);
        } else {
            CHECK_OK(savepoint_restore(lab.session, &lab.made[lab.count - 1].id, NULL, NULL));
        }
    }
    close_lab(&lab);
}

CHECK_TEST(recall, a_region_that_grows_after_a_resume_keeps_what_is_known_of_it)
{
    struct lab lab;
    open_lab(&lab);
    reopen(&lab);
    CHECK_OK(savepoint_grow(lab.session, "r", 2 * BYTES, NULL));
    touch_noise(&lab, PAGES / 4);
    take(&lab);
    CHECK_EQ(read_statistics(&lab).pages_delta, PAGES / 4);
    close_lab(&lab);
}
