/* evidence.c - is there proof that damaged bytes were durable once? */
#include "archive/evidence.h"

#include <errno.h>
#include <string.h>

#include "format/memory.h"
#include "format/record.h"
#include "status.h"

enum { CHUNK_BYTES = 1 << 18 };

static bool proves(const struct svp_source *source, const uint8_t *header, uint64_t offset, uint64_t transaction)
{
    struct svp_record record;
    if (svp_record_read(&record, header, offset) != SVP_GOOD ||
        (source->salt_known && record.salt != source->salt)) {
        return false;
    }
    bool later = record.transaction > transaction && (record.flags & SVP_RECORD_FLOATING) == 0;
    return later || record.type == SVP_SEAL;
}

enum savepoint_status svp_evidence_after(const struct svp_source *source, bool *found, uint64_t offset,
                                         uint64_t file_bytes, uint64_t transaction, struct savepoint_error *error)
{
    uint8_t *chunk = svp_memory_alloc(CHUNK_BYTES + SVP_HEADER_BYTES);
    int code = chunk == NULL ? ENOMEM : 0;
    *found = false;
    uint64_t at = (offset + 8) & ~UINT64_C(7);
    while (code == 0 && !*found && at + SVP_HEADER_BYTES <= file_bytes) {
        size_t held = 0;
        code = svp_file_read(&source->file, chunk, CHUNK_BYTES + SVP_HEADER_BYTES, at, &held);
        size_t usable = code != 0 || held < SVP_HEADER_BYTES ? 0 : held - SVP_HEADER_BYTES + 1;
        for (size_t i = 0; i < usable && i < CHUNK_BYTES && !*found; i += 8) {
            *found = memcmp(chunk + i, svp_record_magic, sizeof svp_record_magic) == 0 &&
                     proves(source, chunk + i, at + i, transaction);
        }
        at += CHUNK_BYTES;
    }
    svp_memory_free(chunk);
    /* Without having looked, nothing may be called torn: it would be cut. */
    return code == 0 ? SAVEPOINT_OK : svp_status_os(error, code, "open", "%s: cannot read its end", source->path);
}
