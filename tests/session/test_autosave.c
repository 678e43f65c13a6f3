/* test_autosave.c - savepoint_tick: when it takes, and that it never waits */
#include "autosave_world.h"
#include "fault.h"

enum { PAGES = 8, MANY_PAGES = 1024 };

CHECK_TEST(autosave, taken_when_the_interval_is_over)
{
    struct world world = { 0 };
    autosave_open(&world, "interval.svp", PAGES);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0); /* off */
    clock_advance(100 * SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    autosave_set(&world, 0);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(SECOND - 1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(1);
    uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK_EQ(ticket, 1);
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    CHECK_EQ(snapshot.flags & (SAVEPOINT_SNAPSHOT_AUTOSAVE | SAVEPOINT_SNAPSHOT_UNSYNCED), SAVEPOINT_SNAPSHOT_AUTOSAVE);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(5 * SECOND); /* those missed are not made up for */
    ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK_EQ(ticket, 2);
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    CHECK_EQ(world_take(&world, SAVEPOINT_SYNC).flags & SAVEPOINT_SNAPSHOT_AUTOSAVE, 0);
    autosave_take(&world);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    CHECK_EQ(autosave_statistics(world.session).autosaves, 3);
    CHECK_EQ(autosave_statistics(world.session).takes_committed, 4);
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 0);
    autosave_end(&world);
}

CHECK_TEST(autosave, the_interval_runs_from_the_end_of_the_pause_and_anew_with_each_setting)
{
    struct world world = { 0 };
    autosave_open(&world, "pause.svp", PAGES);
    autosave_set(&world, 0);
    clock_advance(SECOND);
    fault_hold_worker(true);
    clock_step(SECOND / 4); /* every look at the clock: the take alone looks twice */
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 1);
    clock_step(0);
    fault_hold_worker(false);
    CHECK_OK(savepoint_wait(world.session, 1, NULL, NULL));
    clock_advance(SECOND * 3 / 4 - 1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    autosave_set(&world, 0);
    clock_advance(SECOND - 1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 2);
    CHECK_OK(savepoint_wait(world.session, 2, NULL, NULL));
    CHECK_OK(savepoint_autosave(world.session, NULL, NULL)); /* off */
    clock_advance(9 * SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(autosave, options_are_checked_and_copied)
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    struct {
        struct savepoint_autosave_options known;
        uint64_t surplus;
    } newer = { SAVEPOINT_AUTOSAVE_OPTIONS_INIT, 1 };
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    char label[300];
    autosave_open(&world, "options.svp", PAGES);
    newer.known.size = sizeof newer;
    CHECK_STATUS(savepoint_autosave(world.session, &newer.known, &error), SAVEPOINT_UNSUPPORTED);
    options.interval_ns = SECOND;
    options.durability = (enum savepoint_durability)3;
    CHECK_STATUS(savepoint_autosave(world.session, &options, &error), SAVEPOINT_INVALID);
    options.durability = SAVEPOINT_ORDERED;
    options.label = "\xff";
    CHECK_STATUS(savepoint_autosave(world.session, &options, &error), SAVEPOINT_INVALID);
    memset(label, 'l', sizeof label);
    label[256] = '\0';
    options.label = label;
    CHECK_STATUS(savepoint_autosave(world.session, &options, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_autosave(NULL, &options, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_tick(NULL, NULL, &error), SAVEPOINT_INVALID);
    clock_advance(9 * SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0); /* still off */
    label[255] = '\0';
    CHECK_OK(savepoint_autosave(world.session, &options, &error));
    label[0] = '\0';
    struct savepoint_snapshot snapshot = autosave_take(&world);
    CHECK_EQ(strlen(snapshot.label), 255);
    CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_UNSYNCED) != 0);
    options.label = NULL;
    options.durability = SAVEPOINT_SYNC;
    CHECK_OK(savepoint_autosave(world.session, &options, &error));
    snapshot = autosave_take(&world);
    CHECK_STR(snapshot.label, "");
    CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_SEALED) != 0);
    autosave_end(&world);
}

/* The worker hangs in a write. Ticks go on; the caller's thread makes no file call, or autosave_tick fails. */
CHECK_TEST(autosave, a_stuck_disk_does_not_hold_the_loop)
{
    struct world world = { 0 };
    struct savepoint_snapshot snapshot;
    static uint8_t as_taken[PAGES * PAGE_BYTES];
    autosave_open(&world, "stuck.svp", PAGES);
    autosave_set(&world, 0);
    disk_stick(true);
    world_page(&world, 1)[0] = 1;
    memcpy(as_taken, world.memory, sizeof as_taken);
    clock_advance(SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 1);
    disk_wait_stuck();
    world_page(&world, 2)[0] = 2;
    clock_advance(SECOND - 1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 0); /* not due yet */
    for (int i = 0; i < 50; i++) {
        clock_advance(SECOND / 10);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    }
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 1); /* one, however long it waits */
    CHECK_EQ(autosave_statistics(world.session).takes_in_flight, 1);
    disk_stick(false);
    CHECK_OK(savepoint_wait(world.session, 1, &snapshot, NULL));
    history_add(&world.history, &snapshot, as_taken);
    uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL); /* at once, no further interval */
    CHECK_EQ(ticket, 2);
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    CHECK_EQ(snapshot.changed_pages, 1);
    history_add(&world.history, &snapshot, world.memory);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    autosave_take(&world);
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 1);
    CHECK_EQ(autosave_statistics(world.session).autosaves, 3);
    autosave_end(&world);
}

