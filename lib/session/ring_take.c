/* ring_take.c - from examined pages to a snapshot of the ring: log, mark */
#include "session/ring_take.h"

#include <string.h>

#include "format/bytes.h"
#include "session/encode.h"
#include "session/table.h"
#include "status.h"

void svp_ring_take_begin(struct savepoint *session)
{
    session->encoder.pages_stored = 0;
    session->encoder.counts = (struct svp_counts){ 0 };
}

/* A page that was excluded counts as zeros since: it may come back with what the shadow still holds. */
static bool is_hashed(const struct svp_region *region, uint64_t page, const struct svp_changes *changes)
{
    const struct svp_hash zero = svp_tree_zero_page();
    return changes->all_zero || memcmp(&region->tree.hashes[0][page], &zero, sizeof zero) != 0;
}

enum savepoint_status svp_ring_take_chunk(struct savepoint *session, const struct svp_chunk *chunk)
{
    struct svp_region *region = chunk->region;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint64_t page = chunk->pages[i];
        const uint8_t *staged = chunk->bytes + i * SVP_PAGE_BYTES;
        const struct svp_changes *changes = &chunk->examined->changes[i];
        uint8_t *shadow = region->shadow + page * SVP_PAGE_BYTES;
        svp_encode_note(&session->encoder, chunk, i, !changes->same);
        if (changes->same && is_hashed(region, page, changes)) {
            session->encoder.counts.unchanged++;
            continue;
        }
        const struct svp_hash hash =
            changes->same ? svp_digest128(0, staged, SVP_PAGE_BYTES) : chunk->examined->hashes[i];
        if (!changes->same) {
            svp_ring_log(&session->ring, region->ring_id, page, shadow, staged, changes);
            svp_changes_apply(shadow, staged, changes);
        }
        svp_tree_update(&region->tree, page, &hash);
        session->encoder.pages_stored++;
    }
    return SAVEPOINT_OK;
}

/* ---- the body of a mark: its regions, then the metadata */

static void add_part(struct svp_buffer *body, const struct svp_region_entry *entry, const struct svp_region *region)
{
    svp_buffer_add32(body, region->ring_id);
    svp_buffer_add32(body, entry->excluded_count);
    svp_buffer_add64(body, entry->bytes / SVP_PAGE_BYTES);
    for (uint32_t i = 0; i < entry->excluded_count; i++) {
        svp_buffer_add64(body, entry->excluded[i].first_page);
        svp_buffer_add64(body, entry->excluded[i].page_count);
    }
}

const uint8_t *svp_ring_part_read(struct svp_ring_part *part, const uint8_t *at)
{
    part->ring_id = svp_load32(at);
    part->excluded_count = svp_load32(at + 4);
    part->pages = svp_load64(at + 8);
    part->excluded = at + 16;
    return part->excluded + (size_t)part->excluded_count * 16;
}

void svp_ring_part_excluded(const struct svp_ring_part *part, uint32_t index, uint64_t *first_page,
                            uint64_t *page_count)
{
    *first_page = svp_load64(part->excluded + (size_t)index * 16);
    *page_count = svp_load64(part->excluded + (size_t)index * 16 + 8);
}

/* ---- the mark */

