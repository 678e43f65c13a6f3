/* promote.c - savepoint_promote: states of the ring become snapshots of an archive */
#include <string.h>

#include "archive/catalog.h"
#include "archive/graft.h"
#include "options.h"
#include "os/host.h"
#include "session/busy.h"
#include "session/encoded.h"
#include "session/origin.h"
#include "session/takes.h"
#include "session/visit.h"
#include "status.h"

struct promotion {
    struct savepoint *session;
    struct savepoint_promote_options options;
    const struct savepoint_id *id; /* NULL: every state */
    struct svp_append *append;     /* the session's own, or this: */
    struct svp_append other;
    struct svp_visit visit;
    struct svp_graft graft;
    struct svp_region_table table; /* of the state being written */
    struct svp_buffer metadata;
    uint64_t count, written;  /* states */
    uint64_t done_bytes;      /* of pages */
    struct svp_commit commit; /* the newest written */
    uint64_t commit_offset;
    struct savepoint_error *error;
};

/* ---- which states */

static bool first_state(const struct promotion *promotion, struct svp_ring_mark *mark)
{
    const struct svp_ring *ring = &promotion->session->ring;
    return promotion->id != NULL ? svp_ring_find(ring, mark, promotion->id) : svp_ring_oldest(ring, mark);
}

static bool next_state(const struct promotion *promotion, struct svp_ring_mark *mark)
{
    return promotion->id == NULL && svp_ring_following(&promotion->session->ring, mark);
}

/* All of them can be visited. */
static enum savepoint_status check_states(struct promotion *promotion)
{
    struct svp_ring_mark mark;
    enum savepoint_status status = SAVEPOINT_OK;
    for (bool any = first_state(promotion, &mark); any && status == SAVEPOINT_OK; any = next_state(promotion, &mark)) {
        status = svp_visit_check(&promotion->visit, &mark, "promote", promotion->error);
        promotion->count++;
    }
    if (promotion->count == 0) {
        return promotion->id != NULL
                   ? svp_status_fail(promotion->error, SAVEPOINT_NOT_FOUND, "promote",
                                     "the ring does not hold this snapshot, or not any more")
                   : svp_status_fail(promotion->error, SAVEPOINT_EMPTY, "promote", "the ring holds no snapshot");
    }
    return status;
}

/* ---- which pages */

/* The first state goes on from the snapshot that the session stands on. */
static bool is_ours(const struct promotion *promotion)
{
    const struct savepoint *session = promotion->session;
    return promotion->append == &session->append && promotion->graft.base == session->history.parent;
}

/* `visited->moved`, the pages in which the shadow differs from the state before, becomes those that may differ from the
 * snapshot before. What the shadow has and the session's archive has not is pending there, or left out now. */
static void
find_pages(const struct promotion *promotion, struct svp_visit_region *visited, const struct svp_region_entry *entry)
{
    const struct svp_region *region = visited->region;
    const struct svp_region_entry *before = svp_graft_before(&promotion->graft, entry);
    const bool first = promotion->written == 0;
    if (before == NULL || (first && !is_ours(promotion))) {
        svp_pageset_add(&visited->moved, 0, visited->part.pages);
        return;
    }
    if (first) {
        svp_mutex_lock(promotion->session->mutex); /* a LIVE snapshot on its way adds what is not in the shadow */
        svp_pageset_unite(&visited->moved, &region->pending);
        svp_mutex_unlock(promotion->session->mutex);
        svp_pageset_unite(&visited->moved, &region->excluded);
    }
    /* What lies behind its end may have left with a smaller state. */
    const uint64_t before_pages = before->bytes / SVP_PAGE_BYTES;
    svp_pageset_add(&visited->moved, before_pages, visited->part.pages - before_pages);
    for (uint32_t i = 0; i < before->excluded_count; i++) {
        svp_pageset_add(&visited->moved, before->excluded[i].first_page, before->excluded[i].page_count);
    }
}

