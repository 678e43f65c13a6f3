/* recode.h - snapshots that exist already, written anew: pages to PAGES records, the INDEX, wherever records go
 *
 * A snapshot: begin; its pages, those of a region after each other; finish; then the INDEX. What a page rests on is
 * kept in `places`, which stand at the snapshot written last. */
#ifndef SVP_RECODE_H
#define SVP_RECODE_H

#include "archive/places.h"
#include "format/index.h"
#include "format/pages.h"
#include "savepoint.h"

enum { SVP_RECODE_LEVELS = 16 }; /* as in session.h: 4^15 commits and more share the top level */

struct svp_sink { /* where records go */
    void *to;
    struct svp_buffer *body; /* of the next record */
    enum savepoint_status (*record)(void *to, enum svp_record_type type, uint64_t *offset,
                                    struct savepoint_error *error);
    uint64_t (*offset)(const void *to); /* of the next record */
};

struct svp_recode { /* one thread at a time */
    struct svp_sink sink;
    struct svp_packer *packer;
    struct svp_batch *batches[SVP_CODER_COUNT];
    struct svp_places places;
    uint64_t levels[SVP_RECODE_LEVELS]; /* [k]: the newest commit of the base chain whose depth is divisible by 4^k */

    /* the snapshot being written */
    uint32_t depth, region_id;
    struct svp_index list;
    uint64_t runs, pages_stored, delta_bytes, key_bytes;
};

bool svp_recode_open(struct svp_recode *recode, const struct svp_sink *sink); /* false: no memory */
void svp_recode_close(struct svp_recode *recode);

void svp_recode_begin(struct svp_recode *recode, uint32_t depth);

struct svp_recode_page {
    uint32_t region_id;
    uint64_t region_pages, page;
    uint64_t source; /* for its place */
    const uint8_t *bytes;
    const struct svp_hash *hash;
    const uint8_t *before; /* the version its place stands for; NULL: it cannot be a base. Its chain must be known */
};
/* A page that did not change against `before` is not stored. Pages of a region that ascend need fewer records. */
enum savepoint_status
svp_recode_page(struct svp_recode *recode, const struct svp_recode_page *page, struct savepoint_error *error);
enum savepoint_status svp_recode_finish(struct svp_recode *recode, struct savepoint_error *error);

/* The INDEX: a list that goes on at `base`, or where that pays and `maps` are wanted a map over a span. */
enum savepoint_status
svp_recode_index(struct svp_recode *recode, uint64_t *offset, uint64_t base, bool maps, struct savepoint_error *error);
/* A commit of this depth was written, or met on the base chain while walking down from the newest. */
void svp_recode_advance(struct svp_recode *recode, uint64_t commit_offset);
void svp_recode_meet(struct svp_recode *recode, uint64_t commit_offset, uint32_t depth);

#endif
