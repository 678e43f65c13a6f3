/* ring.c - the log of a ring: what goes into it, and what goes out of it */
#include "ring/ring.h"

#include "format/memory.h"
#include "ring/record.h"
#include "status.h"

static uint64_t mark_bytes(const struct savepoint_snapshot *snapshot, size_t body_bytes)
{
    return SVP_RING_HEAD + sizeof(struct svp_ring_mark_head) + offsetof(struct savepoint_snapshot, label) +
           strlen(snapshot->label) + (uint64_t)body_bytes;
}

enum savepoint_status svp_ring_open(struct svp_ring *ring, uint64_t budget_bytes, struct savepoint_error *error)
{
    const struct savepoint_snapshot without_label = { .label = "" };
    const uint64_t least_bytes = mark_bytes(&without_label, 0);
    *ring = (struct svp_ring){ .capacity = budget_bytes };
    ring->begin = ring->cursor = ring->end = ring->entry = budget_bytes; /* the arena's start, and not 0 */
    if (budget_bytes < least_bytes) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open",
                               "ring_bytes %llu leaves no room for any snapshot: its head alone has %llu bytes or more",
                               (unsigned long long)budget_bytes, (unsigned long long)least_bytes);
    }
    bool possible = budget_bytes < SVP_RING_FAR && budget_bytes <= SIZE_MAX;
    ring->arena = possible ? svp_memory_alloc((size_t)budget_bytes) : NULL;
    return ring->arena != NULL
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "no memory for a ring of %llu bytes",
                                 (unsigned long long)budget_bytes);
}

void svp_ring_close(struct svp_ring *ring)
{
    for (size_t i = 0; i < ring->index_count; i++) {
        svp_memory_free(ring->indexes[i].newest);
    }
    svp_memory_free(ring->indexes);
    svp_memory_free(ring->arena);
    *ring = (struct svp_ring){ 0 };
}

/* ---- regions */

