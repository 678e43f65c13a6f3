/* test_promote.c - states of the ring become snapshots of an archive: what they are, and that nothing else changes */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "promote_world.h"
#include "session/session.h"

enum { RING_BYTES = 4 << 20 };

static struct stage stage;

static struct savepoint_snapshot promote(const struct savepoint_id *id, const char *path)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status = savepoint_promote(stage.session, &snapshot, id, path, NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s", error.message);
    return snapshot;
}

static bool has(const struct savepoint_snapshot *snapshot, uint32_t flag)
{
    return (snapshot->flags & flag) != 0;
}

/* Snapshot number `back` before the newest one in file order. */
static struct savepoint_snapshot walk_back(const char *path, size_t back)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &snapshot, NULL));
    for (; back > 0; back--) {
        CHECK_OK(savepoint_archive_previous(archive, &snapshot, NULL));
    }
    savepoint_archive_close(archive);
    return snapshot;
}

CHECK_TEST(promote, the_ring_of_a_game_becomes_a_replay)
{
    const char *path = scratch_path("replay.svp");
    file_remove(path);
    stage_open(&stage, NULL, RING_BYTES);
    for (int i = 0; i < 12; i++) {
        stage_take(&stage, SAVEPOINT_RING);
        stage_write(&stage);
    }
    const struct savepoint_snapshot newest = promote(NULL, path);
    CHECK(has(&newest, SAVEPOINT_SNAPSHOT_SEALED) && has(&newest, SAVEPOINT_SNAPSHOT_HEAD));
    CHECK(!has(&newest, SAVEPOINT_SNAPSHOT_NO_HEAD) && !has(&newest, SAVEPOINT_SNAPSHOT_UNSYNCED));
    check_whole(path, 12, &newest.id);
    struct savepoint_snapshot child = { .sequence = 0 };
    for (size_t i = 0; i < 12; i++) {
        const struct frame *frame = &stage.frames[11 - i];
        const struct savepoint_snapshot snapshot = walk_back(path, i);
        CHECK(i == 0 || same_id(&child.parent, &snapshot.id));
        CHECK_EQ(snapshot.sequence, 12 - i);
        CHECK_STR(snapshot.label, "frame");
        CHECK(has(&snapshot, SAVEPOINT_SNAPSHOT_SEALED));
        check_promoted(path, &snapshot.id, frame);
        child = snapshot;
    }
    CHECK(has(&child, SAVEPOINT_SNAPSHOT_ROOT));
    /* A second time: the replay goes on, and HEAD stays. */
    const struct savepoint_snapshot again = promote(&stage.frames[11].snapshot.id, path);
    CHECK(has(&again, SAVEPOINT_SNAPSHOT_NO_HEAD) && again.changed_pages == 0 && same_id(&again.parent, &newest.id));
    const struct savepoint_snapshot older = promote(&stage.frames[3].snapshot.id, path);
    check_promoted(path, &older.id, &stage.frames[3]);
    check_whole(path, 14, &newest.id);
    for (size_t i = 0; i < 12; i++) {
        stage_check_restore(&stage, &stage.frames[i * 5 % 12]);
    }
    stage_close(&stage);
}

/* Takes for the archive stand between the frames, and pages wait for the next one. */
CHECK_TEST(promote, the_sessions_own_archive_goes_on_as_if_nothing_was)
{
    const char *path = scratch_path("own.svp");
    struct frame *saves[8], *frames[8];
    struct savepoint_snapshot promoted[8];
    stage_open(&stage, path, RING_BYTES);
    for (int i = 0; i < 8; i++) {
        saves[i] = stage_take(&stage, SAVEPOINT_ARCHIVE);
        CHECK(i == 0 || same_id(&saves[i]->snapshot.parent, &saves[i - 1]->snapshot.id));
        CHECK(!has(&saves[i]->snapshot, SAVEPOINT_SNAPSHOT_NO_HEAD));
        stage_write(&stage);
        frames[i] = stage_take(&stage, SAVEPOINT_RING);
        stage_write(&stage); /* pending, and not even collected */
        promoted[i] = promote(&frames[i < 3 ? i : i - 3]->snapshot.id, NULL);
        CHECK(has(&promoted[i], SAVEPOINT_SNAPSHOT_NO_HEAD) && !has(&promoted[i], SAVEPOINT_SNAPSHOT_HEAD));
        CHECK(same_id(&promoted[i].parent, &saves[i]->snapshot.id));
        CHECK(promoted[i].changed_pages < 36);
        check_whole(path, 2 * (size_t)i + 2, &saves[i]->snapshot.id);
    }
    struct savepoint_snapshot newest;
    CHECK_OK(savepoint_ring_newest(stage.session, &newest, NULL));
    CHECK(same_id(&newest.id, &frames[7]->snapshot.id));
    for (int i = 0; i < 8; i++) {
        check_promoted(path, &promoted[i].id, frames[i < 3 ? i : i - 3]);
        stage_check_restore(&stage, saves[(i + 3) % 8]);
    }
    for (int i = 0; i < 8; i++) {
        stage_check_restore(&stage, frames[(i + 5) % 8]);
    }
    stage_note(&stage, &promoted[2], frames[2]->memory);
    stage_check_restore(&stage, &stage.frames[stage.frame_count - 1]);
    stage_write(&stage);
    const struct frame *branch = stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK(same_id(&branch->snapshot.parent, &promoted[2].id));
    check_whole(path, 17, &branch->snapshot.id);
    stage_close(&stage);
}

