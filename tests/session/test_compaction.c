/* test_compaction.c - a session compacts its own archive, and goes on as if nothing had been */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compaction_world.h"
#include "fault.h"

enum { PAGES = COMPACTION_PAGES };

static uint64_t seed = 13;

/* ---- the rules */

CHECK_TEST(compaction, takes_before_during_and_after_it)
{
    struct world world = { 0 };
    struct savepoint_snapshot snapshots[3];
    uint64_t tickets[3];
    compaction_make(&world, "takes.svp", 12);
    const uint64_t before = autosave_statistics(world.session).archive_bytes;
    rename_hold(true);
    const uint64_t ticket = compaction_begin(&world, 2);
    compaction_forget(&world.history, 10);
    rename_wait_held();
    CHECK_EQ(autosave_statistics(world.session).compacting, 1);
    CHECK_EQ(autosave_statistics(world.session).takes_in_flight, 0);
    CHECK_OK(savepoint_wait(world.session, 0, &snapshots[0], NULL)); /* the newest take, and not what is behind it */
    CHECK_EQ(snapshots[0].sequence, 12);
    CHECK_STATUS(savepoint_compact(world.session, NULL, NULL, NULL), SAVEPOINT_BUSY);
    uint8_t *copies = malloc(3 * PAGES * PAGE_BYTES);
    for (int i = 0; i < 3; i++) {
        compaction_scribble(&world);
        CHECK_OK(world_start(&world, i == 1 ? SAVEPOINT_NONE : SAVEPOINT_SYNC, &tickets[i]));
        memcpy(copies + (size_t)i * PAGES * PAGE_BYTES, world.memory, PAGES * PAGE_BYTES);
    }
    CHECK_EQ(autosave_statistics(world.session).takes_committed, 12);
    rename_hold(false);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(savepoint_wait(world.session, i < 2 ? tickets[i] : 0, &snapshots[i], NULL));
        CHECK_EQ(snapshots[i].sequence, 13 + i);
        history_add(&world.history, &snapshots[i], copies + (size_t)i * PAGES * PAGE_BYTES);
    }
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshots[0], NULL));
    CHECK_EQ(snapshots[0].sequence, 0);
    for (int i = 0; i < 30; i++) {
        compaction_scribble(&world);
        world_take(&world, SAVEPOINT_SYNC);
    }
    const struct savepoint_statistics seen = autosave_statistics(world.session);
    CHECK_EQ(seen.compactions, 1);
    CHECK_EQ(seen.compacting, 0);
    CHECK_EQ(seen.takes_committed, 45);
    CHECK(seen.compacted_bytes > 0 && seen.compacted_bytes < before);
    CHECK(seen.pages_delta > seen.pages_whole / 2); /* it still knows what deltas rest on */
    compaction_check(&world, "open");
    compaction_restore_all(&world);
    free(copies);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    compaction_check(&world, "closed");
    world_free(&world);
}

CHECK_TEST(compaction, what_the_session_goes_on_from_is_kept)
{
    struct world world = { 0 };
    struct savepoint_snapshot snapshot, parent;
    compaction_make(&world, "parent.svp", 6);
    CHECK_OK(savepoint_restore(world.session, &world.history.moments[1].id, NULL, NULL));
    compaction_do(&world, 1);
    CHECK_OK(savepoint_find(world.session, &parent, "HEAD", NULL));
    CHECK_MEM(parent.id.bytes, world.history.moments[5].id.bytes, sizeof parent.id.bytes);
    compaction_scribble(&world);
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_MEM(snapshot.parent.bytes, world.history.moments[1].id.bytes, sizeof parent.id.bytes);
    CHECK_OK(savepoint_find(world.session, &parent, "HEAD~1", NULL));
    CHECK_MEM(parent.id.bytes, world.history.moments[1].id.bytes, sizeof parent.id.bytes);
    struct moment second = world.history.moments[1];
    world.history.moments[1] = world.history.moments[4];
    world.history.moments[4] = second;
    compaction_forget(&world.history, 4);
    compaction_restore_all(&world);
    world_close(&world);
    compaction_check(&world, "closed");
    world_free(&world);
}

