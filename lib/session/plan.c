/* plan.c - what a restore will change: found out, and checked, before anything is changed */
#include "session/plan.h"

#include "format/memory.h"
#include "session/region.h"
#include "status.h"

/* ---- matching the regions here with those of the snapshot */

static enum savepoint_status match_entry(struct savepoint *session, struct svp_restore *restore,
                                         const struct svp_region_entry *entry, struct savepoint_error *error)
{
    struct svp_region *region = svp_session_region(session, entry->name);
    bool skip_missing = (restore->options.flags & SAVEPOINT_RESTORE_SKIP_MISSING) != 0;
    if (region == NULL && skip_missing) {
        return SAVEPOINT_OK;
    }
    if (region == NULL) {
        return svp_status_fail(
            error, SAVEPOINT_MISMATCH, "restore",
            "the snapshot holds region '%.80s', which this session does not watch: watch or map it first, "
            "or restore with SAVEPOINT_RESTORE_SKIP_MISSING",
            entry->name);
    }
    enum savepoint_status status = svp_region_check_fits(region, entry, "restore", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_restore_part *part = &restore->parts[restore->part_count];
    part->region = region;
    part->entry = entry;
    restore->part_count++; /* counted first: it is closed whatever it holds */
    if (!svp_page_map_open(&part->map, entry->id, entry->bytes / SVP_PAGE_BYTES) ||
        !svp_pageset_open(&part->differing, region->pages) || !svp_pageset_open(&part->blank, region->pages)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory for the page table");
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status
match_regions(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    struct svp_region_table *table = &restore->table;
    enum savepoint_status status = svp_source_regions(&session->append.source, table, restore->commit.regions, error);
    if (status == SAVEPOINT_OK) {
        restore->parts = svp_memory_zalloc(table->count, sizeof *restore->parts);
        if (restore->parts == NULL) {
            status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory");
        }
    }
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        status = match_entry(session, restore, &table->entries[i], error);
    }
    return status;
}

/* ---- what differs */

/* Whatever was written since the last take joins pending. */
static enum savepoint_status peek_all(struct savepoint *session, struct savepoint_error *error)
{
    for (size_t i = 0; i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        enum savepoint_status status =
            svp_region_collect(region, SVP_WATCH_PEEK, &region->pending, session->runs, error);
        svp_pageset_unite(&region->ring_pending, &region->pending); /* compared once more, that is all */
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    return SAVEPOINT_OK;
}

/* What was mapped, and neither written nor taken since, can be brought back to what it is: zeros. The watch has not
 * been re-armed, so it tells of every write. Not beside a ring: it goes back from the shadow, which has to hold all. */
static enum savepoint_status
find_blank(struct savepoint *session, struct svp_restore_part *part, struct savepoint_error *error)
{
    struct svp_region *region = part->region;
    struct svp_pageset written = { 0 };
    if (!region->mapped || !region->untouched || session->has_ring) {
        return SAVEPOINT_OK;
    }
    if (!svp_pageset_open(&written, region->pages)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory for the page table");
    }
    enum savepoint_status status = svp_region_collect(region, SVP_WATCH_PEEK, &written, session->runs, error);
    svp_pageset_add(&part->blank, 0, region->pages);
    svp_pageset_subtract(&part->blank, &written);
    svp_pageset_close(&written);
    return status;
}

static enum savepoint_status
load_maps(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    struct svp_page_map *maps = svp_memory_zalloc(restore->part_count, sizeof *maps);
    if (maps == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory");
    }
    for (size_t i = 0; i < restore->part_count; i++) {
        maps[i] = restore->parts[i].map; /* borrowed: both share the chunks */
    }
    enum savepoint_status status =
        svp_reader_map(&session->reader, maps, restore->part_count, restore->commit_offset, error);
    svp_memory_free(maps);
    return status;
}

static void find_differing(struct svp_restore_part *part)
{
    const struct svp_region *region = part->region;
    for (uint64_t page = 0; page < region->pages; page++) {
        if (region->states[page].record_offset != svp_page_map_get(&part->map, page)) {
            svp_pageset_add(&part->differing, page, 1);
        }
    }
    svp_pageset_unite(&part->differing, &region->pending);
    svp_pageset_unite(&part->differing, &region->no_base);
    svp_pageset_subtract(&part->differing, &region->excluded);
    for (uint32_t i = 0; i < part->entry->excluded_count; i++) {
        const struct svp_excluded *range = &part->entry->excluded[i];
        svp_pageset_remove(&part->differing, range->first_page, range->page_count);
    }
    part->differing_pages = svp_pageset_count(&part->differing);
}

/* ---- memory */

/* Every region that will be written can be, and a protecting watch lets go of it. */
static enum savepoint_status prepare_memory(struct svp_restore *restore, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < restore->part_count; i++) {
        const struct svp_restore_part *part = &restore->parts[i];
        if (part->differing_pages > 0) {
            status = svp_region_prepare(part->region, part->differing_pages, error);
        }
    }
    return status;
}

enum savepoint_status
svp_plan_restore(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    enum savepoint_status status =
        svp_source_commit(&session->append.source, &restore->commit, restore->commit_offset, error);
    status = status == SAVEPOINT_OK ? match_regions(session, restore, error) : status;
    status = status == SAVEPOINT_OK ? peek_all(session, error) : status;
    status = status == SAVEPOINT_OK ? load_maps(session, restore, error) : status;
    for (size_t i = 0; status == SAVEPOINT_OK && i < restore->part_count; i++) {
        find_differing(&restore->parts[i]);
        restore->differing_pages += restore->parts[i].differing_pages;
        status = find_blank(session, &restore->parts[i], error);
    }
    return status == SAVEPOINT_OK ? prepare_memory(restore, error) : status;
}
