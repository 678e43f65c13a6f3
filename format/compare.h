/* compare.h - what changed between two versions of a page */
#ifndef SVP_COMPARE_H
#define SVP_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/layout.h"

#define SVP_RUNS_MAX 128u           /* more runs than this are not worth listing */
#define SVP_CHANGED_BYTES_MAX 2048u /* nor are more changed bytes */

struct svp_run { /* bytes that differ; joined when the gap costs less than a second run */
    uint16_t offset;
    uint16_t bytes;
};

/* Bytes that keep still from one block to another, by their place in a word of 8 bytes. In arrays of numbers the high
 * bytes do and the low ones do not; in text all places are alike. */
struct svp_still {
    uint32_t bytes;  /* of a page's 4096 */
    uint32_t spread; /* between the stillest place and the least still one, of 512 */
};

/* Where some places are this much stiller than others, these are numbers. */
#define SVP_NUMBERS_SPREAD 256u

struct svp_changes {
    bool all_zero;    /* the new version is all zeros */
    bool before_zero; /* the old one is */
    bool same;        /* no byte differs */
    bool dense;       /* too much differs: `runs` is not complete */
    uint32_t run_count;
    uint32_t changed_bytes; /* bytes in runs */
    struct svp_run runs[SVP_RUNS_MAX];
    /* Counted only where `dense`, else 0. */
    struct svp_still from_before; /* the new version beside the old one */
    struct svp_still from_word;   /* each word of the new version beside the word before it */
};

/* Compares two page-sized blocks. */
void svp_compare(struct svp_changes *changes, const uint8_t *before, const uint8_t *after);
/* Makes the version before the one after, where that has not been done yet: only what changed is written, so that the
 * rest of it need not leave the cache again. */
void svp_changes_apply(uint8_t *before, const uint8_t *after, const struct svp_changes *changes);
bool svp_all_zero(const uint8_t *page);

#endif
