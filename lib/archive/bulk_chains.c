/* bulk_chains.c - bringing a window of pages to other versions, each record read once
 *
 * Memory may already hold some version of a page. First the chains of the wanted and of the held version are followed
 * down until they meet, by a heap that yields records newest first, so that each is looked at once; deltas above the
 * held version's meeting point are undone on the way (they are reversible). Then the steps of the wanted versions are
 * gone through oldest first: memory holds the version before whenever a delta is to be applied. Where the chains do not
 * meet, the page is made from its key page.
 * Only the last version of a page is hashed: it cannot be right with a wrong one below it. For the same reason page
 * tables may be believed here before their record's hash was checked. */
#include "archive/bulk_chains.h"

#include <string.h>

#include "archive/pages_cache.h"
#include "format/memory.h"
#include "os/vm.h"
#include "status.h"

enum { TABLES_BYTES = 2048 };

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
    chains->heap = svp_memory_alloc(SVP_CHAINS_PAGES_MAX * sizeof *chains->heap);
    chains->tables = svp_memory_zalloc(1, sizeof *chains->tables);
    chains->batch = svp_memory_zalloc(1, sizeof *chains->batch);
    bool enough = chains->heap != NULL && chains->tables != NULL && chains->batch != NULL;
    return status == SAVEPOINT_OK && !enough ? no_memory(chains) : status;
}

void svp_chains_close(struct svp_chains *chains)
{
    svp_memory_free(chains->heap);
    svp_memory_free(chains->steps);
    svp_pages_cache_clear(chains->tables);
    svp_pages_cache_clear(chains->batch);
    svp_memory_free(chains->tables);
    svp_memory_free(chains->batch);
    svp_reader_close(&chains->reader);
    svp_source_unshare(&chains->source);
}

static enum savepoint_status damaged(struct svp_chains *chains, uint64_t offset, uint64_t page, const char *what)
{
    return svp_status_at(&chains->error, SAVEPOINT_CORRUPT, offset, "read", "%s: page %llu %s", chains->source.path,
                         (unsigned long long)page, what);
}

/* ---- the heap */

static uint64_t newest(const struct svp_chains_descent *descent)
{
    return descent->wanted > descent->held ? descent->wanted : descent->held;
}

static void sink(struct svp_chains *chains, size_t at)
{
    struct svp_chains_descent *heap = chains->heap;
    struct svp_chains_descent moved = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= chains->heap_count) {
            break;
        }
        if (child + 1 < chains->heap_count && newest(&heap[child + 1]) > newest(&heap[child])) {
            child++;
        }
        if (newest(&heap[child]) <= newest(&moved)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void drop_top(struct svp_chains *chains)
{
    chains->heap[0] = chains->heap[--chains->heap_count];
    sink(chains, 0);
}

void svp_chains_add(struct svp_chains *chains, uint64_t page)
{
    chains->heap[chains->heap_count++] =
        (struct svp_chains_descent){ svp_page_map_get(chains->part->map, page), chains->part->pages[page].held, page };
}

/* ---- down the chains */

static enum savepoint_status note_step(struct svp_chains *chains, uint64_t record_offset, uint64_t page)
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
    chains->steps[chains->step_count++] = (struct svp_chains_step){ record_offset, page };
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

/* The record of the topmost descents: its tables, which is all that most of them need. What cannot be read so is read
 * whole, which tells what is wrong. */
static enum savepoint_status
open_record(struct svp_chains *chains, uint64_t offset, const struct svp_cached_pages **opened)
{
    *opened = chains->tables;
    return read_tables(chains, offset) ? SAVEPOINT_OK
                                       : svp_pages_cache_get(&chains->reader, opened, offset, &chains->error);
}

static int find_slot(const struct svp_chains *chains, const struct svp_cached_pages *cached, uint64_t page)
{
    return cached->pages.region_id == chains->part->map->region_id ? svp_pages_find(&cached->pages, page) : -1;
}

/* The memory holds the wanted version, or one that its steps begin with. */
static enum savepoint_status meet(struct svp_chains *chains, const struct svp_cached_pages *cached, uint32_t slot)
{
    const struct svp_chains_descent *top = &chains->heap[0];
    const struct svp_bulk_part *part = chains->part;
    if (svp_page_map_get(part->map, top->page) == top->wanted) {
        chains->done_pages++;
        const uint8_t *memory = svp_bulk_place(part, top->page);
        if (svp_pages_check(&cached->pages, slot, memory, &part->pages[top->page].origin.hash) != SVP_GOOD) {
            return damaged(chains, top->wanted, top->page, "is not what was stored");
        }
    }
    drop_top(chains);
    return SAVEPOINT_OK;
}

/* Takes the delta of the held version back; its record is read whole for that, once. */
static enum savepoint_status
undo(struct svp_chains *chains, const struct svp_cached_pages **cached, uint64_t page, uint64_t offset)
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
    int slot = find_slot(chains, *cached, page);
    if (slot < 0) {
        return damaged(chains, offset, page, "is not where its index says");
    }
    part->pages[page].touched = true;
    uint32_t bytes = pages->unpacked_bytes / pages->count + 1;
    pages->coder->decode(svp_bulk_place(part, page), &pages->slots[slot], (*cached)->unpacked.bytes);
    origin->links -= origin->links > 0;
    origin->delta_bytes -= origin->delta_bytes < bytes ? origin->delta_bytes : bytes;
    return SAVEPOINT_OK;
}

