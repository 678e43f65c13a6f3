/* ring.h - a history in memory under a byte budget: the log of what the shadow went through
 *
 * Whenever a page of the shadow changes from old to new, one record goes into the log: the runs of bytes that differ,
 * XORed (all of the page where too much does). A record makes old of new and new of old, so the log is never written
 * to by going back or forth, and the order in which records are applied does not matter. A mark in the log is a
 * snapshot: the shadow as it was when the mark was set.
 *
 *     begin                                         cursor                            end
 *       | mark 4 | records | mark 5 | records | mark 6 | records | mark 7 | records |
 *
 * Invariant: the shadow is what it was when the log ended at `cursor`. That is the end, or behind a mark gone back to;
 * what then follows the cursor is there to go forward again, until something is logged, which cuts it off.
 *
 * Positions count bytes ever logged; the arena holds those from `begin` to `end`, at position modulo its size. Nothing
 * is kept before the oldest mark. When the budget is used up the oldest mark goes, and what led from it to the next.
 * Memory is allocated when a ring is opened and when a region is covered; logging cannot fail for want of it.
 *
 * Region ids are the caller's; none may come back with other contents while the ring is open.
 * Threads: no locks in here; one thread at a time. */
#ifndef SVP_RING_H
#define SVP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/compare.h"
#include "savepoint.h"

struct svp_ring_index { /* of a region */
    uint32_t region;
    uint64_t pages;
    uint64_t *newest; /* by page: position of its newest record before the cursor (also of one dropped), 0: none */
};

struct svp_ring {
    uint8_t *arena;
    uint64_t capacity;
    uint64_t begin, cursor, end;
    uint64_t oldest, newest; /* records of marks; 0: there is none */
    uint64_t standing;       /* newest mark before the cursor */
    uint64_t entry;          /* where what belongs to the next mark begins */
    uint64_t mark_count;
    uint64_t dropped_count; /* marks that went for want of room */
    bool region_known;      /* the log ends in a record of `region` */
    uint32_t region;
    size_t index_count;
    struct svp_ring_index *indexes;
};

/* INVALID: the budget is below the smallest mark, so that none would ever find room. The ring is to be closed in any
 * case, and starts as all zero. */
enum savepoint_status svp_ring_open(struct svp_ring *ring, uint64_t budget_bytes, struct savepoint_error *error);
void svp_ring_close(struct svp_ring *ring);

/* Before the first record of a region, and after it grew. 8 bytes a page, beside the budget. False: no memory. */
bool svp_ring_cover(struct svp_ring *ring, uint32_t region, uint64_t pages);
void svp_ring_uncover(struct svp_ring *ring, uint32_t region); /* no more records of it will come */

/* ---- writing: whatever lies behind the cursor is cut off */

/* A page of the shadow changes from `old` to `now`, of which `changes` is the comparison. Drops the oldest marks to
 * make room; all of them if need be. Without a mark nothing is kept, as there is nothing to go back to. */
void svp_ring_log(struct svp_ring *ring, uint32_t region, uint64_t page, const uint8_t *old, const uint8_t *now,
                  const struct svp_changes *changes);
/* A page of the shadow changed, and nobody knows what it was: all marks go. */
void svp_ring_lose(struct svp_ring *ring, uint32_t region, uint64_t page);
/* The shadow as it is now is a snapshot. `snapshot` tells of it, but for stored_bytes, which are those of the log;
 * `body` is kept with it. False: the mark alone exceeds the budget; nothing was changed. */
bool svp_ring_mark(struct svp_ring *ring, const struct savepoint_snapshot *snapshot, const void *body,
                   size_t body_bytes);

/* Whether records of so many bytes in all, and a mark behind them, find room beside the mark that they go on from. */
bool svp_ring_fits(const struct svp_ring *ring, uint64_t records_bytes, const struct savepoint_snapshot *snapshot,
                   size_t body_bytes);
/* What svp_ring_log takes for a page, at most. */
uint32_t svp_ring_record_bytes(const struct svp_changes *changes);

/* ---- marks */

struct svp_ring_mark {
    struct savepoint_snapshot snapshot;
    uint64_t position;   /* what the cursor is when the shadow stands here */
    const uint8_t *body; /* in the arena: until something is written */
    size_t body_bytes;
    uint64_t record; /* own */
};

/* All false when there is none; the newest may lie behind the cursor. */
bool svp_ring_newest(const struct svp_ring *ring, struct svp_ring_mark *mark);
bool svp_ring_oldest(const struct svp_ring *ring, struct svp_ring_mark *mark);
bool svp_ring_standing(const struct svp_ring *ring, struct svp_ring_mark *mark);  /* the newest before the cursor */
bool svp_ring_previous(const struct svp_ring *ring, struct svp_ring_mark *mark);  /* older by one */
bool svp_ring_following(const struct svp_ring *ring, struct svp_ring_mark *mark); /* newer by one */
bool svp_ring_find(const struct svp_ring *ring, struct svp_ring_mark *mark, const struct savepoint_id *id);

/* ---- going back and forth
 *
 * To go to a mark: walk from the cursor to its position, apply each record to its page of the shadow, copy the pages so
 * changed to where they belong (a page may come several times), then move. */

struct svp_ring_record {
    uint32_t region;
    uint64_t page;
    uint64_t position; /* of the record */
    const uint8_t *runs;
    uint32_t runs_bytes;
};

struct svp_ring_walk {
    const struct svp_ring *ring;
    uint64_t at, to;
    uint32_t region;
};

/* Over the records between two positions, of which each is the cursor or that of a mark. */
void svp_ring_walk(struct svp_ring_walk *walk, const struct svp_ring *ring, uint64_t from, uint64_t to);
/* The next of them, at most `most`, in the order they were logged; 0: that was all. */
size_t svp_ring_next(struct svp_ring_walk *walk, struct svp_ring_record *records, size_t most);
/* Makes the page what it was on the other side of the record. */
void svp_ring_apply(const struct svp_ring_record *record, uint8_t *page);
/* The shadow now stands at this mark. */
void svp_ring_move(struct svp_ring *ring, const struct svp_ring_mark *mark);

/* Takes a page of the shadow, in `bytes`, back to what it was when the cursor was at `since`, which must not have been
 * cut off. False: that is not held any more, or lies behind the cursor; `bytes` are spoilt. */
bool svp_ring_rewind_page(const struct svp_ring *ring, uint32_t region, uint64_t page, uint64_t since, uint8_t *bytes);

#endif
