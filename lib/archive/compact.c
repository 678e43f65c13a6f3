/* compact.c - savepoint_archive_compact: the kept snapshots in a new file, which replaces the old one */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/compact.h"
#include "archive/retention.h"
#include "archive/rewrite.h"
#include "format/memory.h"
#include "options.h"
#include "status.h"

static const char ending[] = ".compact"; /* of the new file while it is written */

struct compact {
    struct svp_compact *call;
    struct savepoint_compact_options options;
    struct savepoint_compact_result result;
    const char *path;
    char *new_path;
    struct savepoint_archive *archive;
    struct svp_lineage lineage;
    uint64_t copy_bytes; /* of progress: the copying; the verification counts as much again */
    struct savepoint_error *error;
};

/* ---- progress */

static int copying(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct compact *compact = user;
    return compact->options.progress(compact->options.progress_user, done_bytes, 2 * total_bytes);
}

static int verifying(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct compact *compact = user;
    double share = total_bytes > 0 ? (double)done_bytes / (double)total_bytes : 1;
    uint64_t done = compact->copy_bytes + (uint64_t)(share * (double)compact->copy_bytes);
    return compact->options.progress(compact->options.progress_user, done, 2 * compact->copy_bytes);
}

static struct svp_verify_pace pace_of(struct compact *compact)
{
    return (struct svp_verify_pace){ .progress = compact->options.progress != NULL ? copying : NULL,
                                     .user = compact,
                                     .total_bytes = compact->copy_bytes };
}

/* ---- what to keep */

static enum savepoint_status measure(struct compact *compact, uint64_t *bytes)
{
    struct svp_verify_pace pace = pace_of(compact);
    pace.total_bytes = 0; /* how often it is measured is not known */
    return svp_rewrite(compact->archive, &compact->lineage, NULL, bytes, &pace, compact->error);
}

/* Better nothing than to let everything go that may go, and still be above the budget. */
static enum savepoint_status refuse_budget(const struct compact *compact, uint64_t bytes)
{
    return svp_status_fail(
        compact->error, SAVEPOINT_LIMIT, "compact",
        "%s: with HEAD alone, and what labels and pins name, it would have %llu bytes, more than the "
        "%llu asked for: nothing was changed",
        compact->path, (unsigned long long)bytes, (unsigned long long)compact->options.keep_bytes);
}

static enum savepoint_status measure_without(struct compact *compact, size_t oldest, uint64_t *bytes)
{
    svp_retention_choose(&compact->lineage, &compact->options);
    svp_retention_drop_oldest(&compact->lineage, oldest);
    return measure(compact, bytes);
}

/* The fewest of the oldest go for the rest to fit into the budget. */
static enum savepoint_status fit_budget(struct compact *compact)
{
    uint64_t bytes = 0;
    size_t few = 0; /* too few to drop */
    size_t many = svp_retention_spare(&compact->lineage);
    enum savepoint_status status = measure(compact, &bytes);
    if (status != SAVEPOINT_OK || bytes <= compact->options.keep_bytes) {
        return status;
    }
    status = measure_without(compact, many, &bytes);
    if (status == SAVEPOINT_OK && bytes > compact->options.keep_bytes) {
        return refuse_budget(compact, bytes);
    }
    while (status == SAVEPOINT_OK && many - few > 1) {
        size_t middle = few + (many - few) / 2;
        status = measure_without(compact, middle, &bytes);
        few = bytes <= compact->options.keep_bytes ? few : middle;
        many = bytes <= compact->options.keep_bytes ? middle : many;
    }
    svp_retention_choose(&compact->lineage, &compact->options);
    svp_retention_drop_oldest(&compact->lineage, many);
    return status;
}

static void count(struct compact *compact)
{
    struct savepoint_compact_result *result = &compact->result;
    result->snapshots_kept = result->snapshots_dropped = result->snapshots_removed = compact->copy_bytes = 0;
    for (size_t i = 0; i < compact->lineage.count; i++) {
        const struct svp_line *line = &compact->lineage.lines[i];
        result->snapshots_kept += line->kept ? 1 : 0;
        result->snapshots_dropped += !line->kept && !line->dropped ? 1 : 0;
        result->snapshots_removed += line->kept ? 0 : 1;
        compact->copy_bytes += line->pages_stored * SVP_PAGE_BYTES;
    }
}

