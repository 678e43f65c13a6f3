/* test_live.c - LIVE snapshots: what they hold is the state at the stop, whatever was written while they were prepared
 */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <unistd.h>

#include "fault.h"
#include "live_world.h"

enum { PAGES = 256, LATER = 40 };

static const uint64_t minute_ns = UINT64_C(60000000000);

/* Nothing is written after the copying: the stop has nothing to copy. */
CHECK_TEST(live, a_program_that_rests)
{
    struct world world;
    live_open(&world, "rests.svp", PAGES, NULL);
    for (int turn = 0; turn < 3; turn++) {
        const uint64_t copied = live_statistics(&world).live_pages_precopied;
        live_fill(&world, 0, turn == 2 ? 0 : PAGES);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        live_wait_copied(&world, copied + (turn == 2 ? 0 : PAGES));
        const struct savepoint_snapshot snapshot = live_end(&world);
        CHECK_EQ(savepoint_stop_wanted(world.session), 0);
        CHECK_EQ(snapshot.changed_pages, turn == 2 ? 0 : PAGES);
    }
    const struct savepoint_statistics statistics = live_statistics(&world);
    CHECK_EQ(statistics.live_pages_precopied, live_copies(&world) ? 2 * PAGES : 0);
    CHECK_EQ(statistics.live_pages_stopped, live_copies(&world) ? 0 : 3 * PAGES);
    CHECK_EQ(statistics.live_not_converged, 0);
    CHECK(statistics.live_rounds >= 3 && statistics.live_pause_ns_last > 0);
    CHECK(statistics.live_pause_ns_max >= statistics.live_pause_ns_last);
    CHECK_EQ(statistics.pages_captured, live_copies(&world) ? 2 * PAGES : 3 * PAGES);
    live_close(&world);
}

/* Written behind the copying, and first written then: both are what they are at the stop. */
CHECK_TEST(live, writes_between_copy_and_stop)
{
    struct world world;
    live_open(&world, "between.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    for (size_t turn = 0; turn < 8; turn++) {
        const uint64_t copied = live_statistics(&world).live_pages_precopied;
        live_fill(&world, 0, PAGES / 2);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        live_wait_copied(&world, copied + PAGES / 2);
        live_fill(&world, turn * 16, LATER); /* some of them for the second time */
        live_end(&world);
    }
    live_close(&world);
}

/* ---- another take collects at the worst moment */

/* A take that is given up, but whose collect re-armed what was written. */
static void take_and_cancel(struct world *world)
{
    uint64_t ticket = 0;
    fault_hold_worker(true);
    CHECK_OK(world_start(world, SAVEPOINT_SYNC, &ticket));
    CHECK_OK(savepoint_cancel(world->session, ticket, NULL));
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(world->session, ticket, NULL, NULL), SAVEPOINT_CANCELLED);
}

static void write_last_and_take(struct world *world)
{
    live_fill(world, PAGES - 1, 1);
    take_and_cancel(world);
}

static void write_first_and_take(struct world *world)
{
    live_fill(world, 0, 1);
    take_and_cancel(world);
}

