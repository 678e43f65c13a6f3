/* verify.c - checking one snapshot whole */
#include "archive/verify.h"

#include <string.h>

#include "format/memory.h"
#include "format/sparse_root.h"
#include "status.h"

enum savepoint_status svp_verify_step(struct svp_verify_pace *pace, uint64_t bytes, struct savepoint_error *error)
{
    enum { BYTES_BETWEEN_CALLS = 8 << 20 };
    uint64_t before = pace->done_bytes;
    pace->done_bytes += bytes;
    bool due = before / BYTES_BETWEEN_CALLS != pace->done_bytes / BYTES_BETWEEN_CALLS;
    if (pace->progress != NULL && due && pace->progress(pace->user, pace->done_bytes, pace->total_bytes) != 0) {
        return svp_status_fail(error, SAVEPOINT_CANCELLED, "verify", "cancelled");
    }
    return SAVEPOINT_OK;
}

/* The region's root, every stored page decoded. */
static enum savepoint_status
check_region(struct svp_reader *reader, const struct svp_region_entry *entry, const struct svp_page_map *map,
             struct svp_hash *root, uint64_t *pages_checked, struct svp_verify_pace *pace,
             struct savepoint_error *error)
{
    struct svp_sparse_root sparse;
    uint8_t page_bytes[SVP_PAGE_BYTES];
    svp_sparse_root_open(&sparse, map->pages);
    uint64_t page = svp_page_map_next(map, 0);
    for (; page != UINT64_MAX; page = svp_page_map_next(map, page + 1)) {
        struct svp_page_origin origin;
        if (svp_region_excludes(entry, page)) {
            continue;
        }
        enum savepoint_status status =
            svp_reader_page(reader, page_bytes, &origin, svp_page_map_get(map, page), entry->id, page, error);
        status = status == SAVEPOINT_OK ? svp_verify_step(pace, SVP_PAGE_BYTES, error) : status;
        if (status != SAVEPOINT_OK) {
            return status;
        }
        svp_sparse_root_add(&sparse, page, &origin.hash);
        ++*pages_checked;
    }
    *root = svp_sparse_root_finish(&sparse);
    return SAVEPOINT_OK;
}

static enum savepoint_status
check_regions(struct svp_reader *reader, const struct svp_region_table *table, struct svp_page_map *maps,
              uint64_t commit_offset, struct svp_buffer *state, uint64_t *pages_checked, struct svp_verify_pace *pace,
              struct savepoint_error *error)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (!svp_page_map_open(&maps[i], table->entries[i].id, table->entries[i].bytes / SVP_PAGE_BYTES)) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "verify", "%s: no memory for a page table",
                                   reader->source->path);
        }
    }
    enum savepoint_status status = svp_reader_map(reader, maps, table->count, commit_offset, error);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        struct svp_hash root;
        status = check_region(reader, &table->entries[i], &maps[i], &root, pages_checked, pace, error);
        if (status == SAVEPOINT_OK) {
            svp_state_add(state, &table->entries[i], &root);
        }
    }
    return status;
}

static enum savepoint_status check_metadata(const struct svp_source *source, const struct svp_commit *commit,
                                            uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    if (commit->metadata != 0) {
        status = svp_source_record(source, &record, &body, commit->metadata, SVP_META, error);
    }
    if (status == SAVEPOINT_OK) {
        struct svp_hash hash = svp_digest128(0, body.bytes, body.count);
        bool same = memcmp(hash.bytes, commit->metadata_hash.bytes, sizeof hash.bytes) == 0;
        status = svp_source_verdict(source, same ? SVP_GOOD : SVP_BAD, commit_offset, "metadata hash", error);
    }
    svp_buffer_free(&body);
    return status;
}

enum savepoint_status
svp_verify_identity(const struct svp_source *source, const struct svp_commit *commit, const struct svp_buffer *state,
                    const uint8_t history_uuid[16], uint64_t commit_offset, struct savepoint_error *error)
{
    enum savepoint_status status = check_metadata(source, commit, commit_offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (state->failed) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "verify", "no memory");
    }
    struct svp_hash root = svp_digest128(0, state->bytes, state->count);
    struct svp_hash id = svp_commit_identity(commit, history_uuid);
    if (memcmp(root.bytes, commit->state_root.bytes, sizeof root.bytes) != 0) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, commit_offset, "verify",
                             "%s: the snapshot's pages do not add up to its digest", source->path);
    }
    /* Where the SEGMENT with the history's UUID is lost, which is a finding of its own, ids cannot be checked. */
    static const uint8_t uuid_lost[16];
    bool id_known = memcmp(history_uuid, uuid_lost, sizeof uuid_lost) != 0;
    if (id_known && memcmp(id.bytes, commit->id.bytes, sizeof id.bytes) != 0) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, commit_offset, "verify", "%s: the snapshot's id is not its own",
                             source->path);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_verify_snapshot(struct svp_reader *reader, uint64_t commit_offset, const uint8_t history_uuid[16],
                    uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_region_table table = { 0 };
    struct svp_page_map *maps = NULL;
    struct svp_buffer state = { 0 };
    enum savepoint_status status = svp_source_commit(reader->source, &commit, commit_offset, error);
    status = status == SAVEPOINT_OK ? svp_source_regions(reader->source, &table, commit.regions, error) : status;
    if (status == SAVEPOINT_OK) {
        maps = svp_memory_zalloc(table.count, sizeof *maps);
        status = maps != NULL ? check_regions(reader, &table, maps, commit_offset, &state, pages_checked, pace, error)
                              : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "verify", "no memory");
    }
    status = status == SAVEPOINT_OK
                 ? svp_verify_identity(reader->source, &commit, &state, history_uuid, commit_offset, error)
                 : status;
    for (uint32_t i = 0; maps != NULL && i < table.count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
    svp_buffer_free(&state);
    svp_regions_free(&table);
    return status;
}
