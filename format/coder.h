/* coder.h - the table of page coders: one file and one row each (SPEC.md section 4.4)
 *
 * Encoding appends pages one by one to a batch; decoding first checks a whole payload and finds its slots, then
 * makes single pages. A decoder is given nothing it may trust but sizes. */
#ifndef SVP_CODER_H
#define SVP_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/compare.h"
#include "format/layout.h"

enum svp_coder_id {
    SVP_CODER_ZERO = 0,
    SVP_CODER_STORED = 1,
    SVP_CODER_WHOLE = 2,
    SVP_CODER_XOR_RUNS = 3,
    SVP_CODER_RUNS = 4,
    SVP_CODER_XOR = 5,
    SVP_CODER_SHUFFLED = 6,
    SVP_CODER_XOR_SHUFFLED = 7,
    SVP_CODER_SAME = 8,
    SVP_CODER_COUNT /* ids have no gaps */
};

#define SVP_CODER_UNSUITABLE UINT32_MAX

/* Lines of a page, 64 bytes each: bit i stands for line i. */
#define SVP_LINE_BYTES 64u
#define SVP_LINES_ALL UINT64_MAX
static inline size_t svp_line_first(uint64_t lines) /* not 0 */
{
    return (size_t)__builtin_ctzll(lines);
}

struct svp_slot {  /* where one page lies in an unpacked payload */
    uint32_t list; /* coder-specific list, if any */
    uint32_t bytes;
    uint32_t first; /* below 4096: about where in the page decoding begins */
};

struct svp_reference { /* to a page, whatever its region, that stands in a record by itself: by a coder that has no base
                          and does not refer */
    uint64_t record_offset;
    uint64_t page;
};

struct svp_coder {
    enum svp_coder_id id;
    const char *name;
    uint64_t feature;   /* bit that announces it, under this name; 0: in every version 0 */
    bool has_base;      /* decoding starts from an earlier version of the page */
    bool refers;        /* a page is one of another record: neither encode nor decode, but a reference */
    uint8_t hash_bytes; /* of each page's hash that are stored: 0, 8 or 16 */
    bool packs;         /* the payload may be compressed */
    bool verbatim;      /* the unpacked payload is the pages themselves, one after another */
    bool reversible;    /* decoding onto the newer version gives the base back */

    /* Bytes this page will about take in a payload before packing, from the counts of a comparison with its
     * base (`changes` is all that may be looked at); UNSUITABLE when this coder cannot or should not. */
    uint32_t (*estimate)(const struct svp_changes *changes, bool base_usable);

    /* Appends one page. Payload = lists, then bytes. */
    void (*encode)(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes);

    /* Puts the bytes of all `count` pages in the order they are packed in; NULL: as they were appended. */
    void (*arrange)(struct svp_buffer *arranged, const struct svp_buffer *bytes, uint32_t count);

    /* True when `unpacked` bytes can be the payload of `count` pages. */
    bool (*size_fits)(uint32_t count, uint32_t unpacked);

    /* Checks payload[0..unpacked) entirely and fills slots[0..count). */
    enum svp_verdict (*locate)(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked);

    /* Makes a page from a located slot; `page` holds the base on entry when the coder has one. Returns the lines of
     * the page that it wrote. */
    uint64_t (*decode)(uint8_t *page, const struct svp_slot *slot, const uint8_t *payload);
};

extern const struct svp_coder svp_coder_zero, svp_coder_stored, svp_coder_whole, svp_coder_xor_runs, svp_coder_runs,
    svp_coder_xor, svp_coder_shuffled, svp_coder_xor_shuffled, svp_coder_same;

/* For coders whose unpacked payload has the bytes of whole pages; and where those lie one behind the other. */
bool svp_coder_pages_fit(uint32_t count, uint32_t unpacked);
enum svp_verdict
svp_coder_locate_pages(struct svp_slot *slots, uint32_t count, const uint8_t *payload, uint32_t unpacked);

/* For coders of the XOR of a page and its base: appends all of it. */
void svp_coder_encode_xor(struct svp_buffer *lists, struct svp_buffer *bytes, const uint8_t *page, const uint8_t *base,
                          const struct svp_changes *changes);

/* For the coder that refers: appends where a page is, and reads it from a located slot, unchecked. */
void svp_coder_refer(struct svp_buffer *bytes, const struct svp_reference *reference);
struct svp_reference svp_coder_referred(const struct svp_slot *slot, const uint8_t *payload);

/* NULL when unknown. */
const struct svp_coder *svp_coder_find(uint16_t id);

/* All features that a reader of these files has: those of the coders, and zstd. */
uint64_t svp_coder_features(void);

/* The cheapest coder for a page. `base_usable`: a base exists and its chain has links left; `delta_budget`: most
 * bytes a delta may take before the chain costs more than the page whole. */
const struct svp_coder *svp_coder_choose(const struct svp_changes *changes, bool base_usable, uint32_t delta_budget);

#endif
