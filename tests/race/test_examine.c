/* test_examine.c - what a waiting caller finds out about pages is what the worker finds: takes, also cancelled ones */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "format/compare.h"

enum { PAGE = 4096, PAGES = 1024, CHANGED = 600, TAKES = 8 };
#define BYTES ((size_t)PAGES * PAGE)

struct lab {
    char path[64];
    uint32_t noise;
    struct savepoint *session;
    uint8_t *memory;
    uint8_t *models[TAKES];
    struct savepoint_snapshot made[TAKES];
};

/* ---- threads that overtake each other, now one, now the other */

static atomic_uint slow_every, compared; /* 0: none is slow */
static atomic_uint compared_by_caller;   /* pages, on the thread of the test */
static pthread_t caller;

void __real_svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after);
void __wrap_svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after);
void __wrap_svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after)
{
    const unsigned every = atomic_load(&slow_every);
    atomic_fetch_add(&compared_by_caller, pthread_equal(pthread_self(), caller) ? 1 : 0);
    if (every > 0 && atomic_fetch_add(&compared, 1) % every == 0) {
        usleep(300);
    }
    __real_svp_compare(changes, before, after);
}

/* ---- the lab */

static uint32_t draw(struct lab *lab)
{
    lab->noise = lab->noise * 1664525 + 1013904223;
    return lab->noise >> 8;
}

static void open_lab(struct lab *lab, bool archive, bool ring, uint32_t workers)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *memory;
    *lab = (struct lab){ .noise = 11 };
    options.workers = workers;
    options.ring_bytes = ring ? 64u << 20 : 0;
    snprintf(lab->path, sizeof lab->path, "examine-%ld.svp", (long)getpid());
    unlink(lab->path);
    CHECK_OK(savepoint_open(&lab->session, archive ? lab->path : NULL, &options, NULL));
    CHECK_OK(savepoint_map(lab->session, &memory, "r", BYTES, NULL, NULL));
    lab->memory = memory;
    for (size_t i = 0; i < BYTES / 2; i++) {
        lab->memory[i] = (uint8_t)draw(lab);
    }
    for (unsigned i = 0; i < TAKES; i++) {
        lab->models[i] = malloc(BYTES);
        CHECK(lab->models[i] != NULL);
    }
    atomic_store(&compared, 0);
    atomic_store(&slow_every, 16);
}

static void close_lab(struct lab *lab)
{
    CHECK_OK(savepoint_close(lab->session, NULL));
    atomic_store(&slow_every, 0);
    for (unsigned i = 0; i < TAKES; i++) {
        free(lab->models[i]);
    }
    unlink(lab->path);
}

static struct savepoint_statistics read_statistics(const struct lab *lab)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(lab->session, &statistics, NULL));
    return statistics;
}

static void change(struct lab *lab)
{
    for (unsigned i = 0; i < CHANGED; i++) {
        lab->memory[draw(lab) % PAGES * (size_t)PAGE + draw(lab) % PAGE] ^= 0x5a;
    }
}

static void take(struct lab *lab, unsigned number, uint32_t history)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket;
    options.history = history;
    CHECK_OK(savepoint_take(lab->session, &ticket, &options, NULL));
    memcpy(lab->models[number], lab->memory, BYTES);
    CHECK_OK(savepoint_wait(lab->session, ticket, &lab->made[number], NULL));
}

static void check_restores(const struct lab *lab)
{
    for (unsigned i = TAKES; i > 0; i--) {
        CHECK_OK(savepoint_restore(lab->session, &lab->made[i - 1].id, NULL, NULL));
        CHECK_MEM(lab->memory, lab->models[i - 1], BYTES);
    }
}

/* Takes, of both histories in turn where there are two; returns what there was to tell of them. */
static struct savepoint_statistics play(bool archive, bool ring, uint32_t workers, struct savepoint_snapshot *made)
{
    struct lab lab;
    open_lab(&lab, archive, ring, workers);
    for (unsigned i = 0; i < TAKES; i++) {
        change(&lab);
        take(&lab, i, ring && (!archive || i % 3 != 0) ? SAVEPOINT_RING : SAVEPOINT_ARCHIVE);
    }
    const struct savepoint_statistics statistics = read_statistics(&lab);
    memcpy(made, lab.made, sizeof lab.made);
    check_restores(&lab);
    close_lab(&lab);
    return statistics;
}

static void check_same(bool archive, bool ring)
{
    struct savepoint_snapshot alone[TAKES], helped[TAKES];
    const struct savepoint_statistics one = play(archive, ring, 1, alone);
    const struct savepoint_statistics two = play(archive, ring, 2, helped);
    CHECK_EQ(one.pages_helped, 0);
    CHECK(two.pages_helped > 0);
    CHECK(two.pages_helped <= two.pages_captured);
    CHECK_EQ(one.pages_unchanged, two.pages_unchanged);
    CHECK_EQ(one.pages_delta, two.pages_delta);
    CHECK_EQ(one.pages_whole, two.pages_whole);
    CHECK_EQ(one.delta_bytes, two.delta_bytes);
    CHECK_EQ(one.ring_bytes, two.ring_bytes);
    for (unsigned i = 0; i < TAKES; i++) {
        CHECK_MEM(&alone[i].digest, &helped[i].digest, sizeof alone[i].digest);
        CHECK_EQ(alone[i].changed_pages, helped[i].changed_pages);
    }
}