static void report(const struct compact *compact)
{
    for (size_t i = compact->lineage.count; compact->options.report != NULL && i-- > 0;) {
        const struct svp_line *line = &compact->lineage.lines[i];
        struct savepoint_snapshot snapshot;
        if (svp_catalog_at(&compact->archive->catalog, &snapshot, line->offset, NULL) == SAVEPOINT_OK) {
            compact->options.report(compact->options.report_user, &snapshot, line->kept ? 1 : 0);
        }
    }
}

static enum savepoint_status choose(struct compact *compact)
{
    const struct svp_log *log = &compact->archive->log;
    if (log->damage_offset != SVP_NO_OFFSET) {
        return svp_status_at(compact->error, SAVEPOINT_CORRUPT, log->damage_offset, "compact",
                             "%s: bytes that were once durable have changed; 'savepoint verify' tells what is lost",
                             compact->path);
    }
    compact->result.bytes_before = log->file_bytes;
    compact->result.bytes_after = log->file_bytes;
    enum savepoint_status status = svp_lineage_open(&compact->lineage, &compact->archive->catalog, compact->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_line *standing = svp_lineage_at(&compact->lineage, compact->call->standing);
    if (compact->call->standing != 0 && (standing == NULL || standing->dropped)) {
        return svp_status_fail(compact->error, SAVEPOINT_INVALID, "compact",
                               "%s: the snapshot that the session goes on from is not among those kept", compact->path);
    }
    if (standing != NULL) {
        standing->bound = true;
    }
    svp_retention_choose(&compact->lineage, &compact->options);
    status = compact->options.keep_bytes != 0 ? fit_budget(compact) : SAVEPOINT_OK;
    count(compact);
    return status;
}

/* ---- the new file */

/* What the writer of the new file says of its failures is about that file; nobody misses it. */
static enum savepoint_status explain(const struct compact *compact, enum savepoint_status status)
{
    if (status == SAVEPOINT_NO_SPACE || status == SAVEPOINT_IO || status == SAVEPOINT_UNCERTAIN) {
        int32_t os_code = compact->error->os_code;
        svp_status_fail(compact->error, status == SAVEPOINT_NO_SPACE ? status : SAVEPOINT_IO, "compact",
                        "%s: the compacted archive could not be written beside it%s; this one is as it was",
                        compact->path, status == SAVEPOINT_NO_SPACE ? ": make room for both" : "");
        compact->error->os_code = os_code;
        return compact->error->status;
    }
    return status;
}

static enum savepoint_status write_new(struct compact *compact, uint64_t *bytes)
{
    const struct svp_append *old = compact->call->old;
    struct svp_append *new = &compact->call->new;
    struct svp_repair repair;
    struct svp_verify_pace pace = pace_of(compact);
    svp_file_remove(compact->new_path); /* of a compaction that was killed: only who has the lock writes this file */
    enum savepoint_status status = svp_append_open(new, &repair, compact->new_path, SVP_APPEND_CREATE, compact->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    int code = svp_file_take_mode(&new->source.file, &old->source.file);
    if (code != 0) {
        status = svp_status_os(compact->error, code, "compact", "%s: cannot be given the archive's permissions",
                               compact->new_path);
    }
    memcpy(new->segment.history_uuid, old->segment.history_uuid, sizeof new->segment.history_uuid);
    new->segment.compatible = old->segment.compatible;
    status = status == SAVEPOINT_OK
                 ? svp_rewrite(compact->archive, &compact->lineage, new, bytes, &pace, compact->error)
                 : status;
    enum savepoint_status closed = svp_append_close(new, status == SAVEPOINT_OK ? compact->error : NULL);
    return status != SAVEPOINT_OK ? status : closed;
}

static void note_finding(void *user, const struct savepoint_finding *finding)
{
    struct compact *compact = user;
    svp_status_at(compact->error, SAVEPOINT_CORRUPT, finding->file_offset, "compact",
                  "%s: the compacted archive did not verify and was thrown away; this one is as it was (%.120s)",
                  compact->path, finding->message);
}

/* Nothing replaces an archive that was not read back first. */
static enum savepoint_status check_new(struct compact *compact)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result = { 0 };
    options.report = note_finding;
    options.report_user = compact;
    options.progress = compact->options.progress != NULL ? verifying : NULL;
    options.progress_user = compact;
    enum savepoint_status status = savepoint_archive_open(&archive, compact->new_path, compact->error);
    status = status == SAVEPOINT_OK ? savepoint_archive_verify(archive, &result, &options, compact->error) : status;
    if (status == SAVEPOINT_OK) {
        compact->result.bytes_after = archive->log.file_bytes;
        status = result.findings > 0 || result.snapshots_checked != compact->result.snapshots_kept ? SAVEPOINT_CORRUPT
                                                                                                   : SAVEPOINT_OK;
    }
    savepoint_archive_close(archive);
    return status;
}

/* Opens the new file for who goes on with it: from here on nobody else can write to it. */
static enum savepoint_status hand_over(struct compact *compact)
{
    struct svp_compact *call = compact->call;
    struct svp_repair repair;
    const struct svp_line *standing = svp_lineage_at(&compact->lineage, call->standing);
    enum savepoint_status status =
        svp_append_open(&call->new, &repair, compact->new_path, SVP_APPEND_EXISTING, compact->error);
    return status == SAVEPOINT_OK ? call->ready(call->user, standing != NULL ? standing->target : 0, compact->error)
                                  : status;
}

static enum savepoint_status replace(struct compact *compact)
{
    int code = svp_file_rename(compact->new_path, compact->path);
    if (code != 0) {
        return svp_status_os(compact->error, code, "compact", "%s: cannot be replaced; it is as it was", compact->path);
    }
    compact->result.replaced = 1;
    code = svp_file_sync_folder(compact->path);
    if (code != 0) {
        svp_status_os(compact->error, code, "compact",
                      "%s: replaced, but a power cut may bring the old file back: it holds the same snapshots",
                      compact->path);
        compact->error->status = SAVEPOINT_UNCERTAIN;
        return SAVEPOINT_UNCERTAIN;
    }
    return SAVEPOINT_OK;
}

/* With branches the measure is not exact: where the new file is too large after all, one more has to go. */
static enum savepoint_status write_within_budget(struct compact *compact)
{
    uint64_t bytes = 0;
    enum savepoint_status status = explain(compact, write_new(compact, &bytes));
    while (status == SAVEPOINT_OK && compact->options.keep_bytes != 0 && bytes > compact->options.keep_bytes &&
           svp_retention_spare(&compact->lineage) > 0) {
        svp_retention_drop_oldest(&compact->lineage, 1);
        count(compact);
        status = explain(compact, write_new(compact, &bytes));
    }
    bool over = compact->options.keep_bytes != 0 && bytes > compact->options.keep_bytes;
    return status == SAVEPOINT_OK && over ? refuse_budget(compact, bytes) : status;
}

static enum savepoint_status run(struct compact *compact)
{
    enum savepoint_status status = savepoint_archive_open(&compact->archive, compact->path, compact->error);
    status = status == SAVEPOINT_OK ? choose(compact) : status;
    uint64_t budget = compact->options.keep_bytes;
    bool fits = budget == 0 || compact->result.bytes_before <= budget;
    bool idle = status != SAVEPOINT_OK || (compact->result.snapshots_removed == 0 && fits);
    bool writes = compact->call->old != NULL;
    if (!idle && writes) {
        status = write_within_budget(compact);
        status = status == SAVEPOINT_OK ? check_new(compact) : status;
    } else if (!idle) {
        status = measure(compact, &compact->result.bytes_after);
    }
    if (status == SAVEPOINT_OK) {
        report(compact);
    }
    if (!idle && writes) {
        status = status == SAVEPOINT_OK && compact->call->ready != NULL ? hand_over(compact) : status;
        status = status == SAVEPOINT_OK ? replace(compact) : status;
        if (compact->result.replaced == 0) {
            svp_file_remove(compact->new_path);
        }
    }
    return status;
}

/* ---- the calls */

enum savepoint_status svp_compact(struct svp_compact *call, struct savepoint_error *error)
{
    struct savepoint_error ignored = { .status = SAVEPOINT_OK };
    struct compact compact = { .call = call, .options = call->options, .path = call->path };
    const size_t bytes = strlen(call->path) + sizeof ending;
    compact.error = error != NULL ? error : &ignored;
    call->new = (struct svp_append){ .source = { .file = SVP_FILE_NONE } };
    compact.new_path = svp_memory_alloc(bytes);
    if (compact.new_path == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "compact", "%s: no memory", call->path);
    }
    snprintf(compact.new_path, bytes, "%s%s", call->path, ending);
    enum savepoint_status status = run(&compact);
    if (compact.result.replaced == 0 && call->ready != NULL) {
        svp_append_close(&call->new, NULL);
    }
    call->result = compact.result;
    svp_lineage_close(&compact.lineage);
    savepoint_archive_close(compact.archive);
    svp_memory_free(compact.new_path);
    return status;
}

