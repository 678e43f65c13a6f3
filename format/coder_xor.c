/* coder_xor.c - coder 5: all of a page XORed with its base (SPEC.md section 5) */
#include "format/bytes.h"
#include "format/coder.h"

enum { PLAIN_BYTES = 64 }; /* what zeros between changed bytes take, about */

static uint32_t estimate(const struct svp_changes *changes, bool base_usable)
{
    return base_usable && changes->dense ? SVP_PAGE_BYTES - changes->from_before.bytes + PLAIN_BYTES
                                         : SVP_CODER_UNSUITABLE;
}

void svp_coder_encode_xor(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                          const struct svp_changes *changes)
{
    (void)lists;
    (void)changes;
    uint8_t *at = svp_buffer_reserve(bytes, SVP_PAGE_BYTES);
    for (size_t i = 0; at != NULL && i < SVP_PAGE_BYTES; i++) {
        at[i] = page[i] ^ base[i];
    }
    bytes->count += at != NULL ? SVP_PAGE_BYTES : 0;
}

static uint64_t decode(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    svp_xor_bytes(page, payload + slot->bytes, SVP_PAGE_BYTES);
    return SVP_LINES_ALL;
}

const struct svp_coder svp_coder_xor = {
    .id = SVP_CODER_XOR,
    .name = "xor",
    .feature = 1u << 3,
    .has_base = true,
    .hash_bytes = 8,
    .packs = true,
    .reversible = true,
    .estimate = estimate,
    .encode = svp_coder_encode_xor,
    .size_fits = svp_coder_pages_fit,
    .locate = svp_coder_locate_pages,
    .decode = decode,
};
