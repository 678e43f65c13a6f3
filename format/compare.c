/* compare.c - what changed between two versions of a page */
#include "format/compare.h"

#include <string.h>

#include "format/bytes.h"

enum { WORD = 8, LINE = 64, LINES = SVP_PAGE_BYTES / LINE };
enum { JOIN_GAP = 4 }; /* a run costs about three bytes of list: shorter gaps are cheaper as equal bytes */

bool svp_all_zero(const uint8_t *page)
{
    /* A page is zero when its first word is, and each word equals the one before. */
    static const uint8_t zeros[WORD];
    return memcmp(page, zeros, WORD) == 0 && memcmp(page, page + WORD, SVP_PAGE_BYTES - WORD) == 0;
}

/* Bit i: line i differs. All lines are read, with no jump that depends on them: guessing wrong would cost more. */
static uint64_t differing_lines(const uint8_t *before, const uint8_t *after)
{
    uint64_t lines = 0;
    for (uint32_t line = 0; line < LINES; line++) {
        lines |= (uint64_t)(memcmp(before + line * LINE, after + line * LINE, LINE) != 0) << line;
    }
    return lines;
}

/* Each byte of a word that differs becomes 1, the others 0. */
static uint64_t differing_places(uint64_t difference)
{
    const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
    return ((((difference & low_bits) + low_bits) | difference) & ~low_bits) >> 7;
}

/* Bit i: byte i of a line differs. */
static uint64_t differing_bytes(const uint8_t *before, const uint8_t *after)
{
    uint64_t bytes = 0;
    for (uint32_t at = 0; at < LINE; at += WORD) {
        uint64_t difference = svp_load64(before + at) ^ svp_load64(after + at);
        if (difference == 0) {
            continue;
        }
        /* The multiplication gathers the ones into one byte. */
        bytes |= (differing_places(difference) * UINT64_C(0x0102040810204080) >> 56) << at;
    }
    return bytes;
}

static void add_run(struct svp_changes *changes, uint32_t offset, uint32_t bytes)
{
    struct svp_run *last = changes->run_count > 0 ? &changes->runs[changes->run_count - 1] : NULL;
    if (last != NULL && offset <= (uint32_t)last->offset + last->bytes + JOIN_GAP) {
        uint32_t joined = offset + bytes - last->offset;
        changes->changed_bytes += joined - last->bytes;
        last->bytes = (uint16_t)joined;
    } else if (changes->run_count < SVP_RUNS_MAX) {
        changes->runs[changes->run_count++] = (struct svp_run){ (uint16_t)offset, (uint16_t)bytes };
        changes->changed_bytes += bytes;
    } else {
        changes->dense = true;
    }
}

static void add_line(struct svp_changes *changes, uint32_t offset, uint64_t bytes)
{
    while (bytes != 0) {
        uint32_t start = (uint32_t)__builtin_ctzll(bytes);
        uint64_t rest = bytes >> start;
        uint32_t count = rest == UINT64_MAX ? LINE : (uint32_t)__builtin_ctzll(~rest);
        add_run(changes, offset + start, count);
        bytes = start + count < LINE ? rest >> count << (start + count) : 0;
    }
}

/* How much of a page keeps still, judged by every fourth line: counting all of it would cost a seventh of what zstd
 * does. */
static struct svp_still count_still(const uint8_t *before, const uint8_t *after)
{
    enum { APART = 4, LOOKED_AT = SVP_PAGE_BYTES / WORD / APART }; /* words: their sums fit into a byte */
    uint64_t sums = 0;
    for (uint32_t at = 0; at < SVP_PAGE_BYTES; at += APART * LINE) {
        for (uint32_t word = at; word < at + LINE; word += WORD) {
            sums += differing_places(svp_load64(before + word) ^ svp_load64(after + word));
        }
    }
    uint32_t all = 0;
    uint32_t least = LOOKED_AT;
    uint32_t most = 0;
    for (uint32_t place = 0; place < WORD; place++) {
        uint32_t words = (uint32_t)(sums >> (8 * place)) & 0xff;
        all += words;
        least = words < least ? words : least;
        most = words > most ? words : most;
    }
    return (struct svp_still){ .bytes = APART * (LOOKED_AT * WORD - all), .spread = APART * (most - least) };
}

void svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after)
{
    uint64_t lines = differing_lines(before, after);
    changes->all_zero = svp_all_zero(after);
    changes->before_zero = svp_all_zero(before);
    changes->same = lines == 0;
    changes->dense = false;
    changes->run_count = 0;
    changes->changed_bytes = 0;
    changes->from_before = changes->from_word = (struct svp_still){ 0 };
    for (; lines != 0 && !changes->dense; lines &= lines - 1) {
        uint32_t at = (uint32_t)__builtin_ctzll(lines) * LINE;
        add_line(changes, at, differing_bytes(before + at, after + at));
        changes->dense = changes->dense || changes->changed_bytes > SVP_CHANGED_BYTES_MAX;
    }
    if (changes->dense) {
        changes->from_before = count_still(before, after);
        changes->from_word = count_still(after, after + WORD);
    }
}

void svp_changes_apply(uint8_t *before, const uint8_t *after, const struct svp_changes *changes)
{
    if (changes->dense) {
        memcpy(before, after, SVP_PAGE_BYTES);
        return;
    }
    for (uint32_t i = 0; i < changes->run_count; i++) {
        const struct svp_run *run = &changes->runs[i];
        memcpy(before + run->offset, after + run->offset, run->bytes);
    }
}
