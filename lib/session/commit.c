/* commit.c - the encoder: one take becomes one transaction, laid out */
#include "session/commit.h"

#include <string.h>

#include "format/memory.h"
#include "os/host.h"
#include "session/compaction.h"
#include "session/drop.h"
#include "session/encode.h"
#include "session/examine.h"
#include "session/recall.h"
#include "session/refresh.h"
#include "session/span.h"
#include "session/ring_take.h"
#include "session/staging.h"
#include "session/store.h"
#include "session/table.h"
#include "session/takes.h"
#include "session/twins.h"
#include "status.h"

/* What a commit is made of while it is being written. */
struct draft {
    struct svp_table table;
    struct svp_hash regions_hash;
    struct svp_commit commit;
    uint64_t commit_offset;
};

/* ---- the table of regions */

/* Writes REGIONS where the table differs from the one in force. */
static enum savepoint_status
write_regions(struct savepoint *session, struct draft *draft, struct savepoint_error *error)
{
    struct svp_append *append = &session->append;
    const struct svp_history *history = &session->history;
    svp_buffer_clear(&append->body);
    svp_regions_write(&append->body, &draft->table.regions);
    draft->regions_hash = svp_digest128(0, append->body.bytes, append->body.count);
    draft->commit.regions = history->regions_offset;
    bool same = history->regions_offset != 0 && !append->body.failed &&
                memcmp(&draft->regions_hash, &history->regions_hash, sizeof draft->regions_hash) == 0;
    return same ? SAVEPOINT_OK : svp_append_record(append, SVP_REGIONS, &draft->commit.regions, error);
}

/* ---- the commit */

static void fill_commit(struct savepoint *session, const struct svp_take *take, struct svp_commit *commit)
{
    const struct svp_history *history = &session->history;
    const struct svp_append *append = &session->append;
    commit->metadata_hash = svp_digest128(0, take->metadata.bytes, take->metadata.count);
    commit->parent_id = history->parent_id;
    commit->base_id = history->parent_id;
    commit->sequence = append->tail.end.highest_sequence + 1;
    commit->time_ns = take->time_ns;
    commit->base = history->parent;
    commit->parent = history->parent;
    commit->previous = append->tail.end.newest_commit;
    commit->transaction_start = append->tail.committed_bytes;
    commit->pages_stored = session->encoder.pages_stored;
    commit->delta_bytes = session->encoder.counts.delta_bytes;
    commit->key_bytes = session->encoder.counts.key_bytes;
    commit->pause_ns = take->pause_ns;
    commit->flags = take->flags;
    commit->depth = session->encoder.depth;
    commit->region_count = (uint32_t)take->capture_count;
    for (size_t i = 0; i < take->capture_count; i++) {
        commit->region_pages += take->captures[i].region->pages;
    }
    commit->label_bytes = (uint32_t)strlen(take->label);
    memcpy(commit->label, take->label, commit->label_bytes);
    commit->id = svp_commit_identity(commit, append->segment.history_uuid);
}

static enum savepoint_status write_metadata(struct savepoint *session, const struct svp_take *take,
                                            struct svp_commit *commit, struct savepoint_error *error)
{
    if (take->metadata.count == 0) {
        return SAVEPOINT_OK;
    }
    svp_buffer_clear(&session->append.body);
    svp_buffer_add(&session->append.body, take->metadata.bytes, take->metadata.count);
    return svp_append_record(&session->append, SVP_META, &commit->metadata, error);
}