static void capture_with_hook(live_hook *hook)
{
    struct world world;
    live_open(&world, "hook.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    live_when_copied(&world, PAGES - 1, hook);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_wait_copied(&world, PAGES);
    live_end(&world);
    live_close(&world);
}

/* The page that is being copied is written, reported and armed again before the copying has ended. */
CHECK_TEST(live, a_write_beside_the_copying_that_another_take_collects)
{
    capture_with_hook(write_last_and_take);
}

/* The same with one that was copied before. */
CHECK_TEST(live, a_write_behind_the_copying_that_another_take_collects)
{
    capture_with_hook(write_first_and_take);
}

static void mark_first(struct world *world)
{
    CHECK_OK(savepoint_mark(world->session, world->memory, 1, NULL));
}

CHECK_TEST(live, a_marked_page_is_copied_again)
{
    struct world world;
    live_open(&world, "mark.svp", PAGES, NULL);
    if (live_copies(&world)) {
        live_fill(&world, 0, PAGES);
        live_when_copied(&world, PAGES - 1, mark_first);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        live_wait_copied(&world, PAGES);
        live_end(&world);
        const struct savepoint_statistics statistics = live_statistics(&world);
        CHECK_EQ(statistics.live_pages_precopied + statistics.live_pages_stopped, PAGES + 1);
    }
    world_take(&world, SAVEPOINT_SYNC);
    live_close(&world);
}

/* What the worker has collected is not reported again: another take must find it entered. It has to wait. */
static atomic_bool worker_collected, take_ended;

static void let_another_take(struct world *world)
{
    (void)world;
    atomic_store(&worker_collected, true);
    for (int i = 0; i < 100 && !atomic_load(&take_ended); i++) {
        usleep(1000);
    }
}

CHECK_TEST(live, another_take_finds_what_the_worker_has_collected)
{
    struct world world;
    atomic_store(&worker_collected, false);
    atomic_store(&take_ended, false);
    live_open(&world, "collected.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    live_fill(&world, 0, PAGES);
    live_when_collected(&world, let_another_take);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    while (live_copies(&world) && !atomic_load(&worker_collected)) {
        usleep(100);
    }
    uint64_t ticket = 0;
    struct savepoint_snapshot snapshot;
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    atomic_store(&take_ended, true);
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    CHECK_EQ(snapshot.changed_pages, PAGES);
    history_add(&world.history, &snapshot, world.memory);
    live_end(&world);
    live_close(&world);
}

/* ---- takes beside it */

CHECK_TEST(live, takes_of_the_archive_go_on)
{
    struct world world;
    live_open(&world, "beside.svp", PAGES, NULL);
    for (size_t turn = 0; turn < 8; turn++) {
        const uint64_t copied = live_statistics(&world).live_pages_precopied;
        live_fill(&world, 0, PAGES);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        live_fill(&world, turn, LATER);
        world_take(&world, SAVEPOINT_SYNC);
        live_fill(&world, 2 * turn, LATER);
        live_wait_copied(&world, copied + (turn % 2 == 0 ? 1 : LATER));
        world_take(&world, SAVEPOINT_SYNC);
        live_fill(&world, 3 * turn, LATER);
        live_end(&world);
    }
    live_close(&world);
}

CHECK_TEST(live, beside_a_ring)
{
    struct world world;
    const struct live_options options = { .ring_bytes = 1 << 20 };
    struct savepoint_take_options take = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot marked;
    live_open(&world, "ring.svp", PAGES, &options);
    take.history = SAVEPOINT_RING;
    for (size_t turn = 0; turn < 12; turn++) {
        uint64_t ticket = 0;
        const uint64_t copied = live_statistics(&world).live_pages_precopied;
        live_fill(&world, 0, PAGES / 2);
        CHECK_OK(savepoint_take(world.session, NULL, &take, NULL));
        live_fill(&world, 16 * turn % PAGES / 2, LATER);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        live_wait_copied(&world, copied + LATER);
        for (size_t frame = 0; frame < 4; frame++) {
            live_fill(&world, 8 * turn + 16 * frame, LATER);
            CHECK_OK(savepoint_take(world.session, &ticket, &take, NULL));
        }
        CHECK_OK(savepoint_wait(world.session, ticket, &marked, NULL));
        live_fill(&world, 8 * turn, turn % 2 == 0 ? LATER : 0);
        live_end(&world);
    }
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_OK(savepoint_restore(world.session, &marked.id, NULL, NULL));
    CHECK_STATUS(savepoint_tick(world.session, NULL, NULL), SAVEPOINT_CANCELLED);
    world_take(&world, SAVEPOINT_SYNC);
    take.mode = SAVEPOINT_LIVE;
    CHECK_STATUS(savepoint_take(world.session, NULL, &take, NULL), SAVEPOINT_INVALID);
    live_close(&world);
}

static unsigned ticks_meanwhile;

static int tick_meanwhile(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct world *world = user;
    ticks_meanwhile++;
    (void)done_bytes;
    (void)total_bytes;
    CHECK_EQ(savepoint_stop_wanted(world->session), 1);
    CHECK_STATUS(savepoint_tick(world->session, NULL, NULL), SAVEPOINT_BUSY);
    return 0;
}

/* Long work refuses the stop, which comes behind it; work that moves the shadow gives the snapshot up. */
CHECK_TEST(live, beside_promote_and_load)
{
    struct world world;
    const struct live_options options = { .ring_bytes = 1 << 20 };
    struct savepoint_take_options take = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_promote_options promote = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    struct savepoint_snapshot marked, promoted;
    uint64_t ticket = 0;
    live_open(&world, "promote.svp", PAGES, &options);
    take.history = SAVEPOINT_RING;
    live_fill(&world, 0, PAGES / 2);
    CHECK_OK(savepoint_take(world.session, &ticket, &take, NULL));
    CHECK_OK(savepoint_wait(world.session, ticket, &marked, NULL));
    history_add(&world.history, &marked, world.memory);
    live_fill(&world, LATER, LATER);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_wait_wanted(&world);
    promote.progress = tick_meanwhile;
    promote.progress_user = &world;
    CHECK_OK(savepoint_promote(world.session, &promoted, &marked.id, NULL, &promote, NULL));
    CHECK(ticks_meanwhile > 0);
    world.history.moments[0].id = promoted.id;
    live_fill(&world, 2 * LATER, LATER);
    live_end(&world);
    live_fill(&world, 0, PAGES);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_OK(savepoint_load(world.session, NULL, NULL, "HEAD", NULL, NULL));
    CHECK_STATUS(savepoint_tick(world.session, NULL, NULL), SAVEPOINT_CANCELLED);
    world_take(&world, SAVEPOINT_SYNC);
    live_close(&world);
}

/* ---- a program that writes too fast */

static void write_again(struct world *world, size_t page)
{
    live_fill(world, page, 1);
}

CHECK_TEST(live, a_program_that_writes_too_fast)
{
    struct world world;
    struct savepoint_error error = { 0 };
    live_open(&world, "fast.svp", PAGES, NULL);
    for (int turn = 0; turn < 4; turn++) {
        bool accept = turn % 2 == 0;
        live_fill(&world, 0, PAGES);
        live_when_any_copied(&world, write_again);
        CHECK_OK(live_begin(&world, 1, accept ? SAVEPOINT_LIVE_ACCEPT : SAVEPOINT_LIVE_GIVE_UP));
        live_wait_wanted(&world);
        live_when_any_copied(&world, NULL);
        if (accept) {
            live_end(&world);
            CHECK_EQ(live_statistics(&world).live_not_converged, turn / 2 + 1);
        } else {
            CHECK_STATUS(savepoint_tick(world.session, NULL, &error), SAVEPOINT_LIMIT);
            CHECK_MSG(strstr(error.message, "pause_budget_ns") != NULL, "%s", error.message);
            CHECK_EQ(savepoint_stop_wanted(world.session), 0);
            CHECK_OK(savepoint_tick(world.session, NULL, NULL));
        }
    }
    world_take(&world, SAVEPOINT_SYNC);
    live_close(&world);
}

/* A stop that comes in the middle of the copying copies the rest itself. */
static atomic_bool at_half, goes_on;

static void stop_at_half(struct world *world)
{
    (void)world;
    atomic_store(&at_half, true);
    while (!atomic_load(&goes_on)) {
        usleep(100);
    }
}

CHECK_TEST(live, the_stop_comes_in_the_middle_of_the_copying)
{
    struct world world;
    uint64_t ticket = 0;
    struct savepoint_snapshot snapshot;
    atomic_store(&at_half, false);
    atomic_store(&goes_on, false);
    live_open(&world, "middle.svp", PAGES, NULL);
    if (live_copies(&world)) {
        CHECK_OK(live_begin(&world, minute_ns, SAVEPOINT_LIVE_ACCEPT));
        live_wait_copied(&world, PAGES);
        live_wait_wanted(&world);
        live_when_copied(&world, PAGES / 2 - 1, stop_at_half); /* by a round that keeps the rest small */
        live_fill(&world, 0, PAGES);
        while (!atomic_load(&at_half)) {
            usleep(100);
        }
        CHECK_OK(savepoint_tick(world.session, &ticket, NULL));
        CHECK(ticket != 0);
        CHECK_EQ(live_statistics(&world).live_pages_stopped, PAGES / 2 + 1);
        uint8_t *before = world.memory;
        history_add(&world.history, &(struct savepoint_snapshot){ .sequence = 0 }, before);
        live_fill(&world, 0, PAGES); /* not in the snapshot */
        atomic_store(&goes_on, true);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        world.history.moments[0].id = snapshot.id;
    }
    world_take(&world, SAVEPOINT_SYNC);
    live_close(&world);
}