enum savepoint_status svp_compact_options(struct savepoint_compact_options *chosen,
                                          const struct savepoint_compact_options *given, struct savepoint_error *error)
{
    const uint32_t known = SAVEPOINT_COMPACT_KEEP_LOG | SAVEPOINT_COMPACT_DRY_RUN;
    *chosen = (struct savepoint_compact_options)SAVEPOINT_COMPACT_OPTIONS_INIT;
    enum savepoint_status status = svp_options_copy(chosen, sizeof *chosen, given, "compact", error);
    if (status == SAVEPOINT_OK && (chosen->flags & ~known) != 0) {
        status =
            svp_status_fail(error, SAVEPOINT_INVALID, "compact", "flags %#x are not known", chosen->flags & ~known);
    }
    return status;
}

static enum savepoint_status resolve(char **resolved, const char *path, struct savepoint_error *error)
{
    *resolved = svp_file_resolve(path);
    if (*resolved != NULL) {
        return SAVEPOINT_OK;
    }
    return errno != ENOMEM ? svp_status_os(error, errno, "compact", "%s: cannot find the archive", path)
                           : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "compact", "%s: no memory", path);
}

/* Looked at before it is opened for writing: a writer would begin an archive anew that holds no transaction, and there
 * would be nothing left to compact. */
