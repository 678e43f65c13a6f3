/* bulk.c - bringing many pages to other versions at once, each record read and unpacked once
 *
 * Memory may already hold some version of a page. First the chains of the wanted and of the held version are followed
 * down until they meet, by a heap that yields records newest first, so that each is looked at once; deltas above the
 * held version's meeting point are undone on the way (they are reversible). Then the steps of the wanted versions are
 * gone through oldest first: memory holds the version before whenever a delta is to be applied. Where the chains do not
 * meet, the page is made from its key page.
 * Only the last version of a page is hashed: it cannot be right with a wrong one below it. For the same reason page
 * tables may be believed here before their record's hash was checked. */
#include "archive/bulk.h"

#include <string.h>

#include "archive/pages_cache.h"
#include "format/memory.h"
#include "format/tree.h"
#include "status.h"

enum { WINDOW_PAGES = 65536, PAGE_BITS = 34, TABLES_BYTES = 2048 }; /* page indexes have 34 bits: SPEC.md, 4.4 */

struct descent { /* one page on its way down: the records of the versions it stands at */
    uint64_t wanted, held;
    uint64_t place; /* part << PAGE_BITS | page */
};

struct step { /* one version of one page, to be applied */
    uint64_t record_offset;
    uint64_t place;
};

struct bulk {
    struct svp_reader *reader;
    const struct svp_bulk_part *parts;
    size_t heap_count;
    struct descent *heap; /* WINDOW_PAGES, newest on top */
    size_t step_count, step_capacity;
    struct step *steps; /* newest first */
    struct svp_cached_pages *tables, *batch;
    uint64_t done_pages;
    struct savepoint_error *error;
};

static const struct svp_bulk_part *part_of(const struct bulk *bulk, uint64_t place, uint64_t *page)
{
    *page = place & ((UINT64_C(1) << PAGE_BITS) - 1);
    return &bulk->parts[place >> PAGE_BITS];
}

static enum savepoint_status no_memory(const struct bulk *bulk)
{
    return svp_status_fail(bulk->error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to decode pages",
                           bulk->reader->source->path);
}

static enum savepoint_status damaged(const struct bulk *bulk, uint64_t offset, uint64_t place, const char *what)
{
    uint64_t page;
    part_of(bulk, place, &page);
    return svp_status_at(bulk->error, SAVEPOINT_CORRUPT, offset, "read", "%s: page %llu %s", bulk->reader->source->path,
                         (unsigned long long)page, what);
}

/* ---- the heap */

static uint64_t newest(const struct descent *descent)
{
    return descent->wanted > descent->held ? descent->wanted : descent->held;
}

static void sink(struct bulk *bulk, size_t at)
{
    struct descent moved = bulk->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= bulk->heap_count) {
            break;
        }
        if (child + 1 < bulk->heap_count && newest(&bulk->heap[child + 1]) > newest(&bulk->heap[child])) {
            child++;
        }
        if (newest(&bulk->heap[child]) <= newest(&moved)) {
            break;
        }
        bulk->heap[at] = bulk->heap[child];
        at = child;
    }
    bulk->heap[at] = moved;
}

static void drop_top(struct bulk *bulk)
{
    bulk->heap[0] = bulk->heap[--bulk->heap_count];
    sink(bulk, 0);
}

/* ---- down the chains */

static enum savepoint_status note_step(struct bulk *bulk, uint64_t record_offset, uint64_t place)
{
    if (bulk->step_count == bulk->step_capacity) {
        size_t capacity = bulk->step_capacity != 0 ? bulk->step_capacity * 2 : WINDOW_PAGES;
        struct step *grown = svp_memory_resize(bulk->steps, capacity, sizeof *grown);
        if (grown == NULL) {
            return no_memory(bulk);
        }
        bulk->steps = grown;
        bulk->step_capacity = capacity;
    }
    bulk->steps[bulk->step_count++] = (struct step){ record_offset, place };
    return SAVEPOINT_OK;
}

