/* record.c - the 64-byte header of every record */
#include "format/record.h"

#include <string.h>

#include "format/bytes.h"
#include "format/digest.h"

const uint8_t svp_record_magic[8] = { 0x89, 'S', 'V', 'P', '\r', '\n', 0x1a, '\n' };

uint64_t svp_record_bytes(const struct svp_record *record)
{
    return SVP_HEADER_BYTES + svp_round_up(record->body_bytes, 8);
}

/* Records that others point to are read for each of those: were they as large as they like, reading few bytes of many
 * would be reading the whole file as many times. */
static uint64_t body_bytes_max(unsigned type)
{
    switch (type) {
    case SVP_META:
        return SVP_META_BYTES_MAX;
    case SVP_END:
        return SVP_END_BYTES_MAX;
    case SVP_COMMIT:
    case SVP_REF:
    case SVP_TOMBSTONE:
    case SVP_SEAL:
    case SVP_CLOSE:
        return SVP_FIXED_BYTES_MAX;
    default:
        return SVP_BODY_BYTES_MAX;
    }
}

enum svp_verdict svp_record_read(struct svp_record *record, const uint8_t header[SVP_HEADER_BYTES], uint64_t offset)
{
    if (memcmp(header, svp_record_magic, sizeof svp_record_magic) != 0) {
        return SVP_BAD;
    }
    *record = (struct svp_record){
        .type = svp_load16(header + 8),
        .flags = svp_load16(header + 10),
        .transaction = svp_load64(header + 16),
        .body_bytes = svp_load64(header + 24),
        .salt = svp_load64(header + 32),
        .offset = svp_load64(header + 40),
        .body_hash = svp_load64(header + 48),
        .header_hash = svp_load64(header + 56),
    };
    if (record->header_hash != svp_digest64(record->salt, header, 56) || record->offset != offset) {
        return SVP_BAD;
    }
    if ((record->flags & ~SVP_RECORD_FLOATING) != 0 || svp_load32(header + 12) != 0 || record->transaction == 0 ||
        record->body_bytes > body_bytes_max(record->type) || offset % 8 != 0) {
        return SVP_BAD;
    }
    return SVP_GOOD;
}

bool svp_record_body_good(const struct svp_record *record, const uint8_t *body)
{
    return record->body_hash == svp_digest64(record->salt, body, (size_t)svp_round_up(record->body_bytes, 8));
}

uint64_t
svp_record_write(struct svp_buffer *to, const struct svp_record *record, const uint8_t *body, size_t body_bytes)
{
    size_t padded = (size_t)svp_round_up(body_bytes, 8);
    uint8_t *at = svp_buffer_reserve(to, SVP_HEADER_BYTES + padded);
    if (at == NULL) {
        return 0;
    }
    if (body_bytes > 0) {
        memcpy(at + SVP_HEADER_BYTES, body, body_bytes);
    }
    memset(at + SVP_HEADER_BYTES + body_bytes, 0, padded - body_bytes);
    memcpy(at, svp_record_magic, sizeof svp_record_magic);
    svp_store16(at + 8, record->type);
    svp_store16(at + 10, record->flags);
    svp_store32(at + 12, 0);
    svp_store64(at + 16, record->transaction);
    svp_store64(at + 24, body_bytes);
    svp_store64(at + 32, record->salt);
    svp_store64(at + 40, record->offset);
    svp_store64(at + 48, svp_digest64(record->salt, at + SVP_HEADER_BYTES, padded));
    uint64_t header_hash = svp_digest64(record->salt, at, 56);
    svp_store64(at + 56, header_hash);
    to->count += SVP_HEADER_BYTES + padded;
    return header_hash;
}
