/* test_load.c - snapshots of an archive become snapshots of the ring: what they are, and that nothing else changes */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "promote_world.h"

enum { RING_BYTES = 4 << 20 };

static struct stage stage;

static struct savepoint_snapshot load(const char *path, const char *expression)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status = savepoint_load(stage.session, &snapshot, path, expression, NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s", error.message);
    CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_RING) != 0);
    return snapshot;
}

static struct savepoint_snapshot load_id(const char *path, const struct savepoint_id *id)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(id, text);
    return load(path, text);
}

/* Memory is what it was; the next takes of both histories bring it back, and stand on what they would have. */
CHECK_TEST(load, memory_and_what_is_taken_next_are_as_if_nothing_was)
{
    const char *path = scratch_path("load.svp");
    static uint8_t before[REGION_PAGES * PAGE_BYTES];
    struct frame *saves[6];
    stage_open(&stage, path, RING_BYTES);
    for (int i = 0; i < 6; i++) {
        saves[i] = stage_take(&stage, SAVEPOINT_ARCHIVE);
        stage_write(&stage);
    }
    struct frame *frame = stage_take(&stage, SAVEPOINT_RING);
    for (int i = 0; i < 6; i++) {
        stage_write(&stage);
        memcpy(before, stage.memory, sizeof before);
        const struct savepoint_snapshot loaded = load_id(NULL, &saves[(i + 4) % 6]->snapshot.id);
        CHECK_MEM(stage.memory, before, sizeof before);
        CHECK(same_id(&loaded.digest, &saves[(i + 4) % 6]->snapshot.digest));
        CHECK(!same_id(&loaded.id, &saves[(i + 4) % 6]->snapshot.id));
        CHECK(same_id(&loaded.parent, &frame->snapshot.id));
        CHECK_EQ(loaded.time_ns, saves[(i + 4) % 6]->snapshot.time_ns);
        CHECK_STR(loaded.label, "save");
        stage_note(&stage, &loaded, saves[(i + 4) % 6]->memory);
        const struct frame *next = stage_take(&stage, SAVEPOINT_RING);
        CHECK(same_id(&next->snapshot.parent, &frame->snapshot.id));
        CHECK_MEM(next->memory, before, sizeof before);
        frame = &stage.frames[stage.frame_count - 1];
        if (i % 2 == 0) {
            load(NULL, "HEAD");
            stage_write(&stage);
            const struct frame *save = stage_take(&stage, SAVEPOINT_ARCHIVE);
            CHECK_EQ(save->snapshot.flags & SAVEPOINT_SNAPSHOT_NO_HEAD, 0);
        }
    }
    for (size_t i = 0; i < stage.frame_count; i++) {
        const struct frame *other = &stage.frames[i * 7 % stage.frame_count];
        if ((other->snapshot.flags & SAVEPOINT_SNAPSHOT_RING) != 0) {
            stage_check_restore(&stage, other);
        }
    }
    for (size_t i = 0; i < stage.frame_count; i++) {
        if ((stage.frames[i].snapshot.flags & SAVEPOINT_SNAPSHOT_RING) == 0) {
            stage_check_restore(&stage, &stage.frames[i]);
        }
    }
    const struct savepoint_id head = stage_take(&stage, SAVEPOINT_ARCHIVE)->snapshot.id;
    stage_close(&stage);
    check_whole(path, 10, &head);
}

CHECK_TEST(load, a_save_of_another_archive_joins_the_ring_of_a_session_without_one)
{
    const char *path = scratch_path("from.svp");
    struct savepoint_snapshot promoted[5], newest;
    stage_open(&stage, path, RING_BYTES);
    struct frame saves[5];
    for (int i = 0; i < 5; i++) {
        saves[i] = *stage_take(&stage, SAVEPOINT_ARCHIVE);
        stage_write(&stage);
    }
    stage_close(&stage);
    stage_open(&stage, NULL, RING_BYTES);
    stage_write(&stage);
    const struct frame frame = *stage_take(&stage, SAVEPOINT_RING);
    stage_write(&stage);
    for (int i = 0; i < 5; i++) {
        promoted[i] = load_id(path, &saves[i].snapshot.id);
        CHECK(same_id(&promoted[i].digest, &saves[i].snapshot.digest));
        saves[i].snapshot = promoted[i];
    }
    CHECK_OK(savepoint_ring_newest(stage.session, &newest, NULL));
    CHECK(same_id(&newest.id, &promoted[4].id));
    for (int i = 0; i < 5; i++) {
        stage_check_restore(&stage, &saves[i * 3 % 5]);
        stage_check_restore(&stage, &frame);
    }
    const char *replay = scratch_path("again.svp");
    file_remove(replay);
    CHECK_OK(savepoint_promote(stage.session, &newest, &promoted[2].id, replay, NULL, NULL));
    check_promoted(replay, &newest.id, &saves[2]);
    stage_close(&stage);
}

