/* bulk_chains.c - bringing a window of pages to other versions, each record read once
 *
 * Memory may already hold some version of a page. First the chains of the wanted and of the held version are followed
 * down until they meet, by a heap of records that yields the newest first, so that each is looked at once; deltas above
 * the held version's meeting point are undone on the way (they are reversible). Then the steps of the wanted versions
 * are gone through oldest first: memory holds the version before whenever a delta is to be applied. Where the chains do
 * not meet, the page is made from its key page, or from the page that it refers to. Only the last version of a page is
 * hashed: it cannot be right with a wrong one below it. For the same reason page tables may be believed here before
 * their record's hash was checked; but what kind of record it is, is looked at again then. */
#include "archive/bulk_chains.h"

#include "archive/pages_cache.h"
#include "format/expect.h"
#include "format/memory.h"
#include "status.h"

enum { TABLES_BYTES = 2048, BUCKETS = 1 << 14 };

static enum savepoint_status no_memory(struct svp_chains *chains)
{
    return svp_status_fail(&chains->error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to decode pages",
                           chains->source.path);
}

enum savepoint_status svp_chains_open(struct svp_chains *chains, const struct svp_source *source)
{
    *chains = (struct svp_chains){ 0 };
    enum savepoint_status status = svp_source_share(&chains->source, source, &chains->error);
    svp_reader_open(&chains->reader, &chains->source);
    chains->descents = svp_memory_alloc((SVP_CHAINS_PAGES_MAX + 1) * sizeof *chains->descents);
    chains->descent_count = 1;
    chains->buckets = svp_memory_zalloc(BUCKETS, sizeof *chains->buckets);
    chains->heap = svp_memory_alloc(SVP_CHAINS_PAGES_MAX * sizeof *chains->heap);
    chains->tables = svp_memory_zalloc(1, sizeof *chains->tables);
    chains->batch = svp_memory_zalloc(1, sizeof *chains->batch);
    bool enough = chains->descents != NULL && chains->buckets != NULL && chains->heap != NULL &&
                  chains->tables != NULL && chains->batch != NULL;
    return status == SAVEPOINT_OK && !enough ? no_memory(chains) : status;
}

void svp_chains_close(struct svp_chains *chains)
{
    svp_memory_free(chains->descents);
    svp_memory_free(chains->buckets);
    svp_memory_free(chains->heap);
    svp_memory_free(chains->steps);
    svp_memory_free(chains->references);
    svp_pages_cache_clear(chains->tables);
    svp_pages_cache_clear(chains->batch);
    svp_memory_free(chains->tables);
    svp_memory_free(chains->batch);
    svp_reader_close(&chains->reader);
    svp_source_unshare(&chains->source);
}

enum savepoint_status svp_chains_damaged(struct svp_chains *chains, uint64_t offset, uint64_t page, const char *what)
{
    return svp_status_at(&chains->error, SAVEPOINT_CORRUPT, offset, "read", "%s: page %llu %s", chains->source.path,
                         (unsigned long long)page, what);
}

/* ---- the records that pages stand at */

static uint64_t newest(const struct svp_chains_descent *descent)
{
    return descent->wanted > descent->held ? descent->wanted : descent->held;
}

