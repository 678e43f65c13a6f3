/* pages.h - the PAGES body: a batch of encoded pages (SPEC.md section 4.4) */
#ifndef SVP_PAGES_H
#define SVP_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/coder.h"
#include "format/digest.h"
#include "format/pack.h"

/* A batch being filled; pages must be added in ascending order. Start with all zero. */
struct svp_batch {
    uint32_t count;
    uint64_t pages[SVP_BATCH_PAGES_MAX];
    uint64_t bases[SVP_BATCH_PAGES_MAX]; /* offsets of the bases' PAGES records */
    struct svp_hash hashes[SVP_BATCH_PAGES_MAX];
    struct svp_buffer lists, bytes;
};

struct svp_batch_sizes { /* of what svp_batch_write added */
    uint32_t unpacked_bytes, stored_bytes;
};

void svp_batch_add(struct svp_batch *batch, const struct svp_coder *coder, uint64_t page_index, uint64_t base_offset,
                   const struct svp_hash *hash, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes);
/* The same for a coder that refers. */
void svp_batch_refer(struct svp_batch *batch, uint64_t page_index, const struct svp_hash *hash,
                     const struct svp_reference *reference);
/* Appends the body of a PAGES record that will stand at `record_offset`. */
struct svp_batch_sizes svp_batch_write(struct svp_buffer *body, struct svp_batch *batch, const struct svp_coder *coder,
                                       uint32_t region_id, uint64_t record_offset, struct svp_packer *packer);
void svp_batch_clear(struct svp_batch *batch);
void svp_batch_free(struct svp_batch *batch);

/* A PAGES body as read. Points into the body it was read from. */
struct svp_pages {
    uint32_t region_id;
    const struct svp_coder *coder;
    uint32_t count;
    uint32_t page_table_bytes, base_table_bytes;
    uint32_t unpacked_bytes, stored_bytes;
    const uint8_t *hashes;  /* the first coder->hash_bytes bytes of each page's hash */
    const uint8_t *payload; /* packed */
    uint64_t pages[SVP_BATCH_PAGES_MAX];
    uint64_t bases[SVP_BATCH_PAGES_MAX];
    struct svp_slot slots[SVP_BATCH_PAGES_MAX]; /* filled by svp_pages_unpack */
};

/* Head and tables of a body of which the first bytes are at hand; its hash need not have been checked. *needed tells
 * how many bytes that takes: with fewer only the head is read. */
enum { SVP_PAGES_HEAD_BYTES = 32 };
enum svp_verdict svp_pages_read_tables(struct svp_pages *pages, const uint8_t *bytes, size_t count,
                                       uint64_t record_offset, size_t *needed);
/* Everything but the payload's content. UNSUPPORTED: unknown coder (*coder_id tells which). */
enum svp_verdict
svp_pages_read(struct svp_pages *pages, const uint8_t *body, size_t bytes, uint64_t record_offset, uint16_t *coder_id);
/* Unpacks the payload into to[0..unpacked_bytes) and checks it. */
enum svp_verdict svp_pages_unpack(struct svp_pages *pages, struct svp_unpacker *unpacker, uint8_t *to);
/* The slot of a page, or -1. */
int svp_pages_find(const struct svp_pages *pages, uint64_t page_index);
/* Whether a decoded page has the hash stored for its slot; *hash gets what it has. */
enum svp_verdict
svp_pages_check(const struct svp_pages *pages, uint32_t slot, const uint8_t *page, struct svp_hash *hash);
/* Where the page of a slot is, by a coder that refers; BAD: not before the record at `record_offset`, which refers. */
enum svp_verdict svp_pages_reference(const struct svp_pages *pages, uint32_t slot, const uint8_t *unpacked,
                                     uint64_t record_offset, struct svp_reference *reference);
/* Makes the page of a slot (page: its base on entry, where the coder has one) and checks its hash. Not for a coder that
 * refers: BAD. */
enum svp_verdict svp_pages_decode(const struct svp_pages *pages, uint32_t slot, const uint8_t *unpacked, uint8_t *page,
                                  struct svp_hash *hash);

#endif