/* Reads the tables of a record without its payload; false: that did not work out. */
static bool read_tables(struct bulk *bulk, uint64_t offset)
{
    const struct svp_source *source = bulk->reader->source;
    struct svp_cached_pages *tables = bulk->tables;
    struct svp_record record;
    bool good = svp_source_header(source, &record, offset, NULL) == SAVEPOINT_OK && record.type == SVP_PAGES;
    size_t needed = TABLES_BYTES < record.body_bytes ? TABLES_BYTES : (size_t)record.body_bytes;
    for (size_t got = 0; good && got < needed;) {
        svp_buffer_clear(&tables->body);
        got = needed;
        good = needed <= record.body_bytes && svp_buffer_reserve(&tables->body, needed) != NULL &&
               svp_source_bytes(source, tables->body.bytes, got, offset + SVP_HEADER_BYTES, NULL) == SAVEPOINT_OK &&
               svp_pages_read_tables(&tables->pages, tables->body.bytes, got, offset, &needed) == SVP_GOOD;
    }
    return good && needed > 0;
}

/* The record of the topmost descents: its tables, and its payload where it holds deltas, which may have to be undone.
 * What cannot be read so is read whole, which tells what is wrong. */
static enum savepoint_status open_record(struct bulk *bulk, uint64_t offset, const struct svp_cached_pages **opened)
{
    *opened = bulk->tables;
    if (!read_tables(bulk, offset)) {
        return svp_pages_cache_unpacked(bulk->reader, opened, offset, bulk->error);
    }
    return bulk->tables->pages.coder->has_base ? svp_pages_cache_unpacked(bulk->reader, opened, offset, bulk->error)
                                               : SAVEPOINT_OK;
}

static int find_slot(const struct bulk *bulk, const struct svp_cached_pages *cached, uint64_t place)
{
    uint64_t page;
    const struct svp_bulk_part *part = part_of(bulk, place, &page);
    return cached->pages.region_id == part->map->region_id ? svp_pages_find(&cached->pages, page) : -1;
}

/* The memory holds the wanted version, or one that its steps begin with. */
static enum savepoint_status meet(struct bulk *bulk, const struct svp_cached_pages *cached, uint32_t slot)
{
    uint64_t page;
    const struct descent *top = &bulk->heap[0];
    const struct svp_bulk_part *part = part_of(bulk, top->place, &page);
    uint8_t *memory = part->memory + page * SVP_PAGE_BYTES;
    if (svp_page_map_get(part->map, page) == top->wanted) {
        bulk->done_pages++;
        if (svp_pages_check(&cached->pages, slot, memory, &part->pages[page].origin.hash) != SVP_GOOD) {
            return damaged(bulk, top->wanted, top->place, "is not what was stored");
        }
    }
    drop_top(bulk);
    return SAVEPOINT_OK;
}

static void undo(const struct svp_bulk_part *part, uint64_t page, const struct svp_cached_pages *cached, uint32_t slot)
{
    const struct svp_pages *pages = &cached->pages;
    struct svp_page_origin *origin = &part->pages[page].origin;
    part->pages[page].touched = true;
    uint32_t bytes = pages->unpacked_bytes / pages->count + 1;
    pages->coder->decode(part->memory + page * SVP_PAGE_BYTES, &pages->slots[slot], cached->unpacked.bytes);
    origin->links -= origin->links > 0;
    origin->delta_bytes -= origin->delta_bytes < bytes ? origin->delta_bytes : bytes;
}

/* Moves the topmost page, which stands at the record, further down. */
static enum savepoint_status descend(struct bulk *bulk, const struct svp_cached_pages *cached, uint64_t offset)
{
    struct descent *top = &bulk->heap[0];
    uint64_t page;
    const struct svp_bulk_part *part = part_of(bulk, top->place, &page);
    int slot = find_slot(bulk, cached, top->place);
    if (slot < 0) {
        return damaged(bulk, offset, top->place, "is not where its index says");
    }
    if (top->wanted == top->held) {
        return meet(bulk, cached, (uint32_t)slot);
    }
    const struct svp_coder *coder = cached->pages.coder;
    uint64_t base = coder->has_base ? cached->pages.bases[slot] : 0;
    enum savepoint_status status = SAVEPOINT_OK;
    if (top->held == offset) {
        if (coder->reversible) {
            undo(part, page, cached, (uint32_t)slot);
        }
        top->held = coder->reversible ? base : 0;
    } else {
        status = note_step(bulk, offset, top->place);
        top->wanted = base;
    }
    if (top->wanted == 0) {
        drop_top(bulk); /* its steps begin with a key page */
    } else {
        sink(bulk, 0);
    }
    return status;
}

