/* receive.c - savepoint_archive_receive: the snapshots of a stream, appended to an archive */
#include "archive/receive.h"

#include <errno.h>
#include <string.h>

#include "options.h"
#include "status.h"

/* ---- transactions */

static enum savepoint_status begin(struct svp_receive *receive)
{
    if (receive->append.open) {
        return SAVEPOINT_OK;
    }
    svp_recode_begin(&receive->recode, receive->base.depth + 1);
    svp_buffer_clear(&receive->touched);
    receive->regions = receive->base.regions;
    receive->metadata = receive->stream_metadata = 0;
    receive->metadata_hash = svp_digest128(0, NULL, 0);
    receive->has_commit = false;
    return svp_append_begin(&receive->append, receive->error);
}

static enum savepoint_status receive_metadata(struct svp_receive *receive)
{
    const struct svp_inflow *inflow = &receive->inflow;
    struct svp_append *append = &receive->append;
    size_t bytes = (size_t)inflow->record.body_bytes;
    receive->stream_metadata = inflow->record.offset;
    receive->metadata_hash = svp_digest128(0, inflow->body, bytes);
    svp_buffer_clear(&append->body);
    svp_buffer_add(&append->body, inflow->body, bytes);
    return svp_append_record(append, SVP_META, &receive->metadata, receive->error);
}

/* What the snapshot's record must say, given all before it. NULL: sound. */
static const char *check_commit(const struct svp_receive *receive)
{
    static const struct svp_hash none;
    const struct svp_commit *commit = &receive->commit;
    const struct svp_receive_base *base = &receive->base;
    const struct svp_hash *base_id = base->commit != 0 ? &base->id : &none;
    struct svp_hash id = svp_commit_identity(commit, receive->segment.history_uuid);
    if (commit->base != base->stream_commit || memcmp(commit->base_id.bytes, base_id->bytes, SVP_HASH_BYTES) != 0) {
        return "a snapshot rests on another one than the last";
    }
    if (commit->regions != receive->stream_regions || commit->metadata != receive->stream_metadata ||
        receive->stream_regions == 0) {
        return "a snapshot has other regions or metadata than were sent";
    }
    if (memcmp(commit->metadata_hash.bytes, receive->metadata_hash.bytes, SVP_HASH_BYTES) != 0) {
        return "metadata is not what its snapshot says";
    }
    if (commit->sequence <= receive->sequence) {
        return "sequences do not rise";
    }
    return memcmp(id.bytes, commit->id.bytes, SVP_HASH_BYTES) == 0 ? NULL : "a snapshot's id is not its own";
}

static enum savepoint_status receive_commit(struct svp_receive *receive)
{
    const struct svp_inflow *inflow = &receive->inflow;
    receive->has_commit = true;
    enum svp_verdict verdict = svp_commit_read(&receive->commit, inflow->body, (size_t)inflow->record.body_bytes);
    enum savepoint_status status = svp_inflow_verdict(inflow, verdict, "snapshot record", receive->error);
    const char *wrong = status == SAVEPOINT_OK ? check_commit(receive) : NULL;
    if (wrong != NULL) {
        return svp_inflow_broken(inflow, wrong, receive->error);
    }
    status = status == SAVEPOINT_OK ? svp_receive_check_state(receive) : status;
    if (status == SAVEPOINT_OK) {
        const struct svp_receive_pair pair = { inflow->record.offset, 0 };
        svp_buffer_add(&receive->received, &pair, sizeof pair);
        enum svp_verdict noted = receive->received.failed ? SVP_EXHAUSTED : SVP_GOOD;
        status = svp_inflow_verdict(inflow, noted, "snapshot", receive->error);
        status = status == SAVEPOINT_OK ? svp_recode_finish(&receive->recode, receive->error) : status;
    }
    return status;
}

/* ---- the end of a transaction */

static struct svp_receive_pair *last_pair(struct svp_receive *receive)
{
    return (struct svp_receive_pair *)(void *)(receive->received.bytes + receive->received.count) - 1;
}

/* The nearest ancestor: one of the stream, or the parent itself where that is here, or what the stream goes on from. */
static uint64_t parent_of(struct svp_receive *receive, const struct svp_commit *commit)
{
    const struct svp_receive_pair *pairs = (const struct svp_receive_pair *)(const void *)receive->received.bytes;
    size_t low = 0; /* of those that are not before the parent */
    const size_t count = receive->received.count / sizeof *pairs;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        bool before = pairs[middle].stream < commit->parent;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    if (commit->parent != 0 && low < count && pairs[low].stream == commit->parent) {
        return pairs[low].here;
    }
    const struct svp_line *line = svp_receive_find(receive, &commit->parent_id);
    static const struct svp_hash none;
    bool root = memcmp(commit->parent_id.bytes, none.bytes, sizeof none.bytes) == 0;
    return line != NULL ? line->offset : root ? 0 : receive->base.commit;
}