/* Moves the topmost page, which stands at the record, further down. */
static enum savepoint_status descend(struct svp_chains *chains, const struct svp_cached_pages **cached, uint64_t offset)
{
    struct svp_chains_descent *top = &chains->heap[0];
    int slot = find_slot(chains, *cached, top->page);
    if (slot < 0) {
        return damaged(chains, offset, top->page, "is not where its index says");
    }
    if (top->wanted == top->held) {
        return meet(chains, *cached, (uint32_t)slot);
    }
    const struct svp_coder *coder = (*cached)->pages.coder;
    uint64_t base = coder->has_base ? (*cached)->pages.bases[slot] : 0;
    enum savepoint_status status = SAVEPOINT_OK;
    if (top->held == offset) {
        status = coder->reversible ? undo(chains, cached, top->page, offset) : SAVEPOINT_OK;
        top->held = coder->reversible ? base : 0;
    } else {
        status = note_step(chains, offset, top->page);
        top->wanted = base;
    }
    if (top->wanted == 0) {
        drop_top(chains); /* its steps begin with a key page */
    } else {
        sink(chains, 0);
    }
    return status;
}

static enum savepoint_status descend_all(struct svp_chains *chains, svp_chains_pause *pause, void *user)
{
    enum savepoint_status status = SAVEPOINT_OK;
    while (status == SAVEPOINT_OK && chains->heap_count > 0) {
        const uint64_t offset = newest(&chains->heap[0]);
        const struct svp_cached_pages *cached = NULL;
        status = open_record(chains, offset, &cached);
        while (status == SAVEPOINT_OK && chains->heap_count > 0 && newest(&chains->heap[0]) == offset) {
            status = descend(chains, &cached, offset);
        }
        status = status == SAVEPOINT_OK ? pause(user) : status;
    }
    return status;
}

/* ---- and up again */

/* The page stands at its wanted version. */
static enum savepoint_status finish(struct svp_chains *chains, const struct svp_chains_step *step, uint32_t slot)
{
    const struct svp_bulk_part *part = chains->part;
    struct svp_bulk_page *state = &part->pages[step->page];
    chains->done_pages++;
    if (svp_pages_check(&chains->batch->pages, slot, svp_bulk_place(part, step->page), &state->origin.hash) !=
        SVP_GOOD) {
        return damaged(chains, step->record_offset, step->page, "decodes to other bytes than were stored");
    }
    return SAVEPOINT_OK;
}