static enum savepoint_status holds_any(bool *any, const char *path, struct savepoint_error *error)
{
    struct savepoint_archive *archive = NULL;
    enum savepoint_status status = savepoint_archive_open(&archive, path, error);
    *any = status == SAVEPOINT_OK && archive->log.has_end;
    savepoint_archive_close(archive);
    return status;
}

enum savepoint_status
savepoint_archive_compact(const char *path, struct savepoint_compact_result *result,
                          const struct savepoint_compact_options *options, struct savepoint_error *error)
{
    struct svp_compact call = { 0 };
    char *resolved = NULL;
    struct svp_append old;
    struct svp_repair repair;
    if (path == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "compact", "path must not be NULL");
    }
    enum savepoint_status status = svp_compact_options(&call.options, options, error);
    bool writes = (call.options.flags & SAVEPOINT_COMPACT_DRY_RUN) == 0;
    status = status == SAVEPOINT_OK ? resolve(&resolved, path, error) : status;
    call.path = resolved;
    status = status == SAVEPOINT_OK && writes ? holds_any(&writes, call.path, error) : status;
    if (status == SAVEPOINT_OK && writes) {
        status = svp_append_open(&old, &repair, call.path, SVP_APPEND_HISTORY, error);
        call.old = status == SAVEPOINT_OK ? &old : NULL;
    }
    status = status == SAVEPOINT_OK ? svp_compact(&call, error) : status;
    if (call.old != NULL) {
        svp_append_close(&old, NULL); /* nothing was written to it */
    }
    svp_memory_free(resolved);
    if (result != NULL && status == SAVEPOINT_OK) {
        *result = call.result;
    }
    return status;
}
