/* program_check.c - what holds after every step, and what a finished archive holds */
#include "program.h"

#include <stdio.h>

enum { RANGES = 4 };

void program_check_memory(const struct program *program)
{
    const struct model_state *live = &program->model.live;
    for (size_t i = 0; i < live->region_count; i++) {
        const struct model_region *region = &live->regions[i];
        const uint8_t *memory = (const uint8_t *)(uintptr_t)region->address;
        for (size_t at = 0; at < region->pages * MODEL_PAGE_BYTES; at += MODEL_PAGE_BYTES) {
            if (memcmp(memory + at, region->bytes + at, MODEL_PAGE_BYTES) != 0) {
                char text[80];
                snprintf(text, sizeof text, "page %zu of region '%s' differs from the model", at / MODEL_PAGE_BYTES,
                         region->name);
                program_fail(program, CHECK_WHERE_, text);
            }
        }
    }
}

void program_check_session(const struct program *program)
{
    const struct model *model = &program->model;
    struct savepoint_snapshot head;
    struct savepoint_region region;
    struct savepoint_error error;
    for (size_t i = 0; i < model->live.region_count; i++) {
        PROGRAM_STATUS(program, savepoint_region_at(program->session, &region, i, &error), SAVEPOINT_OK, &error);
        const struct model_region *expected = model_find_region(&model->live, region.name);
        PROGRAM_CHECK(program, expected != NULL && region.bytes == expected->pages * MODEL_PAGE_BYTES);
        PROGRAM_CHECK(program, region.address == expected->address);
        PROGRAM_CHECK(program, strcmp(region.backend, program->backend) == 0);
    }
    if (model->pending_count == 0) {
        enum savepoint_status wanted = model->snapshot_count > 0 ? SAVEPOINT_OK : SAVEPOINT_EMPTY;
        PROGRAM_STATUS(program, savepoint_find(program->session, &head, "HEAD", &error), wanted, &error);
        PROGRAM_CHECK(program, wanted != SAVEPOINT_OK || memcmp(&head.id, &model->head, sizeof head.id) == 0);
    }
}

static void check_regions(struct program *program, struct savepoint_archive *archive,
                          const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected)
{
    struct savepoint_region region;
    struct savepoint_error error;
    char before[SAVEPOINT_NAME_BYTES] = "";
    PROGRAM_CHECK(program, snapshot->region_count == expected->state.region_count);
    for (size_t i = 0; i < snapshot->region_count; i++) {
        PROGRAM_STATUS(program, savepoint_archive_region_at(archive, &region, snapshot, i, &error), SAVEPOINT_OK,
                       &error);
        const struct model_region *stored = model_find_region(&expected->state, region.name);
        PROGRAM_CHECK(program, stored != NULL && strcmp(before, region.name) < 0);
        PROGRAM_CHECK(program, region.bytes == stored->pages * MODEL_PAGE_BYTES);
        PROGRAM_CHECK(program, region.address == stored->address);
        PROGRAM_CHECK(program, region.flags == (stored->mapped ? SAVEPOINT_REGION_MAPPED : 0u));
        size_t excluded = 0;
        for (size_t page = 0; page < stored->pages; page++) {
            excluded += stored->excluded[page] ? 1 : 0;
        }
        PROGRAM_CHECK(program, region.excluded_bytes == excluded * MODEL_PAGE_BYTES);
        memcpy(before, region.name, sizeof before);
    }
    PROGRAM_STATUS(program, savepoint_archive_region_at(archive, &region, snapshot, snapshot->region_count, &error),
                   SAVEPOINT_NOT_FOUND, &error);
}

static void check_contents(struct program *program, struct savepoint_archive *archive,
                           const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected)
{
    static uint8_t read[2 * PROGRAM_MAPPED_PAGES * MODEL_PAGE_BYTES];
    struct savepoint_error error;
    for (size_t i = 0; i < expected->state.region_count; i++) {
        const struct model_region *stored = &expected->state.regions[i];
        size_t total = stored->pages * MODEL_PAGE_BYTES;
        for (unsigned k = 0; k <= RANGES; k++) { /* all of it, then parts */
            size_t offset = k == 0 ? 0 : model_below(&program->random, total + 1);
            size_t bytes = k == 0 ? total : model_below(&program->random, total - offset + 1);
            bytes = k > 0 && bytes > 9000 ? bytes % 9000 : bytes;
            PROGRAM_STATUS(program,
                           savepoint_archive_read(archive, read, snapshot, stored->name, offset, bytes, &error),
                           SAVEPOINT_OK, &error);
            PROGRAM_CHECK(program, memcmp(read, stored->bytes + offset, bytes) == 0);
            program->counts->bytes_read += bytes;
        }
        PROGRAM_STATUS(program, savepoint_archive_read(archive, read, snapshot, stored->name, total, 1, &error),
                       SAVEPOINT_INVALID, &error);
    }
}