static struct svp_ring_index *add_index(struct svp_ring *ring, uint32_t region)
{
    struct svp_ring_index *grown = svp_memory_resize(ring->indexes, ring->index_count + 1, sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    ring->indexes = grown;
    grown[ring->index_count] = (struct svp_ring_index){ .region = region };
    return &grown[ring->index_count++];
}

bool svp_ring_cover(struct svp_ring *ring, uint32_t region, uint64_t pages)
{
    struct svp_ring_index *index = svp_ring_index(ring, region);
    index = index != NULL ? index : add_index(ring, region);
    if (index == NULL || pages > UINT32_MAX) {
        return false;
    }
    if (pages > index->pages) {
        uint64_t *newest = svp_memory_resize(index->newest, (size_t)pages, sizeof *newest);
        if (newest == NULL) {
            return false;
        }
        memset(newest + index->pages, 0, (size_t)(pages - index->pages) * sizeof *newest);
        index->newest = newest;
        index->pages = pages;
    }
    return true;
}

void svp_ring_uncover(struct svp_ring *ring, uint32_t region)
{
    struct svp_ring_index *index = svp_ring_index(ring, region);
    if (index != NULL) {
        svp_memory_free(index->newest);
        *index = ring->indexes[--ring->index_count];
    }
}

/* ---- room */

static void link_mark(struct svp_ring *ring, uint64_t record, const struct svp_ring_mark_head *head)
{
    memcpy(svp_ring_at(ring, record) + SVP_RING_HEAD, head, sizeof *head);
}

/* Nothing is held, and the log goes on at `end`. */
static void empty(struct svp_ring *ring, uint64_t end)
{
    ring->dropped_count += ring->mark_count;
    ring->mark_count = 0;
    ring->oldest = ring->newest = ring->standing = 0;
    ring->begin = ring->cursor = ring->end = ring->entry = end;
    ring->region_known = false;
}

/* What lies behind the cursor goes. */
static void cut(struct svp_ring *ring)
{
    if (ring->cursor == ring->end) {
        return;
    }
    while (ring->newest != ring->standing) {
        ring->newest = svp_ring_mark_at(ring, ring->newest).previous;
        ring->mark_count--;
    }
    ring->end = ring->entry = ring->cursor;
    ring->region_known = false;
}

static void drop_oldest(struct svp_ring *ring)
{
    if (ring->mark_count == 1) {
        empty(ring, ring->end);
        return;
    }
    const uint64_t next = svp_ring_mark_at(ring, ring->oldest).next;
    struct svp_ring_mark_head head = svp_ring_mark_at(ring, next);
    head.previous = 0;
    link_mark(ring, next, &head);
    ring->oldest = ring->begin = next;
    ring->mark_count--;
    ring->dropped_count++;
}

/* Makes room for so many bytes in one piece, by going to the arena's start and by dropping marks where need be. */
static void reserve(struct svp_ring *ring, uint64_t bytes)
{
    const uint64_t room = svp_ring_room(ring, ring->end);
    const uint64_t skipped = bytes > room ? room : 0;
    while (ring->mark_count > 0 && ring->end + skipped + bytes - ring->begin > ring->capacity) {
        drop_oldest(ring);
    }
    if (ring->mark_count == 0) {
        empty(ring, ring->end + skipped);
    } else if (skipped > 0) {
        if (skipped >= SVP_RING_HEAD) {
            svp_ring_put(svp_ring_at(ring, ring->end), &(struct svp_ring_head){ .kind = SVP_RING_SKIP });
        }
        ring->cursor = ring->end += skipped;
    }
}

/* Moves the end and the cursor behind what was written there. */
static void advance(struct svp_ring *ring, uint64_t bytes)
{
    ring->end += bytes;
    ring->cursor = ring->end;
}

/* ---- records */

void svp_ring_lose(struct svp_ring *ring, uint32_t region, uint64_t page)
{
    /* As if the page had a record, of which nothing is held any more. */
    svp_ring_index(ring, region)->newest[page] = ring->end;
    empty(ring, ring->end + 1);
}

static uint8_t *put_run(uint8_t *at, struct svp_run run, const uint8_t *old, const uint8_t *now)
{
    svp_store16(at, run.offset);
    svp_store16(at + 2, run.bytes);
    memcpy(at + SVP_RING_RUN, now + run.offset, run.bytes);
    svp_ring_xor(at + SVP_RING_RUN, old + run.offset, run.bytes);
    return at + SVP_RING_RUN + run.bytes;
}

static void put_page(struct svp_ring *ring, const struct svp_ring_head *head, const uint8_t *old, const uint8_t *now,
                     const struct svp_changes *changes)
{
    uint8_t *at = svp_ring_at(ring, ring->end);
    svp_ring_put(at, head);
    at += SVP_RING_HEAD;
    if (changes->dense) {
        put_run(at, (struct svp_run){ 0, SVP_PAGE_BYTES }, old, now);
    }
    for (uint32_t i = 0; !changes->dense && i < changes->run_count; i++) {
        at = put_run(at, changes->runs[i], old, now);
    }
    advance(ring, head->bytes);
}

static void put_region(struct svp_ring *ring, uint32_t region)
{
    svp_ring_put(svp_ring_at(ring, ring->end), &(struct svp_ring_head){ .kind = SVP_RING_REGION, .page = region });
    advance(ring, SVP_RING_HEAD);
    ring->region_known = true;
    ring->region = region;
}

static uint32_t record_bytes(const struct svp_changes *changes)
{
    return SVP_RING_HEAD + (changes->dense ? SVP_RING_RUN + SVP_PAGE_BYTES
                                           : SVP_RING_RUN * changes->run_count + changes->changed_bytes);
}

void svp_ring_log(struct svp_ring *ring, uint32_t region, uint64_t page, const uint8_t *old, const uint8_t *now,
                  const struct svp_changes *changes)
{
    uint64_t *newest = &svp_ring_index(ring, region)->newest[page];
    const uint32_t bytes = record_bytes(changes);
    cut(ring);
    if (ring->mark_count > 0) {
        reserve(ring, SVP_RING_HEAD + bytes);
    }
    if (ring->mark_count == 0) {
        svp_ring_lose(ring, region, page);
        return;
    }
    if (!ring->region_known || ring->region != region) {
        put_region(ring, region);
    }
    const uint64_t distance = *newest == 0 ? 0 : ring->end - *newest;
    const struct svp_ring_head head = {
        .kind = SVP_RING_PAGE,
        .bytes = bytes,
        .page = (uint32_t)page,
        .distance = distance < SVP_RING_FAR ? distance : SVP_RING_FAR,
    };
    *newest = ring->end;
    put_page(ring, &head, old, now, changes);
}

/* ---- marks */

bool svp_ring_mark(struct svp_ring *ring, const struct savepoint_snapshot *snapshot, const void *body,
                   size_t body_bytes)
{
    const size_t fixed_bytes = offsetof(struct savepoint_snapshot, label);
    const size_t label_bytes = strlen(snapshot->label);
    const uint64_t bytes = mark_bytes(snapshot, body_bytes);
    if (bytes > ring->capacity || bytes > UINT32_MAX) {
        return false;
    }
    cut(ring);
    reserve(ring, bytes);
    const uint64_t record = ring->end;
    uint8_t *at = svp_ring_at(ring, record);
    const struct svp_ring_mark_head head = { ring->newest, 0, (uint32_t)label_bytes, (uint32_t)body_bytes };
    struct savepoint_snapshot stored = *snapshot;
    stored.stored_bytes = record + bytes - ring->entry;
    svp_ring_put(at, &(struct svp_ring_head){ .kind = SVP_RING_MARK, .page = (uint32_t)bytes });
    link_mark(ring, record, &head);
    at += SVP_RING_HEAD + sizeof head;
    memcpy(at, &stored, fixed_bytes + label_bytes);
    if (body_bytes > 0) {
        memcpy(at + fixed_bytes + label_bytes, body, body_bytes);
    }
    if (ring->newest != 0) {
        struct svp_ring_mark_head before = svp_ring_mark_at(ring, ring->newest);
        before.next = record;
        link_mark(ring, ring->newest, &before);
    }
    ring->oldest = ring->oldest != 0 ? ring->oldest : record;
    ring->newest = ring->standing = record;
    ring->mark_count++;
    ring->region_known = false;
    advance(ring, bytes);
    ring->entry = ring->end;
    return true;
}

/* ---- room, asked for before */

uint32_t svp_ring_record_bytes(const struct svp_changes *changes)
{
    return SVP_RING_HEAD + record_bytes(changes); /* its region in front of it */
}

bool svp_ring_fits(const struct svp_ring *ring, uint64_t records_bytes, const struct savepoint_snapshot *snapshot,
                   size_t body_bytes)
{
    const uint64_t largest_record = 2 * SVP_RING_HEAD + SVP_RING_RUN + SVP_PAGE_BYTES;
    const uint64_t mark = mark_bytes(snapshot, body_bytes);
    if (ring->standing == 0) { /* then nothing is logged */
        return mark <= ring->capacity;
    }
    /* What does not fit at the end of the arena goes to its start, and leaves less than its size behind. */
    const uint64_t skipped = mark > largest_record ? mark : largest_record;
    const uint64_t kept = ring->cursor - ring->standing;
    return kept <= ring->capacity && records_bytes <= ring->capacity - kept &&
           mark + skipped <= ring->capacity - kept - records_bytes;
}