/* `unpacked` NULL: the page's memory holds it already. */
static enum savepoint_status
apply_step(struct svp_chains *chains, const struct svp_chains_step *step, const uint8_t *unpacked)
{
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    struct svp_page_origin *origin = &part->pages[step->page].origin;
    int slot = find_slot(chains, chains->batch, step->page);
    if (slot < 0) {
        return damaged(chains, step->record_offset, step->page, "is not where its index says");
    }
    if (unpacked != NULL && !(svp_bulk_blank(part, step->page) && pages->coder->id == SVP_CODER_ZERO)) {
        part->pages[step->page].touched = true;
        pages->coder->decode(svp_bulk_place(part, step->page), &pages->slots[slot], unpacked);
    }
    if (pages->coder->has_base) {
        origin->delta_bytes += pages->unpacked_bytes / pages->count + 1;
        if (++origin->links > SVP_CHAIN_LINKS_MAX) {
            return damaged(chains, step->record_offset, step->page, "has too many deltas");
        }
    } else {
        *origin = (struct svp_page_origin){ .key_bytes = pages->stored_bytes / pages->count };
    }
    bool last = svp_page_map_get(part->map, step->page) == step->record_offset;
    return last ? finish(chains, step, (uint32_t)slot) : SAVEPOINT_OK;
}

/* Where the payload of the record just loaded can be unpacked to at once: it is a run of whole pages, all of which are
 * wanted (`steps` of them). NULL: it cannot. */
static uint8_t *place_of_run(const struct svp_chains *chains, const struct svp_chains_step *first, size_t steps)
{
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    uint64_t last = pages->pages[pages->count - 1];
    bool run = pages->coder->verbatim && pages->count == steps && last - pages->pages[0] + 1 == steps &&
               last < part->wanted->pages;
    uint8_t *start = run ? svp_bulk_place(part, pages->pages[0]) : NULL;
    for (size_t i = 0; run && i < steps; i++) {
        run = svp_pageset_has(part->wanted, pages->pages[0] + i) &&
              svp_bulk_place(part, pages->pages[i]) == start + i * SVP_PAGE_BYTES &&
              find_slot(chains, chains->batch, first[-(ptrdiff_t)i].page) >= 0;
    }
    if (!run) {
        return NULL;
    }
    if (svp_bulk_blank(part, pages->pages[0])) { /* in one step, and not long before it is filled */
        svp_vm_populate((uintptr_t)start, steps * SVP_PAGE_BYTES);
    }
    for (size_t i = 0; i < steps; i++) {
        part->pages[pages->pages[0] + i].touched = true;
    }
    return start;
}

/* All steps of the oldest record left. */
static enum savepoint_status apply_record(struct svp_chains *chains)
{
    const struct svp_source *source = &chains->source;
    struct svp_cached_pages *batch = chains->batch;
    const struct svp_chains_step *first = &chains->steps[chains->step_count - 1];
    size_t steps = 1;
    while (steps < chains->step_count && first[-(ptrdiff_t)steps].record_offset == first->record_offset) {
        steps++;
    }
    enum savepoint_status status = svp_pages_cache_load(source, batch, first->record_offset, &chains->error);
    uint8_t *run = status == SAVEPOINT_OK ? place_of_run(chains, first, steps) : NULL;
    if (run != NULL) {
        enum svp_verdict verdict = svp_pages_unpack(&batch->pages, source->unpacker, run);
        status = svp_source_verdict(source, verdict, batch->offset, "batch of pages", &chains->error);
    } else if (status == SAVEPOINT_OK) {
        status = svp_pages_cache_unpack(source, batch, &chains->error);
    }
    for (; status == SAVEPOINT_OK && steps > 0; steps--) {
        status = apply_step(chains, &chains->steps[--chains->step_count], run != NULL ? NULL : batch->unpacked.bytes);
    }
    return status;
}

enum savepoint_status svp_chains_run(struct svp_chains *chains, svp_chains_pause *pause, void *user)
{
    for (size_t i = chains->heap_count / 2; i-- > 0;) {
        sink(chains, i);
    }
    enum savepoint_status status = descend_all(chains, pause, user);
    while (status == SAVEPOINT_OK && chains->step_count > 0) {
        status = apply_record(chains);
        status = status == SAVEPOINT_OK ? pause(user) : status;
    }
    return status;
}