static enum savepoint_status descend_all(struct bulk *bulk, svp_bulk_progress *progress, void *user)
{
    enum savepoint_status status = SAVEPOINT_OK;
    while (status == SAVEPOINT_OK && bulk->heap_count > 0) {
        const uint64_t offset = newest(&bulk->heap[0]);
        const struct svp_cached_pages *cached = NULL;
        status = open_record(bulk, offset, &cached);
        while (status == SAVEPOINT_OK && bulk->heap_count > 0 && newest(&bulk->heap[0]) == offset) {
            status = descend(bulk, cached, offset);
        }
        if (status == SAVEPOINT_OK) {
            status = progress(user, bulk->done_pages, bulk->error);
        }
    }
    return status;
}

/* ---- and up again */

/* `unpacked` NULL: the page's memory holds it already. */
static enum savepoint_status apply_step(struct bulk *bulk, const struct step *step, const uint8_t *unpacked)
{
    const struct svp_pages *pages = &bulk->batch->pages;
    uint64_t page;
    const struct svp_bulk_part *part = part_of(bulk, step->place, &page);
    int slot = find_slot(bulk, bulk->batch, step->place);
    if (slot < 0) {
        return damaged(bulk, step->record_offset, step->place, "is not where its index says");
    }
    uint8_t *memory = part->memory + page * SVP_PAGE_BYTES;
    struct svp_page_origin *origin = &part->pages[page].origin;
    part->pages[page].touched = true;
    if (unpacked != NULL) {
        pages->coder->decode(memory, &pages->slots[slot], unpacked);
    }
    if (pages->coder->has_base) {
        origin->delta_bytes += pages->unpacked_bytes / pages->count + 1;
        if (++origin->links > SVP_CHAIN_LINKS_MAX) {
            return damaged(bulk, step->record_offset, step->place, "has too many deltas");
        }
    } else {
        *origin = (struct svp_page_origin){ .key_bytes = pages->stored_bytes / pages->count };
    }
    if (svp_page_map_get(part->map, page) == step->record_offset) {
        bulk->done_pages++;
        if (svp_pages_check(pages, (uint32_t)slot, memory, &origin->hash) != SVP_GOOD) {
            return damaged(bulk, step->record_offset, step->place, "decodes to other bytes than were stored");
        }
    }
    return SAVEPOINT_OK;
}

/* Where the payload of the record just loaded can be unpacked to at once: it is a run of whole pages, all of which are
 * wanted (`steps` of them). NULL: it cannot. */
static uint8_t *place_of_run(const struct bulk *bulk, const struct step *first, size_t steps)
{
    const struct svp_pages *pages = &bulk->batch->pages;
    uint64_t page;
    const struct svp_bulk_part *part = part_of(bulk, first->place, &page);
    uint64_t last = pages->pages[pages->count - 1];
    bool run = pages->coder->verbatim && pages->count == steps && last - pages->pages[0] + 1 == steps &&
               last < part->wanted->pages;
    for (size_t i = 0; run && i < steps; i++) {
        run = svp_pageset_has(part->wanted, pages->pages[0] + i) &&
              find_slot(bulk, bulk->batch, first[-(ptrdiff_t)i].place) >= 0;
    }
    for (size_t i = 0; run && i < steps; i++) {
        part->pages[pages->pages[0] + i].touched = true;
    }
    return run ? part->memory + pages->pages[0] * SVP_PAGE_BYTES : NULL;
}

/* All steps of the oldest record left. */
static enum savepoint_status apply_record(struct bulk *bulk)
{
    const struct svp_source *source = bulk->reader->source;
    struct svp_cached_pages *batch = bulk->batch;
    const struct step *first = &bulk->steps[bulk->step_count - 1];
    size_t steps = 1;
    while (steps < bulk->step_count && first[-(ptrdiff_t)steps].record_offset == first->record_offset) {
        steps++;
    }
    enum savepoint_status status = svp_pages_cache_load(source, batch, first->record_offset, bulk->error);
    uint8_t *run = status == SAVEPOINT_OK ? place_of_run(bulk, first, steps) : NULL;
    if (run != NULL) {
        enum svp_verdict verdict = svp_pages_unpack(&batch->pages, source->unpacker, run);
        status = svp_source_verdict(source, verdict, batch->offset, "batch of pages", bulk->error);
    } else if (status == SAVEPOINT_OK) {
        status = svp_pages_cache_unpack(source, batch, bulk->error);
    }
    for (; status == SAVEPOINT_OK && steps > 0; steps--) {
        status = apply_step(bulk, &bulk->steps[--bulk->step_count], run != NULL ? NULL : batch->unpacked.bytes);
    }
    return status;
}