CHECK_TEST(promote, after_going_back_what_lies_behind_and_ahead)
{
    const char *path = scratch_path("back.svp");
    stage_open(&stage, path, RING_BYTES);
    for (int i = 0; i < 6; i++) {
        stage_take(&stage, SAVEPOINT_RING);
        stage_write(&stage);
    }
    stage_check_restore(&stage, &stage.frames[2]);
    stage_write(&stage);
    const struct savepoint_snapshot newest = promote(NULL, NULL);
    CHECK(has(&newest, SAVEPOINT_SNAPSHOT_HEAD)); /* the archive was empty */
    check_whole(path, 6, &newest.id);
    for (size_t i = 0; i < 6; i++) {
        const struct savepoint_snapshot snapshot = walk_back(path, 5 - i);
        check_promoted(path, &snapshot.id, &stage.frames[i]);
    }
    stage_check_restore(&stage, &stage.frames[5]);
    const struct frame *save = stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK(has(&save->snapshot, SAVEPOINT_SNAPSHOT_ROOT));
    check_whole(path, 7, &save->snapshot.id);
    stage_close(&stage);
}

CHECK_TEST(promote, label_metadata_and_durability)
{
    const char *path = scratch_path("label.svp");
    const struct savepoint_metadata items[] = { { SAVEPOINT_METADATA_MESSAGE, "goal", 4 },
                                                { SAVEPOINT_METADATA_ORIGIN, "0123456789abcdef", 16 },
                                                { SAVEPOINT_METADATA_APPLICATION, "x", 1 } };
    struct savepoint_take_options taking = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_promote_options options = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    struct savepoint_archive *archive = NULL;
    char text[8];
    size_t bytes = 0;
    stage_open(&stage, path, RING_BYTES);
    taking.history = SAVEPOINT_RING;
    taking.metadata = items;
    taking.metadata_count = 3;
    CHECK_OK(savepoint_take(stage.session, NULL, &taking, NULL));
    CHECK_OK(savepoint_wait(stage.session, 0, &snapshot, NULL));
    const struct frame *frame = stage_note(&stage, &snapshot, stage.memory);
    options.label = "minute 88";
    options.durability = SAVEPOINT_ORDERED;
    CHECK_OK(savepoint_promote(stage.session, &snapshot, &frame->snapshot.id, NULL, &options, NULL));
    CHECK_STR(snapshot.label, "minute 88");
    CHECK(has(&snapshot, SAVEPOINT_SNAPSHOT_UNSYNCED) && !has(&snapshot, SAVEPOINT_SNAPSHOT_SEALED));
    check_promoted(path, &snapshot.id, frame);
    CHECK_EQ(snapshot.metadata_bytes, 16 + 24 + 16); /* one origin */
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(
        savepoint_archive_metadata(archive, text, &bytes, sizeof text, &snapshot, SAVEPOINT_METADATA_MESSAGE, NULL));
    CHECK(bytes == 4 && memcmp(text, "goal", 4) == 0);
    CHECK_OK(savepoint_archive_metadata(archive, text, &bytes, sizeof text, &snapshot, SAVEPOINT_METADATA_APPLICATION,
                                        NULL));
    CHECK(bytes == 1 && text[0] == 'x');
    savepoint_archive_close(archive);
    options.durability = SAVEPOINT_SYNC;
    CHECK_OK(savepoint_promote(stage.session, &snapshot, NULL, NULL, &options, NULL));
    CHECK(has(&snapshot, SAVEPOINT_SNAPSHOT_SEALED) && !has(&snapshot, SAVEPOINT_SNAPSHOT_UNSYNCED));
    CHECK(snapshot.changed_pages > 0); /* the session stands on none: whole */
    const struct savepoint_snapshot first = walk_back(path, 1);
    CHECK(has(&first, SAVEPOINT_SNAPSHOT_SEALED));
    stage_close(&stage);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &snapshot, "minute 88", NULL));
    savepoint_archive_close(archive);
}

