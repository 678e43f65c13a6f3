/* visit.c - the shadow taken to states of the ring, one after the other, and back to where it stood */
#include "session/visit.h"

#include <string.h>

#include "format/memory.h"
#include "format/sparse_root.h"
#include "status.h"

enum { RECORDS = 64 };

static struct svp_visit_region *find(const struct svp_visit *visit, uint32_t ring_id)
{
    for (size_t i = 0; i < visit->count; i++) {
        if (visit->regions[i].region->ring_id == ring_id) {
            return &visit->regions[i];
        }
    }
    return NULL;
}

/* What the tree knows, but for pages that count as zeros there because they are excluded. */
static void read_hashes(struct svp_visit_region *visited)
{
    const struct svp_region *region = visited->region;
    const struct svp_hash zero = svp_tree_zero_page();
    for (uint64_t page = 0; page < region->pages; page++) {
        visited->hashes[page] = region->tree.hashes[0][page];
        if (memcmp(&visited->hashes[page], &zero, sizeof zero) == 0) {
            visited->hashes[page] = svp_digest128(0, region->shadow + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
        }
    }
}

static bool open_region(struct svp_visit_region *visited, struct svp_region *region)
{
    visited->region = region;
    visited->hashes = svp_memory_alloc((size_t)region->pages * sizeof *visited->hashes);
    bool enough = visited->hashes != NULL && svp_pageset_open(&visited->moved, region->pages);
    if (enough) {
        read_hashes(visited);
    }
    return enough;
}

enum savepoint_status
svp_visit_open(struct svp_visit *visit, struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    const size_t count = session->region_count;
    *visit = (struct svp_visit){ .session = session, .at = session->ring.cursor };
    visit->regions = svp_memory_zalloc(count, sizeof *visit->regions);
    visit->parts = svp_memory_zalloc(count, sizeof(struct svp_visit_region *));
    bool enough = visit->regions != NULL && visit->parts != NULL;
    for (size_t i = 0; enough && i < count; i++) {
        visit->count = i + 1;
        enough = open_region(&visit->regions[i], session->regions[i]);
    }
    return enough ? SAVEPOINT_OK
                  : svp_status_fail(error, SAVEPOINT_NO_MEMORY, operation, "no memory; nothing was changed");
}

/* Applies what lies between here and there: forth or back is the same. */
static void walk(struct svp_visit *visit, uint64_t position)
{
    struct svp_ring_walk walk;
    struct svp_ring_record records[RECORDS];
    struct svp_visit_region *visited = NULL;
    size_t count;
    svp_ring_walk(&walk, &visit->session->ring, visit->at, position);
    while ((count = svp_ring_next(&walk, records, RECORDS)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (visited == NULL || visited->region->ring_id != records[i].region) {
                visited = find(visit, records[i].region);
            }
            if (visited != NULL) {
                svp_ring_apply(&records[i], visited->region->shadow + records[i].page * SVP_PAGE_BYTES);
                svp_pageset_add(&visited->moved, records[i].page, 1);
            }
        }
    }
    visit->at = position;
}

void svp_visit_close(struct svp_visit *visit)
{
    if (visit->session != NULL && visit->at != visit->session->ring.cursor) {
        walk(visit, visit->session->ring.cursor);
    }
    for (size_t i = 0; i < visit->count; i++) {
        svp_memory_free(visit->regions[i].hashes);
        svp_pageset_close(&visit->regions[i].moved);
    }
    svp_memory_free(visit->regions);
    svp_memory_free(visit->parts);
    *visit = (struct svp_visit){ 0 };
}

enum savepoint_status svp_visit_check(const struct svp_visit *visit, const struct svp_ring_mark *mark,
                                      const char *operation, struct savepoint_error *error)
{
    struct svp_ring_part part;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    const uint8_t *at = mark->body;
    for (uint32_t i = 0; i < mark->snapshot.region_count; i++) {
        at = svp_ring_part_read(&part, at);
        if (find(visit, part.ring_id) == NULL) {
            savepoint_id_format(&mark->snapshot.id, text);
            return svp_status_fail(error, SAVEPOINT_MISMATCH, operation,
                                   "snapshot %s of the ring holds a region that was removed since: a ring keeps what "
                                   "changed in a region, not the region",
                                   text);
        }
    }
    return SAVEPOINT_OK;
}

static void read_parts(struct svp_visit *visit, const struct svp_ring_mark *mark)
{
    const uint8_t *at = mark->body;
    for (size_t i = 0; i < visit->count; i++) {
        visit->regions[i].held = false;
    }
    visit->part_count = mark->snapshot.region_count;
    for (size_t i = 0; i < visit->part_count; i++) {
        struct svp_ring_part part;
        at = svp_ring_part_read(&part, at);
        visit->parts[i] = find(visit, part.ring_id);
        visit->parts[i]->held = true;
        visit->parts[i]->part = part;
    }
    visit->metadata = at;
    visit->metadata_bytes = mark->body_bytes - (size_t)(at - mark->body);
}

void svp_visit_go(struct svp_visit *visit, const struct svp_ring_mark *mark)
{
    for (size_t i = 0; i < visit->count; i++) {
        svp_pageset_clear(&visit->regions[i].moved);
    }
    walk(visit, mark->position);
    for (size_t i = 0; i < visit->count; i++) {
        struct svp_visit_region *visited = &visit->regions[i];
        uint64_t page = svp_pageset_next(&visited->moved, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&visited->moved, page + 1)) {
            visited->hashes[page] = svp_digest128(0, visited->region->shadow + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
        }
    }
    read_parts(visit, mark);
}

/* ---- what it looks like there */

static bool add_entry(struct svp_region_entry *entry, const struct svp_visit_region *visited)
{
    const struct svp_region *region = visited->region;
    const struct svp_ring_part *part = &visited->part;
    *entry = (struct svp_region_entry){
        .id = region->id,
        .flags = region->mapped ? SVP_REGION_MAPPED : 0,
        .address = (uint64_t)(uintptr_t)region->base,
        .bytes = part->pages * SVP_PAGE_BYTES,
    };
    strcpy(entry->name, region->name);
    entry->excluded = svp_memory_zalloc(part->excluded_count, sizeof *entry->excluded);
    for (uint32_t i = 0; entry->excluded != NULL && i < part->excluded_count; i++) {
        struct svp_excluded *range = &entry->excluded[i];
        svp_ring_part_excluded(part, i, &range->first_page, &range->page_count);
        entry->excluded_count = i + 1;
    }
    return entry->excluded != NULL;
}

bool svp_visit_table(const struct svp_visit *visit, struct svp_region_table *table)
{
    table->entries = svp_memory_zalloc(visit->part_count, sizeof *table->entries);
    bool enough = table->entries != NULL;
    for (size_t i = 0; enough && i < visit->part_count; i++) {
        table->count = (uint32_t)i + 1;
        enough = add_entry(&table->entries[i], visit->parts[i]);
    }
    return enough;
}

static struct svp_hash root_of(const struct svp_visit_region *visited, const struct svp_region_entry *entry)
{
    struct svp_sparse_root root;
    const struct svp_hash zero = svp_tree_zero_page();
    svp_sparse_root_open(&root, visited->part.pages);
    for (uint64_t page = 0; page < visited->part.pages; page++) {
        const struct svp_hash *hash = &visited->hashes[page];
        if (memcmp(hash, &zero, sizeof zero) != 0 && !svp_region_excludes(entry, page)) {
            svp_sparse_root_add(&root, page, hash);
        }
    }
    return svp_sparse_root_finish(&root);
}

bool svp_visit_root(const struct svp_visit *visit, const struct svp_region_table *table, struct svp_hash *state_root)
{
    struct svp_buffer state = { 0 };
    for (uint32_t i = 0; i < table->count; i++) {
        const struct svp_hash root = root_of(visit->parts[i], &table->entries[i]);
        svp_state_add(&state, &table->entries[i], &root);
    }
    *state_root = svp_digest128(0, state.bytes, state.count);
    bool enough = !state.failed;
    svp_buffer_free(&state);
    return enough;
}
