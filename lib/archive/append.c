/* append.c - writing transactions to an archive file: all of it, or none of it */
#include "archive/append.h"

#include "format/bytes.h"
#include "format/digest.h"
#include "os/host.h"
#include "status.h"

enum { WRITE_BYTES = 1 << 20 }; /* records are gathered into writes of about this size */

static enum savepoint_status fail_poisoned(const struct svp_append *append, struct savepoint_error *error)
{
    return svp_status_fail(
        error, SAVEPOINT_POISONED, "write",
        "%s: an earlier sync or cut of this archive failed, so its end is in doubt: open it anew, or "
        "take into another archive",
        append->source.path);
}

uint64_t svp_append_offset(const struct svp_append *append)
{
    return append->at;
}

static enum savepoint_status flush(struct svp_append *append, struct savepoint_error *error)
{
    if (append->unwritten.failed) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory to write", append->source.path);
    }
    if (append->unwritten.count == 0) {
        return SAVEPOINT_OK;
    }
    int code =
        svp_file_write(&append->source.file, append->unwritten.bytes, append->unwritten.count, append->written_bytes);
    if (code != 0) {
        enum savepoint_status status =
            svp_status_os(error, code, "write", "%s: %s; nothing is lost, the next take carries these pages",
                          append->source.path, svp_status_of_write(code));
        if (error != NULL) {
            error->file_offset = append->written_bytes;
        }
        return status;
    }
    append->written_bytes += append->unwritten.count;
    svp_buffer_clear(&append->unwritten);
    return SAVEPOINT_OK;
}

/* Adds a record whose body is bytes[0..count). */
static enum savepoint_status add_record(struct svp_append *append, enum svp_record_type type, const uint8_t *bytes,
                                        size_t count, struct savepoint_error *error)
{
    /* FLOATING tells later readers that this transaction proves nothing about the one before (SPEC.md section 3). */
    bool floating = type != SVP_SEAL && append->durable_bytes < append->committed_bytes;
    const struct svp_record record = {
        .type = (uint16_t)type,
        .flags = floating ? SVP_RECORD_FLOATING : 0,
        .transaction = append->transaction + 1,
        .salt = append->source.salt,
        .offset = append->at,
    };
    uint64_t header_hash = svp_record_write(&append->unwritten, &record, bytes, count);
    svp_buffer_add64(&append->chain, header_hash);
    append->at += SVP_HEADER_BYTES + svp_round_up(count, 8);
    if (append->unwritten.failed || append->chain.failed) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory to write", append->source.path);
    }
    return append->unwritten.count >= WRITE_BYTES ? flush(append, error) : SAVEPOINT_OK;
}

enum savepoint_status
svp_append_record(struct svp_append *append, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    uint64_t at = append->at;
    if (append->body.failed) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write", "%s: no memory to write", append->source.path);
    }
    if (append->body.count > SVP_BODY_BYTES_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "write", "%s: a record of %zu bytes is above the format's limit",
                               append->source.path, append->body.count);
    }
    enum savepoint_status status = add_record(append, type, append->body.bytes, append->body.count, error);
    if (status == SAVEPOINT_OK) {
        *offset = at;
    }
    return status;
}

static enum savepoint_status add_seal(struct svp_append *append, struct savepoint_error *error)
{
    struct svp_buffer body = { 0 };
    const struct svp_seal seal = { append->committed_bytes, svp_host_time_ns() };
    svp_seal_write(&body, &seal);
    enum savepoint_status status = body.failed ? svp_status_fail(error, SAVEPOINT_NO_MEMORY, "write",
                                                                 "%s: no memory to write", append->source.path)
                                               : add_record(append, SVP_SEAL, body.bytes, body.count, error);
    svp_buffer_free(&body);
    return status;
}

static enum savepoint_status add_segment(struct svp_append *append, struct savepoint_error *error)
{
    uint64_t offset = 0;
    append->segment.time_ns = svp_host_time_ns();
    svp_buffer_clear(&append->body);
    svp_segment_write(&append->body, &append->segment);
    enum savepoint_status status = svp_append_record(append, SVP_SEGMENT, &offset, error);
    append->newest_segment = offset;
    return status;
}

/* Sets the write position behind the last transaction and its SEAL. */
static void rewind_to_kept(struct svp_append *append)
{
    const uint64_t seal_bytes = SVP_HEADER_BYTES + 16;
    svp_buffer_clear(&append->unwritten);
    svp_buffer_clear(&append->chain);
    append->at = append->committed_bytes;
    if (append->seal_written) {
        append->at += seal_bytes;
        svp_buffer_add64(&append->chain, append->seal_hash);
    }
    append->written_bytes = append->at;
}

/* What is written to a deleted file is gone with it, and one that somebody else has cut is no archive any more: better
 * a take that fails than one that seems to succeed. */