/* No id was given to two regions. */
static void check_region_ids(struct savepoint_archive *archive)
{
    static char names[64][SAVEPOINT_NAME_BYTES];
    struct savepoint_snapshot snapshot;
    struct savepoint_region region;
    memset(names, 0, sizeof names);
    for (enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL); status == SAVEPOINT_OK;
         status = savepoint_archive_previous(archive, &snapshot, NULL)) {
        for (size_t i = 0; savepoint_archive_region_at(archive, &region, &snapshot, i, NULL) == SAVEPOINT_OK; i++) {
            CHECK(region.id < 64);
            if (names[region.id][0] == '\0') {
                strcpy(names[region.id], region.name);
            }
            CHECK_STR(names[region.id], region.name);
        }
    }
}

/* Regions of the ring's states: one that is new, one that grew, pages left out and taken in again. */
CHECK_TEST(promote, regions_that_come_grow_and_leave_pages_out)
{
    const char *path = scratch_path("regions.svp");
    const char *other = scratch_path("other.svp");
    file_remove(other);
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    struct savepoint_region region;
    struct savepoint_snapshot states[5], promoted;
    uint8_t *second = aligned_alloc(65536, 65536);
    uint8_t byte = 0;
    CHECK(second != NULL);
    memset(second, 5, 65536);
    stage_open(&stage, path, RING_BYTES);
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    states[0] = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    CHECK_OK(savepoint_watch(stage.session, "z", second + 15 * PAGE_BYTES, PAGE_BYTES, NULL));
    CHECK_OK(savepoint_watch(stage.session, "a", second, 4 * PAGE_BYTES, NULL)); /* before it by name, not by id */
    states[1] = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    promote(&states[1].id, NULL); /* of regions that the archive has not met */
    CHECK_OK(savepoint_exclude(stage.session, "a", PAGE_BYTES, 2 * PAGE_BYTES, NULL));
    second[0] = 6;
    states[2] = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    CHECK_OK(savepoint_grow(stage.session, "a", 8 * PAGE_BYTES, NULL));
    states[3] = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    CHECK_OK(savepoint_include(stage.session, "a", PAGE_BYTES, PAGE_BYTES, NULL));
    states[4] = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    promote(NULL, NULL);
    promote(NULL, other);
    for (size_t i = 0; i < 5; i++) { /* each alone, newest first: regions shrink on the way */
        promoted = promote(&states[4 - i].id, other);
        CHECK(same_id(&promoted.digest, &states[4 - i].digest));
    }
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    for (int which = 0; which < 2; which++) {
        CHECK_OK(savepoint_archive_open(&archive, which == 0 ? path : other, NULL));
        CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
        CHECK_EQ(result.findings, 0);
        CHECK_EQ(result.snapshots_checked, which == 0 ? 9 : 10);
        check_region_ids(archive);
        savepoint_archive_close(archive);
    }
    CHECK_OK(savepoint_archive_open(&archive, other, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &promoted, NULL));
    CHECK_EQ(promoted.region_count, 1);
    CHECK_OK(savepoint_archive_previous(archive, &promoted, NULL));
    CHECK_OK(savepoint_archive_region_at(archive, &region, &promoted, 0, NULL));
    CHECK_EQ(region.bytes, 4 * PAGE_BYTES);
    CHECK_OK(savepoint_archive_read(archive, &byte, &promoted, "a", 2 * PAGE_BYTES, 1, NULL));
    CHECK_EQ(byte, 5);
    savepoint_archive_close(archive);
    stage_close(&stage);
    free(second);
}

static int stop_at(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)done_bytes;
    (void)total_bytes;
    CHECK_STATUS(savepoint_take(stage.session, NULL, NULL, NULL), SAVEPOINT_BUSY);
    return --*(int *)user == 0;
}