static void place_commit(struct svp_receive *receive, struct svp_commit *commit)
{
    const struct svp_append *append = &receive->append;
    uint32_t no_head = receive->was_empty ? 0 : SVP_COMMIT_NO_HEAD;
    commit->parent = parent_of(receive, commit);
    commit->base = receive->base.commit;
    commit->previous = append->tail.end.newest_commit;
    commit->regions = receive->regions;
    commit->metadata = receive->metadata;
    commit->transaction_start = append->tail.committed_bytes;
    commit->pages_stored = receive->recode.pages_stored;
    commit->delta_bytes = receive->recode.delta_bytes;
    commit->key_bytes = receive->recode.key_bytes;
    commit->flags = (commit->flags & SVP_COMMIT_AUTOSAVE) | SVP_COMMIT_UNSYNCED | no_head;
    commit->depth = receive->recode.depth;
    commit->region_count = receive->table.count;
    commit->region_pages = 0;
    for (uint32_t i = 0; i < receive->table.count; i++) {
        commit->region_pages += receive->table.entries[i].bytes / SVP_PAGE_BYTES;
    }
}

/* The commit was written: the next one stands on it. */
static enum savepoint_status advance(struct svp_receive *receive, uint64_t commit_offset)
{
    struct svp_receive_base *base = &receive->base;
    struct svp_record record;
    enum savepoint_status status = SAVEPOINT_OK;
    svp_recode_advance(&receive->recode, commit_offset);
    base->commit = commit_offset;
    base->id = receive->commit.id;
    base->depth = receive->recode.depth;
    if (base->regions != receive->regions) {
        const struct svp_source *source = &receive->append.source;
        base->regions = receive->regions;
        status = svp_source_record(source, &record, &base->regions_body, base->regions, SVP_REGIONS, receive->error);
        svp_regions_free(&base->table);
        status =
            status == SAVEPOINT_OK ? svp_source_regions(source, &base->table, base->regions, receive->error) : status;
    }
    return status;
}