/* What the session leaves out, or has larger, than the snapshot; and a region that it has beside. */
CHECK_TEST(load, regions_that_are_not_quite_the_same)
{
    const char *path = scratch_path("regions.svp");
    uint8_t *second = aligned_alloc(65536, 65536);
    CHECK(second != NULL);
    memset(second, 3, 65536);
    stage_open(&stage, path, RING_BYTES);
    struct frame first = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_exclude(stage.session, "r", 2 * PAGE_BYTES, PAGE_BYTES, NULL));
    const struct frame without = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_watch(stage.session, "z", second, 4 * PAGE_BYTES, NULL));
    CHECK_OK(savepoint_grow(stage.session, "r", (REGION_PAGES + 1) * PAGE_BYTES, NULL));
    memset(stage.memory, 9, (REGION_PAGES + 1) * PAGE_BYTES);
    const struct savepoint_snapshot frame = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    first.snapshot = load_id(NULL, &first.snapshot.id);
    CHECK(same_id(&first.snapshot.digest, &stage.frames[0].snapshot.digest));
    const struct savepoint_snapshot left_out = load_id(NULL, &without.snapshot.id);
    CHECK(same_id(&left_out.digest, &without.snapshot.digest));
    const struct savepoint_snapshot again = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    CHECK(same_id(&again.digest, &frame.digest));
    CHECK_OK(savepoint_restore(stage.session, &first.snapshot.id, NULL, NULL));
    memset(first.memory + 2 * PAGE_BYTES, 9, PAGE_BYTES); /* left out here */
    CHECK_MEM(stage.memory, first.memory, sizeof first.memory);
    CHECK(stage.memory[REGION_PAGES * PAGE_BYTES] == 0 && second[0] == 3);
    CHECK_OK(savepoint_include(stage.session, "r", 2 * PAGE_BYTES, PAGE_BYTES, NULL));
    CHECK_OK(savepoint_restore(stage.session, &left_out.id, NULL, NULL));
    CHECK_EQ(stage.memory[2 * PAGE_BYTES], 9);
    CHECK_OK(savepoint_restore(stage.session, &first.snapshot.id, NULL, NULL));
    CHECK_MEM(stage.memory, stage.frames[0].memory, sizeof first.memory);
    const struct frame *last = stage_take(&stage, SAVEPOINT_ARCHIVE);
    stage_close(&stage);
    check_whole(path, 3, &last->snapshot.id);
    free(second);
}

/* The ring takes no part of it: what it holds, and where it stands, is as before. */
static void check_refused(const struct savepoint_snapshot *newest, enum savepoint_status wanted, const char *path,
                          const char *expression)
{
    struct savepoint_statistics before = { .size = sizeof before };
    struct savepoint_statistics after = { .size = sizeof after };
    struct savepoint_snapshot snapshot = { .sequence = 99 };
    struct savepoint_error error;
    CHECK_OK(savepoint_read_statistics(stage.session, &before, NULL));
    CHECK_STATUS(savepoint_load(stage.session, &snapshot, path, expression, NULL, &error), wanted);
    CHECK_EQ(snapshot.sequence, 99);
    CHECK_OK(savepoint_read_statistics(stage.session, &after, NULL));
    CHECK(before.ring_bytes == after.ring_bytes && before.ring_snapshots == after.ring_snapshots);
    CHECK_OK(savepoint_ring_newest(stage.session, &snapshot, NULL));
    CHECK(same_id(&snapshot.id, &newest->id));
}

