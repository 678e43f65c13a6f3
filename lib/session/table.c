/* table.c - the regions of a take: their table, and the root of their state */
#include "session/table.h"

#include <stdlib.h>
#include <string.h>

#include "format/memory.h"

static int order_by_name(const void *left, const void *right)
{
    const struct svp_region *a = *(struct svp_region *const *)left;
    const struct svp_region *b = *(struct svp_region *const *)right;
    return strcmp(a->name, b->name);
}

/* The regions of a take, ordered by name; NULL: no memory. */
static struct svp_region **ordered_regions(const struct svp_take *take)
{
    struct svp_region **ordered = svp_memory_zalloc(take->capture_count, sizeof(struct svp_region *));
    for (size_t i = 0; ordered != NULL && i < take->capture_count; i++) {
        ordered[i] = take->captures[i].region;
    }
    if (ordered != NULL && take->capture_count > 1) {
        qsort(ordered, take->capture_count, sizeof(struct svp_region *), order_by_name);
    }
    return ordered;
}

static bool list_excluded(struct svp_region_entry *entry, const struct svp_region *region)
{
    uint64_t page = svp_pageset_next(&region->excluded, 0);
    while (page != SVP_PAGESET_NONE) {
        struct svp_excluded *last = entry->excluded_count > 0 ? &entry->excluded[entry->excluded_count - 1] : NULL;
        if (last != NULL && last->first_page + last->page_count == page) {
            last->page_count++;
        } else {
            void *grown = svp_memory_resize(entry->excluded, entry->excluded_count + 1, sizeof *entry->excluded);
            if (grown == NULL) {
                return false;
            }
            entry->excluded = grown;
            entry->excluded[entry->excluded_count++] = (struct svp_excluded){ page, 1 };
        }
        page = svp_pageset_next(&region->excluded, page + 1);
    }
    return true;
}

/* The table of the take's regions; false: no memory. */
static bool
list_regions(const struct savepoint *session, struct svp_region **ordered, size_t count, struct svp_region_table *table)
{
    table->entries = svp_memory_zalloc(count, sizeof *table->entries);
    table->next_id = session->next_region_id;
    bool enough = table->entries != NULL;
    for (size_t i = 0; enough && i < count; i++) {
        const struct svp_region *region = ordered[i];
        struct svp_region_entry *entry = &table->entries[i];
        table->count = (uint32_t)i + 1;
        *entry = (struct svp_region_entry){
            .id = region->id,
            .flags = region->mapped ? SVP_REGION_MAPPED : 0,
            .address = (uint64_t)(uintptr_t)region->base,
            .bytes = region->bytes,
        };
        strcpy(entry->name, region->name);
        enough = list_excluded(entry, region);
    }
    return enough;
}

bool svp_table_open(struct svp_table *table, const struct savepoint *session, const struct svp_take *take)
{
    table->ordered = ordered_regions(take);
    return table->ordered != NULL && list_regions(session, table->ordered, take->capture_count, &table->regions);
}

void svp_table_close(struct svp_table *table)
{
    svp_regions_free(&table->regions);
    svp_memory_free(table->ordered);
}

bool svp_table_root(struct svp_table *table, struct svp_hash *state_root)
{
    struct svp_buffer state = { 0 };
    for (uint32_t i = 0; i < table->regions.count; i++) {
        const struct svp_hash root = svp_tree_root(&table->ordered[i]->tree);
        svp_state_add(&state, &table->regions.entries[i], &root);
    }
    *state_root = svp_digest128(0, state.bytes, state.count);
    bool enough = !state.failed;
    svp_buffer_free(&state);
    return enough;
}
