/* record.h - how the log of a ring lies in its arena
 *
 *     record   kind (2 bits) and size (14), page (32), distance back to the page's record before (40; 0: none), runs
 *     run      offset in the page (16), bytes (16), that many XORed bytes
 *     region   a record without runs: `page` is the id of the region that the records behind it belong to
 *     mark     a record whose `page` is its size; then a struct svp_ring_mark_head, the snapshot, its label, the body
 *     skip     a record: nothing more up to the end of the arena, as where no head has room
 *
 * None crosses the end of the arena. Behind a mark a region comes first. */
#ifndef SVP_RING_RECORD_H
#define SVP_RING_RECORD_H

#include <string.h>

#include "format/bytes.h"
#include "ring/ring.h"

enum { SVP_RING_HEAD = 11, SVP_RING_RUN = 4 };
enum svp_ring_kind { SVP_RING_PAGE, SVP_RING_REGION, SVP_RING_MARK, SVP_RING_SKIP };
#define SVP_RING_FAR ((UINT64_C(1) << 40) - 1) /* the longest distance; an arena is smaller */

struct svp_ring_head {
    enum svp_ring_kind kind;
    uint32_t bytes; /* of a page's record, with this head */
    uint32_t page;
    uint64_t distance;
};

struct svp_ring_mark_head {
    uint64_t previous; /* mark, 0: none */
    uint64_t next;     /* of the newest it means nothing */
    uint32_t label_bytes, body_bytes;
};

static inline uint8_t *svp_ring_at(const struct svp_ring *ring, uint64_t position)
{
    return ring->arena + position % ring->capacity;
}

/* Bytes from there to the end of the arena. */
static inline uint64_t svp_ring_room(const struct svp_ring *ring, uint64_t position)
{
    return ring->capacity - position % ring->capacity;
}

static inline void svp_ring_put(uint8_t *at, const struct svp_ring_head *head)
{
    svp_store16(at, (uint16_t)((uint32_t)head->kind << 14 | head->bytes));
    svp_store32(at + 2, head->page);
    svp_store32(at + 6, (uint32_t)head->distance);
    at[10] = (uint8_t)(head->distance >> 32);
}

static inline struct svp_ring_head svp_ring_get(const uint8_t *at)
{
    return (struct svp_ring_head){
        .kind = (enum svp_ring_kind)(svp_load16(at) >> 14),
        .bytes = svp_load16(at) & 0x3fffu,
        .page = svp_load32(at + 2),
        .distance = svp_load32(at + 6) | (uint64_t)at[10] << 32,
    };
}

static inline struct svp_ring_mark_head svp_ring_mark_at(const struct svp_ring *ring, uint64_t record)
{
    struct svp_ring_mark_head head;
    memcpy(&head, svp_ring_at(ring, record) + SVP_RING_HEAD, sizeof head);
    return head;
}

static inline void svp_ring_xor(uint8_t *to, const uint8_t *with, size_t bytes)
{
    size_t done = 0;
    for (; done + sizeof(uint64_t) <= bytes; done += sizeof(uint64_t)) {
        uint64_t left, right;
        memcpy(&left, to + done, sizeof left);
        memcpy(&right, with + done, sizeof right);
        left ^= right;
        memcpy(to + done, &left, sizeof left);
    }
    for (; done < bytes; done++) {
        to[done] ^= with[done];
    }
}

/* NULL when the region is not covered. */
static inline struct svp_ring_index *svp_ring_index(const struct svp_ring *ring, uint32_t region)
{
    for (size_t i = 0; i < ring->index_count; i++) {
        if (ring->indexes[i].region == region) {
            return &ring->indexes[i];
        }
    }
    return NULL;
}

#endif
