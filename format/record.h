/* record.h - the 64-byte header of every record (SPEC.md section 2) */
#ifndef SVP_RECORD_H
#define SVP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/layout.h"

struct svp_record {
    uint16_t type;
    uint16_t flags;
    uint64_t transaction;
    uint64_t body_bytes; /* without padding */
    uint64_t salt;
    uint64_t offset;
    uint64_t body_hash;
    uint64_t header_hash;
};

extern const uint8_t svp_record_magic[8];

/* Bytes the record occupies, header and padding included. */
uint64_t svp_record_bytes(const struct svp_record *record);

/* Reads a header: GOOD only when magic, header hash and offset fit and every field is within its limits. The
 * salt is for the caller to compare. */
enum svp_verdict svp_record_read(struct svp_record *record, const uint8_t header[SVP_HEADER_BYTES], uint64_t offset);

/* True when body[0 .. padded length) has the hash the header tells. */
bool svp_record_body_good(const struct svp_record *record, const uint8_t *body);

/* Adds a whole record to `to`: header, body and padding; returns its header hash. `record` gives type, flags,
 * transaction, salt and offset. */
uint64_t
svp_record_write(struct svp_buffer *to, const struct svp_record *record, const uint8_t *body, size_t body_bytes);

#endif