static enum savepoint_status check_file(struct svp_append *append, struct savepoint_error *error)
{
    uint64_t bytes = 0;
    if (!svp_file_has_name(&append->source.file)) {
        return svp_status_fail(error, SAVEPOINT_IO, "write",
                               "%s: the archive was deleted while in use: close this session and take into a new one",
                               append->source.path);
    }
    int code = svp_file_size(&append->source.file, &bytes);
    if (code != 0) {
        return svp_status_os(error, code, "write", "%s: cannot tell the size", append->source.path);
    }
    if (bytes < append->at) {
        append->poisoned = true;
        return svp_status_at(
            error, SAVEPOINT_CORRUPT, bytes, "write",
            "%s: somebody else has cut the archive while in use: close this session and take into a new one",
            append->source.path);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_append_begin(struct svp_append *append, struct savepoint_error *error)
{
    if (append->poisoned) {
        return fail_poisoned(append, error);
    }
    rewind_to_kept(append);
    enum savepoint_status status = check_file(append, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    append->open = true;
    bool seal_due = !append->seal_written && append->has_end && append->durable_bytes == append->committed_bytes;
    if (seal_due) { /* durable, but writing its seal failed then */
        status = add_seal(append, error);
    }
    if (status == SAVEPOINT_OK && !append->segment_written) {
        status = add_segment(append, error);
    }
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
    }
    return status;
}

void svp_append_abort(struct svp_append *append)
{
    rewind_to_kept(append);
    append->open = false;
    if (svp_file_truncate(&append->source.file, append->at) != 0) {
        append->poisoned = true; /* what lies behind could be taken for a transaction */
    }
}

/* Everything committed is durable from here on; the SEAL says so to readers. A SEAL that cannot be written costs
 * nothing now: it becomes the first record of the next transaction. */
static void seal(struct svp_append *append)
{
    append->durable_bytes = append->committed_bytes;
    append->seal_written = false;
    rewind_to_kept(append);
    if (add_seal(append, NULL) == SAVEPOINT_OK && flush(append, NULL) == SAVEPOINT_OK) {
        append->seal_written = true;
        append->seal_hash = svp_load64(append->chain.bytes);
    } else if (svp_file_truncate(&append->source.file, append->committed_bytes) != 0) {
        append->poisoned = true;
    }
    rewind_to_kept(append);
}

static enum savepoint_status sync_and_seal(struct svp_append *append, struct savepoint_error *error)
{
    int code = svp_file_sync(&append->source.file);
    if (code != 0) {
        append->poisoned = true; /* a second try may report success for pages the kernel has dropped */
        svp_status_os(
            error, code, "sync",
            "%s: sync failed: the snapshot may or may not be on the disk; open the archive anew, or take into "
            "another one",
            append->source.path);
        if (error != NULL) {
            error->status = SAVEPOINT_UNCERTAIN;
        }
        return SAVEPOINT_UNCERTAIN;
    }
    seal(append);
    return SAVEPOINT_OK;
}

static enum savepoint_status
add_end(struct svp_append *append, const struct svp_end *wanted, struct svp_end *end, struct savepoint_error *error)
{
    *end = *wanted;
    end->transaction_start = append->committed_bytes;
    end->previous_end = append->has_end ? append->end_offset : 0;
    end->newest_segment = append->newest_segment;
    end->sealed_bytes = append->durable_bytes;
    end->previous_chain = append->has_end ? append->end.chain : 0;
    end->chain = svp_digest64(append->source.salt, append->chain.bytes, append->chain.count);
    svp_buffer_clear(&append->body);
    svp_end_write(&append->body, end, append->at, append->source.salt, append->segment.alignment);
    uint64_t offset = 0;
    return svp_append_record(append, SVP_END, &offset, error);
}

enum savepoint_status
svp_append_finish(struct svp_append *append, const struct svp_end *wanted, bool sync, struct savepoint_error *error)
{
    struct svp_end end;
    uint64_t end_offset = append->at;
    enum savepoint_status status = add_end(append, wanted, &end, error);
    if (status == SAVEPOINT_OK) {
        status = flush(append, error);
    }
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
        return status;
    }
    append->open = false;
    append->end = end;
    append->has_end = true;
    append->end_offset = end_offset;
    append->transaction++;
    append->committed_bytes = append->at;
    append->source.limit = append->at;
    append->segment_written = true;
    append->seal_written = false;
    return sync ? sync_and_seal(append, error) : SAVEPOINT_OK;
}

enum savepoint_status svp_append_close(struct svp_append *append, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (append->open) {
        svp_append_abort(append);
    }
    if (append->source.file.descriptor >= 0 && append->has_end) {
        if (append->poisoned) {
            status = append->durable_bytes < append->committed_bytes ? fail_poisoned(append, error) : SAVEPOINT_OK;
        } else if (append->durable_bytes < append->committed_bytes) {
            status = sync_and_seal(append, error);
        } else if (!append->seal_written) {
            seal(append);
        }
        if (append->seal_written && !append->poisoned) {
            svp_file_sync(&append->source.file); /* only the SEAL: without it nothing is lost */
        }
    }
    svp_buffer_free(&append->unwritten);
    svp_buffer_free(&append->chain);
    svp_buffer_free(&append->body);
    svp_source_close(&append->source);
    return status;
}
