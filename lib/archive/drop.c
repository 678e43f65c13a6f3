/* drop.c - savepoint_archive_drop: a tombstone for each of some snapshots */
#include <string.h>

#include "archive/append.h"
#include "archive/catalog.h"
#include "format/memory.h"
#include "status.h"

/* Whether the snapshot may go, and its tombstone. */
static enum savepoint_status prepare(struct svp_catalog *catalog, struct svp_tombstone *tombstone,
                                     const struct savepoint_id *id, struct savepoint_error *error)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = svp_catalog_find_id(catalog, &snapshot, id, error);
    savepoint_id_format(id, text);
    if (status == SAVEPOINT_OK && (snapshot.flags & SAVEPOINT_SNAPSHOT_HEAD) != 0) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "drop",
                                 "%s: snapshot %.8s is HEAD, what programs resume from: restore another one first",
                                 catalog->source->path, text);
    }
    if (status == SAVEPOINT_OK && svp_catalog_is_named(catalog, snapshot.file_offset)) {
        status =
            svp_status_fail(error, SAVEPOINT_INVALID, "drop",
                            "%s: snapshot %.8s has a label or a pin: delete that first", catalog->source->path, text);
    }
    if (status == SAVEPOINT_OK) {
        *tombstone = (struct svp_tombstone){ .sequence = snapshot.sequence,
                                             .time_ns = snapshot.time_ns,
                                             .commit = snapshot.file_offset };
        memcpy(tombstone->id.bytes, snapshot.id.bytes, sizeof tombstone->id.bytes);
        memcpy(tombstone->parent_id.bytes, snapshot.parent.bytes, sizeof tombstone->parent_id.bytes);
    }
    return status;
}

static enum savepoint_status prepare_all(struct svp_append *append, struct svp_tombstone *tombstones,
                                         const struct savepoint_id *ids, size_t count, struct savepoint_error *error)
{
    struct svp_catalog catalog;
    enum savepoint_status status =
        svp_catalog_open(&catalog, &append->source, append->segment.alignment, &append->tail.end, append->tail.has_end,
                         append->tail.durable_bytes, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (catalog.chain_damaged) {
        status = svp_status_at(error, SAVEPOINT_CORRUPT, catalog.damage_offset, "drop",
                               "%s: a reference or a tombstone is damaged: it may protect what is to be dropped",
                               append->source.path);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < count; i++) {
        status = prepare(&catalog, &tombstones[i], &ids[i], error);
        for (size_t k = 0; status == SAVEPOINT_OK && k < i; k++) {
            if (tombstones[k].commit == tombstones[i].commit) {
                status = svp_status_fail(error, SAVEPOINT_INVALID, "drop", "a snapshot is named twice");
            }
        }
    }
    svp_catalog_close(&catalog);
    return status;
}

static enum savepoint_status
write_all(struct svp_append *append, struct svp_tombstone *tombstones, size_t count, struct savepoint_error *error)
{
    struct svp_end end = append->tail.end;
    enum savepoint_status status = svp_append_begin(append, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < count; i++) {
        tombstones[i].previous = end.newest_tombstone;
        svp_buffer_clear(&append->body);
        svp_tombstone_write(&append->body, &tombstones[i]);
        status = svp_append_record(append, SVP_TOMBSTONE, &end.newest_tombstone, error);
        end.snapshot_count--;
    }
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
        return status;
    }
    return svp_append_finish(append, &end, true, error);
}

enum savepoint_status
savepoint_archive_drop(const char *path, const struct savepoint_id *ids, size_t count, struct savepoint_error *error)
{
    struct svp_append append;
    struct svp_repair repair;
    if (path == NULL || ids == NULL || count == 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "drop", "path and ids must not be NULL, count not 0");
    }
    struct svp_tombstone *tombstones = svp_memory_zalloc(count, sizeof *tombstones);
    if (tombstones == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "drop", "%s: no memory", path);
    }
    enum savepoint_status status = svp_append_open(&append, &repair, path, SVP_APPEND_HISTORY, error);
    if (status == SAVEPOINT_OK) {
        status = prepare_all(&append, tombstones, ids, count, error);
        status = status == SAVEPOINT_OK ? write_all(&append, tombstones, count, error) : status;
        enum savepoint_status closed = svp_append_close(&append, status == SAVEPOINT_OK ? error : NULL);
        status = status != SAVEPOINT_OK ? status : closed;
    }
    svp_memory_free(tombstones);
    return status;
}