CHECK_TEST(promote, what_is_refused_and_what_is_stopped)
{
    const char *path = scratch_path("refused.svp");
    const char *other = scratch_path("refused_other.svp");
    struct savepoint_promote_options options = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    struct savepoint_error error;
    struct savepoint_id none = { { 1 } };
    struct savepoint_snapshot untouched = { .sequence = 99 };
    int calls = 3;
    file_remove(other);
    stage_open(&stage, path, 0);
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, NULL, NULL, &error), SAVEPOINT_INVALID);
    stage_close(&stage);
    stage_open(&stage, NULL, RING_BYTES);
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, NULL, NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, "", NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, other, NULL, &error), SAVEPOINT_EMPTY);
    stage_close(&stage);
    stage_open(&stage, path, RING_BYTES);
    for (int i = 0; i < 4; i++) {
        stage_take(&stage, SAVEPOINT_RING);
        stage_write(&stage);
    }
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, &none, NULL, NULL, &error), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, NULL, path, NULL, &error), SAVEPOINT_LOCKED);
    options.durability = (enum savepoint_durability)7;
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, NULL, NULL, &options, &error), SAVEPOINT_INVALID);
    options.durability = SAVEPOINT_SYNC;
    options.label = "\xff";
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, NULL, NULL, &options, &error), SAVEPOINT_INVALID);
    options.label = NULL;
    options.progress = stop_at;
    options.progress_user = &calls;
    CHECK(!file_exists(other));
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, NULL, NULL, &options, &error), SAVEPOINT_CANCELLED);
    CHECK_MSG(strstr(error.message, "2 of 4") != NULL, "%s", error.message);
    calls = 1;
    CHECK_STATUS(savepoint_promote(stage.session, &untouched, NULL, other, &options, &error), SAVEPOINT_CANCELLED);
    CHECK(!file_exists(other));
    CHECK_EQ(untouched.sequence, 99);
    for (size_t i = 0; i < 2; i++) {
        const struct savepoint_snapshot promoted = walk_back(path, i);
        check_promoted(path, &promoted.id, &stage.frames[1 - i]);
    }
    const struct savepoint_snapshot head = walk_back(path, 0);
    check_whole(path, 2, &head.id);
    const struct frame *save = stage_take(&stage, SAVEPOINT_ARCHIVE);
    check_whole(path, 3, &save->snapshot.id);
    CHECK_OK(savepoint_remove(stage.session, "r", NULL));
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, NULL, NULL, &error), SAVEPOINT_MISMATCH);
    check_whole(path, 3, &save->snapshot.id);
    stage_close(&stage);
}

/* The archive's snapshot was gone back to without it, so nothing pends. */
CHECK_TEST(promote, a_page_that_is_left_out_now)
{
    const char *path = scratch_path("left_out.svp");
    stage_open(&stage, path, RING_BYTES);
    const struct savepoint_id save = stage_take(&stage, SAVEPOINT_ARCHIVE)->snapshot.id;
    stage.memory[PAGE_BYTES]++;
    const struct frame *frame = stage_take(&stage, SAVEPOINT_RING);
    CHECK_OK(savepoint_exclude(stage.session, "r", PAGE_BYTES, PAGE_BYTES, NULL));
    CHECK_OK(savepoint_restore(stage.session, &save, NULL, NULL));
    const struct savepoint_snapshot promoted = promote(&frame->snapshot.id, NULL);
    check_promoted(path, &promoted.id, frame);
    check_whole(path, 2, &save);
    stage_close(&stage);
}

/* More than is gathered before it is written: what was written is cut off again. */
CHECK_TEST(promote, what_is_stopped_leaves_nothing_behind)
{
    enum { BYTES = 64 * 65536 };
    const char *path = scratch_path("large.svp");
    struct savepoint_promote_options options = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    uint8_t *large = aligned_alloc(65536, BYTES);
    int calls = 1;
    CHECK(large != NULL);
    stage_open(&stage, path, 4 * BYTES);
    const struct savepoint_id head = stage_take(&stage, SAVEPOINT_ARCHIVE)->snapshot.id;
    random_fill(large, BYTES, &stage.random);
    CHECK_OK(savepoint_watch(stage.session, "large", large, BYTES, NULL));
    stage_take(&stage, SAVEPOINT_RING);
    const struct bytes before = file_read(path);
    options.progress = stop_at;
    options.progress_user = &calls;
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, NULL, &options, NULL), SAVEPOINT_CANCELLED);
    check_file(path, before, "cancelled");
    check_whole(path, 1, &head);
    const struct savepoint_snapshot promoted = promote(NULL, NULL);
    CHECK(promoted.stored_bytes > BYTES);
    const struct frame *save = stage_take(&stage, SAVEPOINT_ARCHIVE);
    check_whole(path, 3, &save->snapshot.id);
    stage_close(&stage);
    free(before.at);
    free(large);
}

CHECK_TEST(promote, a_ring_that_something_wrote_into_is_told)
{
    const char *path = scratch_path("stray.svp");
    struct savepoint_error error;
    file_remove(path);
    stage_open(&stage, NULL, RING_BYTES);
    stage_take(&stage, SAVEPOINT_RING);
    random_fill(stage.memory, PAGE_BYTES, &stage.random);
    const struct frame *last = stage_take(&stage, SAVEPOINT_RING);
    struct svp_ring_mark mark;
    CHECK(svp_ring_oldest(&stage.session->ring, &mark));
    stage.session->ring.arena[(mark.position + 2000) % stage.session->ring.capacity] ^= 1; /* in the record of a page */
    CHECK_STATUS(savepoint_promote(stage.session, NULL, NULL, path, NULL, &error), SAVEPOINT_CORRUPT);
    CHECK(!file_exists(path));
    stage_check_restore(&stage, last);
    stage_close(&stage);
}
