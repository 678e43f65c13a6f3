/* coder_same.c - coder 8: pages that are the same as others, which stand in earlier records (SPEC.md section 5.4) */
#include "format/coder.h"

#include "format/bytes.h"

enum { REFERENCE_BYTES = 16 };

/* Chosen only by who knows of another page. */
static uint32_t estimate(const struct svp_changes *changes, bool base_usable)
{
    (void)changes;
    (void)base_usable;
    return SVP_CODER_UNSUITABLE;
}

static bool size_fits(uint32_t count, uint32_t unpacked)
{
    return unpacked == count * REFERENCE_BYTES;
}

static enum svp_verdict locate(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked)
{
    (void)payload;
    (void)unpacked;
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = (struct svp_slot){ .bytes = i * REFERENCE_BYTES };
    }
    return SVP_GOOD;
}

void svp_coder_refer(struct svp_buffer *bytes, const struct svp_reference *reference)
{
    svp_buffer_add64(bytes, reference->record_offset);
    svp_buffer_add64(bytes, reference->page);
}

struct svp_reference svp_coder_referred(const struct svp_slot *slot, const uint8_t *payload)
{
    return (struct svp_reference){ svp_load64(payload + slot->bytes), svp_load64(payload + slot->bytes + 8) };
}

const struct svp_coder svp_coder_same = {
    .id = SVP_CODER_SAME,
    .name = "same",
    .feature = 1u << 6,
    .refers = true,
    .hash_bytes = SVP_HASH_BYTES,
    .packs = true,
    .estimate = estimate,
    .size_fits = size_fits,
    .locate = locate,
};
