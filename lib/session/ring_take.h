/* ring_take.h - from staged pages to a snapshot of the ring: compare, hash, log, mark */
#ifndef SVP_RING_TAKE_H
#define SVP_RING_TAKE_H

#include "session/session.h"
#include "session/table.h"

/* Encoder, for each take: begin, all its chunks, then the mark. */
void svp_ring_take_begin(struct savepoint *session);
enum savepoint_status svp_ring_take_chunk(struct savepoint *session, const struct svp_chunk *chunk);
/* LIMIT: the ring's budget is too small for so much as the mark. */
enum savepoint_status svp_ring_take_mark(struct savepoint *session, const struct svp_take *take,
                                         struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* The mark in two steps, of regions in whatever state they are said to be in: what it will tell (false: no memory), and
 * setting it. The next take does not stand on it. */
bool svp_ring_take_describe(struct savepoint *session, const struct svp_take *take, const struct svp_table *table,
                            const struct svp_hash *state_root, struct savepoint_snapshot *snapshot);
enum savepoint_status
svp_ring_take_set(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* What a mark tells of a region, and what is left of the body behind it. */
struct svp_ring_part {
    uint32_t ring_id;
    uint64_t pages;
    uint32_t excluded_count;
    const uint8_t *excluded; /* pairs of first page and page count, 8 bytes each */
};
const uint8_t *svp_ring_part_read(struct svp_ring_part *part, const uint8_t *at);
/* One of its excluded ranges. */
void svp_ring_part_excluded(const struct svp_ring_part *part, uint32_t index, uint64_t *first_page,
                            uint64_t *page_count);

/* With the mutex held: what the statistics tell of the ring. */
void svp_ring_count(struct savepoint *session);

#endif
