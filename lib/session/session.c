/* session.c - opening and closing a session; statistics, hooks, finding snapshots */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/memory.h"
#include "os/host.h"
#include "os/vm.h"
#include "session/commit.h"
#include "session/compaction.h"
#include "session/drop.h"
#include "session/encode.h"
#include "session/encoded.h"
#include "session/examine.h"
#include "session/live.h"
#include "session/recall.h"
#include "session/region.h"
#include "session/ring_list.h"
#include "session/settings.h"
#include "session/staging.h"
#include "session/takes.h"
#include "session/write.h"
#include "status.h"

const char *savepoint_version(void)
{
    return "0.1.0";
}

enum savepoint_status
svp_session_check(const struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    if (session == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "the session is NULL");
    }
    if (session->process != svp_host_process()) {
        return svp_status_fail(error, SAVEPOINT_FORKED, operation,
                               "this session belongs to the parent process: a forked child opens one of its own");
    }
    return SAVEPOINT_OK;
}

/* In a forked child: the lock and the archive stay with the parent. */
static void leave_archive(void *item)
{
    struct savepoint *session = item;
    svp_file_close(&session->append.source.file);
    atomic_store(&session->stop_wanted, false);
    atomic_store(&session->autosave_due_ns, UINT64_MAX);
}

static enum savepoint_status allocate(struct savepoint *session, struct savepoint_error *error)
{
    session->mutex = svp_mutex_open();
    session->watching = svp_mutex_open();
    atomic_init(&session->autosave_due_ns, UINT64_MAX);
    session->changed = svp_condition_open();
    session->to_write = svp_condition_open();
    session->results = svp_memory_zalloc(SVP_RESULTS, sizeof *session->results);
    session->runs = svp_memory_alloc(SVP_RUNS * sizeof *session->runs);
    bool enough = session->mutex != NULL && session->watching != NULL && session->changed != NULL &&
                  session->to_write != NULL && session->results != NULL && session->runs != NULL &&
                  svp_examine_open(&session->examiner) &&
                  svp_encode_open(&session->encoder, session->options.compression);
    if (!enough) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "no memory for a session");
    }
    memset(session->runs, 0, SVP_RUNS * sizeof *session->runs); /* resident: the kernel will write to it */
    session->next_ticket = 1;
    return SAVEPOINT_OK;
}

/* Region ids are never used twice in a history. Where the newest table is damaged, which ones it gave is not known: it
 * cannot have been half of those that were left. */
static enum savepoint_status read_next_region_id(struct savepoint *session, struct savepoint_error *error)
{
    struct svp_source *source = &session->append.source;
    uint64_t offset = session->append.tail.end.newest_regions;
    bool lost = false;
    enum savepoint_status status = SAVEPOINT_OK;
    session->next_region_id = 1;
    while (offset != 0) {
        struct svp_region_table table = { 0 };
        status = svp_source_regions(source, &table, offset, error);
        session->next_region_id = status == SAVEPOINT_OK ? table.next_id : 1;
        svp_regions_free(&table);
        if (status != SAVEPOINT_CORRUPT) {
            break;
        }
        lost = true;
        status = svp_survey_before(&session->catalog.survey, source, &offset, SVP_REGIONS, offset, error);
        if (status != SAVEPOINT_OK) {
            break;
        }
    }
    if (lost) {
        session->next_region_id += (UINT32_MAX - session->next_region_id) / 2;
    }
    return status;
}

/* HEAD was written by another build of this program: its pointers into code would not be good. */
static bool build_changed(const struct savepoint *session, const struct svp_segment *before)
{
    const struct svp_segment *now = &session->append.segment;
    return before->build_id_bytes != 0 && now->build_id_bytes != 0 &&
           (before->build_id_bytes != now->build_id_bytes ||
            memcmp(before->build_id, now->build_id, now->build_id_bytes) != 0);
}

static void note_repair(struct savepoint *session)
{
    struct savepoint_statistics *statistics = &session->statistics;
    statistics->torn_offset = session->repair.torn_offset;
    statistics->torn_bytes = session->repair.torn_bytes;
    statistics->flags |= session->repair.torn_cut ? SAVEPOINT_SESSION_TORN_CUT : 0;
    statistics->flags |= session->repair.resealed ? SAVEPOINT_SESSION_RESEALED : 0;
    statistics->flags |=
        build_changed(session, &session->append.previous_segment) ? SAVEPOINT_SESSION_BUILD_CHANGED : 0;
}