static uint32_t *bucket_of(const struct svp_chains *chains, uint64_t offset)
{
    return &chains->buckets[(offset / 8 * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS];
}

static void push_record(struct svp_chains *chains, uint64_t offset, uint32_t first)
{
    struct svp_chains_record *heap = chains->heap;
    size_t at = chains->heap_count++;
    for (; at > 0 && heap[(at - 1) / 2].offset < offset; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = (struct svp_chains_record){ offset, first };
}

static struct svp_chains_record pop_record(struct svp_chains *chains)
{
    struct svp_chains_record *heap = chains->heap;
    const struct svp_chains_record popped = heap[0];
    const struct svp_chains_record moved = heap[--chains->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < chains->heap_count; at = child) {
        child += child + 1 < chains->heap_count && heap[child + 1].offset > heap[child].offset;
        if (heap[child].offset <= moved.offset) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = moved;
    uint32_t *link = bucket_of(chains, popped.offset);
    while (*link != popped.first) {
        link = &chains->descents[*link].bucket;
    }
    *link = chains->descents[popped.first].bucket;
    return popped;
}

/* The page joins those that stand at its record. */
static void stand(struct svp_chains *chains, uint32_t number)
{
    struct svp_chains_descent *descent = &chains->descents[number];
    const uint64_t offset = newest(descent);
    uint32_t *bucket = bucket_of(chains, offset);
    uint32_t first = *bucket;
    while (first != 0 && newest(&chains->descents[first]) != offset) {
        first = chains->descents[first].bucket;
    }
    if (first != 0) {
        descent->beside = chains->descents[first].beside;
        chains->descents[first].beside = number;
        return;
    }
    descent->beside = 0;
    descent->bucket = *bucket;
    *bucket = number;
    push_record(chains, offset, number);
}

void svp_chains_add(struct svp_chains *chains, uint64_t page)
{
    const struct svp_bulk_part *part = chains->part;
    chains->descents[chains->descent_count] = (struct svp_chains_descent){ .wanted = svp_page_map_get(part->map, page),
                                                                           .held = part->pages[page].held,
                                                                           .page = page };
    stand(chains, chains->descent_count++);
}

/* ---- down the chains */

static enum savepoint_status note_step(struct svp_chains *chains, uint64_t record_offset, uint64_t page, uint32_t slot)
{
    if (chains->step_count == chains->step_capacity) {
        size_t capacity = chains->step_capacity != 0 ? chains->step_capacity * 2 : 1024;
        struct svp_chains_step *grown = svp_memory_resize(chains->steps, capacity, sizeof *grown);
        if (grown == NULL) {
            return no_memory(chains);
        }
        chains->steps = grown;
        chains->step_capacity = capacity;
    }
    chains->steps[chains->step_count++] = (struct svp_chains_step){ record_offset, page, slot };
    return SAVEPOINT_OK;
}

/* Reads the tables of a record without its payload; false: that did not work out. */
static bool read_tables(struct svp_chains *chains, uint64_t offset)
{
    const struct svp_source *source = &chains->source;
    struct svp_cached_pages *tables = chains->tables;
    struct svp_record record;
    svp_source_look(source, offset, SVP_HEADER_BYTES + TABLES_BYTES);
    bool good = svp_source_header(source, &record, offset, NULL) == SAVEPOINT_OK && record.type == SVP_PAGES;
    size_t needed = TABLES_BYTES < record.body_bytes ? TABLES_BYTES : (size_t)record.body_bytes;
    for (size_t got = 0; good && got < needed;) {
        svp_buffer_clear(&tables->body);
        got = needed;
        good = needed <= record.body_bytes && svp_buffer_reserve(&tables->body, needed) != NULL &&
               svp_source_bytes(source, tables->body.bytes, got, offset + SVP_HEADER_BYTES, NULL) == SAVEPOINT_OK &&
               svp_pages_read_tables(&tables->pages, tables->body.bytes, got, offset, &needed) == SVP_GOOD;
    }
    svp_source_look_away(source);
    return good && needed > 0;
}

/* A record that pages stand at: its tables, which is all that most of them need. What cannot be read so is read
 * whole, which tells what is wrong. */
static enum savepoint_status
open_record(struct svp_chains *chains, uint64_t offset, const struct svp_cached_pages **opened)
{
    *opened = chains->tables;
    return read_tables(chains, offset) ? SAVEPOINT_OK
                                       : svp_pages_cache_get(&chains->reader, opened, offset, &chains->error);
}

int svp_chains_slot(const struct svp_chains *chains, const struct svp_cached_pages *cached, uint64_t page)
{
    return cached->pages.region_id == chains->part->map->region_id ? svp_pages_find(&cached->pages, page) : -1;
}

bool svp_chains_holds(const struct svp_chains *chains, const struct svp_cached_pages *cached, uint32_t slot,
                      uint64_t page)
{
    const struct svp_pages *pages = &cached->pages;
    return pages->region_id == chains->part->map->region_id && slot < pages->count && pages->pages[slot] == page;
}

/* The memory holds the wanted version, or one that its steps begin with. */
static enum savepoint_status meet(struct svp_chains *chains, const struct svp_chains_descent *top,
                                  const struct svp_cached_pages *cached, uint32_t slot)
{
    const struct svp_bulk_part *part = chains->part;
    if (svp_page_map_get(part->map, top->page) == top->wanted) {
        chains->done_pages++;
        const uint8_t *memory = svp_bulk_place(part, top->page);
        if (svp_pages_check(&cached->pages, slot, memory, &part->pages[top->page].origin.hash) != SVP_GOOD) {
            return svp_chains_damaged(chains, top->wanted, top->page, "is not what was stored");
        }
    }
    return SAVEPOINT_OK;
}

/* Takes the delta of the held version back; its record is read whole for that, once. */
static enum savepoint_status
undo(struct svp_chains *chains, const struct svp_cached_pages **cached, uint64_t page, uint32_t slot, uint64_t offset)
{
    if (!(*cached)->is_unpacked) {
        enum savepoint_status status = svp_pages_cache_unpacked(&chains->reader, cached, offset, &chains->error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    const struct svp_pages *pages = &(*cached)->pages;
    const struct svp_bulk_part *part = chains->part;
    struct svp_page_origin *origin = &part->pages[page].origin;
    if (!svp_chains_holds(chains, *cached, slot, page) || !pages->coder->reversible) {
        return svp_chains_damaged(chains, offset, page, "is not where its index says");
    }
    uint32_t bytes = pages->unpacked_bytes / pages->count + 1;
    part->pages[page].lines |=
        pages->coder->decode(svp_bulk_place(part, page), &pages->slots[slot], (*cached)->unpacked.bytes);
    origin->links -= origin->links > 0;
    origin->delta_bytes -= origin->delta_bytes < bytes ? origin->delta_bytes : bytes;
    return SAVEPOINT_OK;
}

/* Where a page that stands at the record, if any, is in it; what will be done there is prepared for. */
static int find(const struct svp_chains *chains, uint32_t number, const struct svp_cached_pages *cached)
{
    const struct svp_chains_descent *top = &chains->descents[number];
    const int slot = number != 0 ? svp_chains_slot(chains, cached, top->page) : -1;
    if (slot >= 0 && top->wanted == top->held) {
        svp_expect(svp_bulk_place(chains->part, top->page), SVP_CHAINS_EXPECT_LINES);
    } else if (slot >= 0 && cached->is_unpacked) {
        svp_expect(svp_bulk_place(chains->part, top->page) + cached->pages.slots[slot].first, 2);
    }
    return slot;
}

/* Moves a page that stands at the record further down. */
static enum savepoint_status
descend(struct svp_chains *chains, uint32_t number, int slot, const struct svp_cached_pages **cached, uint64_t offset)
{
    struct svp_chains_descent *top = &chains->descents[number];
    if (slot < 0 || !svp_chains_holds(chains, *cached, (uint32_t)slot, top->page)) {
        return svp_chains_damaged(chains, offset, top->page, "is not where its index says");
    }
    if (top->wanted == top->held) {
        return meet(chains, top, *cached, (uint32_t)slot);
    }
    const struct svp_coder *coder = (*cached)->pages.coder;
    uint64_t base = coder->has_base ? (*cached)->pages.bases[slot] : 0;
    enum savepoint_status status = SAVEPOINT_OK;
    if (top->held == offset) {
        status = coder->reversible ? undo(chains, cached, top->page, (uint32_t)slot, offset) : SAVEPOINT_OK;
        top->held = coder->reversible ? base : 0;
    } else {
        status = coder->refers ? svp_chains_note_reference(chains, offset, top->page)
                               : note_step(chains, offset, top->page, (uint32_t)slot);
        top->wanted = base;
    }
    if (top->wanted != 0) { /* else its steps begin with a key page */
        stand(chains, number);
    }
    return status;
}

static enum savepoint_status descend_all(struct svp_chains *chains, svp_chains_pause *pause, void *user)
{
    enum savepoint_status status = SAVEPOINT_OK;
    while (status == SAVEPOINT_OK && chains->heap_count > 0) {
        const struct svp_chains_record record = pop_record(chains);
        const struct svp_cached_pages *cached = NULL;
        status = open_record(chains, record.offset, &cached);
        int slot = status == SAVEPOINT_OK ? find(chains, record.first, cached) : -1;
        for (uint32_t number = record.first; status == SAVEPOINT_OK && number != 0;) {
            const uint32_t beside = chains->descents[number].beside;
            const int slot_beside = find(chains, beside, cached);
            status = descend(chains, number, slot, &cached, record.offset);
            number = beside;
            slot = slot_beside;
        }
        status = status == SAVEPOINT_OK ? pause(user) : status;
    }
    chains->descent_count = 1;
    return status;
}

enum savepoint_status svp_chains_run(struct svp_chains *chains, svp_chains_pause *pause, void *user)
{
    enum savepoint_status status = descend_all(chains, pause, user);
    status = status == SAVEPOINT_OK ? svp_chains_look_up(chains) : status;
    while (status == SAVEPOINT_OK && chains->reference_count > 0) {
        status = svp_chains_copy(chains);
        status = status == SAVEPOINT_OK ? pause(user) : status;
    }
    while (status == SAVEPOINT_OK && chains->step_count > 0) {
        status = svp_chains_apply(chains);
        status = status == SAVEPOINT_OK ? pause(user) : status;
    }
    return status;
}
