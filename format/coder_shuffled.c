/* coder_shuffled.c - coders 6 and 7: arrays of numbers, the bytes of equal weight side by side (SPEC.md section 5)
 *
 * The high bytes of numbers that lie near each other are alike, the low ones are noise. Side by side the former shrink
 * to little, and zstd leaves the latter alone. */
#include <string.h>

#include "format/coder.h"

enum { WORD = 8, PAGE_WORDS = SVP_PAGE_BYTES / WORD };

/* What keeps still takes next to nothing. */
static uint32_t estimate(const struct svp_still *still)
{
    return still->spread >= SVP_NUMBERS_SPREAD ? SVP_PAGE_BYTES - still->bytes : SVP_CODER_UNSUITABLE;
}

static uint32_t estimate_key(const struct svp_changes *changes, bool base_usable)
{
    (void)base_usable;
    return estimate(&changes->from_word);
}

static uint32_t estimate_delta(const struct svp_changes *changes, bool base_usable)
{
    return base_usable ? estimate(&changes->from_before) : SVP_CODER_UNSUITABLE;
}

static void encode_key(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                       const struct svp_changes *changes)
{
    (void)lists;
    (void)base;
    (void)changes;
    svp_buffer_add(bytes, page, SVP_PAGE_BYTES);
}

/* Column p holds byte p of every word of every page. */
static void arrange(struct svp_buffer *arranged, const struct svp_buffer *bytes, uint32_t count)
{
    const size_t words = (size_t)count * PAGE_WORDS;
    uint8_t *at = svp_buffer_reserve(arranged, words * WORD);
    for (size_t place = 0; at != NULL && place < WORD; place++) {
        for (size_t word = 0; word < words; word++) {
            at[place * words + word] = bytes->bytes[word * WORD + place];
        }
    }
    arranged->count += at != NULL ? words * WORD : 0;
}

/* A slot: where the page begins in the first column, and how long a column is. */
static enum svp_verdict locate(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked)
{
    (void)payload;
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = (struct svp_slot){ unpacked / WORD, i * PAGE_WORDS };
    }
    return SVP_GOOD;
}

static void decode_delta(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    for (size_t place = 0; place < WORD; place++) {
        const uint8_t *column = payload + place * slot->list + slot->bytes;
        for (size_t word = 0; word < PAGE_WORDS; word++) {
            page[word * WORD + place] ^= column[word];
        }
    }
}

static void decode_key(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    memset(page, 0, SVP_PAGE_BYTES);
    decode_delta(page, slot, payload);
}

const struct svp_coder svp_coder_shuffled = {
    .id = SVP_CODER_SHUFFLED,
    .name = "shuffled",
    .feature = 1u << 4,
    .hash_bytes = SVP_HASH_BYTES,
    .packs = true,
    .estimate = estimate_key,
    .encode = encode_key,
    .arrange = arrange,
    .size_fits = svp_coder_pages_fit,
    .locate = locate,
    .decode = decode_key,
};

const struct svp_coder svp_coder_xor_shuffled = {
    .id = SVP_CODER_XOR_SHUFFLED,
    .name = "xor-shuffled",
    .feature = 1u << 5,
    .has_base = true,
    .hash_bytes = 8,
    .packs = true,
    .reversible = true,
    .estimate = estimate_delta,
    .encode = svp_coder_encode_xor,
    .arrange = arrange,
    .size_fits = svp_coder_pages_fit,
    .locate = locate,
    .decode = decode_delta,
};
