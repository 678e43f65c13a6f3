/* inflow.c - verified records out of a stream */
#include "archive/inflow.h"

#include <string.h>

#include "format/bytes.h"
#include "format/digest.h"
#include "status.h"

void svp_inflow_open(struct svp_inflow *inflow, savepoint_stream_read *read, void *user)
{
    *inflow = (struct svp_inflow){ .read = read, .user = user };
}

void svp_inflow_close(struct svp_inflow *inflow)
{
    svp_buffer_free(&inflow->chain);
    svp_buffer_free(&inflow->raw);
}

enum savepoint_status
svp_inflow_broken(const struct svp_inflow *inflow, const char *what, struct savepoint_error *error)
{
    return svp_status_at(error, SAVEPOINT_CORRUPT, inflow->record.offset, "receive", "the stream is damaged: %s", what);
}

enum savepoint_status svp_inflow_verdict(const struct svp_inflow *inflow, enum svp_verdict verdict, const char *what,
                                         struct savepoint_error *error)
{
    switch (verdict) {
    case SVP_GOOD:
        return SAVEPOINT_OK;
    case SVP_UNSUPPORTED:
        return svp_status_at(error, SAVEPOINT_UNSUPPORTED, inflow->record.offset, "receive",
                             "this %s needs a newer savepoint: update the tool or library", what);
    case SVP_EXHAUSTED:
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "receive", "no memory for this %s", what);
    case SVP_BAD:
    default:
        return svp_inflow_broken(inflow, what, error);
    }
}

/* Adds exactly `bytes` bytes to `raw`. What is not there is not allocated: the length is a claim. */
static enum savepoint_status take(struct svp_inflow *inflow, size_t bytes, struct savepoint_error *error)
{
    enum { PIECE_BYTES = 1 << 18 };
    while (bytes > 0) {
        size_t wanted = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
        size_t got = 0;
        uint8_t *to = svp_buffer_reserve(&inflow->raw, wanted);
        if (to == NULL) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "receive", "no memory for a record");
        }
        int code = inflow->read(inflow->user, to, wanted, &got);
        if (code != 0) {
            return svp_status_os(error, code, "receive", "cannot read the stream");
        }
        if (got == 0 && inflow->at == 0) {
            return svp_status_at(error, SAVEPOINT_TRUNCATED, 0, "receive",
                                 "nothing arrived: see what the sender says, then send it again");
        }
        if (got == 0 || got > wanted) {
            return svp_status_at(error, SAVEPOINT_TRUNCATED, inflow->at, "receive",
                                 "the stream ended early: send it again, or go on --since the newest snapshot here");
        }
        inflow->raw.count += got;
        inflow->at += got;
        bytes -= got;
    }
    return SAVEPOINT_OK;
}

/* The bytes there are could be those of a stream. */
static bool may_begin(const struct svp_inflow *inflow)
{
    size_t count = inflow->raw.count < sizeof svp_record_magic ? inflow->raw.count : sizeof svp_record_magic;
    return count == 0 || memcmp(inflow->raw.bytes, svp_record_magic, count) == 0;
}

static enum savepoint_status fail_foreign(struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NOT_AN_ARCHIVE, "receive",
                           "this is no stream of 'savepoint send': check what is at the other end of the pipe");
}