static int stop_at(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    CHECK_EQ(total_bytes, REGION_PAGES * PAGE_BYTES);
    CHECK(done_bytes <= total_bytes);
    CHECK_STATUS(savepoint_take(stage.session, NULL, NULL, NULL), SAVEPOINT_BUSY);
    return --*(int *)user == 0;
}

CHECK_TEST(load, what_is_refused_and_what_is_stopped)
{
    const char *path = scratch_path("source.svp");
    struct savepoint_load_options options = SAVEPOINT_LOAD_OPTIONS_INIT;
    struct savepoint_error error;
    int calls = 1;
    stage_open(&stage, path, 0);
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK_STATUS(savepoint_load(stage.session, NULL, NULL, "HEAD", NULL, &error), SAVEPOINT_INVALID);
    stage_close(&stage);
    stage_open(&stage, NULL, RING_BYTES);
    const struct savepoint_snapshot frame = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    check_refused(&frame, SAVEPOINT_INVALID, NULL, "HEAD");
    check_refused(&frame, SAVEPOINT_INVALID, path, NULL);
    check_refused(&frame, SAVEPOINT_NOT_FOUND, path, "nobody");
    check_refused(&frame, SAVEPOINT_IO, scratch_path("missing.svp"), "HEAD");
    options.label = "\xff";
    CHECK_STATUS(savepoint_load(stage.session, NULL, path, "HEAD", &options, &error), SAVEPOINT_INVALID);
    options.label = "chosen";
    options.progress = stop_at;
    options.progress_user = &calls;
    CHECK_STATUS(savepoint_load(stage.session, NULL, path, "HEAD", &options, &error), SAVEPOINT_CANCELLED);
    calls = 9;
    CHECK_OK(savepoint_load(stage.session, NULL, path, "HEAD", &options, &error));
    struct savepoint_snapshot loaded;
    CHECK_OK(savepoint_find(stage.session, &loaded, "chosen", NULL));
    stage_check_restore(&stage, &stage.frames[0]);
    CHECK_OK(savepoint_remove(stage.session, "r", NULL));
    CHECK_STATUS(savepoint_load(stage.session, NULL, path, "HEAD", NULL, &error), SAVEPOINT_MISMATCH);
    CHECK_MSG(strstr(error.message, "'r'") != NULL, "%s", error.message);
    CHECK_OK(savepoint_watch(stage.session, "r", stage.memory, 65536, NULL));
    CHECK_STATUS(savepoint_load(stage.session, NULL, path, "HEAD", NULL, &error), SAVEPOINT_MISMATCH);
    CHECK_MSG(strstr(error.message, "'r'") != NULL, "%s", error.message);
    stage_close(&stage);
}

/* From a budget for nothing to one for all: either it is refused and all is as before, or it is there, and the snapshot
 * that the ring stood on with it. */
CHECK_TEST(load, a_budget_too_small_says_so_and_loses_nothing)
{
    const char *path = scratch_path("budget.svp");
    unsigned refused = 0, loaded = 0;
    stage_open(&stage, path, 0);
    const struct frame save = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    stage_close(&stage);
    for (uint64_t budget = 2000; budget < 3 * REGION_PAGES * PAGE_BYTES; budget += 2311) {
        struct savepoint_snapshot snapshot;
        stage_open(&stage, NULL, budget);
        stage_take(&stage, SAVEPOINT_RING);
        memset(stage.memory, 0x55, REGION_PAGES * PAGE_BYTES);
        for (int i = 0; i < 3; i++) {
            stage_write(&stage);
            stage_take(&stage, SAVEPOINT_RING);
        }
        const struct frame *last = &stage.frames[stage.frame_count - 1];
        stage_write(&stage);
        if (savepoint_load(stage.session, &snapshot, path, "HEAD", NULL, NULL) == SAVEPOINT_OK) {
            struct frame frame = save;
            frame.snapshot = snapshot;
            stage_check_restore(&stage, last);
            stage_check_restore(&stage, &frame);
            stage_check_restore(&stage, last);
            loaded++;
        } else {
            check_refused(&last->snapshot, SAVEPOINT_LIMIT, path, "HEAD");
            stage_check_restore(&stage, last);
            refused++;
        }
        stage_close(&stage);
    }
    CHECK_MSG(refused > 20 && loaded > 20, "%u refused, %u loaded", refused, loaded);
}