static enum savepoint_status tell_progress(struct promotion *promotion)
{
    const struct savepoint_promote_options *options = &promotion->options;
    return options->progress != NULL && options->progress(options->progress_user, promotion->done_bytes, 0) != 0
               ? svp_status_fail(promotion->error, SAVEPOINT_CANCELLED, "promote", "cancelled")
               : SAVEPOINT_OK;
}

static enum savepoint_status
write_region(struct promotion *promotion, struct svp_visit_region *visited, const struct svp_region_entry *entry)
{
    enum { BYTES_BETWEEN_CALLS = 8 << 20 };
    const struct svp_region *region = visited->region;
    enum savepoint_status status = SAVEPOINT_OK;
    find_pages(promotion, visited, entry);
    uint64_t page = svp_pageset_next(&visited->moved, 0);
    for (; status == SAVEPOINT_OK && page < visited->part.pages; page = svp_pageset_next(&visited->moved, page + 1)) {
        if (svp_region_excludes(entry, page)) {
            continue;
        }
        status = svp_graft_page(&promotion->graft, entry, page, region->shadow + page * SVP_PAGE_BYTES,
                                &visited->hashes[page], promotion->error);
        promotion->done_bytes += SVP_PAGE_BYTES;
        if (status == SAVEPOINT_OK && promotion->done_bytes % BYTES_BETWEEN_CALLS == 0) {
            status = tell_progress(promotion);
        }
    }
    return status;
}

/* ---- one state */

/* What the log led to is what was marked: the memory that both lie in is the application's as well. */
static enum savepoint_status check_root(struct promotion *promotion, const struct svp_ring_mark *mark)
{
    struct svp_hash root;
    if (!svp_visit_root(&promotion->visit, &promotion->table, &root)) {
        return svp_status_fail(promotion->error, SAVEPOINT_NO_MEMORY, "promote", "no memory");
    }
    return memcmp(root.bytes, mark->snapshot.digest.bytes, sizeof root.bytes) == 0
               ? SAVEPOINT_OK
               : svp_status_fail(promotion->error, SAVEPOINT_CORRUPT, "promote",
                                 "a snapshot of the ring is no longer what was taken: something wrote into the "
                                 "library's memory");
}

static void describe_commit(struct promotion *promotion, const struct svp_ring_mark *mark, bool newest)
{
    const struct savepoint_promote_options *options = &promotion->options;
    const char *label = newest && options->label != NULL ? options->label : mark->snapshot.label;
    promotion->commit = (struct svp_commit){
        .time_ns = mark->snapshot.time_ns,
        .pause_ns = mark->snapshot.pause_ns,
        .flags = newest && options->durability == SAVEPOINT_SYNC ? 0 : SVP_COMMIT_UNSYNCED,
        .label_bytes = (uint32_t)strlen(label),
    };
    memcpy(promotion->commit.state_root.bytes, mark->snapshot.digest.bytes, SVP_HASH_BYTES);
    memcpy(promotion->commit.label, label, promotion->commit.label_bytes);
}

static enum savepoint_status write_state(struct promotion *promotion, const struct svp_ring_mark *mark, bool newest)
{
    struct svp_visit *visit = &promotion->visit;
    struct svp_graft *graft = &promotion->graft;
    svp_visit_go(visit, mark);
    svp_buffer_clear(&promotion->metadata);
    enum savepoint_status status = svp_origin_add(&promotion->metadata, &mark->snapshot.id, visit->metadata,
                                                  visit->metadata_bytes, "promote", promotion->error);
    if (status == SAVEPOINT_OK && !svp_visit_table(visit, &promotion->table)) {
        status = svp_status_fail(promotion->error, SAVEPOINT_NO_MEMORY, "promote", "no memory");
    }
    status = status == SAVEPOINT_OK ? check_root(promotion, mark) : status;
    if (status == SAVEPOINT_OK) {
        status = svp_graft_begin(graft, &promotion->table, &promotion->metadata, promotion->error);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < visit->part_count; i++) {
        status = write_region(promotion, visit->parts[i], &promotion->table.entries[i]);
    }
    status = status == SAVEPOINT_OK ? tell_progress(promotion) : status; /* the last moment to stop */
    if (status == SAVEPOINT_OK) {
        describe_commit(promotion, mark, newest);
        bool sync = newest && promotion->options.durability == SAVEPOINT_SYNC;
        status = svp_graft_finish(graft, &promotion->commit, &promotion->commit_offset, &promotion->table, sync,
                                  promotion->error);
    }
    svp_regions_free(&promotion->table);
    promotion->table = (struct svp_region_table){ 0 };
    promotion->written += status == SAVEPOINT_OK;
    return status;
}

