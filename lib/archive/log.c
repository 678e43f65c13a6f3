/* log.c - the state of an archive file: its last transaction, what is sealed, torn or damaged */
#include "archive/log.h"

#include <string.h>

#include "archive/scan.h"
#include "format/bytes.h"
#include "format/memory.h"
#include "status.h"

enum savepoint_status svp_log_end(const struct svp_source *source, struct svp_end *end, struct svp_record *record,
                                  uint64_t offset, struct savepoint_error *error)
{
    struct svp_buffer body = { 0 };
    enum savepoint_status status = svp_source_record(source, record, &body, offset, SVP_END, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_end_read(end, body.bytes, body.count, offset, record->salt);
        status = svp_source_verdict(source, verdict, offset, "end of a transaction", error);
    }
    svp_buffer_free(&body);
    return status;
}

/* While an archive is opened, "these bytes are not valid" must not be confused with "this process could not read them":
 * the first failure of the second kind ends the opening. */
bool svp_log_holds(struct svp_log *log, enum savepoint_status status, const struct savepoint_error *found)
{
    bool about_bytes = status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED;
    if (status != SAVEPOINT_OK && !about_bytes && log->trouble == SAVEPOINT_OK) {
        log->trouble = status;
        log->trouble_error = *found;
    }
    return status == SAVEPOINT_OK;
}

enum { TAIL_BYTES = 16 << 10 }; /* most likely the last END, its trailer and the SEAL */

static void adopt_end(struct svp_log *log, const struct svp_end *end, const struct svp_record *record)
{
    log->has_end = true;
    log->end = *end;
    log->end_offset = record->offset;
    log->transaction = record->transaction;
    log->committed_bytes = record->offset + svp_record_bytes(record);
    log->kept_bytes = log->committed_bytes;
    log->sealed_bytes = end->sealed_bytes;
}

/* Where there is an END that ends exactly at `boundary`: true and it is adopted. */
static bool end_before(struct svp_log *log, struct svp_source *source, uint64_t boundary)
{
    const uint64_t end_bytes_max = SVP_HEADER_BYTES + SVP_END_BYTES_MAX; /* what trailers claim is not worth more */
    uint8_t trailer[SVP_TRAILER_BYTES];
    uint64_t offset = 0;
    uint64_t salt = 0;
    struct svp_record record;
    struct svp_end end;
    struct savepoint_error found = { 0 };
    if (boundary < SVP_FILE_ALIGNMENT ||
        !svp_log_holds(log, svp_source_bytes(source, trailer, sizeof trailer, boundary - sizeof trailer, &found),
                       &found) ||
        !svp_trailer_read(trailer, &offset, &salt) || offset >= boundary || boundary - offset > end_bytes_max ||
        (source->salt_known && source->salt != salt) ||
        !svp_log_holds(log, svp_log_end(source, &end, &record, offset, &found), &found) ||
        offset + svp_record_bytes(&record) != boundary) {
        return false;
    }
    adopt_end(log, &end, &record);
    return true;
}

/* Steps back block by block. Foreign bytes (no magic in front) get a short search only. */
static void find_last_end(struct svp_log *log, struct svp_source *source, bool magic)
{
    const uint64_t foreign_search_bytes = UINT64_C(1) << 20;
    uint64_t boundary = log->file_bytes & ~(uint64_t)(SVP_FILE_ALIGNMENT - 1);
    uint64_t stop = magic || boundary < foreign_search_bytes ? 0 : boundary - foreign_search_bytes;
    for (; boundary > stop; boundary -= SVP_FILE_ALIGNMENT) {
        if (end_before(log, source, boundary) || log->trouble != SAVEPOINT_OK) {
            return;
        }
    }
}

static void find_seal(struct svp_log *log, struct svp_source *source)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    struct svp_seal seal;
    struct savepoint_error found = { 0 };
    if (svp_log_holds(log, svp_source_record(source, &record, &body, log->committed_bytes, SVP_SEAL, &found), &found) &&
        svp_seal_read(&seal, body.bytes, body.count) == SVP_GOOD && seal.sealed_bytes == log->committed_bytes) {
        log->sealed = true;
        log->seal_hash = record.header_hash;
        log->sealed_bytes = log->committed_bytes;
        log->kept_bytes = log->committed_bytes + svp_record_bytes(&record);
    }
    svp_buffer_free(&body);
}