/* The region is small in the state between: what lies behind it has not moved when it is there again. */
CHECK_TEST(load, a_smaller_state_between_larger_ones_is_promoted)
{
    const char *path = scratch_path("small.svp");
    const char *to = scratch_path("small_to.svp");
    uint8_t byte = 0;
    struct savepoint_snapshot newest;
    struct savepoint_archive *archive = NULL;
    file_remove(to);
    stage_open(&stage, path, RING_BYTES);
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_grow(stage.session, "r", (REGION_PAGES + 1) * PAGE_BYTES, NULL));
    stage.memory[REGION_PAGES * PAGE_BYTES] = 77;
    const struct savepoint_snapshot large = stage_take(&stage, SAVEPOINT_RING)->snapshot;
    load(NULL, "HEAD");
    stage_take(&stage, SAVEPOINT_RING);
    CHECK_OK(savepoint_promote(stage.session, &newest, NULL, to, NULL, NULL));
    stage_close(&stage);
    check_whole(to, 3, &newest.id);
    CHECK(same_id(&newest.digest, &large.digest));
    CHECK_OK(savepoint_archive_open(&archive, to, NULL));
    CHECK_OK(savepoint_archive_read(archive, &byte, &newest, "r", REGION_PAGES * PAGE_BYTES, 1, NULL));
    CHECK_EQ(byte, 77);
    savepoint_archive_close(archive);
}

/* Zeros in the snapshot, where nothing is stored; something else in the shadow, which is left out now. */
CHECK_TEST(load, a_page_that_is_left_out_now_comes_back_as_it_was)
{
    const char *path = scratch_path("out.svp");
    const size_t page = REGION_PAGES - 1;
    stage_open(&stage, path, RING_BYTES);
    struct frame zeros = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    stage.memory[page * PAGE_BYTES] = 5;
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_exclude(stage.session, "r", page * PAGE_BYTES, PAGE_BYTES, NULL));
    zeros.snapshot = load_id(NULL, &zeros.snapshot.id);
    CHECK_OK(savepoint_include(stage.session, "r", page * PAGE_BYTES, PAGE_BYTES, NULL));
    stage_check_restore(&stage, &zeros);
    stage_close(&stage);
}

/* Nothing was taken or restored of it yet: a restore may think that it is zeros. */
CHECK_TEST(load, into_a_mapped_region_that_is_as_it_was_mapped)
{
    const char *path = scratch_path("mapped.svp");
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_snapshot saves[2], loaded;
    struct savepoint *session = NULL;
    uint64_t random = 1;
    file_remove(path);
    options.ring_bytes = RING_BYTES;
    for (int run = 0; run < 2; run++) {
        void *memory = NULL;
        uint8_t *bytes;
        CHECK_OK(savepoint_open(&session, path, &options, NULL));
        CHECK_OK(savepoint_map(session, &memory, "m", 65536, NULL, NULL));
        bytes = memory;
        for (int i = 0; i < 2 && run == 0; i++) {
            random_fill(bytes, 16384, &random);
            memset(bytes + 16384, i == 0 ? 8 : 0, 16384); /* zeros in the newer one */
            CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
            CHECK_OK(savepoint_wait(session, 0, &saves[i], NULL));
        }
        if (run == 1) {
            CHECK_OK(savepoint_load(session, &loaded, NULL, "HEAD~1", NULL, NULL));
            CHECK_EQ(bytes[0] | bytes[20000], 0);
            CHECK_OK(savepoint_resume(session, NULL, NULL));
            CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
            CHECK_OK(savepoint_wait(session, 0, &saves[0], NULL));
            CHECK_MEM(&saves[0].digest, &saves[1].digest, sizeof saves[0].digest);
            CHECK_OK(savepoint_restore(session, &loaded.id, NULL, NULL));
            CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
            CHECK_OK(savepoint_wait(session, 0, &saves[0], NULL));
            CHECK_MEM(&saves[0].digest, &loaded.digest, sizeof saves[0].digest);
        }
        CHECK_OK(savepoint_close(session, NULL));
    }
}