/* What was whole when it failed stays, and the message says so. */
static void tell_of_rest(const struct promotion *promotion)
{
    struct savepoint_error found = *promotion->error;
    svp_status_fail(promotion->error, found.status, found.operation, "%.280s; %llu of %llu snapshots were promoted",
                    found.message, (unsigned long long)promotion->written, (unsigned long long)promotion->count);
    promotion->error->os_code = found.os_code;
    promotion->error->file_offset = found.file_offset;
}

/* The archive is open; its snapshot at `parent` is gone on from. */
static enum savepoint_status write_states(struct promotion *promotion, uint64_t parent)
{
    struct svp_ring_mark mark;
    enum savepoint_status status = svp_graft_open(&promotion->graft, promotion->append, parent, promotion->error);
    uint32_t *next_id = &promotion->graft.next_id;
    if (promotion->append == &promotion->session->append && *next_id < promotion->session->next_region_id) {
        *next_id = promotion->session->next_region_id;
    }
    bool any = status == SAVEPOINT_OK && first_state(promotion, &mark);
    for (; any && status == SAVEPOINT_OK; any = next_state(promotion, &mark)) {
        status = write_state(promotion, &mark, promotion->written + 1 == promotion->count);
    }
    if (status != SAVEPOINT_OK && promotion->append->open) {
        svp_append_abort(promotion->append);
    }
    svp_graft_close(&promotion->graft);
    if (status != SAVEPOINT_OK && promotion->written > 0) {
        tell_of_rest(promotion);
    }
    return status;
}

static void describe(const struct promotion *promotion, struct savepoint_snapshot *snapshot)
{
    const struct svp_append *append = promotion->append;
    const struct svp_catalog catalog = { .source = &append->source,
                                         .alignment = append->segment.alignment,
                                         .has_end = true,
                                         .end = append->tail.end,
                                         .sealed_bytes = append->tail.durable_bytes };
    svp_catalog_describe(&catalog, snapshot, &promotion->commit, promotion->commit_offset);
}

/* ---- the session's own archive */

/* The archive has grown by what was promoted; where the session's history stands it stays. */
static void adopt(struct savepoint *session, uint32_t next_region_id)
{
    const struct svp_tail *tail = &session->append.tail;
    const uint64_t before = session->written.tail.committed_bytes;
    session->next_region_id = next_region_id > session->next_region_id ? next_region_id : session->next_region_id;
    session->written.tail = *tail;
    session->catalog.has_end = tail->has_end;
    session->catalog.end = tail->end;
    session->catalog.sealed_bytes = tail->durable_bytes;
    svp_mutex_lock(session->mutex);
    session->writer_poisoned = session->append.output.poisoned;
    session->statistics.stored_bytes += tail->committed_bytes - before;
    session->statistics.archive_bytes = tail->committed_bytes;
    svp_mutex_unlock(session->mutex);
}

static enum savepoint_status promote_here(struct promotion *promotion, struct savepoint_snapshot *snapshot)
{
    struct savepoint *session = promotion->session;
    struct svp_append *append = promotion->append = &session->append;
    svp_session_drain(session);
    struct svp_stand stand = { append->tail, session->history };
    svp_take_stand(session, NULL, &stand);
    append->tail = stand.tail;
    session->history = stand.history;
    append->sink = NULL; /* the workers are idle: straight to the file */
    enum savepoint_status status = write_states(promotion, session->history.parent);
    append->sink = svp_encoded_push;
    adopt(session, promotion->graft.next_id);
    if (status == SAVEPOINT_OK && snapshot != NULL) {
        describe(promotion, snapshot);
    }
    return status;
}

