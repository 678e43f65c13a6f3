/* compare.c - what changed between two versions of a page */
#include "format/compare.h"

#include <string.h>

enum { WORD = 8, STRIDE = 64 };
enum { JOIN_GAP = 4 }; /* a run costs about three bytes of list: shorter gaps are cheaper as equal bytes */

bool svp_all_zero(const uint8_t *page)
{
    /* A page is zero when its first word is, and each word equals the one before. */
    static const uint8_t zeros[WORD];
    return memcmp(page, zeros, WORD) == 0 && memcmp(page, page + WORD, SVP_PAGE_BYTES - WORD) == 0;
}

static void add_byte(struct svp_changes *changes, uint32_t offset)
{
    struct svp_run *last = changes->run_count > 0 ? &changes->runs[changes->run_count - 1] : NULL;
    if (last != NULL && offset <= (uint32_t)last->offset + last->bytes + JOIN_GAP) {
        uint32_t bytes = offset + 1 - last->offset;
        changes->changed_bytes += bytes - last->bytes;
        last->bytes = (uint16_t)bytes;
    } else if (changes->run_count < SVP_RUNS_MAX) {
        changes->runs[changes->run_count++] = (struct svp_run){ (uint16_t)offset, 1 };
        changes->changed_bytes++;
    } else {
        changes->dense = true;
    }
}

static void compare_word(struct svp_changes *changes, const uint8_t *before, const uint8_t *after, uint32_t offset)
{
    uint64_t old_word;
    uint64_t new_word;
    memcpy(&old_word, before + offset, WORD);
    memcpy(&new_word, after + offset, WORD);
    if (old_word == new_word) {
        return;
    }
    for (uint32_t i = 0; i < WORD; i++) {
        if (before[offset + i] != after[offset + i]) {
            add_byte(changes, offset + i);
        }
    }
}

void svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after)
{
    changes->all_zero = svp_all_zero(after);
    changes->dense = false;
    changes->run_count = 0;
    changes->changed_bytes = 0;
    for (uint32_t stride = 0; stride < SVP_PAGE_BYTES && !changes->dense; stride += STRIDE) {
        if (memcmp(before + stride, after + stride, STRIDE) == 0) {
            continue;
        }
        for (uint32_t word = 0; word < STRIDE; word += WORD) {
            compare_word(changes, before, after, stride + word);
        }
        changes->dense = changes->dense || changes->changed_bytes > SVP_CHANGED_BYTES_MAX;
    }
    changes->same = changes->run_count == 0;
}