enum savepoint_status svp_log_check(const struct svp_source *source, uint64_t start, uint64_t transaction,
                                    uint64_t *end_offset, uint64_t *bad, struct savepoint_error *error)
{
    struct svp_buffer body = { 0 };
    struct svp_buffer chain = { 0 };
    struct svp_record record = { 0 };
    uint64_t offset = start;
    enum savepoint_status status;
    for (;;) {
        *bad = offset;
        status = svp_source_record(source, &record, &body, offset, 0, error);
        if (status != SAVEPOINT_OK) {
            break;
        }
        if (record.transaction != transaction) {
            status = svp_status_at(error, SAVEPOINT_CORRUPT, offset, "check", "%s: a record of another transaction",
                                   source->path);
            break;
        }
        if (record.type == SVP_END) {
            struct svp_end end;
            uint64_t wanted = svp_digest64(record.salt, chain.bytes, chain.count);
            enum svp_verdict verdict = svp_end_read(&end, body.bytes, body.count, offset, record.salt);
            bool fits = verdict == SVP_GOOD && end.transaction_start == start && end.chain == wanted;
            verdict = chain.failed ? SVP_EXHAUSTED : fits ? SVP_GOOD : SVP_BAD;
            *end_offset = offset;
            status = svp_source_verdict(source, verdict, offset, "end of a transaction", error);
            break;
        }
        svp_buffer_add64(&chain, record.header_hash);
        offset += svp_record_bytes(&record);
    }
    svp_buffer_free(&body);
    svp_buffer_free(&chain);
    return status;
}

/* True when the damage at `bad`, in transaction `transaction`, is corruption: something later proves it was durable. */
static bool was_durable(struct svp_log *log, const struct svp_source *source, uint64_t bad, uint64_t transaction)
{
    bool found = false;
    struct savepoint_error error = { 0 };
    svp_log_holds(log, svp_scan_evidence(source, &found, bad, log->file_bytes, transaction, &error), &error);
    return found;
}

/* The history ends at `last_good`: what lies behind it was never finished. */
static void cut_back(struct svp_log *log, struct svp_source *source, struct svp_log *last_good)
{
    last_good->sealed_bytes = log->sealed_bytes;
    last_good->committed_bytes = last_good->has_end ? last_good->committed_bytes : 0;
    last_good->kept_bytes = last_good->committed_bytes;
    last_good->sealed = false;
    *log = *last_good;
    if (log->has_end) {
        find_seal(log, source);
    }
}

/* Everything above the last seal is checked. What breaks there is corruption if something later proves that it was
 * durable; otherwise the history ends before it. */
static void check_unsealed(struct svp_log *log, struct svp_source *source)
{
    struct svp_log last_good = *log; /* the history up to `start` */
    uint64_t start = log->sealed_bytes;
    uint64_t committed = log->committed_bytes;
    last_good.has_end = false;
    last_good.end = (struct svp_end){ 0 };
    last_good.transaction = 0;
    if (start > 0 && !end_before(&last_good, source, start)) {
        log->trouble = last_good.trouble;
        log->trouble_error = last_good.trouble_error;
        log->damage_offset = start - SVP_TRAILER_BYTES;
        return;
    }
    while (start < committed && log->trouble == SAVEPOINT_OK) {
        uint64_t end_offset = 0;
        uint64_t bad = start;
        struct svp_record record;
        struct svp_end end;
        struct savepoint_error found = { 0 };
        if (svp_log_holds(log, svp_log_check(source, start, last_good.transaction + 1, &end_offset, &bad, &found),
                          &found) &&
            svp_log_holds(log, svp_log_end(source, &end, &record, end_offset, &found), &found)) {
            adopt_end(&last_good, &end, &record);
            start = last_good.committed_bytes;
            continue;
        }
        if (log->trouble != SAVEPOINT_OK) {
            return;
        }
        if (was_durable(log, source, bad, last_good.transaction + 1)) {
            log->damage_offset = bad;
        } else if (log->trouble == SAVEPOINT_OK) {
            cut_back(log, source, &last_good);
        }
        return;
    }
}

static enum savepoint_status
read_segment(struct svp_log *log, const struct svp_source *source, uint64_t offset, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    enum savepoint_status status = svp_source_record(source, &record, &body, offset, SVP_SEGMENT, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_segment_read(&log->segment, body.bytes, body.count);
        if (verdict == SVP_UNSUPPORTED && (log->segment.incompatible & SVP_FEATURE_CONTINUES) != 0) {
            status = svp_status_fail(error, SAVEPOINT_UNSUPPORTED, "open",
                                     "%s: this stream goes on from a snapshot that it does not hold: 'savepoint "
                                     "receive' appends it to an archive that does",
                                     source->path);
        } else if (verdict == SVP_UNSUPPORTED) {
            status = svp_status_at(error, SAVEPOINT_UNSUPPORTED, offset, "open",
                                   "%s: the archive needs %s, which this savepoint (format 0) lacks: use a newer one",
                                   source->path, log->segment.missing);
        } else {
            status = svp_source_verdict(source, verdict, offset, "archive header", error);
        }
    }
    svp_buffer_free(&body);
    return status;
}

/* A damaged SEGMENT costs what it says (who wrote, the history's UUID), not the snapshots: their records name their own
 * coders. Writers refuse such a file all the same. */
static enum savepoint_status
check_segments(struct svp_log *log, const struct svp_source *source, struct savepoint_error *error)
{
    enum savepoint_status status = read_segment(log, source, 0, error);
    uint64_t newest = log->end.newest_segment;
    if (status == SAVEPOINT_CORRUPT) {
        log->damage_offset = 0;
    }
    if (newest != 0 && (status == SAVEPOINT_OK || status == SAVEPOINT_CORRUPT)) {
        status = read_segment(log, source, newest, error);
        if (status == SAVEPOINT_CORRUPT && log->damage_offset == SVP_NO_OFFSET) {
            log->damage_offset = newest;
        }
    }
    if (status == SAVEPOINT_CORRUPT) {
        log->segment = (struct svp_segment){ .alignment = SVP_FILE_ALIGNMENT };
        return SAVEPOINT_OK;
    }
    return status;
}

