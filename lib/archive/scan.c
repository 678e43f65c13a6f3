/* scan.c - finding records again behind damage */
#include "archive/scan.h"

#include <errno.h>
#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"
#include "format/record.h"
#include "status.h"

enum { CHUNK_BYTES_FIRST = 1 << 12, CHUNK_BYTES = 1 << 18 };

/* Looks at the places chunk[0], chunk[8], ... that a whole header fits behind. */
static bool find_in_chunk(const struct svp_source *source, struct svp_record *record, const uint8_t *chunk, size_t held,
                          uint64_t chunk_offset)
{
    for (size_t i = 0; i + SVP_HEADER_BYTES <= held; i += 8) {
        if (memcmp(chunk + i, svp_record_magic, sizeof svp_record_magic) == 0 &&
            svp_record_read(record, chunk + i, chunk_offset + i) == SVP_GOOD &&
            (!source->salt_known || record->salt == source->salt)) {
            return true;
        }
    }
    return false;
}

enum savepoint_status svp_scan_header(const struct svp_source *source, bool *found, struct svp_record *record,
                                      uint64_t from, uint64_t end, struct savepoint_error *error)
{
    uint8_t *chunk = svp_memory_alloc(CHUNK_BYTES + SVP_HEADER_BYTES);
    int code = chunk == NULL ? ENOMEM : 0;
    size_t step = CHUNK_BYTES_FIRST; /* a file may be full of headers: a short way must not cost a long read */
    *found = false;
    for (uint64_t at = svp_round_up(from, 8); code == 0 && !*found && at + SVP_HEADER_BYTES <= end;) {
        size_t wanted = end - at < step + SVP_HEADER_BYTES ? (size_t)(end - at) : step + SVP_HEADER_BYTES;
        size_t held = 0;
        code = svp_file_read(&source->file, chunk, wanted, at, &held);
        *found = code == 0 && find_in_chunk(source, record, chunk, held, at);
        at += step;
        step = step < CHUNK_BYTES ? 2 * step : step;
    }
    svp_memory_free(chunk);
    /* Who could not look must not call anything torn: it would be cut. */
    return code == 0 ? SAVEPOINT_OK : svp_status_os(error, code, "read", "%s: cannot read", source->path);
}

enum savepoint_status svp_scan_evidence(const struct svp_source *source, bool *found, uint64_t offset, uint64_t end,
                                        uint64_t transaction, struct savepoint_error *error)
{
    struct svp_record record = { .offset = offset };
    bool more = true;
    enum savepoint_status status = SAVEPOINT_OK;
    *found = false;
    while (status == SAVEPOINT_OK && more && !*found) {
        status = svp_scan_header(source, &more, &record, record.offset + 8, end, error);
        bool later = record.transaction > transaction && (record.flags & SVP_RECORD_FLOATING) == 0;
        *found = status == SAVEPOINT_OK && more && (later || record.type == SVP_SEAL);
    }
    return status;
}
