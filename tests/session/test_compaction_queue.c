/* test_compaction_queue.c - a compaction's place in the queue of takes: what stands in front of it, and giving it up */
#include <errno.h>

#include "compaction_world.h"
#include "fault.h"

/* ---- what stands in front of it */

/* It is in the new file: nothing happens before it is written. */
CHECK_TEST(compaction_queue, behind_a_take_that_is_being_written)
{
    enum { HELD_MS = 200 };
    struct world world = { 0 };
    struct savepoint_snapshot snapshot;
    uint64_t before = 0;
    compaction_make(&world, "writing.svp", 4);
    fault_hold_writer(true);
    rename_hold(true);
    compaction_scribble(&world);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &before));
    fault_wait_encoded(1);
    const uint64_t ticket = compaction_begin(&world, 2);
    CHECK(!rename_held_within(HELD_MS));
    fault_hold_writer(false);
    CHECK_OK(savepoint_wait(world.session, before, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    rename_hold(false);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    compaction_forget(&world.history, 3);
    compaction_check(&world, "both");
    compaction_end(&world);
}

/* A take that fails in front of it: the session stands on the one before. */
CHECK_TEST(compaction_queue, behind_a_take_that_fails)
{
    struct world world = { 0 };
    uint64_t failing = 0;
    compaction_make(&world, "behind.svp", 4);
    fault_hold_writer(true);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    compaction_scribble(&world);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &failing));
    fault_wait_encoded(1);
    const uint64_t ticket = compaction_begin(&world, 2);
    fault_hold_writer(false);
    CHECK_STATUS(savepoint_wait(world.session, failing, NULL, NULL), SAVEPOINT_NO_SPACE);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    fault_disarm();
    compaction_forget(&world.history, 2);
    compaction_scribble(&world);
    const struct savepoint_id before = world.history.moments[1].id;
    CHECK_MEM(world_take(&world, SAVEPOINT_SYNC).parent.bytes, before.bytes, sizeof before.bytes);
    compaction_end(&world);
}

/* ---- giving up */

CHECK_TEST(compaction_queue, cancelled)
{
    struct world world = { 0 };
    struct savepoint_error error;
    compaction_make(&world, "cancelled.svp", 5);
    fault_hold_worker(true);
    uint64_t ticket = compaction_begin(&world, 1);
    compaction_scribble(&world);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, NULL));
    CHECK_OK(savepoint_cancel(world.session, ticket, NULL));
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, &error), SAVEPOINT_CANCELLED);
    CHECK_MSG(strstr(error.message, "archive") != NULL, "%s", error.message);
    CHECK_OK(savepoint_wait(world.session, 0, NULL, NULL)); /* the take behind it has nothing to do with that */
    world_take(&world, SAVEPOINT_SYNC);

    /* Both at once. */
    struct savepoint_snapshot snapshot;
    uint64_t behind = 0;
    CHECK_OK(savepoint_find(world.session, &snapshot, "HEAD~1", NULL));
    fault_hold_worker(true);
    ticket = compaction_begin(&world, 1);
    compaction_scribble(&world);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &behind));
    CHECK_OK(savepoint_cancel(world.session, 0, NULL));
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_CANCELLED);
    CHECK_STATUS(savepoint_wait(world.session, behind, NULL, NULL), SAVEPOINT_CANCELLED);
    world_take(&world, SAVEPOINT_SYNC);

    /* The take in front of it only. */
    fault_hold_worker(true);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &behind));
    ticket = compaction_begin(&world, 0);
    CHECK_OK(savepoint_cancel(world.session, behind, NULL));
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(world.session, behind, NULL, NULL), SAVEPOINT_CANCELLED);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));

    /* Too late. */
    rename_hold(true);
    ticket = compaction_begin(&world, 1);
    rename_wait_held();
    CHECK_STATUS(savepoint_cancel(world.session, ticket, NULL), SAVEPOINT_BUSY);
    CHECK_OK(savepoint_cancel(world.session, 0, NULL));
    rename_hold(false);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    CHECK_EQ(autosave_statistics(world.session).compactions, 1);
    CHECK_EQ(autosave_statistics(world.session).compactions_failed, 2);
    compaction_forget(&world.history, world.history.count - 1);
    compaction_end(&world);
}
