/* walk.c - going back and forth in the log of a ring */
#include "ring/record.h"

void svp_ring_walk(struct svp_ring_walk *walk, const struct svp_ring *ring, uint64_t from, uint64_t to)
{
    *walk = (struct svp_ring_walk){ .ring = ring, .at = from < to ? from : to, .to = from < to ? to : from };
}

/* Steps over what is no page's record; false: the walk has come to its end. */
static bool find_page(struct svp_ring_walk *walk, struct svp_ring_head *head)
{
    while (walk->at < walk->to) {
        const uint64_t room = svp_ring_room(walk->ring, walk->at);
        *head = (struct svp_ring_head){ .kind = SVP_RING_SKIP };
        if (room >= SVP_RING_HEAD) {
            *head = svp_ring_get(svp_ring_at(walk->ring, walk->at));
        }
        switch (head->kind) {
        case SVP_RING_PAGE:
            return true;
        case SVP_RING_REGION:
            walk->region = head->page;
            walk->at += SVP_RING_HEAD;
            break;
        case SVP_RING_MARK:
            walk->at += head->page;
            break;
        case SVP_RING_SKIP:
            walk->at += room;
            break;
        }
    }
    return false;
}

size_t svp_ring_next(struct svp_ring_walk *walk, struct svp_ring_record *records, size_t most)
{
    struct svp_ring_head head;
    size_t count = 0;
    while (count < most && find_page(walk, &head)) {
        records[count++] = (struct svp_ring_record){
            .region = walk->region,
            .page = head.page,
            .position = walk->at,
            .runs = svp_ring_at(walk->ring, walk->at) + SVP_RING_HEAD,
            .runs_bytes = head.bytes - SVP_RING_HEAD,
        };
        walk->at += head.bytes;
    }
    return count;
}

void svp_ring_apply(const struct svp_ring_record *record, uint8_t *page)
{
    const uint8_t *at = record->runs;
    const uint8_t *end = at + record->runs_bytes;
    while (at < end) {
        const size_t bytes = svp_load16(at + 2);
        svp_ring_xor(page + svp_load16(at), at + SVP_RING_RUN, bytes);
        at += SVP_RING_RUN + bytes;
    }
}

/* Where the record of the page before this one is, or something older than all that is held; 0: there was none. */
static uint64_t before(const struct svp_ring *ring, uint64_t position)
{
    const uint64_t distance = svp_ring_get(svp_ring_at(ring, position)).distance;
    return distance == 0 ? 0 : position - distance;
}

/* The newest record of each page is one before the cursor: those of the walk are left behind, or come to it. */
static void move_newest(const struct svp_ring *ring, const struct svp_ring_record *record, bool back)
{
    struct svp_ring_index *index = svp_ring_index(ring, record->region);
    if (index == NULL) { /* a region that is gone */
        return;
    }
    uint64_t *newest = &index->newest[record->page];
    if (!back) {
        *newest = record->position;
    } else if (*newest >= record->position) { /* the first one of the page in this walk */
        *newest = before(ring, record->position);
    }
}

void svp_ring_move(struct svp_ring *ring, const struct svp_ring_mark *mark)
{
    const bool back = mark->position < ring->cursor;
    struct svp_ring_walk walk;
    struct svp_ring_record record;
    svp_ring_walk(&walk, ring, ring->cursor, mark->position);
    while (svp_ring_next(&walk, &record, 1) > 0) {
        move_newest(ring, &record, back);
    }
    ring->cursor = mark->position;
    ring->standing = mark->record;
}

bool svp_ring_rewind_page(const struct svp_ring *ring, uint32_t region, uint64_t page, uint64_t since, uint8_t *bytes)
{
    if (since > ring->cursor) {
        return false;
    }
    for (uint64_t at = svp_ring_index(ring, region)->newest[page]; at >= since && at != 0; at = before(ring, at)) {
        if (at < ring->begin) {
            return false;
        }
        const uint8_t *head = svp_ring_at(ring, at);
        const struct svp_ring_record record = {
            .page = page,
            .runs = head + SVP_RING_HEAD,
            .runs_bytes = svp_ring_get(head).bytes - SVP_RING_HEAD,
        };
        svp_ring_apply(&record, bytes);
    }
    return true;
}