static enum savepoint_status write_commit(struct svp_receive *receive)
{
    struct svp_append *append = &receive->append;
    struct svp_commit commit = receive->commit;
    uint64_t offset = 0;
    enum savepoint_status status =
        svp_recode_index(&receive->recode, &commit.index, receive->base.commit, true, receive->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    place_commit(receive, &commit);
    svp_buffer_clear(&append->body);
    svp_commit_write(&append->body, &commit);
    status = svp_append_record(append, SVP_COMMIT, &offset, receive->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_end end = append->tail.end;
    end.newest_commit = offset;
    end.head = receive->was_empty ? offset : end.head;
    end.newest_regions = commit.regions > end.newest_regions ? commit.regions : end.newest_regions;
    end.highest_sequence = commit.sequence > end.highest_sequence ? commit.sequence : end.highest_sequence;
    end.snapshot_count++;
    status = svp_append_finish(append, &end, false, receive->error);
    if (status == SAVEPOINT_OK) {
        last_pair(receive)->here = offset;
        receive->next_id = receive->table.next_id > receive->next_id ? receive->table.next_id : receive->next_id;
        receive->result.snapshots++;
        status = advance(receive, offset);
    }
    return status;
}

static enum savepoint_status end_transaction(struct svp_receive *receive)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (!receive->has_commit) {
        if (receive->append.open) {
            svp_append_abort(&receive->append);
            return svp_inflow_broken(&receive->inflow, "a transaction without a snapshot", receive->error);
        }
        return SAVEPOINT_OK;
    }
    const struct svp_line *present = svp_receive_find(receive, &receive->commit.id);
    if (present != NULL) {
        svp_append_abort(&receive->append);
        last_pair(receive)->here = present->offset;
        status = svp_receive_move_to(receive, present);
        receive->result.snapshots_present++;
    } else {
        status = svp_receive_check_clash(receive);
        status = status == SAVEPOINT_OK ? write_commit(receive) : status;
    }
    if (status == SAVEPOINT_OK) {
        receive->base.stream_commit = last_pair(receive)->stream;
        receive->sequence = receive->commit.sequence;
        memcpy(receive->result.newest.bytes, receive->commit.id.bytes, sizeof receive->result.newest.bytes);
    }
    receive->has_commit = false;
    return status;
}

/* ---- the stream */

static enum savepoint_status receive_record(struct svp_receive *receive)
{
    unsigned type = receive->inflow.record.type;
    if (type == SVP_END) {
        return end_transaction(receive);
    }
    if (type == SVP_SEGMENT) { /* the first was looked at */
        return receive->inflow.record.offset == 0
                   ? SAVEPOINT_OK
                   : svp_inflow_broken(&receive->inflow, "a second header", receive->error);
    }
    enum savepoint_status status = begin(receive);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    switch (type) {
    case SVP_REGIONS:
        return svp_receive_regions(receive);
    case SVP_META:
        return receive_metadata(receive);
    case SVP_PAGES:
        return svp_receive_pages(receive);
    case SVP_COMMIT:
        return receive_commit(receive);
    default:
        return SAVEPOINT_OK; /* the INDEX: this archive gets its own */
    }
}

static enum savepoint_status read_stream(struct svp_receive *receive)
{
    enum savepoint_status status = SAVEPOINT_OK;
    while (status == SAVEPOINT_OK && receive->inflow.record.type != SVP_CLOSE) {
        uint64_t before = receive->inflow.at;
        status = receive_record(receive);
        status = status == SAVEPOINT_OK ? svp_inflow_next(&receive->inflow, receive->error) : status;
        if (status == SAVEPOINT_OK) {
            status = svp_verify_step(&receive->pace, receive->inflow.at - before, receive->error);
        }
    }
    return status;
}

static enum savepoint_status
append_record(void *to, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    return svp_append_record(to, type, offset, error);
}

static uint64_t append_offset(const void *to)
{
    return svp_append_offset(to);
}

static enum savepoint_status run(struct svp_receive *receive, const char *path)
{
    const struct svp_sink sink = { &receive->append, &receive->append.body, append_record, append_offset };
    receive->unpacker = svp_unpacker_open();
    if (receive->unpacker == NULL || !svp_recode_open(&receive->recode, &sink)) {
        return svp_status_fail(receive->error, SAVEPOINT_NO_MEMORY, "receive", "no memory");
    }
    enum savepoint_status status = svp_inflow_next(&receive->inflow, receive->error);
    status = status == SAVEPOINT_OK ? svp_receive_segment(receive) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = svp_receive_open(receive, path);
    bool opened = receive->append.source.path != NULL;
    status = status == SAVEPOINT_OK ? svp_receive_start(receive) : status;
    status = status == SAVEPOINT_OK ? read_stream(receive) : status;
    receive->result.stream_bytes = receive->inflow.at;
    if (status == SAVEPOINT_NO_SPACE) {
        int32_t os_code = receive->error->os_code;
        svp_status_fail(receive->error, status, "receive",
                        receive->result.snapshots > 0
                            ? "%s: no space left: what was received so far is kept; make room, and send the rest"
                            : "%s: no space left: nothing was received; make room, and send it again",
                        path);
        receive->error->os_code = os_code;
    }
    if (opened) {
        bool empty = !receive->append.tail.has_end;
        enum savepoint_status closed =
            svp_append_close(&receive->append, status == SAVEPOINT_OK ? receive->error : NULL);
        status = status != SAVEPOINT_OK ? status : closed;
        if (empty) {
            svp_append_forget(&receive->append, path);
        }
    }
    return status;
}

static void close_receive(struct svp_receive *receive)
{
    svp_reader_close(&receive->reader);
    svp_recode_close(&receive->recode);
    svp_unpacker_close(receive->unpacker);
    svp_lineage_close(&receive->here);
    svp_inflow_close(&receive->inflow);
    svp_regions_free(&receive->table);
    svp_regions_free(&receive->base.table);
    svp_buffer_free(&receive->base.regions_body);
    svp_buffer_free(&receive->stream_body);
    svp_receive_unknow(receive);
    svp_buffer_free(&receive->received);
    svp_buffer_free(&receive->touched);
}

enum savepoint_status
savepoint_archive_receive(const char *path, struct savepoint_stream_result *result, savepoint_stream_read *read,
                          void *read_user, const struct savepoint_receive_options *options,
                          struct savepoint_error *error)
{
    struct savepoint_error ignored = { .status = SAVEPOINT_OK };
    struct svp_receive receive = { .options = SAVEPOINT_RECEIVE_OPTIONS_INIT,
                                   .error = error != NULL ? error : &ignored };
    if (path == NULL || read == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "receive", "path and read must not be NULL");
    }
    enum savepoint_status status =
        svp_options_copy(&receive.options, sizeof receive.options, options, "receive", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    receive.append.source.file = (struct svp_file)SVP_FILE_NONE;
    receive.pace.progress = receive.options.progress;
    receive.pace.user = receive.options.progress_user;
    svp_inflow_open(&receive.inflow, read, read_user);
    status = run(&receive, path);
    close_receive(&receive);
    if (result != NULL) {
        *result = receive.result;
    }
    return status;
}