static void check_metadata(struct program *program, struct savepoint_archive *archive,
                           const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected)
{
    uint8_t value[sizeof expected->metadata];
    size_t bytes = 0;
    struct savepoint_error error;
    enum savepoint_status status = savepoint_archive_metadata(archive, value, &bytes, sizeof value, snapshot,
                                                              SAVEPOINT_METADATA_APPLICATION, &error);
    PROGRAM_CHECK(program, status == SAVEPOINT_OK || expected->metadata_bytes == 0);
    PROGRAM_CHECK(program, bytes == expected->metadata_bytes && memcmp(value, expected->metadata, bytes) == 0);
}

void program_check_snapshot(struct program *program, struct savepoint_archive *archive,
                            const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected)
{
    PROGRAM_CHECK(program, memcmp(&snapshot->id, &expected->id, sizeof snapshot->id) == 0);
    PROGRAM_CHECK(program, memcmp(&snapshot->parent, &expected->parent, sizeof snapshot->parent) == 0);
    PROGRAM_CHECK(program, memcmp(&snapshot->digest, &expected->digest, sizeof snapshot->digest) == 0);
    PROGRAM_CHECK(program, snapshot->sequence == expected->sequence);
    PROGRAM_CHECK(program, strcmp(snapshot->label, expected->label) == 0);
    PROGRAM_CHECK(program, (snapshot->flags & SAVEPOINT_SNAPSHOT_SEALED) != 0); /* the writer closed it well */
    check_regions(program, archive, snapshot, expected);
    check_contents(program, archive, snapshot, expected);
    check_metadata(program, archive, snapshot, expected);
    program->counts->snapshots_read++;
}

static void check_own(struct program *program, struct savepoint_archive *archive,
                      const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected)
{
    static const struct savepoint_id none;
    struct savepoint_snapshot parent = *snapshot;
    struct savepoint_error error;
    program_check_snapshot(program, archive, snapshot, expected);
    bool unsynced = expected->durability != SAVEPOINT_SYNC;
    PROGRAM_CHECK(program, ((snapshot->flags & SAVEPOINT_SNAPSHOT_UNSYNCED) != 0) == unsynced);
    bool root = memcmp(&expected->parent, &none, sizeof none) == 0;
    PROGRAM_CHECK(program, ((snapshot->flags & SAVEPOINT_SNAPSHOT_ROOT) != 0) == root);
    bool head = memcmp(&expected->id, &program->model.head, sizeof expected->id) == 0;
    PROGRAM_CHECK(program, ((snapshot->flags & SAVEPOINT_SNAPSHOT_HEAD) != 0) == head);
    PROGRAM_STATUS(program, savepoint_archive_parent(archive, &parent, &error),
                   root ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, root || memcmp(&parent.id, &expected->parent, sizeof parent.id) == 0);
}

/* Equal contents if and only if equal digest. */
static void check_digests(const struct program *program)
{
    const struct model *model = &program->model;
    for (size_t i = 0; i < model->snapshot_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct model_snapshot *a = &model->snapshots[i];
            const struct model_snapshot *b = &model->snapshots[k];
            bool same_digest = memcmp(&a->digest, &b->digest, sizeof a->digest) == 0;
            PROGRAM_CHECK(program, same_digest == model_equal(&a->state, &b->state));
        }
    }
}

static void report_finding(void *user, const struct savepoint_finding *finding)
{
    program_fail(user, "savepoint_archive_verify", finding->message);
}

static void verify(struct program *program, struct savepoint_archive *archive)
{
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result = { 0 };
    struct savepoint_error error;
    options.report = report_finding;
    options.report_user = program;
    PROGRAM_STATUS(program, savepoint_archive_verify(archive, &result, &options, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.findings == 0);
    PROGRAM_CHECK(program, result.snapshots_checked == program->model.snapshot_count);
}

void program_check_archive(struct program *program)
{
    const struct model *model = &program->model;
    struct savepoint_archive *archive = NULL;
    struct savepoint_archive_info info;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    if (model->snapshot_count == 0) {
        return;
    }
    PROGRAM_STATUS(program, savepoint_archive_open(&archive, program->path, &error), SAVEPOINT_OK, &error);
    savepoint_archive_describe(archive, &info);
    PROGRAM_CHECK(program, info.snapshot_count == model->snapshot_count);
    PROGRAM_CHECK(program, info.damage_offset == UINT64_MAX && info.torn_bytes == 0 && info.writer_active == 0);
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, &error);
    for (size_t i = model->snapshot_count; i > 0; i--) {
        program_status(program, CHECK_WHERE_, status, SAVEPOINT_OK, &error);
        check_own(program, archive, &snapshot, &model->snapshots[i - 1]);
        status = savepoint_archive_previous(archive, &snapshot, &error);
    }
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_NOT_FOUND, &error);
    check_digests(program);
    verify(program, archive);
    savepoint_archive_close(archive);
}