/* No END anywhere: a first transaction that was torn, or foreign bytes, or damage. */
static enum savepoint_status
judge_without_end(struct svp_log *log, struct svp_source *source, bool magic, struct savepoint_error *error)
{
    struct svp_record record;
    if (!magic) {
        return svp_status_fail(error, SAVEPOINT_NOT_AN_ARCHIVE, "open",
                               "%s: not a savepoint archive, and left as it is: give the path of an archive",
                               source->path);
    }
    if (was_durable(log, source, 0, 1)) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, 0, "open",
                             "%s: the only transaction is damaged; nothing can be read", source->path);
    }
    struct savepoint_error found = { 0 };
    log->newborn = true;
    log->torn_bytes = log->file_bytes;
    if (svp_log_holds(log, svp_source_header(source, &record, 0, &found), &found) && record.type == SVP_SEGMENT) {
        enum savepoint_status status = read_segment(log, source, 0, &found);
        log->newborn = !svp_log_holds(log, status, &found);
        if (status == SAVEPOINT_UNSUPPORTED) {
            if (error != NULL) {
                *error = found;
            }
            return status;
        }
    }
    return SAVEPOINT_OK;
}

static bool starts_with_magic(struct svp_log *log, const struct svp_source *source)
{
    uint8_t start[sizeof svp_record_magic];
    struct savepoint_error found = { 0 };
    size_t wanted = log->file_bytes < sizeof start ? (size_t)log->file_bytes : sizeof start;
    return svp_log_holds(log, svp_source_bytes(source, start, wanted, 0, &found), &found) &&
           memcmp(start, svp_record_magic, wanted) == 0;
}

static void judge_tail(struct svp_log *log, const struct svp_source *source)
{
    if (log->file_bytes == log->kept_bytes || log->trouble != SAVEPOINT_OK) {
        return;
    }
    if (log->damage_offset == SVP_NO_OFFSET && was_durable(log, source, log->kept_bytes, log->transaction + 1)) {
        uint64_t end_offset;
        struct savepoint_error found = { 0 };
        svp_log_holds(
            log,
            svp_log_check(source, log->committed_bytes, log->transaction + 1, &end_offset, &log->damage_offset, &found),
            &found);
        return;
    }
    log->torn_bytes = log->file_bytes - log->kept_bytes;
}

/* The steps of SPEC.md section 3, "Opening a file". */
static enum savepoint_status read_state(struct svp_log *log, struct svp_source *source, struct savepoint_error *error)
{
    struct svp_record record;
    struct savepoint_error found = { 0 };
    bool magic = starts_with_magic(log, source);
    enum savepoint_status begun = magic ? read_segment(log, source, 0, &found) : SAVEPOINT_CORRUPT;
    bool streams = log->segment.alignment == SVP_STREAM_ALIGNMENT;
    if (magic && svp_log_holds(log, begun, &found) && streams) {
        return svp_log_open_stream(log, source, error);
    }
    if (begun == SAVEPOINT_UNSUPPORTED && streams) {
        if (error != NULL) {
            *error = found;
        }
        return begun;
    }
    svp_source_look(source, log->file_bytes < TAIL_BYTES ? 0 : log->file_bytes - TAIL_BYTES, TAIL_BYTES);
    find_last_end(log, source, magic);
    if (log->trouble != SAVEPOINT_OK) {
        return SAVEPOINT_OK; /* the caller looks at it */
    }
    if (!log->has_end) {
        return judge_without_end(log, source, magic, error);
    }
    if (svp_log_holds(log, svp_source_header(source, &record, log->end_offset, &found), &found)) {
        source->salt = record.salt;
        source->salt_known = true;
    }
    find_seal(log, source);
    if (log->sealed_bytes < log->committed_bytes) {
        check_unsealed(log, source);
    }
    if (!log->has_end) { /* a first transaction that was written, but not whole when the power went */
        return judge_without_end(log, source, true, error);
    }
    judge_tail(log, source);
    return check_segments(log, source, error);
}

enum savepoint_status svp_log_open(struct svp_log *log, struct svp_source *source, struct savepoint_error *error)
{
    *log = (struct svp_log){ .damage_offset = SVP_NO_OFFSET };
    int code = svp_file_size(&source->file, &log->file_bytes);
    if (code != 0) {
        return svp_status_os(error, code, "open", "%s: cannot tell the size", source->path);
    }
    source->limit = log->file_bytes;
    source->salt_known = false;
    if (log->file_bytes == 0) {
        log->newborn = true;
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = read_state(log, source, error);
    svp_source_look_away(source);
    if (log->trouble != SAVEPOINT_OK) {
        if (error != NULL) {
            *error = log->trouble_error;
        }
        return log->trouble;
    }
    return status;
}
