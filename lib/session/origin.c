/* origin.c - the metadata of a snapshot that is made from another one */
#include "session/origin.h"

#include "format/bytes.h"
#include "format/layout.h"
#include "status.h"

enum { ITEM_HEAD = 8 }; /* SPEC.md section 1: type, zero, size of the value */

static void add_item(struct svp_buffer *metadata, uint16_t type, const uint8_t *value, uint32_t bytes)
{
    svp_buffer_add16(metadata, type);
    svp_buffer_add16(metadata, 0);
    svp_buffer_add32(metadata, bytes);
    svp_buffer_add(metadata, value, bytes);
    svp_buffer_pad(metadata, 8);
}

enum savepoint_status svp_origin_add(struct svp_buffer *metadata, const struct savepoint_id *origin, const uint8_t *had,
                                     size_t had_bytes, const char *operation, struct savepoint_error *error)
{
    size_t total = sizeof origin->bytes;
    add_item(metadata, SAVEPOINT_METADATA_ORIGIN, origin->bytes, sizeof origin->bytes);
    for (size_t at = 0; at < had_bytes;) {
        const size_t left = had_bytes - at;
        const uint32_t bytes = left >= ITEM_HEAD ? svp_load32(had + at + 4) : 0;
        if (left < ITEM_HEAD || svp_round_up(bytes, 8) > left - ITEM_HEAD) {
            return svp_status_fail(error, SAVEPOINT_CORRUPT, operation, "the snapshot's metadata is damaged");
        }
        if (svp_load16(had + at) != SAVEPOINT_METADATA_ORIGIN) {
            add_item(metadata, svp_load16(had + at), had + at + ITEM_HEAD, bytes);
            total += bytes;
        }
        at += ITEM_HEAD + (size_t)svp_round_up(bytes, 8);
    }
    if (total > SVP_METADATA_BYTES_MAX || metadata->count > SVP_META_BYTES_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, operation,
                               "the snapshot's metadata leaves no room to tell what it was made from");
    }
    return metadata->failed ? svp_status_fail(error, SAVEPOINT_NO_MEMORY, operation, "no memory for metadata")
                            : SAVEPOINT_OK;
}