/* ---- another archive */

/* In a forked child: the lock stays with the parent. */
static void leave_archive(void *item)
{
    struct svp_append *append = item;
    svp_file_close(&append->source.file);
}

static enum savepoint_status
promote_to(struct promotion *promotion, const char *path, struct savepoint_snapshot *snapshot)
{
    struct svp_append *append = promotion->append = &promotion->other;
    struct svp_repair repair;
    struct savepoint_snapshot promoted;
    append->source.file = (struct svp_file)SVP_FILE_NONE;
    int code = svp_host_at_fork(leave_archive, append);
    if (code != 0) {
        return svp_status_os(promotion->error, code, "promote", "cannot register the fork handler");
    }
    enum savepoint_status status = svp_append_open(append, &repair, path, SVP_APPEND_CREATE, promotion->error);
    if (status == SAVEPOINT_OK) {
        status = write_states(promotion, append->tail.end.newest_commit);
        if (status == SAVEPOINT_OK) {
            describe(promotion, &promoted);
        }
        const bool empty = !append->tail.has_end;
        enum savepoint_status closed = svp_append_close(append, status == SAVEPOINT_OK ? promotion->error : NULL);
        status = status != SAVEPOINT_OK ? status : closed;
        if (empty) {
            svp_append_forget(append, path);
        }
    }
    svp_host_at_fork_end(append);
    if (status == SAVEPOINT_OK && snapshot != NULL) {
        *snapshot = promoted;
    }
    return status;
}

/* ---- the call */

static enum savepoint_status
check_arguments(struct savepoint *session, const char *path, const struct savepoint_promote_options *options,
                struct savepoint_error *error)
{
    const struct savepoint_take_options as_take = { .label = options->label, .durability = options->durability };
    if (!session->has_ring) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "promote",
                               "this session has no ring: open it with ring_bytes");
    }
    if (path == NULL ? !session->has_archive : path[0] == '\0') {
        return svp_status_fail(error, SAVEPOINT_INVALID, "promote",
                               "this session has no archive: name one to promote to");
    }
    enum savepoint_status status = path == NULL ? svp_take_check_stand(session, "promote", error) : SAVEPOINT_OK;
    return status == SAVEPOINT_OK ? svp_take_check_options(&as_take, "promote", error) : status;
}

static enum savepoint_status run(struct promotion *promotion, struct savepoint_snapshot *snapshot, const char *path)
{
    svp_session_settle(promotion->session);
    enum savepoint_status status = svp_visit_open(&promotion->visit, promotion->session, "promote", promotion->error);
    status = status == SAVEPOINT_OK ? check_states(promotion) : status;
    if (status == SAVEPOINT_OK) {
        status = path != NULL ? promote_to(promotion, path, snapshot) : promote_here(promotion, snapshot);
    }
    svp_visit_close(&promotion->visit);
    svp_buffer_free(&promotion->metadata);
    return status;
}

enum savepoint_status
savepoint_promote(struct savepoint *session, struct savepoint_snapshot *snapshot, const struct savepoint_id *id,
                  const char *path, const struct savepoint_promote_options *options, struct savepoint_error *error)
{
    struct savepoint_error ignored = { .status = SAVEPOINT_OK };
    struct promotion promotion = { .session = session,
                                   .options = SAVEPOINT_PROMOTE_OPTIONS_INIT,
                                   .id = id,
                                   .error = error != NULL ? error : &ignored };
    enum savepoint_status status = svp_session_check(session, "promote", error);
    if (status == SAVEPOINT_OK) {
        status = svp_options_copy(&promotion.options, sizeof promotion.options, options, "promote", error);
    }
    status = status == SAVEPOINT_OK ? check_arguments(session, path, &promotion.options, error) : status;
    status = status == SAVEPOINT_OK ? svp_busy_begin(session, "promote", error) : status;
    if (status == SAVEPOINT_OK) {
        status = run(&promotion, snapshot, path);
        svp_busy_end(session);
    }
    return status;
}
