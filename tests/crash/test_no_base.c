/* test_no_base.c - a take fails while others are in flight: the next one carries every page, whatever the shadow holds
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>

#include "crash_fixture.h"
#include "fault.h"

enum { TAKES = 3, LARGE_PAGES = 300, SMALL_PAGES = 8 };
enum { MUTE, RETURN_EARLY, RETURN_LATE, BUSY, NOISE }; /* what pages do, see change() */

struct failure { /* one way to fail */
    const char *backend;
    enum fault_kind kind;
    uint64_t number;
    bool sticky;
    bool torn;
    bool before_takes; /* armed before the takes are asked for, not just before the encoder begins with them */
    bool all_encoded;  /* the writer begins when the encoder has ended: the shadow is past all of them */
    int os_code;
};

struct asked {          /* a take, from the call that asked for it */
    uint64_t ticket;    /* 0: it was refused */
    bool after_failure; /* it carries the pages of the one that failed before */
    uint8_t *copy;
};

struct tally {
    uint64_t cases, failed_takes, refused_takes;
};

/* Page MUTE changes once, in the first take: from then on the shadow holds what memory holds, and a comparison would
 * drop it. Page RETURN_EARLY changes and changes back while the takes are in flight, RETURN_LATE after they failed. */
static void change(struct world *world, int turn, uint64_t *seed)
{
    if (turn == 0) {
        memset(world_page(world, MUTE), 0x51, PAGE_BYTES);
        memset(world_page(world, RETURN_EARLY), 0x52, PAGE_BYTES);
        memset(world_page(world, RETURN_LATE), 0x53, PAGE_BYTES);
        random_fill(world_page(world, NOISE), (world->pages - NOISE) * PAGE_BYTES, seed);
    }
    if (turn == 1) {
        memset(world_page(world, RETURN_EARLY), 0x12, PAGE_BYTES);
    }
    world_page(world, BUSY)[8 * turn]++;
}

static void change_back(struct world *world)
{
    memset(world_page(world, RETURN_LATE), 0x13, PAGE_BYTES);
}

static void first_moment(struct world *world, uint64_t *seed)
{
    memset(world_page(world, MUTE), 0x11, PAGE_BYTES);
    memset(world_page(world, RETURN_EARLY), 0x12, PAGE_BYTES);
    memset(world_page(world, RETURN_LATE), 0x13, PAGE_BYTES);
    random_fill(world_page(world, BUSY), PAGE_BYTES, seed);
    random_fill(world_page(world, NOISE), (world->pages - NOISE) * PAGE_BYTES, seed);
    world_take(world, SAVEPOINT_SYNC);
}

static enum savepoint_status wanted_status(const struct failure *failure)
{
    return failure->kind == FAULT_MEMORY ? SAVEPOINT_NO_MEMORY
           : failure->os_code == ENOSPC  ? SAVEPOINT_NO_SPACE
                                         : SAVEPOINT_IO;
}

/* Waits for all takes: those before the first failure are moments of the history, those behind it have failed too. */
static void
settle(struct world *world, const struct failure *failure, const struct asked takes[TAKES], struct tally *tally)
{
    bool failed = false;
    for (int i = 0; i < TAKES; i++) {
        struct savepoint_snapshot snapshot;
        struct savepoint_error error = { 0 };
        if (takes[i].ticket == 0) {
            tally->refused_takes++;
            continue;
        }
        enum savepoint_status status = savepoint_wait(world->session, takes[i].ticket, &snapshot, &error);
        if (status == SAVEPOINT_OK) {
            CHECK_MSG(!failed || takes[i].after_failure, "take %d behind a failed one was committed", i);
            history_add(&world->history, &snapshot, takes[i].copy);
            continue;
        }
        CHECK_STATUS(status, wanted_status(failure));
        CHECK_STATUS(error.status, status);
        CHECK_MSG(error.message[0] != '\0', "call %llu of kind %d failed and nothing is said about it",
                  (unsigned long long)failure->number, failure->kind);
        CHECK_MSG(!failed || failure->before_takes || strstr(error.message, "earlier take") != NULL, "take %d: %s", i,
                  error.message);
        CHECK_EQ(error.os_code, failure->kind == FAULT_MEMORY ? 0 : failure->os_code);
        failed = true;
        tally->failed_takes++;
    }
}

