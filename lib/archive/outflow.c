/* outflow.c - writing transactions to a stream */
#include "archive/outflow.h"

#include "format/bytes.h"
#include "format/coder.h"
#include "format/record.h"
#include "os/host.h"
#include "status.h"

enum { WRITE_BYTES = 1 << 18 }; /* records are gathered into writes of about this size */

void svp_outflow_open(struct svp_outflow *outflow, const struct svp_segment *segment, savepoint_stream_write *write,
                      void *user)
{
    *outflow = (struct svp_outflow){ .write = write, .user = user, .segment = *segment };
    outflow->segment.alignment = SVP_STREAM_ALIGNMENT;
    outflow->segment.incompatible |= svp_coder_features();
    outflow->segment.time_ns = svp_host_time_ns();
    svp_host_random(outflow->segment.file_uuid, sizeof outflow->segment.file_uuid);
    svp_host_random(&outflow->salt, sizeof outflow->salt);
}

void svp_outflow_close(struct svp_outflow *outflow)
{
    svp_buffer_free(&outflow->body);
    svp_buffer_free(&outflow->unwritten);
    svp_buffer_free(&outflow->chain);
}

static enum savepoint_status flush(struct svp_outflow *outflow, struct savepoint_error *error)
{
    int code = outflow->unwritten.count > 0
                   ? outflow->write(outflow->user, outflow->unwritten.bytes, outflow->unwritten.count)
                   : 0;
    svp_buffer_clear(&outflow->unwritten);
    return code == 0 ? SAVEPOINT_OK : svp_status_os(error, code, "send", "cannot write the stream");
}

static enum savepoint_status
add_record(void *to, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    struct svp_outflow *outflow = to;
    const struct svp_record record = {
        .type = (uint16_t)type,
        .transaction = outflow->transaction + 1,
        .salt = outflow->salt,
        .offset = outflow->at,
    };
    if (outflow->body.count > SVP_BODY_BYTES_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "send", "a record of %zu bytes is above the format's limit",
                               outflow->body.count);
    }
    uint64_t header_hash = svp_record_write(&outflow->unwritten, &record, outflow->body.bytes, outflow->body.count);
    svp_buffer_add64(&outflow->chain, header_hash);
    if (outflow->body.failed || outflow->unwritten.failed || outflow->chain.failed) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "send", "no memory for the stream");
    }
    *offset = outflow->at;
    outflow->at += SVP_HEADER_BYTES + svp_round_up(outflow->body.count, 8);
    return outflow->unwritten.count >= WRITE_BYTES ? flush(outflow, error) : SAVEPOINT_OK;
}

static uint64_t next_offset(const void *to)
{
    return ((const struct svp_outflow *)to)->at;
}

struct svp_sink svp_outflow_sink(struct svp_outflow *outflow)
{
    return (struct svp_sink){ outflow, &outflow->body, add_record, next_offset };
}

enum savepoint_status svp_outflow_begin(struct svp_outflow *outflow, struct savepoint_error *error)
{
    uint64_t offset;
    svp_buffer_clear(&outflow->chain);
    outflow->start = outflow->at;
    if (outflow->transaction > 0) {
        return SAVEPOINT_OK;
    }
    svp_buffer_clear(&outflow->body);
    svp_segment_write(&outflow->body, &outflow->segment);
    return add_record(outflow, SVP_SEGMENT, &offset, error);
}

enum savepoint_status svp_outflow_finish(struct svp_outflow *outflow, struct savepoint_error *error)
{
    struct svp_end *end = &outflow->end;
    uint64_t offset = 0;
    end->transaction_start = outflow->start;
    end->previous_end = outflow->end_offset;
    end->previous_chain = end->chain;
    end->chain = svp_digest64(outflow->salt, outflow->chain.bytes, outflow->chain.count);
    svp_buffer_clear(&outflow->body);
    svp_end_write(&outflow->body, end, outflow->at, outflow->salt, SVP_STREAM_ALIGNMENT);
    enum savepoint_status status = add_record(outflow, SVP_END, &offset, error);
    outflow->end_offset = offset;
    outflow->transaction++;
    return status == SAVEPOINT_OK ? flush(outflow, error) : status;
}

enum savepoint_status svp_outflow_end(struct svp_outflow *outflow, struct savepoint_error *error)
{
    uint64_t offset;
    svp_buffer_clear(&outflow->body);
    svp_buffer_add64(&outflow->body, outflow->transaction);
    svp_buffer_add64(&outflow->body, svp_host_time_ns());
    enum savepoint_status status = add_record(outflow, SVP_CLOSE, &offset, error);
    return status == SAVEPOINT_OK ? flush(outflow, error) : status;
}