/* Any record with good hashes, of the transaction that it should be of. */
static enum savepoint_status read_record(struct svp_inflow *inflow, struct savepoint_error *error)
{
    uint64_t offset = inflow->at;
    svp_buffer_clear(&inflow->raw);
    enum savepoint_status status = take(inflow, SVP_HEADER_BYTES, error);
    if (status == SAVEPOINT_TRUNCATED && offset == 0 && !may_begin(inflow)) {
        return fail_foreign(error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_record record = { .offset = offset };
    enum svp_verdict verdict = svp_record_read(&record, inflow->raw.bytes, offset);
    if (offset == 0 && verdict == SVP_GOOD) {
        inflow->salt = record.salt;
    } else if (offset == 0) {
        return fail_foreign(error);
    }
    inflow->record.offset = offset;
    if (verdict != SVP_GOOD || record.salt != inflow->salt) {
        return svp_inflow_broken(inflow, "no valid record here", error);
    }
    status = take(inflow, (size_t)svp_round_up(record.body_bytes, 8), error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    inflow->record = record;
    inflow->body = inflow->raw.bytes + SVP_HEADER_BYTES;
    if (!svp_record_body_good(&record, inflow->body)) {
        return svp_inflow_broken(inflow, "a record's bytes have changed", error);
    }
    return record.transaction == inflow->transaction + 1 && record.flags == 0
               ? SAVEPOINT_OK
               : svp_inflow_broken(inflow, "a record of another transaction", error);
}

/* Places of record types in a transaction of a stream; 0: none. */
static unsigned rank_of(unsigned type)
{
    static const unsigned ranks[] = {
        [SVP_SEGMENT] = 1, [SVP_REGIONS] = 2, [SVP_META] = 3, [SVP_PAGES] = 4,
        [SVP_INDEX] = 5,   [SVP_COMMIT] = 6,  [SVP_END] = 7,
    };
    return type < sizeof ranks / sizeof ranks[0] ? ranks[type] : 0;
}

static enum savepoint_status check_end(struct svp_inflow *inflow, struct savepoint_error *error)
{
    struct svp_end end;
    const struct svp_record *record = &inflow->record;
    bool good =
        svp_end_read(&end, inflow->body, (size_t)record->body_bytes, record->offset, record->salt) == SVP_GOOD &&
        end.transaction_start == inflow->start && end.previous_chain == inflow->chain_before &&
        end.chain == svp_digest64(inflow->salt, inflow->chain.bytes, inflow->chain.count);
    if (!good) {
        return svp_inflow_broken(inflow, "the end of a transaction does not fit its records", error);
    }
    inflow->chain_before = end.chain;
    inflow->transaction++;
    inflow->inside = false;
    return SAVEPOINT_OK;
}

static enum savepoint_status check_close(struct svp_inflow *inflow, struct savepoint_error *error)
{
    bool good = !inflow->inside && inflow->record.body_bytes >= 16 && svp_load64(inflow->body) == inflow->transaction;
    uint8_t surplus;
    size_t got = 0;
    if (!good) {
        return svp_inflow_broken(inflow, "its end is not that of this stream", error);
    }
    int code = inflow->read(inflow->user, &surplus, 1, &got);
    return code == 0 && got == 0 ? SAVEPOINT_OK : svp_inflow_broken(inflow, "bytes stand behind its end", error);
}

/* A record that is no CLOSE, at its place in its transaction. */
static enum savepoint_status place_record(struct svp_inflow *inflow, struct savepoint_error *error)
{
    const struct svp_record *record = &inflow->record;
    unsigned rank = rank_of(record->type);
    if (!inflow->inside) {
        inflow->inside = true;
        inflow->rank = 0;
        inflow->start = record->offset;
        svp_buffer_clear(&inflow->chain);
    }
    bool repeats = record->type == SVP_PAGES;
    if (rank == 0 || rank < inflow->rank || (rank == inflow->rank && !repeats)) {
        return svp_inflow_broken(inflow, "a record stands at the wrong place", error);
    }
    inflow->rank = rank;
    return record->type == SVP_END ? check_end(inflow, error) : SAVEPOINT_OK;
}

enum savepoint_status svp_inflow_next(struct svp_inflow *inflow, struct savepoint_error *error)
{
    for (;;) {
        enum savepoint_status status = read_record(inflow, error);
        unsigned type = inflow->record.type;
        if (status != SAVEPOINT_OK) {
            return status;
        }
        if (type == SVP_CLOSE) {
            return check_close(inflow, error);
        }
        bool ancillary = (type & SVP_RECORD_ANCILLARY) != 0;
        if (ancillary && !inflow->inside) {
            return svp_inflow_broken(inflow, "a transaction begins with a record that may be skipped", error);
        }
        if (!ancillary && (type == 0 || type > SVP_CLOSE)) {
            return svp_inflow_verdict(inflow, type == 0 ? SVP_BAD : SVP_UNSUPPORTED, "kind of record", error);
        }
        status = ancillary ? SAVEPOINT_OK : place_record(inflow, error);
        svp_buffer_add64(&inflow->chain, inflow->record.header_hash);
        if (inflow->chain.failed) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "receive", "no memory for the stream");
        }
        if (status != SAVEPOINT_OK || !ancillary) {
            return status;
        }
    }
}