CHECK_TEST(compaction, a_reader_stays_and_a_writer_is_refused)
{
    struct world world = { 0 };
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct stat old, new;
    uint8_t *memory = malloc(PAGES * PAGE_BYTES);
    compaction_make(&world, "reader.svp", 5);
    CHECK_OK(savepoint_archive_open(&archive, world.path, NULL));
    CHECK_EQ(stat(world.path, &old), 0);
    CHECK_EQ(chmod(world.path, 0640), 0);
    CHECK(!can_write(world.path));
    rename_hold(true);
    const uint64_t ticket = compaction_begin(&world, 1);
    rename_wait_held();
    char beside[300];
    snprintf(beside, sizeof beside, "%s.compact", world.path);
    CHECK(!can_write(world.path));
    CHECK(!can_write(beside)); /* who opened it now would have the archive in a moment */
    rename_hold(false);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    CHECK(!can_write(world.path));
    CHECK_EQ(stat(world.path, &new), 0);
    CHECK(old.st_ino != new.st_ino && (new.st_mode & 0777) == 0640);
    CHECK_OK(savepoint_archive_newest(archive, &snapshot, NULL));
    for (size_t i = 5; i-- > 0;) {
        CHECK_OK(savepoint_archive_read(archive, memory, &snapshot, "heap", 0, PAGES * PAGE_BYTES, NULL));
        CHECK_MEM(memory, world.history.moments[i].memory, PAGES * PAGE_BYTES);
        CHECK_STATUS(savepoint_archive_previous(archive, &snapshot, NULL), i > 0 ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
    }
    savepoint_archive_close(archive);
    free(memory);
    compaction_forget(&world.history, 4);
    world_close(&world);
    CHECK(can_write(world.path));
    compaction_check(&world, "closed");
    world_free(&world);
}

/* ---- afterwards */

/* What was read of the old file is nothing of the new one, though it stood at the same place. */
CHECK_TEST(compaction, another_snapshot_at_the_same_offset)
{
    struct world world = { 0 };
    struct savepoint_snapshot head;
    compaction_make(&world, "same.svp", 0);
    world_take(&world, SAVEPOINT_SYNC);
    uint64_t offsets[2];
    for (size_t i = 0; i < 2; i++) {
        memset(world.memory, 0, PAGES * PAGE_BYTES);
        random_fill(world_page(&world, 20 + i), 10 * PAGE_BYTES, &seed);
        world_take(&world, SAVEPOINT_SYNC);
        compaction_restore_all(&world);
        CHECK_OK(savepoint_restore(world.session, &world.history.moments[1].id, NULL, NULL));
        compaction_do(&world, 1);
        CHECK_OK(savepoint_find(world.session, &head, "HEAD", NULL));
        offsets[i] = head.file_offset;
        compaction_forget(&world.history, 1);
    }
    CHECK_EQ(offsets[0], offsets[1]);
    memset(world.memory, 7, PAGES * PAGE_BYTES);
    compaction_restore_all(&world);
    compaction_end(&world);
}

/* The next take goes on from what is in the new file. */
CHECK_TEST(compaction, then_a_take_fails)
{
    struct world world = { 0 };
    uint64_t ticket = 0;
    compaction_make(&world, "then.svp", 4);
    compaction_do(&world, 2);
    compaction_forget(&world.history, 2);
    compaction_scribble(&world);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    fault_disarm();
    compaction_scribble(&world);
    world_take(&world, SAVEPOINT_SYNC);
    compaction_end(&world);
}

/* A power cut may bring the old file back: what is taken into the new one would be promised and gone. */
CHECK_TEST(compaction, a_name_that_is_not_durable)
{
    struct world world = { 0 };
    uint64_t behind = 0;
    compaction_make(&world, "name.svp", 4);
    rename_hold(true);
    const uint64_t ticket = compaction_begin(&world, 2);
    rename_wait_held();
    compaction_scribble(&world);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &behind));
    fault_arm(FAULT_SYNC_FOLDER, 1, false, EIO);
    rename_hold(false);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_UNCERTAIN);
    CHECK_STATUS(savepoint_wait(world.session, behind, NULL, NULL), SAVEPOINT_POISONED);
    fault_disarm();
    CHECK_STATUS(savepoint_compact(world.session, NULL, NULL, NULL), SAVEPOINT_POISONED);
    CHECK_STATUS(world_start(&world, SAVEPOINT_SYNC, NULL), SAVEPOINT_POISONED);
    compaction_forget(&world.history, 2);
    compaction_restore_all(&world);
    compaction_end(&world);
}

/* ---- calls */