static void take_and_fail(struct world *world, const struct failure *failure, uint64_t *seed, struct tally *tally)
{
    static uint8_t copy[TAKES][LARGE_PAGES * PAGE_BYTES];
    struct asked takes[TAKES] = { { .copy = copy[0] }, { .copy = copy[1] }, { .copy = copy[2] } };
    unsigned accepted = 0;
    fault_hold_worker(true);
    fault_hold_writer(failure->all_encoded);
    if (failure->before_takes) {
        fault_arm(failure->kind, failure->number, failure->sticky, failure->os_code);
    }
    for (int i = 0; i < TAKES; i++) {
        change(world, i, seed);
        memcpy(takes[i].copy, world->memory, world->pages * PAGE_BYTES);
        takes[i].after_failure = failure->before_takes && fault_hits(failure->kind) > 0;
        enum savepoint_status status = world_start(world, SAVEPOINT_SYNC, &takes[i].ticket);
        accepted += status == SAVEPOINT_OK ? 1 : 0;
        CHECK_MSG(status == SAVEPOINT_OK || (failure->before_takes && status == SAVEPOINT_NO_MEMORY), "take %d: %s", i,
                  savepoint_status_name(status));
    }
    fault_tear_writes(failure->torn);
    if (!failure->before_takes) {
        fault_arm(failure->kind, failure->number, failure->sticky, failure->os_code);
    }
    fault_hold_worker(false);
    if (failure->all_encoded) {
        fault_wait_encoded(accepted);
        fault_hold_writer(false);
    }
    settle(world, failure, takes, tally);
}

/* True when the failure was met. */
static bool run_failure(const struct failure *failure, size_t pages, struct tally *tally)
{
    struct world world = { 0 };
    const char *path = scratch_path("no_base.svp");
    uint64_t seed = failure->number * 31 + (uint64_t)failure->kind;
    char what[160];
    snprintf(what, sizeof what, "%s, kind %d, call %llu%s%s%s%s, code %d", failure->backend, failure->kind,
             (unsigned long long)failure->number, failure->sticky ? ", sticky" : "", failure->torn ? ", torn" : "",
             failure->before_takes ? ", before" : "", failure->all_encoded ? ", encoded" : "", failure->os_code);
    file_remove(path);
    world_open(&world, path, failure->backend, pages);
    first_moment(&world, &seed);
    take_and_fail(&world, failure, &seed, tally);
    bool met = fault_hits(failure->kind) > 0;
    fault_disarm();
    size_t committed = world.history.count;
    change_back(&world);
    world_take(&world, SAVEPOINT_SYNC);
    check_archive(path, &world.history, committed + 1, what);
    world_page(&world, BUSY)[100]++;
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, committed + 2, what);
    memset(world.memory, 0, pages * PAGE_BYTES);
    world_open(&world, path, failure->backend, pages);
    world_resume(&world);
    world_close(&world);
    world_free(&world);
    tally->cases++;
    return met;
}

/* Fails call 1, 2, ... until there are no more calls to fail. */
static void run_all_numbers(struct failure failure, size_t pages, uint64_t step, struct tally *tally)
{
    bool met = true;
    for (failure.number = 1; met && failure.number < 2000; failure.number += step) {
        met = run_failure(&failure, pages, tally);
    }
    CHECK_MSG(!met, "call %llu is still met", (unsigned long long)failure.number);
}

static void report(const char *name, const struct tally *tally, uint64_t least_failed)
{
    printf("%s: %llu cases, %llu takes failed, %llu refused\n", name, (unsigned long long)tally->cases,
           (unsigned long long)tally->failed_takes, (unsigned long long)tally->refused_takes);
    CHECK_MSG(tally->failed_takes >= least_failed, "%llu takes failed, at least %llu should have",
              (unsigned long long)tally->failed_takes, (unsigned long long)least_failed);
}

CHECK_TEST(no_base, every_write_fails)
{
    static const int codes[] = { ENOSPC, EIO };
    struct tally tally = { 0 };
    const char *backend;
    uint64_t backends = 0;
    for (; (backend = backend_name((size_t)backends)) != NULL; backends++) {
        for (unsigned way = 0; way < 10; way++) {
            struct failure failure = { .backend = backend,
                                       .kind = FAULT_WRITE,
                                       .sticky = way < 8 && (way & 1) != 0,
                                       .torn = way < 8 ? (way & 2) != 0 : way == 9,
                                       .all_encoded = way >= 8,
                                       .os_code = codes[(way >> 2) % 2] };
            run_all_numbers(failure, LARGE_PAGES, 1, &tally);
        }
    }
    report("failed writes", &tally, backends * 60);
}

