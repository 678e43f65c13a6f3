/* coder_zero.c - coder 0: pages of zeros take no payload */
#include <string.h>

#include "format/coder.h"

static uint32_t estimate(const struct svp_changes *changes, bool base_usable)
{
    (void)base_usable;
    return changes->all_zero ? 0 : SVP_CODER_UNSUITABLE;
}

static void encode(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes)
{
    (void)lists;
    (void)bytes;
    (void)page;
    (void)base;
    (void)changes;
}

static bool size_fits(uint32_t count, uint32_t unpacked)
{
    (void)count;
    return unpacked == 0;
}

static enum svp_verdict locate(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked)
{
    (void)payload;
    (void)unpacked;
    memset(slots, 0, count * sizeof *slots);
    return SVP_GOOD;
}

static uint64_t decode(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    (void)slot;
    (void)payload;
    memset(page, 0, SVP_PAGE_BYTES);
    return SVP_LINES_ALL;
}

const struct svp_coder svp_coder_zero = {
    .id = SVP_CODER_ZERO,
    .name = "zero",
    .estimate = estimate,
    .encode = encode,
    .size_fits = size_fits,
    .locate = locate,
    .decode = decode,
};