static enum savepoint_status open_archive(struct savepoint *session, const char *path, struct savepoint_error *error)
{
    const bool must_exist = (session->options.flags & SAVEPOINT_OPEN_MUST_EXIST) != 0;
    const enum svp_append_mode mode = must_exist ? SVP_APPEND_EXISTING : SVP_APPEND_CREATE;
    enum savepoint_status status = svp_append_open(&session->append, &session->repair, path, mode, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_reader_open(&session->reader, &session->append.source);
    status = svp_catalog_open(&session->catalog, &session->append.source, session->append.segment.alignment,
                              &session->append.tail.end, session->append.tail.has_end,
                              session->append.tail.durable_bytes, error);
    status = status == SAVEPOINT_OK ? read_next_region_id(session, error) : status;
    status = status == SAVEPOINT_OK ? svp_compaction_open(session, path, error) : status;
    note_repair(session);
    session->append.sink = svp_encoded_push;
    session->append.sink_user = session;
    session->written.tail = session->append.tail;
    session->statistics.archive_bytes = session->append.tail.committed_bytes;
    session->positioned =
        session->append.tail.end.newest_commit == 0 || (session->options.flags & SAVEPOINT_OPEN_NEW_ROOT) != 0;
    return status;
}

static enum savepoint_status open_ring(struct savepoint *session, struct savepoint_error *error)
{
    session->has_ring = true;
    session->from_shadow = svp_memory_alloc(sizeof *session->from_shadow);
    if (session->from_shadow == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "no memory for a ring");
    }
    svp_host_random(session->ring_history.uuid, sizeof session->ring_history.uuid);
    return svp_ring_open(&session->ring, session->options.ring_bytes, error);
}

static enum savepoint_status open_histories(struct savepoint *session, const char *path, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (path == NULL && session->options.ring_bytes == 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open",
                               "a session needs an archive or a ring: give a path, or ring_bytes");
    }
    session->has_archive = path != NULL;
    session->positioned = path == NULL;
    session->next_region_id = 1;
    if (session->options.ring_bytes > 0) {
        status = open_ring(session, error);
    }
    return status == SAVEPOINT_OK && path != NULL ? open_archive(session, path, error) : status;
}

static void free_session(struct savepoint *session)
{
    for (size_t i = 0; i < session->region_count; i++) {
        svp_region_free(session->regions[i]);
    }
    svp_memory_free(session->regions);
    svp_memory_free(session->results);
    svp_memory_free(session->runs);
    svp_encode_close(&session->encoder);
    svp_examine_close(&session->examiner);
    svp_recall_close(&session->recall);
    svp_staging_free(session->staging.spare);
    svp_drop_close(&session->drops);
    svp_memory_free(session->archive_path);
    svp_ring_close(&session->ring);
    svp_memory_free(session->from_shadow);
    svp_encoded_free(session);
    svp_condition_close(session->changed);
    svp_condition_close(session->to_write);
    svp_mutex_close(session->mutex);
    svp_mutex_close(session->watching);
    svp_memory_free(session);
}

/* Before the archive is opened and locked, so that no child forked meanwhile keeps the lock. */
static enum savepoint_status register_fork(struct savepoint *session, struct savepoint_error *error)
{
    int code = svp_host_at_fork(leave_archive, session);
    return code == 0 ? SAVEPOINT_OK : svp_status_os(error, code, "open", "cannot register the fork handler");
}

/* Once no take is in flight, the workers end. */
static void stop(struct savepoint *session)
{
    svp_session_drain(session);
    svp_mutex_lock(session->mutex);
    session->stopping = true;
    svp_condition_wake_all(session->changed);
    svp_condition_wake_all(session->to_write);
    svp_mutex_unlock(session->mutex);
    if (session->encoder_thread != NULL) {
        svp_thread_join(session->encoder_thread);
    }
    if (session->writer_thread != NULL) {
        svp_thread_join(session->writer_thread);
    }
}