CHECK_TEST(no_base, every_allocation_fails)
{
    struct tally tally = { 0 };
    const char *backend;
    uint64_t backends = 0;
    for (; (backend = backend_name((size_t)backends)) != NULL; backends++) {
        for (unsigned way = 0; way < 5; way++) {
            struct failure failure = { .backend = backend,
                                       .kind = FAULT_MEMORY,
                                       .sticky = (way & 1) != 0,
                                       .before_takes = (way & 2) != 0,
                                       .all_encoded = way == 4,
                                       .os_code = ENOMEM };
            run_all_numbers(failure, SMALL_PAGES, 1, &tally);
        }
    }
    report("failed allocations", &tally, backends * 40);
    CHECK_MSG(tally.refused_takes >= backends * 10, "%llu takes refused", (unsigned long long)tally.refused_takes);
}

/* ---- takes that are given up */

/* Three takes of which the last `given_up` are: the others are committed, and the next take carries everything. */
static void run_cancel(const char *backend, int given_up, bool all_encoded, bool by_zero, struct tally *tally)
{
    static uint8_t copy[TAKES][SMALL_PAGES * PAGE_BYTES];
    struct world world = { 0 };
    const char *path = scratch_path("no_base.svp");
    uint64_t tickets[TAKES] = { 0 };
    uint64_t seed = (uint64_t)given_up + 1;
    file_remove(path);
    world_open(&world, path, backend, SMALL_PAGES);
    first_moment(&world, &seed);
    fault_hold_worker(!all_encoded);
    fault_hold_writer(true);
    for (int i = 0; i < TAKES; i++) {
        change(&world, i, &seed);
        memcpy(copy[i], world.memory, sizeof copy[i]);
        CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[i]));
    }
    if (all_encoded) {
        fault_wait_encoded(TAKES);
    }
    CHECK_OK(savepoint_cancel(world.session, by_zero ? 0 : tickets[TAKES - given_up], NULL));
    fault_hold_worker(false);
    fault_hold_writer(false);
    for (int i = 0; i < TAKES; i++) {
        struct savepoint_snapshot snapshot;
        enum savepoint_status status = savepoint_wait(world.session, tickets[i], &snapshot, NULL);
        CHECK_STATUS(status, i < TAKES - given_up ? SAVEPOINT_OK : SAVEPOINT_CANCELLED);
        if (status == SAVEPOINT_OK) {
            history_add(&world.history, &snapshot, copy[i]);
        }
    }
    CHECK_STATUS(savepoint_cancel(world.session, tickets[0], NULL), SAVEPOINT_NOT_FOUND);
    CHECK_OK(savepoint_cancel(world.session, 0, NULL)); /* none is in flight */
    change_back(&world);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, 1 + (size_t)(TAKES - given_up) + 1, backend);
    history_free(&world.history);
    world_free(&world);
    tally->cases++;
}

CHECK_TEST(no_base, every_take_that_is_given_up)
{
    struct tally tally = { 0 };
    const char *backend;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        for (int given_up = 1; given_up <= TAKES; given_up++) {
            run_cancel(backend, given_up, false, false, &tally);
            run_cancel(backend, given_up, true, false, &tally);
        }
        run_cancel(backend, TAKES, false, true, &tally);
        run_cancel(backend, TAKES, true, true, &tally);
    }
    printf("given up: %llu cases\n", (unsigned long long)tally.cases);
}

static struct world *cancelling;
static enum savepoint_status cancelled_while_syncing;

static void cancel_while_syncing(enum fault_kind kind)
{
    if (kind == FAULT_SYNC) {
        cancelled_while_syncing = savepoint_cancel(cancelling->session, 2, NULL);
    }
}

CHECK_TEST(no_base, too_late_to_give_up)
{
    struct world world = { 0 };
    const char *path = scratch_path("no_base.svp");
    uint64_t seed = 5;
    file_remove(path);
    world_open(&world, path, "compare", SMALL_PAGES);
    first_moment(&world, &seed);
    change(&world, 0, &seed);
    cancelling = &world;
    fault_watch(cancel_while_syncing);
    world_take(&world, SAVEPOINT_SYNC);
    fault_watch(NULL);
    CHECK_STATUS(cancelled_while_syncing, SAVEPOINT_BUSY);
    world_close(&world);
    check_archive(path, &world.history, 2, "too late");
    world_free(&world);
}