static enum savepoint_status apply_all(struct bulk *bulk, svp_bulk_progress *progress, void *user)
{
    enum savepoint_status status = SAVEPOINT_OK;
    while (status == SAVEPOINT_OK && bulk->step_count > 0) {
        status = apply_record(bulk);
        if (status == SAVEPOINT_OK) {
            status = progress(user, bulk->done_pages, bulk->error);
        }
    }
    return status;
}

/* ---- windows: so many pages at a time that the steps stay within bounds */

static bool is_zero(const uint8_t *memory)
{
    return memory[0] == 0 && memcmp(memory, memory + 1, SVP_PAGE_BYTES - 1) == 0;
}

/* A page without a record is zeros. Memory that is zero already is left untouched: it may not even be there. */
static void make_zero(const struct svp_bulk_part *part, uint64_t page, const struct svp_hash *zero_hash)
{
    uint8_t *memory = part->memory + page * SVP_PAGE_BYTES;
    if (!is_zero(memory)) {
        part->pages[page].touched = true;
        memset(memory, 0, SVP_PAGE_BYTES);
    }
    part->pages[page].origin = (struct svp_page_origin){ .hash = *zero_hash };
}

static enum savepoint_status decode_window(struct bulk *bulk, svp_bulk_progress *progress, void *user)
{
    for (size_t i = bulk->heap_count / 2; i-- > 0;) {
        sink(bulk, i);
    }
    enum savepoint_status status = descend_all(bulk, progress, user);
    return status == SAVEPOINT_OK ? apply_all(bulk, progress, user) : status;
}

static enum savepoint_status decode_part(struct bulk *bulk, size_t part_index, svp_bulk_progress *progress, void *user)
{
    const struct svp_bulk_part *part = &bulk->parts[part_index];
    const struct svp_hash zero_hash = svp_tree_zero_page();
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t page = svp_pageset_next(part->wanted, 0);
    for (; status == SAVEPOINT_OK && page != SVP_PAGESET_NONE; page = svp_pageset_next(part->wanted, page + 1)) {
        uint64_t offset = svp_page_map_get(part->map, page);
        if (offset == 0) {
            make_zero(part, page, &zero_hash);
            bulk->done_pages++;
            continue;
        }
        bulk->heap[bulk->heap_count++] =
            (struct descent){ offset, part->pages[page].held, (uint64_t)part_index << PAGE_BITS | page };
        if (bulk->heap_count == WINDOW_PAGES) {
            status = decode_window(bulk, progress, user);
        }
    }
    return status;
}

enum savepoint_status svp_bulk_decode(struct svp_reader *reader, const struct svp_bulk_part *parts, size_t part_count,
                                      svp_bulk_progress *progress, void *user, struct savepoint_error *error)
{
    struct bulk bulk = { .reader = reader, .parts = parts, .error = error };
    bulk.heap = svp_memory_alloc(WINDOW_PAGES * sizeof *bulk.heap);
    bulk.tables = svp_memory_zalloc(1, sizeof *bulk.tables);
    bulk.batch = svp_memory_zalloc(1, sizeof *bulk.batch);
    bool enough = bulk.heap != NULL && bulk.tables != NULL && bulk.batch != NULL;
    enum savepoint_status status = enough ? SAVEPOINT_OK : no_memory(&bulk);
    for (size_t i = 0; status == SAVEPOINT_OK && i < part_count; i++) {
        status = decode_part(&bulk, i, progress, user);
    }
    if (status == SAVEPOINT_OK) {
        status = decode_window(&bulk, progress, user);
    }
    svp_memory_free(bulk.heap);
    svp_memory_free(bulk.steps);
    svp_pages_cache_clear(bulk.tables);
    svp_pages_cache_clear(bulk.batch);
    svp_memory_free(bulk.tables);
    svp_memory_free(bulk.batch);
    return status;
}
