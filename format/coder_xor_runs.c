/* coder_xor_runs.c - coders 3 and 4: runs of bytes XORed into the base page, or into zeros (SPEC.md section 5) */
#include <string.h>

#include "format/bytes.h"
#include "format/coder.h"

static uint32_t list_bytes(const struct svp_changes *changes)
{
    return changes->dense ? SVP_CODER_UNSUITABLE : changes->changed_bytes + 3 * changes->run_count + 1;
}

static uint32_t estimate_delta(const struct svp_changes *changes, bool base_usable)
{
    return base_usable ? list_bytes(changes) : SVP_CODER_UNSUITABLE;
}

static uint32_t estimate_key(const struct svp_changes *changes, bool base_usable)
{
    (void)base_usable;
    return changes->before_zero ? list_bytes(changes) : SVP_CODER_UNSUITABLE;
}

static void encode(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes)
{
    uint32_t end = 0;
    svp_buffer_add_varint(lists, changes->run_count);
    for (uint32_t i = 0; i < changes->run_count; i++) {
        const struct svp_run *run = &changes->runs[i];
        svp_buffer_add_varint(lists, run->offset - end);
        svp_buffer_add_varint(lists, run->bytes - 1u);
        end = (uint32_t)run->offset + run->bytes;
        uint8_t *at = svp_buffer_reserve(bytes, run->bytes);
        if (at == NULL) {
            return;
        }
        for (uint32_t k = 0; k < run->bytes; k++) {
            at[k] = page[run->offset + k] ^ base[run->offset + k];
        }
        bytes->count += run->bytes;
    }
}

static bool size_fits(uint32_t count, uint32_t unpacked)
{
    return unpacked >= count && unpacked <= count * 2 * SVP_PAGE_BYTES;
}

/* Walks one run list; adds the bytes its runs need to *needed. *first: where its first run begins. */
static bool check_list(struct svp_cursor *cursor, uint64_t *needed, uint32_t *first)
{
    uint64_t runs = svp_cursor_varint(cursor);
    uint64_t end = 0;
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t gap = svp_cursor_varint(cursor);
        uint64_t last = svp_cursor_varint(cursor);
        if (cursor->bad || gap >= SVP_PAGE_BYTES - end || last >= SVP_PAGE_BYTES - end - gap) {
            return false;
        }
        *first = i == 0 ? (uint32_t)gap : *first;
        end += gap + last + 1;
        *needed += last + 1;
        if (end == SVP_PAGE_BYTES && i + 1 < runs) {
            return false;
        }
    }
    return !cursor->bad;
}

static enum svp_verdict locate(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked)
{
    struct svp_cursor cursor = svp_cursor_over(payload, unpacked);
    uint64_t needed = 0;
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = (struct svp_slot){ (uint32_t)(cursor.at - payload), (uint32_t)needed, 0 };
        if (!check_list(&cursor, &needed, &slots[i].first)) {
            return SVP_BAD;
        }
    }
    if (needed != svp_cursor_left(&cursor)) {
        return SVP_BAD;
    }
    uint32_t bytes_start = (uint32_t)(cursor.at - payload);
    for (uint32_t i = 0; i < count; i++) {
        slots[i].bytes += bytes_start;
    }
    return SVP_GOOD;
}

/* The lines of a page that so many bytes from `first` on are in. */
static uint64_t lines_of(size_t first, size_t bytes)
{
    const size_t last = first + bytes - 1;
    return SVP_LINES_ALL >> (63 - last / SVP_LINE_BYTES) & SVP_LINES_ALL << first / SVP_LINE_BYTES;
}

static uint64_t apply(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    /* The list was checked by locate: it ends, and its runs stay inside page and payload. */
    struct svp_cursor cursor = svp_cursor_over(payload + slot->list, slot->bytes - slot->list);
    const uint8_t *bytes = payload + slot->bytes;
    uint64_t runs = svp_cursor_varint(&cursor);
    uint8_t *at = page;
    uint64_t lines = 0;
    for (uint64_t i = 0; i < runs; i++) {
        at += svp_cursor_varint(&cursor);
        uint64_t length = svp_cursor_varint(&cursor) + 1;
        svp_xor_bytes(at, bytes, (size_t)length);
        lines |= lines_of((size_t)(at - page), (size_t)length);
        at += length;
        bytes += length;
    }
    return lines;
}

static uint64_t decode_over_zeros(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload)
{
    memset(page, 0, SVP_PAGE_BYTES);
    (void)apply(page, slot, payload);
    return SVP_LINES_ALL;
}

const struct svp_coder svp_coder_xor_runs = {
    .id = SVP_CODER_XOR_RUNS,
    .name = "xor-runs",
    .feature = 1u << 1,
    .has_base = true,
    .hash_bytes = 8,
    .packs = true,
    .reversible = true,
    .estimate = estimate_delta,
    .encode = encode,
    .size_fits = size_fits,
    .locate = locate,
    .decode = apply,
};

const struct svp_coder svp_coder_runs = {
    .id = SVP_CODER_RUNS,
    .name = "runs",
    .feature = 1u << 2,
    .hash_bytes = SVP_HASH_BYTES,
    .packs = true,
    .estimate = estimate_key,
    .encode = encode,
    .size_fits = size_fits,
    .locate = locate,
    .decode = decode_over_zeros,
};