CHECK_TEST(examine, of_an_archive)
{
    check_same(true, false);
}

CHECK_TEST(examine, of_a_ring)
{
    check_same(false, true);
}

CHECK_TEST(examine, of_both)
{
    check_same(true, true);
}

CHECK_TEST(examine, leaves_the_cores_to_who_does_not_wait)
{
    struct lab lab;
    open_lab(&lab, true, false, 4);
    CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
    while (read_statistics(&lab).takes_in_flight > 0) {
        usleep(1000);
    }
    CHECK_EQ(read_statistics(&lab).pages_helped, 0);
    close_lab(&lab);
}

CHECK_TEST(examine, helps_who_waits_for_room)
{
    struct lab lab;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *memory;
    open_lab(&lab, true, false, 1);
    CHECK_OK(savepoint_close(lab.session, NULL));
    unlink(lab.path);
    options.workers = 2;
    options.staging_bytes = 2u << 20;
    CHECK_OK(savepoint_open(&lab.session, lab.path, &options, NULL));
    CHECK_OK(savepoint_map(lab.session, &memory, "r", BYTES, NULL, NULL));
    lab.memory = memory;
    memset(lab.memory, 7, BYTES);
    CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
    const struct savepoint_statistics statistics = read_statistics(&lab);
    CHECK(statistics.staging_waits > 0);
    CHECK(statistics.pages_helped > 0);
    close_lab(&lab);
}

/* Who closes waits for what is in flight, and helps with it too. */
static unsigned compared_in_close(uint32_t workers)
{
    struct lab lab;
    open_lab(&lab, true, false, workers);
    caller = pthread_self();
    atomic_store(&compared_by_caller, 0);
    CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
    close_lab(&lab);
    return atomic_load(&compared_by_caller);
}

CHECK_TEST(examine, helps_who_closes)
{
    CHECK(compared_in_close(4) > 0);
}

CHECK_TEST(examine, with_one_worker_nobody_helps)
{
    CHECK_EQ(compared_in_close(1), 0);
}

/* Most pages are not in the second copy yet: the worker reads them back while the caller looks for what it can do. */
static struct savepoint_statistics go_on(uint32_t workers)
{
    struct lab lab;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *memory;
    open_lab(&lab, true, false, workers);
    take(&lab, 0, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_close(lab.session, NULL));
    options.workers = workers;
    CHECK_OK(savepoint_open(&lab.session, lab.path, &options, NULL));
    CHECK_OK(savepoint_map(lab.session, &memory, "r", BYTES, NULL, NULL));
    CHECK(memory == lab.memory);
    CHECK_OK(savepoint_resume(lab.session, NULL, NULL));
    for (unsigned i = 1; i < TAKES; i++) {
        change(&lab);
        take(&lab, i, SAVEPOINT_ARCHIVE);
    }
    const struct savepoint_statistics statistics = read_statistics(&lab);
    check_restores(&lab);
    close_lab(&lab);
    return statistics;
}

CHECK_TEST(examine, after_a_resume)
{
    const struct savepoint_statistics one = go_on(1);
    const struct savepoint_statistics two = go_on(2);
    CHECK(two.pages_helped > 0);
    CHECK_EQ(one.pages_delta, two.pages_delta);
    CHECK_EQ(one.pages_whole, two.pages_whole);
    CHECK_EQ(one.delta_bytes, two.delta_bytes);
}

/* ---- cancelled meanwhile */

static void *wait_for_all(void *argument)
{
    struct lab *lab = argument;
    enum savepoint_status status = savepoint_wait(lab->session, 0, NULL, NULL);
    CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_CANCELLED);
    return NULL;
}

CHECK_TEST(examine, cancelled_at_any_moment)
{
    struct lab lab;
    open_lab(&lab, true, false, 2);
    unsigned cancelled = 0;
    change(&lab);
    take(&lab, 0, SAVEPOINT_ARCHIVE);
    for (unsigned i = 1; i < TAKES; i++) {
        pthread_t waiting;
        change(&lab);
        CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
        CHECK_EQ(pthread_create(&waiting, NULL, wait_for_all, &lab), 0);
        usleep(1000 * (i - 1));
        cancelled += savepoint_cancel(lab.session, 0, NULL) == SAVEPOINT_OK;
        CHECK_EQ(pthread_join(waiting, NULL), 0);
        take(&lab, i, SAVEPOINT_ARCHIVE);
    }
    CHECK(cancelled > 0);
    check_restores(&lab);
    close_lab(&lab);
}
