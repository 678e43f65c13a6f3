/* compaction.c - asking for a compaction of the session's own archive, and when it asks by itself */
#include "session/compaction.h"

#include <errno.h>

#include "format/memory.h"
#include "os/host.h"
#include "session/takes.h"
#include "status.h"

/* Less than that is not worth the work by itself; at the cap, this share of the file. */
#define GAIN_BYTES_MIN (UINT64_C(1) << 20)
enum { GAIN_SHARE_MIN = 16 };
/* After one that failed, doubled each time. */
#define RETRY_NS (UINT64_C(60) * 1000 * 1000 * 1000)
enum { RETRY_DOUBLED_MAX = 6 };

/* ---- asking for one */

enum savepoint_status svp_compaction_open(struct savepoint *session, const char *path, struct savepoint_error *error)
{
    const struct svp_catalog *catalog = &session->catalog;
    const uint64_t dropped = catalog->dropped_count;
    const uint64_t all = dropped + catalog->end.snapshot_count;
    session->compacting.dropped_bytes =
        all > 0 ? (uint64_t)((double)catalog->end.newest_commit * (double)dropped / (double)all) : 0;
    session->archive_path = svp_file_resolve(path);
    if (session->archive_path == NULL) {
        return errno != ENOMEM ? svp_status_os(error, errno, "open", "%s: cannot tell its path", path)
                               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", path);
    }
    return SAVEPOINT_OK;
}

void svp_compaction_free(struct svp_compaction *compaction)
{
    if (compaction == NULL) {
        return;
    }
    for (size_t i = 0; i < compaction->part_count; i++) {
        svp_memory_free(compaction->parts[i].states);
    }
    svp_memory_free(compaction->parts);
    svp_catalog_close(&compaction->catalog);
    svp_memory_free(compaction);
}

static struct svp_take *new_compaction(struct savepoint *session, const struct savepoint_compact_options *options)
{
    struct svp_take *take = svp_memory_zalloc(1, sizeof *take);
    struct svp_compaction *compaction = take != NULL ? svp_memory_zalloc(1, sizeof *compaction) : NULL;
    if (compaction == NULL) {
        svp_memory_free(take);
        return NULL;
    }
    take->compaction = compaction;
    take->for_ring = true; /* nothing for the writer */
    take->moved = true;    /* nor for the shadow */
    take->complete = true;
    compaction->options = *options;
    compaction->session = session;
    compaction->take = take;
    compaction->left = (struct svp_file)SVP_FILE_NONE;
    compaction->call.new.source.file = (struct svp_file)SVP_FILE_NONE;
    compaction->parts = svp_memory_zalloc(session->region_count + 1, sizeof *compaction->parts);
    if (compaction->parts == NULL) {
        svp_take_free(take);
        return NULL;
    }
    compaction->part_count = session->region_count;
    for (size_t i = 0; i < session->region_count; i++) {
        compaction->parts[i].region = session->regions[i];
    }
    return take;
}

/* With the mutex held. */
static enum savepoint_status check_begin(const struct savepoint *session, struct savepoint_error *error)
{
    if (session->restoring) {
        return svp_status_fail(error, SAVEPOINT_BUSY, "compact", "a restore, a promotion or a load is running");
    }
    if (session->statistics.compacting > 0) {
        return svp_status_fail(error, SAVEPOINT_BUSY, "compact", "the archive is being compacted already");
    }
    if (session->writer_poisoned) {
        return svp_status_fail(error, SAVEPOINT_POISONED, "compact",
                               "%s: an earlier sync or cut of it failed, so the end of the archive is in doubt",
                               session->append.source.path);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_compaction_begin(struct savepoint *session, uint64_t *ticket, const struct savepoint_compact_options *options,
                     bool automatic, struct savepoint_error *error)
{
    if (!svp_file_renames_over_open()) {
        return svp_status_fail(error, SAVEPOINT_UNSUPPORTED, "compact",
                               "this system does not replace a file that is open: close the session, then compact");
    }
    struct svp_take *take = new_compaction(session, options);
    if (take == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "compact", "no memory to compact");
    }
    take->compaction->automatic = automatic;
    svp_mutex_lock(session->mutex);
    enum savepoint_status status = check_begin(session, error);
    if (status == SAVEPOINT_OK) {
        svp_take_enqueue(session, take);
        session->statistics.compacting = 1;
        if (ticket != NULL) {
            *ticket = take->ticket;
        }
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
    if (status != SAVEPOINT_OK) {
        svp_take_free(take);
    }
    return status;
}

enum savepoint_status savepoint_compact(struct savepoint *session, uint64_t *ticket,
                                        const struct savepoint_compact_options *options, struct savepoint_error *error)
{
    struct savepoint_compact_options chosen;
    enum savepoint_status status = svp_session_check(session, "compact", error);
    status = status == SAVEPOINT_OK ? svp_compact_options(&chosen, options, error) : status;
    if (status == SAVEPOINT_OK && (!session->has_archive || (chosen.flags & SAVEPOINT_COMPACT_DRY_RUN) != 0)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "compact",
                                 "a session compacts its own archive, and not as a dry run");
    }
    return status == SAVEPOINT_OK ? svp_compaction_begin(session, ticket, &chosen, false, error) : status;
}

/* ---- when it is due */

void svp_compaction_note(struct savepoint *session, const struct svp_take *take)
{
    struct svp_compacting *compacting = &session->compacting;
    session->statistics.compacting = 0;
    if (take->status == SAVEPOINT_OK) {
        *compacting = (struct svp_compacting){ .autosaves_dropped = session->statistics.autosaves_dropped };
        return;
    }
    const unsigned doubled = compacting->failures < RETRY_DOUBLED_MAX ? compacting->failures : RETRY_DOUBLED_MAX;
    compacting->retry_ns = svp_host_monotonic_ns() + (RETRY_NS << doubled);
    compacting->failures++;
    session->statistics.compactions_failed++;
    if (take->compaction->automatic && take->status != SAVEPOINT_CANCELLED) {
        session->autosave_failure = take->error;
    }
}

/* An autosave that drops others adds about as much as it gives up: so many more bytes are of no use. */
void svp_compaction_grown(struct savepoint *session, uint64_t bytes)
{
    struct svp_compacting *compacting = &session->compacting;
    compacting->dropped_bytes += compacting->autosaves_dropped != session->statistics.autosaves_dropped ? bytes : 0;
    compacting->autosaves_dropped = session->statistics.autosaves_dropped;
}

bool svp_compaction_is_due(const struct savepoint *session, bool capped)
{
    const struct svp_compacting *compacting = &session->compacting;
    const uint64_t all = session->statistics.archive_bytes;
    const uint64_t dropped = compacting->dropped_bytes < all ? compacting->dropped_bytes : all;
    /* A program that never runs for long must get an autosave in before it begins with this. */
    const bool saved = session->statistics.autosaves > 0;
    const bool worth = capped ? dropped > 0 && dropped >= all / GAIN_SHARE_MIN
                              : saved && dropped >= GAIN_BYTES_MIN && dropped > all - dropped;
    return worth && session->statistics.compacting == 0 && !session->writer_poisoned && svp_file_renames_over_open() &&
           (compacting->failures == 0 || svp_host_monotonic_ns() >= compacting->retry_ns);
}
