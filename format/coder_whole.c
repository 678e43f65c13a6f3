/* coder_whole.c - coders 1 and 2: whole pages, as they are or as one zstd frame per batch */
#include <string.h>

#include "format/coder.h"

/* A whole page is what a delta has to beat: a compressed page takes about half of its bytes in practice, and the
 * comparison has no better guess. But numbers hardly shrink by themselves. */
static uint32_t estimate_whole(const struct svp_changes *changes, bool base_usable)
{
    (void)base_usable;
    return changes->from_word.spread >= SVP_NUMBERS_SPREAD ? SVP_PAGE_BYTES : SVP_PAGE_BYTES / 2;
}

/* Chosen only at the end of a batch that did not shrink. */
static uint32_t estimate_stored(const struct svp_changes *changes, bool base_usable)
{
    (void)changes;
    (void)base_usable;
    return SVP_CODER_UNSUITABLE;
}

static void encode(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes)
{
    (void)lists;
    (void)base;
    (void)changes;
    svp_buffer_add(bytes, page, SVP_PAGE_BYTES);
}

bool svp_coder_pages_fit(uint32_t count, uint32_t unpacked)
{
    return unpacked == count * SVP_PAGE_BYTES;
}

enum svp_verdict
svp_coder_locate_pages(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked)
{
    (void)payload;
    (void)unpacked;
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = (struct svp_slot){ .bytes = i * SVP_PAGE_BYTES };
    }
    return SVP_GOOD;
}

static uint64_t decode(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    memcpy(page, payload + slot->bytes, SVP_PAGE_BYTES);
    return SVP_LINES_ALL;
}

const struct svp_coder svp_coder_stored = {
    .id = SVP_CODER_STORED,
    .name = "stored",
    .hash_bytes = SVP_HASH_BYTES,
    .verbatim = true,
    .estimate = estimate_stored,
    .encode = encode,
    .size_fits = svp_coder_pages_fit,
    .locate = svp_coder_locate_pages,
    .decode = decode,
};

const struct svp_coder svp_coder_whole = {
    .id = SVP_CODER_WHOLE,
    .name = "whole",
    .hash_bytes = SVP_HASH_BYTES,
    .verbatim = true,
    .packs = true,
    .estimate = estimate_whole,
    .encode = encode,
    .size_fits = svp_coder_pages_fit,
    .locate = svp_coder_locate_pages,
    .decode = decode,
};