/* A take of the application in flight puts an autosave off as well. */
CHECK_TEST(autosave, behind_a_take_of_the_application)
{
    struct world world = { 0 };
    uint64_t ticket = 0;
    struct savepoint_snapshot snapshot;
    autosave_open(&world, "behind.svp", PAGES);
    autosave_set(&world, 0);
    for (unsigned late = 1; late <= 3; late++) {
        disk_stick(true);
        world_page(&world, 0)[0]++;
        CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
        clock_advance(SECOND);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        CHECK_EQ(autosave_statistics(world.session).autosaves_late, late);
        disk_stick(false);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
        ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
        CHECK(ticket != 0);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
    }
    autosave_end(&world);
}

/* A game takes one of the ring in every frame, and ticks behind it: one is always in flight. */
CHECK_TEST(autosave, behind_a_take_of_the_ring)
{
    struct world world = { 0 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_take_options ring = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t in_ring = 0;
    world_open(&world, scratch_path("ring.svp"), "compare", PAGES); /* for its memory */
    world_close(&world);
    options.watch = "compare";
    options.ring_bytes = 1 << 20;
    CHECK_OK(savepoint_open(&world.session, world.path, &options, NULL));
    CHECK_OK(savepoint_watch(world.session, "heap", world.memory, PAGES * PAGE_BYTES, NULL));
    autosave_set(&world, 0);
    ring.history = SAVEPOINT_RING;
    for (unsigned saves = 1; saves <= 3; saves++) {
        fault_hold_worker(true);
        world_page(&world, saves)[0]++;
        CHECK_OK(savepoint_take(world.session, &in_ring, &ring, NULL));
        CHECK(!savepoint_stop_wanted(world.session));
        clock_advance(SECOND);
        CHECK(savepoint_stop_wanted(world.session));
        const uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
        CHECK_EQ(ticket, in_ring + 1);
        fault_hold_worker(false);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_AUTOSAVE) != 0);
        history_add(&world.history, &snapshot, world.memory);
    }
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 0);
    autosave_end(&world);
}

/* Where there is nothing but a ring autosaves are takes of the ring: one at a time all the same. */
CHECK_TEST(autosave, one_at_a_time_in_a_ring)
{
    struct world world = { 0 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    world_open(&world, scratch_path("alone.svp"), "compare", PAGES); /* for its memory */
    world_close(&world);
    options.watch = "compare";
    options.ring_bytes = 1 << 20;
    CHECK_OK(savepoint_open(&world.session, NULL, &options, NULL));
    CHECK_OK(savepoint_watch(world.session, "heap", world.memory, PAGES * PAGE_BYTES, NULL));
    autosave_set(&world, 0);
    fault_hold_worker(true);
    clock_advance(SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 1);
    for (int i = 0; i < 5; i++) {
        clock_advance(SECOND);
        CHECK(!savepoint_stop_wanted(world.session));
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    }
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, 1);
    fault_hold_worker(false);
    CHECK_OK(savepoint_wait(world.session, 1, NULL, NULL));
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 2);
    CHECK_OK(savepoint_wait(world.session, 2, NULL, NULL));
    CHECK_EQ(autosave_statistics(world.session).autosaves, 2);
    world_close(&world);
    world_free(&world);
}

/* The worker does not even begin: an autosave above the staging budget is captured nevertheless, a take would wait. */
CHECK_TEST(autosave, staging_never_waits)
{
    struct world world = { 0 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t seed = 11;
    world_open(&world, scratch_path("staging.svp"), "compare", MANY_PAGES); /* for its memory */
    world_close(&world);
    random_fill(world.memory, MANY_PAGES * PAGE_BYTES, &seed);
    options.watch = "compare";
    options.staging_bytes = 1;
    CHECK_OK(savepoint_open(&world.session, world.path, &options, NULL));
    CHECK_OK(savepoint_watch(world.session, "heap", world.memory, MANY_PAGES * PAGE_BYTES, NULL));
    autosave_set(&world, 0);
    clock_advance(SECOND);
    fault_hold_worker(true);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 1);
    CHECK_EQ(autosave_statistics(world.session).pages_captured, MANY_PAGES);
    CHECK(autosave_statistics(world.session).staging_bytes_max >= MANY_PAGES * PAGE_BYTES);
    CHECK_EQ(autosave_statistics(world.session).staging_waits, 0);
    fault_hold_worker(false);
    CHECK_OK(savepoint_wait(world.session, 1, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    random_fill(world.memory, MANY_PAGES * PAGE_BYTES, &seed);
    world_take(&world, SAVEPOINT_SYNC);
    CHECK(autosave_statistics(world.session).staging_waits > 0);
    autosave_end(&world);
}
