/* coder_shuffled.c - coders 6 and 7: arrays of numbers, the bytes of equal weight side by side (SPEC.md section 5)
 *
 * The high bytes of numbers that lie near each other are alike, the low ones are noise. Side by side the former shrink
 * to little, and zstd leaves the latter alone. */
#include "format/bytes.h"
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
        slots[i] = (struct svp_slot){ .list = unpacked / WORD, .bytes = i * PAGE_WORDS };
    }
    return SVP_GOOD;
}

static inline void swap(uint64_t *left, uint64_t *right, unsigned shift, uint64_t low)
{
    const uint64_t moved = (*left >> shift ^ *right) & low;
    *left ^= moved << shift;
    *right ^= moved;
}

/* Byte k of word i and byte i of word k change places, by squares of 1, 2 and 4 bytes. Written out, as compilers leave
 * loops of it. */
static inline void transpose(uint64_t words[WORD])
{
    const uint64_t bytes = UINT64_C(0x00ff00ff00ff00ff), pairs = UINT64_C(0x0000ffff0000ffff);
    swap(&words[0], &words[1], 8, bytes);
    swap(&words[2], &words[3], 8, bytes);
    swap(&words[4], &words[5], 8, bytes);
    swap(&words[6], &words[7], 8, bytes);
    swap(&words[0], &words[2], 16, pairs);
    swap(&words[1], &words[3], 16, pairs);
    swap(&words[4], &words[6], 16, pairs);
    swap(&words[5], &words[7], 16, pairs);
    swap(&words[0], &words[4], 32, UINT32_MAX);
    swap(&words[1], &words[5], 32, UINT32_MAX);
    swap(&words[2], &words[6], 32, UINT32_MAX);
    swap(&words[3], &words[7], 32, UINT32_MAX);
}

/* The next 8 words of a page, of 8 bytes from each column. */
static inline void gather(uint64_t words[WORD], const struct svp_slot *slot, const uint8_t *payload, size_t word)
{
    for (size_t place = 0; place < WORD; place++) {
        words[place] = svp_load64(payload + place * slot->list + slot->bytes + word);
    }
    transpose(words);
}

static uint64_t decode_delta(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    uint64_t words[WORD];
    for (size_t word = 0; word < PAGE_WORDS; word += WORD) {
        gather(words, slot, payload, word);
        for (size_t i = 0; i < WORD; i++) {
            uint8_t *at = page + (word + i) * WORD;
            svp_store64(at, svp_load64(at) ^ words[i]);
        }
    }
    return SVP_LINES_ALL;
}

static uint64_t decode_key(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    uint64_t words[WORD];
    for (size_t word = 0; word < PAGE_WORDS; word += WORD) {
        gather(words, slot, payload, word);
        for (size_t i = 0; i < WORD; i++) {
            svp_store64(page + (word + i) * WORD, words[i]);
        }
    }
    return SVP_LINES_ALL;
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