static enum savepoint_status start(struct savepoint *session, struct savepoint_error *error)
{
    session->encoder_thread = svp_thread_start(svp_commit_run, session);
    bool writes = session->encoder_thread != NULL && session->has_archive;
    session->writer_thread = writes ? svp_thread_start(svp_write_run, session) : NULL;
    if (session->encoder_thread == NULL || (writes && session->writer_thread == NULL)) {
        stop(session);
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "cannot start the worker threads");
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status close_archive(struct savepoint *session, struct savepoint_error *error)
{
    svp_catalog_close(&session->catalog);
    svp_reader_close(&session->reader);
    return svp_append_close(&session->append, error);
}

enum savepoint_status savepoint_open(struct savepoint **session, const char *path,
                                     const struct savepoint_options *options, struct savepoint_error *error)
{
    if (session == NULL || (path != NULL && path[0] == '\0')) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open", "session must not be NULL, the path not empty");
    }
    struct savepoint *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "no memory for a session");
    }
    opened->process = svp_host_process();
    opened->append.source.file = (struct svp_file)SVP_FILE_NONE;
    enum savepoint_status status = svp_settings_read(opened, options, error);
    status = status == SAVEPOINT_OK ? allocate(opened, error) : status;
    status = status == SAVEPOINT_OK ? register_fork(opened, error) : status;
    status = status == SAVEPOINT_OK ? open_histories(opened, path, error) : status;
    status = status == SAVEPOINT_OK ? start(opened, error) : status;
    if (status != SAVEPOINT_OK) {
        svp_host_at_fork_end(opened);
        close_archive(opened, NULL);
        free_session(opened);
        return status;
    }
    *session = opened;
    return SAVEPOINT_OK;
}

static void end_regions(struct savepoint *session)
{
    for (size_t i = 0; i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        svp_region_disarm(region);
        if (region->mapped) {
            svp_vm_unmap((uintptr_t)region->base, region->reserve_bytes);
        }
    }
    for (size_t i = 0; i < session->watch_count; i++) {
        session->watches[i].backend->close(session->watches[i].watch);
    }
}

/* In a child there are no workers, their mutex may be held for ever, and the watch belongs to the parent's memory: only
 * what is plainly ours is given back. */
static void close_in_child(struct savepoint *session)
{
    svp_file_close(&session->append.source.file);
}

enum savepoint_status savepoint_close(struct savepoint *session, struct savepoint_error *error)
{
    if (session == NULL) {
        return SAVEPOINT_OK;
    }
    if (session->process != svp_host_process()) {
        close_in_child(session);
        return SAVEPOINT_OK;
    }
    svp_live_give_up(session, "close");
    stop(session);
    svp_live_stop(session);
    svp_host_at_fork_end(session);
    end_regions(session);
    enum savepoint_status status = close_archive(session, error);
    status = status == SAVEPOINT_OK ? svp_take_untold(session, error) : status;
    free_session(session);
    return status;
}

enum savepoint_status savepoint_find(struct savepoint *session, struct savepoint_snapshot *snapshot,
                                     const char *expression, struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "find", error);
    if (status == SAVEPOINT_OK && (snapshot == NULL || expression == NULL)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "find", "snapshot and expression must not be NULL");
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_drain(session);
    status = SAVEPOINT_NOT_FOUND;
    if (session->has_archive) {
        status = svp_catalog_find(&session->catalog, snapshot, expression, error);
    }
    bool missing = status == SAVEPOINT_NOT_FOUND || status == SAVEPOINT_EMPTY;
    return missing && session->has_ring ? svp_ring_list_find(session, snapshot, expression, error) : status;
}

enum savepoint_status savepoint_read_statistics(struct savepoint *session, struct savepoint_statistics *statistics,
                                                struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "statistics", error);
    if (status == SAVEPOINT_OK && (statistics == NULL || statistics->size < sizeof statistics->size)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "statistics", "set statistics->size to its sizeof first");
    }
    if (status == SAVEPOINT_OK) {
        size_t bytes = statistics->size < sizeof *statistics ? statistics->size : sizeof *statistics;
        svp_mutex_lock(session->mutex);
        session->statistics.size = bytes;
        memcpy(statistics, &session->statistics, bytes);
        svp_mutex_unlock(session->mutex);
    }
    return status;
}

enum savepoint_status
savepoint_backend_at(struct savepoint_backend *backend, size_t index, struct savepoint_error *error)
{
    const struct svp_watch_backend *found = svp_watch_backend_at(index);
    struct svp_watch_caps caps = { 0 };
    struct savepoint_error why = { 0 };
    if (found == NULL) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "backends", "there are %zu write-watches at most", index);
    }
    *backend = (struct savepoint_backend){ 0 };
    snprintf(backend->name, sizeof backend->name, "%s", found->name);
    backend->available = found->probe(&caps, &why) == SAVEPOINT_OK ? 1 : 0;
    backend->kernel_writes_counted = caps.kernel_writes_counted ? 1 : 0;
    backend->tracking_page_bytes = (uint32_t)caps.page_bytes;
    snprintf(backend->detail, sizeof backend->detail, "%s", backend->available ? found->mechanism : why.message);
    return SAVEPOINT_OK;
}
