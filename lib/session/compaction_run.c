/* compaction_run.c - the encoder's part of a compaction: the new file, and going over to it */
#include "session/compaction.h"

#include "format/memory.h"
#include "os/host.h"
#include "session/commit.h"
#include "session/drop.h"
#include "session/recall.h"
#include "session/takes.h"
#include "session/twins.h"
#include "status.h"

/* ---- what the session has to know of the new file */

static enum savepoint_status fail_memory(const struct savepoint *session, struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "compact", "%s: no memory to go on with the compacted archive",
                           session->append.source.path);
}

static enum savepoint_status check_cancelled(struct svp_compaction *compaction, struct savepoint_error *error)
{
    return svp_take_status(compaction->session, compaction->take) == SAVEPOINT_OK
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_CANCELLED, "compact", "cancelled; the archive is as it was");
}

static uint16_t clamp16(uint32_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

/* A page that the session counts as zeros (it is left out, or was) stays so. */
static enum savepoint_status
learn_page(struct svp_compaction *compaction, struct svp_reader *reader, const struct svp_compaction_part *part,
           const struct svp_page_map *map, uint64_t page, struct savepoint_error *error)
{
    enum { PAGES_BETWEEN_CALLS = 1024 };
    uint8_t bytes[SVP_PAGE_BYTES];
    struct svp_page_origin origin = { 0 };
    const uint64_t record_offset = svp_page_map_get(map, page);
    if (part->region->states[page].record_offset == 0 || record_offset == 0) {
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = page % PAGES_BETWEEN_CALLS == 0 ? check_cancelled(compaction, error) : SAVEPOINT_OK;
    if (status == SAVEPOINT_OK) {
        status = svp_reader_page(reader, bytes, &origin, record_offset, part->region->id, page, error);
    }
    part->states[page] = (struct svp_page_state){
        .record_offset = record_offset,
        .changed_depth = compaction->history.depth,
        .key_bytes = clamp16(origin.key_bytes),
        .delta_bytes = clamp16(origin.delta_bytes),
        .links = (uint8_t)origin.links,
    };
    return status;
}

static enum savepoint_status
learn_pages(struct svp_compaction *compaction, struct svp_compaction_part *part, struct savepoint_error *error)
{
    const struct svp_region *region = part->region;
    struct svp_page_map map = { 0 };
    struct svp_reader reader;
    enum savepoint_status status = SAVEPOINT_OK;
    svp_reader_open(&reader, &compaction->call.new.source);
    part->states = svp_memory_zalloc((size_t)region->pages, sizeof *part->states);
    if (part->states == NULL || !svp_page_map_open(&map, region->id, region->pages)) {
        status = fail_memory(compaction->session, error);
    }
    if (status == SAVEPOINT_OK && compaction->history.parent != 0) {
        status = svp_reader_map(&reader, &map, 1, compaction->history.parent, error);
    }
    for (uint64_t page = 0; status == SAVEPOINT_OK && page < region->pages; page++) {
        status = learn_page(compaction, &reader, part, &map, page, error);
    }
    svp_page_map_close(&map);
    svp_reader_close(&reader);
    return status;
}

/* The name is still that of the file which is locked. */
static enum savepoint_status check_path(const struct savepoint *session, struct savepoint_error *error)
{
    return svp_file_is_at(&session->append.source.file, session->archive_path)
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_IO, "compact",
                                 "%s: the archive was moved or deleted while in use; it was not compacted",
                                 session->append.source.path);
}

/* From here on it cannot be given up any more. */
static enum savepoint_status commit(struct svp_compaction *compaction, struct savepoint_error *error)
{
    struct savepoint *session = compaction->session;
    svp_mutex_lock(session->mutex);
    compaction->take->committing = compaction->take->status == SAVEPOINT_OK;
    svp_mutex_unlock(session->mutex);
    return check_cancelled(compaction, error);
}

static enum savepoint_status get_ready(void *user, uint64_t standing, struct savepoint_error *error)
{
    struct svp_compaction *compaction = user;
    const struct svp_append *new = &compaction->call.new;
    enum savepoint_status status = svp_catalog_open(&compaction->catalog, &new->source, new->segment.alignment,
                                                    &new->tail.end, new->tail.has_end, new->tail.durable_bytes, error);
    if (status == SAVEPOINT_OK) {
        status = svp_commit_history(&new->source, &compaction->history, standing, error);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < compaction->part_count; i++) {
        status = learn_pages(compaction, &compaction->parts[i], error);
    }
    status = status == SAVEPOINT_OK ? check_path(compaction->session, error) : status;
    return status == SAVEPOINT_OK ? commit(compaction, error) : status;
}

/* ---- going over to it */

/* The new file's place in the session, whose path and buffers stay. In a child forked in between both files are within
 * reach of close_files or leave_archive. */
static void exchange(struct svp_compaction *compaction)
{
    struct svp_append *append = &compaction->session->append;
    struct svp_append *new = &compaction->call.new;
    const struct svp_append held = *append;
    compaction->left = held.source.file;
    append->source.file = new->source.file;
    char *path = new->source.path;
    append->source = new->source;
    append->source.path = held.source.path;
    append->segment = new->segment;
    append->tail = new->tail;
    append->output = new->output;
    append->output.source = &append->source;
    new->source = held.source;
    new->source.path = path;
    svp_buffer_free(&new->unwritten);
    svp_buffer_free(&new->chain);
    svp_buffer_free(&new->body);
}

static void go_over(struct svp_compaction *compaction, bool certain)
{
    struct savepoint *session = compaction->session;
    const uint64_t before = session->append.tail.committed_bytes;
    const bool recalls = session->recall.open;
    svp_recall_close(&session->recall);
    exchange(compaction);
    if (recalls) { /* where that fails, what the shadow does not hold is stored whole */
        svp_recall_open(session, NULL);
    }
    session->append.output.poisoned = !certain; /* what is written now may be gone after a power cut */
    for (size_t i = 0; i < compaction->part_count; i++) {
        struct svp_compaction_part *part = &compaction->parts[i];
        struct svp_page_state *old = part->region->states;
        part->region->states = part->states;
        part->states = old;
    }
    svp_catalog_close(&session->catalog);
    session->catalog = compaction->catalog;
    session->catalog.source = &session->append.source;
    compaction->catalog = (struct svp_catalog){ 0 };
    svp_reader_forget(&session->reader);
    svp_twins_clear(&session->encoder.twins);
    svp_drop_close(&session->drops); /* listed anew, at other offsets */
    session->history = compaction->history;
    const uint64_t after = session->append.tail.committed_bytes;
    svp_mutex_lock(session->mutex);
    session->written = (struct svp_stand){ session->append.tail, session->history };
    session->writer_poisoned = !certain;
    session->statistics.archive_bytes = after;
    session->statistics.compacted_bytes += before > after ? before - after : 0;
    session->statistics.compactions++;
    svp_mutex_unlock(session->mutex);
    svp_source_close(&compaction->call.new.source); /* the old file: and with it, its lock */
    compaction->left = (struct svp_file)SVP_FILE_NONE;
}

/* ---- the work */

/* In a forked child: the locks stay with the parent. */
static void close_files(void *item)
{
    struct svp_compaction *compaction = item;
    svp_file_close(&compaction->call.new.source.file);
    svp_file_close(&compaction->left);
}

static int tell_progress(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct svp_compaction *compaction = user;
    const struct savepoint_compact_options *options = &compaction->options;
    if (svp_take_status(compaction->session, compaction->take) != SAVEPOINT_OK) {
        return 1;
    }
    return options->progress != NULL ? options->progress(options->progress_user, done_bytes, total_bytes) : 0;
}

/* The caller goes on from what it stands on, which may lie behind failed takes. */
static uint64_t find_standing(struct savepoint *session, const struct svp_take *take)
{
    struct svp_stand stand = { session->append.tail, session->history };
    svp_take_stand(session, take, &stand);
    session->append.tail = stand.tail;
    session->history = stand.history;
    return stand.history.parent;
}

static enum savepoint_status compact(struct svp_compaction *compaction, struct savepoint_error *error)
{
    struct savepoint *session = compaction->session;
    struct svp_compact *call = &compaction->call;
    call->options = compaction->options;
    call->options.progress = tell_progress;
    call->options.progress_user = compaction;
    call->old = &session->append;
    call->path = session->archive_path;
    call->standing = find_standing(session, compaction->take);
    call->ready = get_ready;
    call->user = compaction;
    if (!session->append.tail.has_end) {
        return SAVEPOINT_OK; /* nothing is in it yet */
    }
    enum savepoint_status status = check_cancelled(compaction, error);
    status = status == SAVEPOINT_OK ? check_path(session, error) : status;
    const int code = status == SAVEPOINT_OK ? svp_host_at_fork(close_files, compaction) : 0;
    if (code != 0) {
        status = svp_status_os(error, code, "compact", "cannot register the fork handler");
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = svp_compact(call, error);
    if (call->result.replaced != 0) {
        go_over(compaction, status == SAVEPOINT_OK);
    }
    svp_host_at_fork_end(compaction);
    return status;
}

static void wait_for_turn(struct savepoint *session, const struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    while (session->first_take != take) {
        svp_condition_wait(session->changed, session->mutex);
    }
    svp_mutex_unlock(session->mutex);
}

void svp_compaction_run(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error = { 0 };
    const struct savepoint_snapshot none = { 0 };
    wait_for_turn(session, take);
    enum savepoint_status status = compact(take->compaction, &error);
    if (status != SAVEPOINT_OK) {
        svp_take_fail(session, take, status, &error);
    }
    svp_take_encoded(session, take);
    svp_take_finish(session, take, &none);
}
