/* promote_world.c - a session with a ring over some regions, its states as plain copies, and archives against them */
#define _POSIX_C_SOURCE 200809L
#include "promote_world.h"

#include <stdlib.h>

bool same_id(const struct savepoint_id *left, const struct savepoint_id *right)
{
    return memcmp(left, right, sizeof *left) == 0;
}

void stage_open(struct stage *stage, const char *path, uint64_t ring_bytes)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.ring_bytes = ring_bytes;
    options.watch = backend_name(0);
    stage->path = path;
    stage->random = 7;
    stage->frame_count = 0;
    if (path != NULL) {
        file_remove(path);
    }
    stage->memory = aligned_alloc(65536, 65536 * 3);
    CHECK(stage->memory != NULL);
    random_fill(stage->memory, REGION_PAGES * PAGE_BYTES / 2, &stage->random);
    memset(stage->memory + REGION_PAGES * PAGE_BYTES / 2, 0, REGION_PAGES * PAGE_BYTES / 2);
    CHECK_OK(savepoint_open(&stage->session, path, &options, NULL));
    CHECK_OK(savepoint_watch(stage->session, "r", stage->memory, REGION_PAGES * PAGE_BYTES, NULL));
}

void stage_close(struct stage *stage)
{
    CHECK_OK(savepoint_close(stage->session, NULL));
    free(stage->memory);
}

void stage_write(struct stage *stage)
{
    for (int i = 0; i < 5; i++) {
        uint8_t *page = stage->memory + random_next(&stage->random) % REGION_PAGES * PAGE_BYTES;
        switch (random_next(&stage->random) % 4) {
        case 0:
            random_fill(page, PAGE_BYTES, &stage->random);
            break;
        case 1:
            memset(page, 0, PAGE_BYTES);
            break;
        default:
            page[random_next(&stage->random) % PAGE_BYTES]++;
        }
    }
}

struct frame *stage_note(struct stage *stage, const struct savepoint_snapshot *snapshot, const uint8_t *memory)
{
    CHECK(stage->frame_count < FRAMES_MAX);
    struct frame *frame = &stage->frames[stage->frame_count++];
    frame->snapshot = *snapshot;
    memcpy(frame->memory, memory, sizeof frame->memory);
    return frame;
}

struct frame *stage_take(struct stage *stage, uint32_t history)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    options.history = history;
    options.label = history == SAVEPOINT_RING ? "frame" : "save";
    CHECK_OK(savepoint_take(stage->session, &ticket, &options, NULL));
    CHECK_OK(savepoint_wait(stage->session, ticket, &snapshot, NULL));
    return stage_note(stage, &snapshot, stage->memory);
}

void stage_check_restore(struct stage *stage, const struct frame *frame)
{
    struct savepoint_error error;
    CHECK_STATUS(savepoint_restore(stage->session, &frame->snapshot.id, NULL, &error), SAVEPOINT_OK);
    CHECK_MEM(stage->memory, frame->memory, sizeof frame->memory);
}

void check_promoted(const char *path, const struct savepoint_id *id, const struct frame *origin)
{
    static uint8_t memory[REGION_PAGES * PAGE_BYTES];
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_id made_from;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    size_t bytes = 0;
    savepoint_id_format(id, text);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &snapshot, text, NULL));
    CHECK(same_id(&snapshot.digest, &origin->snapshot.digest));
    CHECK(!same_id(&snapshot.id, &origin->snapshot.id));
    CHECK_EQ(snapshot.time_ns, origin->snapshot.time_ns);
    CHECK_OK(savepoint_archive_metadata(archive, &made_from, &bytes, sizeof made_from, &snapshot,
                                        SAVEPOINT_METADATA_ORIGIN, NULL));
    CHECK(bytes == sizeof made_from && same_id(&made_from, &origin->snapshot.id));
    CHECK_OK(savepoint_archive_read(archive, memory, &snapshot, "r", 0, sizeof memory, NULL));
    CHECK_MEM(memory, origin->memory, sizeof memory);
    savepoint_archive_close(archive);
}

static void report_finding(void *user, const struct savepoint_finding *finding)
{
    (void)user;
    CHECK_MSG(false, "%s", finding->message);
}

void check_whole(const char *path, size_t snapshots, const struct savepoint_id *head)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result;
    struct savepoint_snapshot snapshot;
    options.report = report_finding;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, &options, NULL));
    CHECK_EQ(result.findings, 0);
    CHECK_EQ(result.snapshots_checked, snapshots);
    CHECK_OK(savepoint_archive_find(archive, &snapshot, "HEAD", NULL));
    CHECK(same_id(&snapshot.id, head));
    savepoint_archive_close(archive);
}
