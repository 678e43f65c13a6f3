/* marks.c - the snapshots of a ring, read back from its log */
#include "ring/record.h"

static bool read_mark(const struct svp_ring *ring, struct svp_ring_mark *mark, uint64_t record)
{
    const size_t fixed_bytes = offsetof(struct savepoint_snapshot, label);
    if (record == 0) {
        return false;
    }
    const uint8_t *at = svp_ring_at(ring, record);
    const struct svp_ring_mark_head head = svp_ring_mark_at(ring, record);
    *mark = (struct svp_ring_mark){ .record = record, .position = record + svp_ring_get(at).page };
    at += SVP_RING_HEAD + sizeof head;
    memcpy(&mark->snapshot, at, fixed_bytes + head.label_bytes);
    mark->body = at + fixed_bytes + head.label_bytes;
    mark->body_bytes = head.body_bytes;
    return true;
}

bool svp_ring_newest(const struct svp_ring *ring, struct svp_ring_mark *mark)
{
    return read_mark(ring, mark, ring->newest);
}

bool svp_ring_oldest(const struct svp_ring *ring, struct svp_ring_mark *mark)
{
    return read_mark(ring, mark, ring->oldest);
}

bool svp_ring_standing(const struct svp_ring *ring, struct svp_ring_mark *mark)
{
    return read_mark(ring, mark, ring->standing);
}

bool svp_ring_previous(const struct svp_ring *ring, struct svp_ring_mark *mark)
{
    return read_mark(ring, mark, svp_ring_mark_at(ring, mark->record).previous);
}

bool svp_ring_following(const struct svp_ring *ring, struct svp_ring_mark *mark)
{
    return read_mark(ring, mark, mark->record != ring->newest ? svp_ring_mark_at(ring, mark->record).next : 0);
}

bool svp_ring_find(const struct svp_ring *ring, struct svp_ring_mark *mark, const struct savepoint_id *id)
{
    struct svp_ring_mark found;
    for (bool any = svp_ring_newest(ring, &found); any; any = svp_ring_previous(ring, &found)) {
        if (memcmp(&found.snapshot.id, id, sizeof *id) == 0) {
            *mark = found;
            return true;
        }
    }
    return false;
}
