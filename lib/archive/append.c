/* append.c - laying out the transactions of an archive */
#include "archive/append.h"

#include "format/bytes.h"
#include "format/digest.h"
#include "os/host.h"
#include "status.h"

enum {
    WRITE_BYTES = 1 << 20,  /* records are gathered into writes of about this size */
    HAND_ON_BYTES = 1 << 16 /* or, where another thread writes them, that it has less left at the end */
};

uint64_t svp_append_offset(const struct svp_append *append)
{
    return append->at;
}

static enum savepoint_status fail_memory(const struct svp_append *append, struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory to write", append->source.path);
}

static enum savepoint_status flush(struct svp_append *append, struct savepoint_error *error)
{
    struct svp_buffer *unwritten = &append->unwritten;
    if (unwritten->failed) {
        return fail_memory(append, error);
    }
    if (append->sink != NULL) {
        return append->sink(append->sink_user, unwritten, error);
    }
    enum savepoint_status status = svp_output_write(&append->output, unwritten->bytes, unwritten->count, error);
    if (status == SAVEPOINT_OK) {
        svp_buffer_clear(unwritten);
    }
    return status;
}

enum savepoint_status
svp_append_record(struct svp_append *append, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    const struct svp_buffer *body = &append->body;
    if (body->failed) {
        return fail_memory(append, error);
    }
    if (body->count > SVP_BODY_BYTES_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "write", "%s: a record of %zu bytes is above the format's limit",
                               append->source.path, body->count);
    }
    /* FLOATING tells later readers that this transaction proves nothing about the one before (SPEC.md section 3). */
    bool floating = append->tail.durable_bytes < append->tail.committed_bytes;
    const struct svp_record record = {
        .type = (uint16_t)type,
        .flags = floating ? SVP_RECORD_FLOATING : 0,
        .transaction = append->tail.transaction + 1,
        .salt = append->source.salt,
        .offset = append->at,
    };
    uint64_t header_hash = svp_record_write(&append->unwritten, &record, body->bytes, body->count);
    svp_buffer_add64(&append->chain, header_hash);
    if (append->unwritten.failed || append->chain.failed) {
        return fail_memory(append, error);
    }
    *offset = append->at;
    append->at += SVP_HEADER_BYTES + svp_round_up(body->count, 8);
    const size_t enough = append->sink != NULL ? HAND_ON_BYTES : WRITE_BYTES;
    return append->unwritten.count >= enough ? flush(append, error) : SAVEPOINT_OK;
}

static enum savepoint_status add_segment(struct svp_append *append, struct savepoint_error *error)
{
    append->segment.time_ns = svp_host_time_ns();
    svp_buffer_clear(&append->body);
    svp_segment_write(&append->body, &append->segment);
    return svp_append_record(append, SVP_SEGMENT, &append->tail.newest_segment, error);
}

static void clear(struct svp_append *append)
{
    svp_buffer_clear(&append->unwritten);
    svp_buffer_clear(&append->chain);
    append->open = false;
}

enum savepoint_status svp_append_begin(struct svp_append *append, struct savepoint_error *error)
{
    enum savepoint_status status = append->sink != NULL ? SAVEPOINT_OK : svp_output_begin(&append->output, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    clear(append);
    append->open = true;
    append->at = append->tail.committed_bytes;
    if (append->tail.sealed) { /* the SEAL is this transaction's first record */
        append->at += SVP_SEAL_BYTES;
        svp_buffer_add64(&append->chain, append->tail.seal_hash);
    }
    status = append->tail.segment_written ? SAVEPOINT_OK : add_segment(append, error);
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
    }
    return status;
}

void svp_append_abort(struct svp_append *append)
{
    clear(append);
    if (append->sink == NULL) {
        svp_output_abort(&append->output);
    }
}

static enum savepoint_status
add_end(struct svp_append *append, const struct svp_end *wanted, struct svp_tail *tail, struct savepoint_error *error)
{
    const struct svp_tail *before = &append->tail;
    struct svp_end *end = &tail->end;
    *end = *wanted;
    end->transaction_start = before->committed_bytes;
    end->previous_end = before->has_end ? before->end_offset : 0;
    end->newest_segment = before->newest_segment;
    end->sealed_bytes = before->durable_bytes;
    end->previous_chain = before->has_end ? before->end.chain : 0;
    end->chain = svp_digest64(append->source.salt, append->chain.bytes, append->chain.count);
    svp_buffer_clear(&append->body);
    svp_end_write(&append->body, end, append->at, append->source.salt, append->segment.alignment);
    return svp_append_record(append, SVP_END, &tail->end_offset, error);
}

/* Lays out the end of the transaction; `tail` is how it leaves the archive. */
static enum savepoint_status lay_out_end(struct svp_append *append, const struct svp_end *wanted, bool sync,
                                         struct svp_tail *tail, struct savepoint_error *error)
{
    enum savepoint_status status = add_end(append, wanted, tail, error);
    tail->has_end = true;
    tail->transaction++;
    tail->committed_bytes = append->at;
    tail->segment_written = true;
    tail->sealed = false;
    if (status == SAVEPOINT_OK && sync && !svp_tail_seal(tail, append->source.salt)) {
        status = fail_memory(append, error);
    }
    return status == SAVEPOINT_OK ? flush(append, error) : status;
}

enum savepoint_status
svp_append_finish(struct svp_append *append, const struct svp_end *wanted, bool sync, struct savepoint_error *error)
{
    struct svp_tail tail = append->tail;
    enum savepoint_status status = lay_out_end(append, wanted, sync, &tail, error);
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
        return status;
    }
    append->open = false;
    append->tail = tail;
    if (append->sink == NULL) {
        status = svp_output_commit(&append->output, &tail, sync, error);
        append->tail = append->output.tail;
    }
    return status;
}

enum savepoint_status svp_append_close(struct svp_append *append, struct savepoint_error *error)
{
    enum savepoint_status status =
        append->source.file.descriptor >= 0 ? svp_output_close(&append->output, error) : SAVEPOINT_OK;
    svp_buffer_free(&append->unwritten);
    svp_buffer_free(&append->chain);
    svp_buffer_free(&append->body);
    svp_source_close(&append->source);
    return status;
}
