/* test_drop.c - every call fails in turn while an autosave drops others: never is one missing that is needed */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 300, BEFORE = 4, KEEP = 2 }; /* more than one write per transaction */

struct failure {
    enum fault_kind kind;
    uint64_t number;
    int os_code;
    bool torn, uncut; /* and what is torn cannot be cut off */
};

struct tally {
    uint64_t cases, failed, uncertain, saved;
};

static size_t count_kept(const char *path, const struct history *history, const char *what)
{
    struct view view;
    check_archive(path, history, history->count, what);
    view_archive(&view, path, history, what);
    return view.kept;
}

/* The autosave that the failure meets, or misses: either it is there and the surplus is dropped (or, for want of
 * memory, not yet), or it is not there and nothing is. */
static bool autosave_and_fail(struct world *world, const struct failure *failure, struct tally *tally)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { 0 };
    fault_hold_worker(true);
    uint64_t ticket = world_autosave(world, KEEP, SAVEPOINT_SYNC);
    fault_tear_writes(failure->torn);
    fault_arm(failure->kind, failure->number, false, failure->os_code);
    if (failure->uncut) {
        fault_arm(FAULT_TRUNCATE, 1, true, EIO);
    }
    fault_hold_worker(false);
    enum savepoint_status status = savepoint_wait(world->session, ticket, &snapshot, &error);
    bool met = fault_hits(failure->kind) > 0;
    fault_disarm();
    tally->cases++;
    tally->failed += status != SAVEPOINT_OK ? 1 : 0;
    tally->uncertain += status == SAVEPOINT_UNCERTAIN ? 1 : 0;
    tally->saved += status == SAVEPOINT_OK ? 1 : 0;
    if (status == SAVEPOINT_OK) {
        history_add(&world->history, &snapshot, world->memory);
    }
    return met;
}

/* After the death of the session, whatever state it left: a prefix, whole, and of autosaves no fewer than asked for. */
static void look_again(struct world *world, size_t least, const char *what)
{
    struct savepoint_snapshot head;
    savepoint_close(world->session, NULL);
    world_open(world, world->path, "compare", PAGES);
    CHECK_OK(savepoint_resume(world->session, &head, NULL));
    if (head.sequence > world->history.count) { /* it was in doubt, and is there */
        history_add(&world->history, &head, world->memory);
    }
    CHECK_EQ(head.sequence, world->history.count);
    CHECK_MEM(world->memory, world->history.moments[world->history.count - 1].memory, world->history.memory_bytes);
    size_t kept = count_kept(world->path, &world->history, what);
    size_t dropped = world->history.count - kept;
    CHECK_MSG(kept >= least && (dropped == 0 || world->history.count > BEFORE), "%s: %zu of %zu are kept", what, kept,
              world->history.count);
    struct savepoint_snapshot snapshot;
    world_page(world, 2)[9]++;
    CHECK_OK(savepoint_wait(world->session, world_autosave(world, KEEP, SAVEPOINT_SYNC), &snapshot, NULL));
    history_add(&world->history, &snapshot, world->memory);
    CHECK_EQ(count_kept(world->path, &world->history, what), KEEP);
    world_close(world);
}

static bool run(const struct failure *failure, struct tally *tally)
{
    struct world world = { 0 };
    const char *path = scratch_path("drop.svp");
    uint64_t seed = failure->number;
    char what[100];
    snprintf(what, sizeof what, "kind %d, call %llu, code %d%s%s", failure->kind, (unsigned long long)failure->number,
             failure->os_code, failure->torn ? ", torn" : "", failure->uncut ? ", not cut" : "");
    file_remove(path);
    world_open(&world, path, "compare", PAGES);
    for (int i = 0; i < BEFORE; i++) {
        struct savepoint_snapshot snapshot;
        random_fill(world_page(&world, (size_t)i), PAGE_BYTES, &seed);
        CHECK_OK(savepoint_wait(world.session, world_autosave(&world, 0, SAVEPOINT_SYNC), &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
    }
    random_fill(world_page(&world, 5), (PAGES - 5) * PAGE_BYTES, &seed);
    bool met = autosave_and_fail(&world, failure, tally);
    if (!met) {
        CHECK_EQ(world.history.count, BEFORE + 1);
        CHECK_EQ(count_kept(path, &world.history, what), KEEP);
    }
    look_again(&world, KEEP, what);
    world_free(&world);
    return met;
}

CHECK_TEST(drop, every_call_fails)
{
    static const struct failure ways[] = {
        { FAULT_WRITE, 0, ENOSPC, false, false }, { FAULT_WRITE, 0, ENOSPC, true, false },
        { FAULT_WRITE, 0, EIO, true, true },      { FAULT_READ, 0, EIO, false, false },
        { FAULT_SYNC, 0, EIO, false, false },     { FAULT_MEMORY, 0, ENOMEM, false, false },
    };
    struct tally tally = { 0 };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct failure failure = ways[i];
        bool met = true;
        for (failure.number = 1; met && failure.number < 1000; failure.number++) {
            met = run(&failure, &tally);
        }
        CHECK_MSG(!met, "call %llu is still met", (unsigned long long)failure.number);
    }
    printf("%llu cases: %llu autosaves failed, %llu of them uncertain, %llu were saved\n",
           (unsigned long long)tally.cases, (unsigned long long)tally.failed, (unsigned long long)tally.uncertain,
           (unsigned long long)tally.saved);
    CHECK(tally.failed >= 15 && tally.uncertain >= 1 && tally.saved >= 10);
}
