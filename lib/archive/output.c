/* output.c - the file under an archive being written */
#include "archive/output.h"

#include <string.h>

#include "format/bytes.h"
#include "format/record.h"
#include "os/host.h"
#include "status.h"

bool svp_tail_seal(struct svp_tail *tail, uint64_t salt)
{
    struct svp_buffer body = { 0 };
    struct svp_buffer bytes = { 0 };
    const struct svp_seal seal = { tail->committed_bytes, svp_host_time_ns() };
    const struct svp_record record = {
        .type = SVP_SEAL,
        .transaction = tail->transaction + 1, /* it belongs to the transaction that follows it */
        .salt = salt,
        .offset = tail->committed_bytes,
    };
    svp_seal_write(&body, &seal);
    uint64_t hash = body.failed ? 0 : svp_record_write(&bytes, &record, body.bytes, body.count);
    bool enough = !body.failed && !bytes.failed;
    if (enough) {
        memcpy(tail->seal, bytes.bytes, sizeof tail->seal);
        tail->seal_hash = hash;
        tail->sealed = true;
        tail->durable_bytes = tail->committed_bytes;
    }
    svp_buffer_free(&body);
    svp_buffer_free(&bytes);
    return enough;
}

static enum savepoint_status fail_poisoned(const struct svp_output *output, struct savepoint_error *error)
{
    return svp_status_fail(
        error, SAVEPOINT_POISONED, "write",
        "%s: an earlier sync or cut of this archive failed, so its end is in doubt: open it anew, or "
        "take into another archive",
        output->source->path);
}

/* Where a transaction begins. */
static uint64_t end_of_file(const struct svp_output *output)
{
    return output->tail.committed_bytes + (output->seal_written ? SVP_SEAL_BYTES : 0);
}

static void cut(struct svp_output *output, uint64_t bytes)
{
    if (svp_file_truncate(&output->source->file, bytes) != 0) {
        output->poisoned = true; /* what lies behind could be taken for a transaction */
    }
}

/* What is written to a deleted file is gone with it, and one that somebody else has cut is no archive any more: better
 * a take that fails than one that seems to succeed. */
static enum savepoint_status check_file(struct svp_output *output, struct savepoint_error *error)
{
    const struct svp_source *source = output->source;
    uint64_t bytes = 0;
    if (!svp_file_has_name(&source->file)) {
        return svp_status_fail(error, SAVEPOINT_IO, "write",
                               "%s: the archive was deleted while in use: close this session and take into a new one",
                               source->path);
    }
    int code = svp_file_size(&source->file, &bytes);
    if (code != 0) {
        return svp_status_os(error, code, "write", "%s: cannot tell the size", source->path);
    }
    if (bytes < end_of_file(output)) {
        output->poisoned = true;
        return svp_status_at(
            error, SAVEPOINT_CORRUPT, bytes, "write",
            "%s: somebody else has cut the archive while in use: close this session and take into a new one",
            source->path);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_output_write(struct svp_output *output, const void *bytes, size_t count, struct savepoint_error *error)
{
    if (count == 0) {
        return SAVEPOINT_OK;
    }
    int code = svp_file_write(&output->source->file, bytes, count, output->at);
    if (code != 0) {
        enum savepoint_status status = svp_status_os(
            error, code, "write", "%s: %s; the archive is as it was, and a session's next take carries these pages",
            output->source->path, svp_status_of_write(code));
        if (error != NULL) {
            error->file_offset = output->at;
        }
        return status;
    }
    output->at += count;
    return SAVEPOINT_OK;
}

/* The SEAL behind the last transaction, where it is not there yet. */
static enum savepoint_status write_seal(struct svp_output *output, struct savepoint_error *error)
{
    if (!output->tail.sealed || output->seal_written) {
        return SAVEPOINT_OK;
    }
    output->at = output->tail.committed_bytes;
    enum savepoint_status status = svp_output_write(output, output->tail.seal, SVP_SEAL_BYTES, error);
    if (status == SAVEPOINT_OK) {
        output->seal_written = true;
    } else {
        cut(output, output->tail.committed_bytes);
    }
    return status;
}

enum savepoint_status svp_output_begin(struct svp_output *output, struct savepoint_error *error)
{
    if (output->poisoned) {
        return fail_poisoned(output, error);
    }
    enum savepoint_status status = check_file(output, error);
    status = status == SAVEPOINT_OK ? write_seal(output, error) : status;
    output->open = status == SAVEPOINT_OK;
    output->at = end_of_file(output);
    return status;
}

void svp_output_abort(struct svp_output *output)
{
    output->open = false;
    cut(output, end_of_file(output));
}

static enum savepoint_status sync_file(struct svp_output *output, struct savepoint_error *error)
{
    int code = svp_file_sync(&output->source->file);
    if (code != 0) {
        output->poisoned = true; /* a second try may report success for pages the kernel has dropped */
        svp_status_os(
            error, code, "sync",
            "%s: sync failed: the snapshot may or may not be on the disk; open the archive anew, or take into "
            "another one",
            output->source->path);
        if (error != NULL) {
            error->status = SAVEPOINT_UNCERTAIN;
        }
        return SAVEPOINT_UNCERTAIN;
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_output_commit(struct svp_output *output, const struct svp_tail *tail, bool sync, struct savepoint_error *error)
{
    uint64_t durable_bytes = output->tail.durable_bytes;
    output->open = false;
    output->tail = *tail;
    output->seal_written = false;
    output->source->limit = tail->committed_bytes;
    enum savepoint_status status = sync ? sync_file(output, error) : SAVEPOINT_OK;
    if (status != SAVEPOINT_OK) {
        output->tail.durable_bytes = durable_bytes;
        output->tail.sealed = false;
    } else if (sync) {
        write_seal(output, NULL); /* one that fails costs nothing now: it is written with the next transaction */
    }
    return status;
}

enum savepoint_status svp_output_close(struct svp_output *output, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    struct svp_tail *tail = &output->tail;
    if (output->open) {
        svp_output_abort(output);
    }
    if (!tail->has_end) {
        return SAVEPOINT_OK;
    }
    bool unsynced = tail->durable_bytes < tail->committed_bytes;
    if (output->poisoned) {
        return unsynced ? fail_poisoned(output, error) : SAVEPOINT_OK;
    }
    status = unsynced ? sync_file(output, error) : SAVEPOINT_OK;
    if (status == SAVEPOINT_OK && (tail->sealed || svp_tail_seal(tail, output->source->salt)) &&
        write_seal(output, NULL) == SAVEPOINT_OK) {
        svp_file_sync(&output->source->file); /* only the SEAL: without it nothing is lost */
    }
    return status;
}
