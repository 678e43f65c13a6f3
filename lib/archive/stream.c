/* stream.c - the state of a stream profile archive that lies in a file (SPEC.md section 3) */
#include "archive/log.h"
#include "format/record.h"
#include "status.h"

/* True when a good CLOSE of this transaction number ends the file at `offset`. */
static bool closed_at(struct svp_log *log, const struct svp_source *source, uint64_t offset)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    struct savepoint_error found = { 0 };
    bool closed = svp_log_holds(log, svp_source_record(source, &record, &body, offset, SVP_CLOSE, &found), &found) &&
                  record.transaction == log->transaction + 1 && offset + svp_record_bytes(&record) == log->file_bytes;
    svp_buffer_free(&body);
    return closed;
}

/* True when the bytes at `offset` begin a record that the file is too short for: the stream was cut there. */
static bool cut_at(struct svp_log *log, const struct svp_source *source, uint64_t offset)
{
    struct svp_record record;
    struct savepoint_error found = { 0 };
    return log->file_bytes - offset < SVP_HEADER_BYTES ||
           (svp_log_holds(log, svp_source_header(source, &record, offset, &found), &found) &&
            svp_record_bytes(&record) > log->file_bytes - offset);
}

enum savepoint_status svp_log_open_stream(struct svp_log *log, struct svp_source *source, struct savepoint_error *error)
{
    uint64_t start = 0;
    uint64_t bad = 0;
    struct svp_record record;
    enum savepoint_status status = svp_source_header(source, &record, 0, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    source->salt = record.salt;
    source->salt_known = true;
    while (start < log->file_bytes && !closed_at(log, source, start)) {
        uint64_t end_offset = 0;
        struct savepoint_error found = { 0 };
        if (!svp_log_holds(log, svp_log_check(source, start, log->transaction + 1, &end_offset, &bad, &found),
                           &found) ||
            !svp_log_holds(log, svp_log_end(source, &log->end, &record, end_offset, &found), &found)) {
            break;
        }
        log->has_end = true;
        log->end_offset = end_offset;
        log->transaction = record.transaction;
        start = end_offset + svp_record_bytes(&record);
    }
    log->committed_bytes = log->kept_bytes = log->sealed_bytes = start;
    log->stream_cut = start == log->file_bytes || !closed_at(log, source, start);
    if (log->stream_cut && start < log->file_bytes && !cut_at(log, source, bad)) {
        log->damage_offset = bad;
    } else if (log->stream_cut) {
        log->torn_bytes = log->file_bytes - start;
    }
    return SAVEPOINT_OK;
}