/* What is told of a snapshot of these regions; the next one in the ring. */
static void describe(const struct savepoint *session, const struct svp_take *take, const struct svp_table *table,
                     const struct svp_hash *state_root, struct savepoint_snapshot *snapshot)
{
    const struct svp_ring_history *history = &session->ring_history;
    struct svp_commit commit = { .state_root = *state_root,
                                 .sequence = history->sequence + 1,
                                 .time_ns = take->time_ns };
    memcpy(commit.parent_id.bytes, history->parent.bytes, sizeof commit.parent_id.bytes);
    commit.metadata_hash = svp_digest128(0, take->metadata.bytes, take->metadata.count);
    commit.label_bytes = (uint32_t)strlen(take->label);
    memcpy(commit.label, take->label, commit.label_bytes);
    const struct svp_hash id = svp_commit_identity(&commit, history->uuid);
    *snapshot = (struct savepoint_snapshot){
        .parent = history->parent,
        .sequence = commit.sequence,
        .time_ns = take->time_ns,
        .changed_pages = session->encoder.pages_stored,
        .pause_ns = take->pause_ns,
        .region_count = table->regions.count,
        .flags = SAVEPOINT_SNAPSHOT_RING | (history->has_parent ? 0u : (uint32_t)SAVEPOINT_SNAPSHOT_ROOT) |
                 ((take->flags & SVP_COMMIT_AUTOSAVE) != 0 ? (uint32_t)SAVEPOINT_SNAPSHOT_AUTOSAVE : 0u),
        .metadata_bytes = take->metadata.count,
    };
    memcpy(snapshot->id.bytes, id.bytes, sizeof snapshot->id.bytes);
    memcpy(snapshot->digest.bytes, state_root->bytes, sizeof snapshot->digest.bytes);
    memcpy(snapshot->label, take->label, commit.label_bytes);
    for (uint32_t i = 0; i < table->regions.count; i++) {
        snapshot->region_pages += table->regions.entries[i].bytes / SVP_PAGE_BYTES;
    }
}

void svp_ring_count(struct savepoint *session)
{
    const struct svp_ring *ring = &session->ring;
    session->statistics.ring_snapshots = ring->mark_count;
    session->statistics.ring_bytes = ring->end - ring->begin;
    session->statistics.ring_dropped = ring->dropped_count;
}

/* The snapshot is in the ring: statistics and the sequence of the next one. */
static void advance(struct savepoint *session, struct savepoint_snapshot *snapshot)
{
    struct svp_ring_mark mark;
    struct savepoint_statistics *statistics = &session->statistics;
    svp_ring_newest(&session->ring, &mark);
    *snapshot = mark.snapshot;
    session->ring_history.sequence = snapshot->sequence;
    svp_mutex_lock(session->mutex);
    statistics->pages_unchanged += session->encoder.counts.unchanged;
    statistics->faults_avoided += session->encoder.counts.faults_avoided;
    statistics->compared_in_vain += session->encoder.counts.compared_in_vain;
    svp_ring_count(session);
    svp_mutex_unlock(session->mutex);
}

bool svp_ring_take_describe(struct savepoint *session, const struct svp_take *take, const struct svp_table *table,
                            const struct svp_hash *state_root, struct savepoint_snapshot *snapshot)
{
    struct svp_buffer *body = &session->append.body;
    svp_buffer_clear(body);
    for (uint32_t i = 0; i < table->regions.count; i++) {
        add_part(body, &table->regions.entries[i], table->ordered[i]);
    }
    svp_buffer_add(body, take->metadata.bytes, take->metadata.count);
    describe(session, take, table, state_root, snapshot);
    return !body->failed;
}

enum savepoint_status
svp_ring_take_set(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    const struct svp_buffer *body = &session->append.body;
    if (!svp_ring_mark(&session->ring, snapshot, body->bytes, body->count)) {
        return svp_status_fail(
            error, SAVEPOINT_LIMIT, "take",
            "the ring's %llu bytes are too few for so much as the head of a snapshot: open the session "
            "with a larger ring_bytes",
            (unsigned long long)session->ring.capacity);
    }
    advance(session, snapshot);
    return SAVEPOINT_OK;
}

enum savepoint_status svp_ring_take_mark(struct savepoint *session, const struct svp_take *take,
                                         struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct svp_table table = { 0 };
    struct svp_hash state_root;
    bool enough = svp_table_open(&table, session, take) && svp_table_root(&table, &state_root) &&
                  svp_ring_take_describe(session, take, &table, &state_root, snapshot);
    svp_table_close(&table);
    if (!enough) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "take", "no memory for a snapshot of the ring");
    }
    enum savepoint_status status = svp_ring_take_set(session, snapshot, error);
    if (status == SAVEPOINT_OK) { /* the next one stands on it */
        session->ring_history.parent = snapshot->id;
        session->ring_history.has_parent = true;
    }
    return status;
}