CHECK_TEST(compaction, nothing_to_do)
{
    struct world world = { 0 };
    compaction_make(&world, "nothing.svp", 0);
    compaction_do(&world, 0);
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    world_take(&world, SAVEPOINT_SYNC);
    struct bytes before = file_read(world.path);
    compaction_do(&world, 0);
    compaction_do(&world, 5);
    check_file(world.path, before, "nothing to do");
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    CHECK_EQ(autosave_statistics(world.session).compactions_failed, 0);
    bytes_free(&before);
    compaction_end(&world);
}

CHECK_TEST(compaction, bad_calls)
{
    struct world world = { 0 };
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    struct savepoint_autosave_options autosave = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    compaction_make(&world, "bad.svp", 3);
    CHECK_STATUS(savepoint_compact(NULL, NULL, NULL, NULL), SAVEPOINT_INVALID);
    options.flags = SAVEPOINT_COMPACT_DRY_RUN;
    CHECK_STATUS(savepoint_compact(world.session, NULL, &options, NULL), SAVEPOINT_INVALID);
    options.flags = 64;
    CHECK_STATUS(savepoint_compact(world.session, NULL, &options, NULL), SAVEPOINT_INVALID);
    autosave.flags = 2;
    CHECK_STATUS(savepoint_autosave(world.session, &autosave, NULL), SAVEPOINT_INVALID);
    options.flags = 0;
    options.keep_last = 1;
    options.keep_bytes = 10;
    uint64_t ticket = 0;
    CHECK_OK(savepoint_compact(world.session, &ticket, &options, NULL));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_LIMIT);

    /* Somebody moved the archive: what has its name is another file. */
    char away[300];
    snprintf(away, sizeof away, "%s.away", world.path);
    CHECK_EQ(rename(world.path, away), 0);
    options.keep_bytes = 0;
    CHECK_OK(savepoint_compact(world.session, &ticket, &options, NULL));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_IO);
    CHECK(!file_exists(world.path));
    struct bytes other = file_read(away);
    file_write(world.path, other.at, other.count);
    for (uint32_t keep_last = 1; keep_last <= 3; keep_last += 2) {
        ticket = compaction_begin(&world, keep_last);
        CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_IO);
        check_file(world.path, other, "another file");
    }
    bytes_free(&other);
    CHECK_EQ(rename(away, world.path), 0);
    compaction_end(&world);
}

/* Windows. */
CHECK_TEST(compaction, where_open_files_keep_their_names)
{
    struct world world = { 0 };
    compaction_make(&world, "names.svp", 0);
    renames_over_open = false;
    autosave_set(&world, 1);
    for (int i = 0; i < 30; i++) {
        random_fill(world.memory, PAGES * PAGE_BYTES, &seed);
        autosave_take(&world);
    }
    CHECK(autosave_statistics(world.session).archive_bytes > UINT64_C(4) << 20); /* it would be due */
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    CHECK_STATUS(savepoint_compact(world.session, NULL, NULL, NULL), SAVEPOINT_UNSUPPORTED);
    CHECK_EQ(autosave_statistics(world.session).compacting, 0);
    CHECK_EQ(autosave_statistics(world.session).compactions_failed, 0);
    autosave_end(&world);
    renames_over_open = true;
}

/* ---- a forked child */

CHECK_TEST(compaction, a_forked_child_keeps_no_lock)
{
    struct world world = { 0 };
    int pipes[2], ready[2];
    char byte = 0;
    int status = 0;
    compaction_make(&world, "fork.svp", 4);
    CHECK(pipe(pipes) == 0 && pipe(ready) == 0);
    rename_hold(true);
    const uint64_t ticket = compaction_begin(&world, 1);
    rename_wait_held();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(pipes[1]);
        bool inert = write(ready[1], &byte, 1) == 1;
        inert = inert && savepoint_compact(world.session, NULL, NULL, NULL) == SAVEPOINT_FORKED;
        inert = inert && savepoint_take(world.session, NULL, NULL, NULL) == SAVEPOINT_FORKED;
        _exit(read(pipes[0], &byte, 1) == 0 && inert && savepoint_close(world.session, NULL) == SAVEPOINT_OK ? 0 : 1);
    }
    close(pipes[0]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    rename_hold(false);
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    world_close(&world);
    CHECK(can_write(world.path));
    close(pipes[1]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    compaction_forget(&world.history, 3);
    compaction_check(&world, "after the child");
    world_free(&world);
}

CHECK_TEST(compaction, closing_waits_for_it)
{
    struct world world = { 0 };
    compaction_make(&world, "close.svp", 4);
    compaction_begin(&world, 1);
    compaction_forget(&world.history, 3);
    compaction_end(&world);
}
