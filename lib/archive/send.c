/* send.c - savepoint_archive_send: snapshots of one branch, as a stream */
#include <string.h>

#include "archive/archive.h"
#include "archive/copy.h"
#include "archive/lineage.h"
#include "archive/outflow.h"
#include "options.h"
#include "status.h"

struct send {
    struct savepoint_archive *archive;
    struct savepoint_send_options options;
    struct savepoint_stream_result result;
    struct svp_verify_pace pace;
    struct svp_lineage lineage; /* of the snapshot; to be sent are those kept */
    const struct svp_line *since;
    const struct svp_line *before; /* the one sent last */
    struct svp_outflow outflow;
    struct svp_copy copy;
    struct savepoint_error *error;
};

/* ---- what is to be sent */

/* Leaves out what leads to the newest snapshot that the two share. */
static enum savepoint_status leave_out(struct send *send)
{
    struct svp_lineage theirs;
    enum savepoint_status status =
        svp_lineage_open_chain(&theirs, &send->archive->catalog, send->options.since->file_offset, send->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    for (size_t i = send->lineage.count; i-- > 0;) {
        struct svp_line *line = &send->lineage.lines[i];
        if (send->since == NULL && line->kept && svp_lineage_at(&theirs, line->offset) != NULL) {
            send->since = line;
        }
        line->kept = line->kept && send->since == NULL;
    }
    svp_lineage_close(&theirs);
    return SAVEPOINT_OK;
}

static enum savepoint_status choose(struct send *send, const struct savepoint_snapshot *snapshot)
{
    enum savepoint_status status =
        svp_lineage_open_chain(&send->lineage, &send->archive->catalog, snapshot->file_offset, send->error);
    if (status == SAVEPOINT_OK) {
        send->lineage.lines[send->lineage.count - 1].kept = true; /* asked for by name, also where it was dropped */
    }
    if (status == SAVEPOINT_OK && send->options.since != NULL) {
        status = leave_out(send);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < send->lineage.count; i++) {
        const struct svp_line *line = &send->lineage.lines[i];
        send->pace.total_bytes += send->since == NULL || line > send->since ? line->pages_stored * SVP_PAGE_BYTES : 0;
    }
    return status;
}

/* ---- one snapshot */

static enum savepoint_status write_regions(struct send *send, struct svp_line *line)
{
    if (send->before != NULL && send->before->regions == line->regions) {
        line->target_regions = send->before->target_regions;
        return SAVEPOINT_OK;
    }
    enum savepoint_status status =
        svp_copy_record(&send->copy, SVP_REGIONS, line->regions, &line->target_regions, send->error);
    send->outflow.end.newest_regions = line->target_regions;
    return status;
}

static void place_commit(const struct send *send, struct svp_commit *commit, const struct svp_line *line)
{
    static const struct svp_hash none;
    const struct svp_recode *recode = &send->copy.recode;
    const struct svp_line *base = send->before != NULL ? send->before : send->since;
    const struct svp_line *parent = line->kept_parent;
    commit->base_id = base != NULL ? base->id : none;
    commit->base = send->before != NULL ? send->before->target : 0;
    commit->parent = parent != NULL ? parent->target : 0;
    commit->previous = commit->base;
    commit->regions = line->target_regions;
    commit->transaction_start = send->outflow.start;
    commit->pages_stored = recode->pages_stored;
    commit->delta_bytes = recode->delta_bytes;
    commit->key_bytes = recode->key_bytes;
    commit->depth = line->target_depth;
}

static enum savepoint_status write_records(struct send *send, struct svp_line *line, struct svp_commit *commit)
{
    struct svp_copy *copy = &send->copy;
    struct svp_sink *sink = &copy->recode.sink;
    enum savepoint_status status = write_regions(send, line);
    if (status == SAVEPOINT_OK && commit->metadata != 0) {
        status = svp_copy_record(copy, SVP_META, commit->metadata, &commit->metadata, send->error);
    }
    status = status == SAVEPOINT_OK ? svp_copy_pages(copy, line->offset, line->target_depth, send->error) : status;
    if (status == SAVEPOINT_OK) {
        uint64_t base = send->before != NULL ? send->before->target : 0;
        status = svp_recode_index(&copy->recode, &commit->index, base, false, send->error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    place_commit(send, commit, line);
    svp_buffer_clear(sink->body);
    svp_commit_write(sink->body, commit);
    return sink->record(sink->to, SVP_COMMIT, &line->target, send->error);
}

static enum savepoint_status write_snapshot(struct send *send, struct svp_line *line)
{
    struct svp_commit commit;
    struct svp_end *end = &send->outflow.end;
    line->target_depth = send->before != NULL ? send->before->target_depth + 1 : 1;
    enum savepoint_status status = svp_source_commit(&send->archive->source, &commit, line->offset, send->error);
    status = status == SAVEPOINT_OK ? svp_outflow_begin(&send->outflow, send->error) : status;
    status = status == SAVEPOINT_OK ? write_records(send, line, &commit) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    end->newest_commit = line->target;
    end->head = (commit.flags & SVP_COMMIT_NO_HEAD) != 0 ? end->head : line->target;
    end->highest_sequence = line->sequence > end->highest_sequence ? line->sequence : end->highest_sequence;
    end->snapshot_count++;
    send->before = line;
    send->result.snapshots++;
    memcpy(send->result.newest.bytes, line->id.bytes, sizeof line->id.bytes);
    return svp_outflow_finish(&send->outflow, send->error);
}

/* ---- the stream */

static enum savepoint_status write_stream(struct send *send)
{
    uint64_t since = send->since != NULL ? send->since->offset : 0;
    enum savepoint_status status = svp_copy_stand_at(&send->copy, since, 0, 0, send->error);
    for (size_t i = 0; status == SAVEPOINT_OK && i < send->lineage.count; i++) {
        struct svp_line *line = &send->lineage.lines[i];
        status = line->kept ? write_snapshot(send, line) : SAVEPOINT_OK;
    }
    if (status == SAVEPOINT_OK && send->result.snapshots == 0) { /* a stream has a SEGMENT, whatever else */
        status = svp_outflow_begin(&send->outflow, send->error);
        status = status == SAVEPOINT_OK ? svp_outflow_finish(&send->outflow, send->error) : status;
    }
    return status == SAVEPOINT_OK ? svp_outflow_end(&send->outflow, send->error) : status;
}

static enum savepoint_status run(struct send *send, savepoint_stream_write *write, void *write_user)
{
    svp_lineage_settle(&send->lineage);
    svp_outflow_open(&send->outflow, &send->archive->log.segment, write, write_user);
    if (send->since != NULL) {
        send->outflow.segment.incompatible |= SVP_FEATURE_CONTINUES;
        send->outflow.segment.continues = send->since->id;
    }
    const struct svp_sink sink = svp_outflow_sink(&send->outflow);
    bool enough = svp_copy_open(&send->copy, &send->archive->reader, &sink, NULL, &send->pace);
    enum savepoint_status status =
        enough ? write_stream(send)
               : svp_status_fail(send->error, SAVEPOINT_NO_MEMORY, "send", "%s: no memory", send->archive->source.path);
    send->result.stream_bytes = send->outflow.at;
    svp_copy_close(&send->copy);
    svp_outflow_close(&send->outflow);
    return status;
}

enum savepoint_status
savepoint_archive_send(struct savepoint_archive *archive, struct savepoint_stream_result *result,
                       const struct savepoint_snapshot *snapshot, savepoint_stream_write *write, void *write_user,
                       const struct savepoint_send_options *options, struct savepoint_error *error)
{
    struct send send = { .archive = archive, .options = SAVEPOINT_SEND_OPTIONS_INIT, .error = error };
    if (archive == NULL || snapshot == NULL || write == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "send", "archive, snapshot and write must not be NULL");
    }
    enum savepoint_status status = svp_options_copy(&send.options, sizeof send.options, options, "send", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    send.pace.progress = send.options.progress;
    send.pace.user = send.options.progress_user;
    status = choose(&send, snapshot);
    status = status == SAVEPOINT_OK ? run(&send, write, write_user) : status;
    svp_lineage_close(&send.lineage);
    if (result != NULL && status == SAVEPOINT_OK) {
        *result = send.result;
    }
    return status;
}