/* Everything in front of the pages: the table of regions, the metadata. */
static enum savepoint_status
write_opening(struct savepoint *session, struct svp_take *take, struct draft *draft, struct savepoint_error *error)
{
    enum savepoint_status status = svp_append_begin(&session->append, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (!svp_table_open(&draft->table, session, take)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory", session->append.source.path);
    }
    status = write_regions(session, draft, error);
    return status == SAVEPOINT_OK ? write_metadata(session, take, &draft->commit, error) : status;
}

/* Everything behind the pages: the index, the commit, the end. */
static enum savepoint_status
write_closing(struct savepoint *session, struct svp_take *take, struct draft *draft, struct savepoint_error *error)
{
    struct svp_append *append = &session->append;
    struct svp_commit *commit = &draft->commit;
    if (!svp_table_root(&draft->table, &commit->state_root)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory", append->source.path);
    }
    enum savepoint_status status =
        svp_span_write(session, draft->table.ordered, take->capture_count, &draft->commit.index, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    fill_commit(session, take, commit);
    svp_buffer_clear(&append->body);
    svp_commit_write(&append->body, commit);
    status = svp_append_record(append, SVP_COMMIT, &draft->commit_offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_end end = append->tail.end;
    end.newest_commit = draft->commit_offset;
    end.head = draft->commit_offset;
    /* A branch may go on with an older table than the newest. */
    end.newest_regions = commit->regions > end.newest_regions ? commit->regions : end.newest_regions;
    end.highest_sequence = commit->sequence;
    end.snapshot_count++;
    status = svp_drop_write(session, take, &end, error);
    return status == SAVEPOINT_OK ? svp_append_finish(append, &end, take->durability == SAVEPOINT_SYNC, error) : status;
}

/* The next commit stands on this one. */
static void advance(struct svp_history *history, const struct draft *draft)
{
    history->parent = draft->commit_offset;
    history->parent_id = draft->commit.id;
    history->depth = draft->commit.depth;
    history->regions_offset = draft->commit.regions;
    history->regions_hash = draft->regions_hash;
    svp_span_advance(history, draft->commit_offset, draft->commit.depth);
}

/* The next pages that were copied before the stop, from `page` on, which is moved behind them. */
static void fill_from_store(struct savepoint *session, const struct svp_store *store, const struct svp_stored *part,
                            const struct svp_capture *capture, uint64_t *page)
{
    struct svp_chunk *chunk = store->chunk;
    uint64_t next = *page;
    chunk->region = capture->region;
    chunk->count = 0;
    chunk->no_base = chunk->rebased = chunk->unarmed = 0;
    for (; next != SVP_PAGESET_NONE && chunk->count < SVP_CHUNK_PAGES;
         next = svp_pageset_next(&capture->stored, next + 1)) {
        bool rebased = session->has_ring && svp_pageset_has(&capture->rebased, next);
        chunk->no_base |= (uint64_t)svp_pageset_has(&capture->no_base, next) << chunk->count;
        chunk->rebased |= (uint64_t)rebased << chunk->count;
        memcpy(chunk->bytes + chunk->count * SVP_PAGE_BYTES, svp_store_page(store, part, next), SVP_PAGE_BYTES);
        chunk->pages[chunk->count++] = next;
    }
    *page = next;
}

/* Of a LIVE take, the pages that were copied before its stop. */
static void encode_store(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error = { 0 };
    svp_store_settle(session, take->store);
    enum savepoint_status status = svp_encode_flush(session, &error); /* pages of a batch ascend */
    for (size_t i = 0; i < take->capture_count; i++) {
        uint64_t page = svp_pageset_next(&take->captures[i].stored, 0);
        while (page != SVP_PAGESET_NONE && status == SAVEPOINT_OK && svp_take_status(session, take) == SAVEPOINT_OK) {
            fill_from_store(session, take->store, &take->store->parts[i], &take->captures[i], &page);
            svp_examine_now(session, take->store->chunk);
            status = svp_encode_chunk(session, take->store->chunk, &error);
        }
    }
    if (status != SAVEPOINT_OK) {
        svp_take_fail(session, take, status, &error);
    }
    svp_mutex_lock(session->mutex);
    for (size_t i = 0; i < take->capture_count; i++) {
        session->statistics.pages_captured += svp_pageset_count(&take->captures[i].stored);
    }
    svp_mutex_unlock(session->mutex);
}

/* Moves the shadow to what was staged. Takes all chunks from the take, also those of one that has failed: they must be
 * given back. */
static enum savepoint_status
move_shadow(struct savepoint *session, struct svp_take *take, struct savepoint_error *error)
{
    struct svp_chunk *chunk;
    while ((chunk = svp_examine_next(session, take)) != NULL) {
        enum savepoint_status status = svp_take_status(session, take);
        if (status == SAVEPOINT_OK) {
            status = take->for_ring ? svp_ring_take_chunk(session, chunk) : svp_encode_chunk(session, chunk, error);
            if (status != SAVEPOINT_OK) {
                svp_take_fail(session, take, status, error);
            }
        }
        svp_staging_release(session, chunk);
    }
    if (take->store != NULL) {
        encode_store(session, take);
        svp_store_close(session, take->store);
        take->store = NULL;
    }
    return svp_take_moved(session, take);
}

/* The pages that the shadow had already: other takes brought them there, so its base is not what was committed. */
static enum savepoint_status encode_from_shadow(struct savepoint *session, const struct svp_capture *capture, bool live,
                                                struct savepoint_error *error)
{
    struct svp_chunk *chunk = session->from_shadow;
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t page = svp_pageset_next(&capture->captured, 0);
    chunk->region = capture->region;
    while (status == SAVEPOINT_OK && page != SVP_PAGESET_NONE) {
        chunk->count = 0;
        chunk->no_base = chunk->rebased = chunk->unarmed = 0;
        for (; page != SVP_PAGESET_NONE && chunk->count < SVP_CHUNK_PAGES;
             page = svp_pageset_next(&capture->captured, page + 1)) {
            if (svp_pageset_has(&capture->staged, page) || (live && svp_pageset_has(&capture->stored, page))) {
                continue;
            }
            chunk->no_base |= (uint64_t)svp_pageset_has(&capture->no_base, page) << chunk->count;
            chunk->rebased |= (uint64_t)svp_pageset_has(&capture->rebased, page) << chunk->count;
            memcpy(chunk->bytes + chunk->count * SVP_PAGE_BYTES, capture->region->shadow + page * SVP_PAGE_BYTES,
                   SVP_PAGE_BYTES);
            chunk->pages[chunk->count++] = page;
        }
        svp_examine_now(session, chunk);
        status = svp_encode_chunk(session, chunk, error);
    }
    return status;
}

static enum savepoint_status
write_pages(struct savepoint *session, struct svp_take *take, struct savepoint_error *error)
{
    enum savepoint_status status = move_shadow(session, take, error);
    for (size_t i = 0; session->has_ring && status == SAVEPOINT_OK && i < take->capture_count; i++) {
        status = svp_encode_flush(session, error); /* pages of a batch ascend */
        status = status == SAVEPOINT_OK ? encode_from_shadow(session, &take->captures[i], take->live, error) : status;
    }
    status = status == SAVEPOINT_OK ? svp_encode_flush(session, error) : status;
    return status == SAVEPOINT_OK ? svp_refresh(session, take, error) : status;
}

/* Everything of the take is laid out: what the writer has to know of it. */
static void note_commit(struct savepoint *session, struct svp_take *take, const struct draft *draft)
{
    take->after = (struct svp_stand){ session->append.tail, session->history };
    take->commit = draft->commit;
    take->commit_offset = draft->commit_offset;
    take->counts = session->encoder.counts;
}

/* Goes on from the take before, or from the last one before it that has not failed. */
static void go_on(struct savepoint *session, struct svp_take *take)
{
    struct svp_stand stand = { session->append.tail, session->history };
    svp_take_stand(session, take, &stand);
    session->append.tail = stand.tail;
    session->history = stand.history;
    session->laying_out = take;
    svp_encode_begin(&session->encoder, session->history.depth + 1);
    svp_twins_begin(session, take);
}

static void settle_hot(struct svp_take *take)
{
    for (size_t i = 0; i < take->capture_count; i++) {
        svp_hot_settle(&take->captures[i].region->hot, take->captures[i].region->backend);
    }
}

static void encode_take(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error = { 0 };
    struct draft draft = { 0 };
    go_on(session, take);
    enum savepoint_status status = svp_take_status(session, take);
    if (status == SAVEPOINT_OK) {
        status = write_opening(session, take, &draft, &error);
        if (status != SAVEPOINT_OK) {
            svp_take_fail(session, take, status, &error);
        }
    }
    if (status == SAVEPOINT_OK) {
        svp_encode_expect_shadows(session, take);
        svp_recall_captured(session, take);
    }
    status = write_pages(session, take, &error);
    settle_hot(take);
    if (status == SAVEPOINT_OK) {
        status = write_closing(session, take, &draft, &error);
    }
    if (status == SAVEPOINT_OK) {
        advance(&session->history, &draft);
        note_commit(session, take, &draft);
    } else {
        svp_take_fail(session, take, status, &error);
        svp_append_abort(&session->append);
    }
    svp_table_close(&draft.table);
    svp_recall_forget(&session->recall);
    session->rebased_since = session->ring.cursor; /* what the take has not captured has not moved since its commit */
    svp_take_encoded(session, take);
}

/* A take of the ring: when the shadow has been moved it is a mark away from being a snapshot. */
static void mark_take(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error = { 0 };
    struct savepoint_snapshot snapshot = { 0 };
    svp_ring_take_begin(session);
    enum savepoint_status status = move_shadow(session, take, &error);
    settle_hot(take);
    if (status == SAVEPOINT_OK) {
        status = svp_ring_take_mark(session, take, &snapshot, &error);
    }
    if (status != SAVEPOINT_OK) {
        svp_take_fail(session, take, status, &error);
    }
    svp_take_encoded(session, take);
    svp_take_finish(session, take, &snapshot);
}

void svp_commit_run(void *argument)
{
    struct savepoint *session = argument;
    struct svp_take *take;
    svp_host_work_behind();
    while ((take = svp_take_next(session)) != NULL) {
        if (take->compaction != NULL) {
            svp_compaction_run(session, take);
        } else if (take->for_ring) {
            mark_take(session, take);
        } else {
            encode_take(session, take);
        }
    }
}

enum savepoint_status svp_commit_history(const struct svp_source *source, struct svp_history *history,
                                         uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_record record;
    struct svp_buffer body = { 0 };
    struct svp_history found = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    if (commit_offset != 0) {
        status = svp_source_commit(source, &commit, commit_offset, error);
        if (status == SAVEPOINT_OK) {
            found.parent = commit_offset;
            found.parent_id = commit.id;
            found.depth = commit.depth;
            found.regions_offset = commit.regions;
            status = svp_span_find(source, &found, commit_offset, error);
        }
        if (status == SAVEPOINT_OK) {
            status = svp_source_record(source, &record, &body, commit.regions, SVP_REGIONS, error);
        }
        if (status == SAVEPOINT_OK) {
            found.regions_hash = svp_digest128(0, body.bytes, record.body_bytes);
        }
        svp_buffer_free(&body);
    }
    if (status == SAVEPOINT_OK) {
        *history = found;
    }
    return status;
}

enum savepoint_status
svp_commit_stand_at(struct savepoint *session, uint64_t commit_offset, struct savepoint_error *error)
{
    enum savepoint_status status = svp_commit_history(&session->append.source, &session->history, commit_offset, error);
    if (status == SAVEPOINT_OK) {
        session->written.history = session->history;
    }
    return status;
}
