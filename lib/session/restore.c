/* restore.c - bringing a snapshot back: verify everything, then write only what differs */
#include "session/restore.h"

#include <string.h>

#include "format/memory.h"
#include "session/commit.h"
#include "options.h"
#include "os/host.h"
#include "session/place.h"
#include "session/region.h"
#include "status.h"
#include "watch/mapping.h"

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
    if (region->bytes < entry->bytes) {
        return svp_status_fail(
            error, SAVEPOINT_MISMATCH, "restore",
            "region '%.80s' has %zu bytes here and %llu in the snapshot: make it at least that large", entry->name,
            region->bytes, (unsigned long long)entry->bytes);
    }
    if ((entry->flags & SVP_REGION_MAPPED) != 0 && entry->address != (uint64_t)(uintptr_t)region->base) {
        return svp_status_fail(
            error, SAVEPOINT_MISMATCH, "restore",
            "region '%.80s' was mapped at %#llx, here it is at %p: pointers into it would break: let "
            "savepoint_map place it",
            entry->name, (unsigned long long)entry->address, (void *)region->base);
    }
    struct svp_restore_part *part = &restore->parts[restore->part_count];
    part->region = region;
    part->entry = entry;
    restore->part_count++; /* counted first: it is closed whatever it holds */
    if (!svp_page_map_open(&part->map, entry->id, entry->bytes / SVP_PAGE_BYTES) ||
        !svp_pageset_open(&part->differing, region->pages)) {
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
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    return SAVEPOINT_OK;
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
        bool excluded = svp_pageset_has(&region->excluded, page) || svp_region_excludes(part->entry, page);
        bool differs = svp_pageset_has(&region->pending, page) || svp_pageset_has(&region->no_base, page) ||
                       region->states[page].record_offset != svp_page_map_get(&part->map, page);
        if (differs && !excluded) {
            svp_pageset_add(&part->differing, page, 1);
        }
    }
    part->differing_pages = svp_pageset_count(&part->differing);
}

/* ---- decoding */

static enum savepoint_status tell_progress(struct svp_restore *restore, uint64_t pages, struct savepoint_error *error)
{
    const struct savepoint_restore_options *options = &restore->options;
    restore->told_ns = svp_host_monotonic_ns();
    if (options->progress != NULL && options->progress(options->progress_user, pages * SVP_PAGE_BYTES,
                                                       restore->differing_pages * SVP_PAGE_BYTES) != 0) {
        return svp_status_fail(error, SAVEPOINT_CANCELLED, "restore", "cancelled; memory is unchanged");
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status report_progress(void *user, uint64_t done_pages, struct savepoint_error *error)
{
    const uint64_t pace_ns = 100 * 1000 * 1000; /* about ten times a second */
    struct svp_restore *restore = user;
    bool due = restore->options.progress != NULL && svp_host_monotonic_ns() - restore->told_ns >= pace_ns;
    return due ? tell_progress(restore, done_pages, error) : SAVEPOINT_OK;
}

/* What the shadow holds now: the version last stored, unless a take failed since. It was stored under another id when
 * this region and that of the snapshot have only the name in common. */
static void note_held(struct svp_restore_part *part)
{
    const struct svp_region *region = part->region;
    uint64_t page = region->id == part->entry->id ? svp_pageset_next(&part->differing, 0) : SVP_PAGESET_NONE;
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
        const struct svp_page_state *state = &region->states[page];
        if (!svp_pageset_has(&region->no_base, page)) {
            part->pages[page].held = state->record_offset;
            part->pages[page].origin = (struct svp_page_origin){ .links = state->links,
                                                                 .delta_bytes = state->delta_bytes,
                                                                 .key_bytes = state->key_bytes };
        }
    }
}

/* Decodes and verifies every differing page into the shadow, where it has to be in the end: no memory is needed
 * beside it, and live memory stays as it is. */
static enum savepoint_status
decode_all(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    struct svp_bulk_part *parts = svp_memory_alloc(restore->part_count * sizeof *parts);
    bool enough = parts != NULL;
    for (size_t i = 0; enough && i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        part->pages = svp_memory_zalloc((size_t)part->region->pages, sizeof *part->pages);
        enough = part->pages != NULL;
        if (enough) {
            note_held(part);
            svp_place_expect_shadow(part);
        }
        parts[i] = (struct svp_bulk_part){ &part->map, &part->differing, part->region->shadow, part->pages };
    }
    enum savepoint_status status =
        enough ? svp_bulk_decode(&session->reader, parts, restore->part_count, report_progress, restore, error)
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory; nothing was changed");
    svp_memory_free(parts);
    return status;
}

/* The restore failed with the shadow half-way: the comparison must not trust it. */
static void distrust_shadow(struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        uint64_t page = part->pages != NULL ? svp_pageset_next(&part->differing, 0) : SVP_PAGESET_NONE;
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            if (part->pages[page].touched) {
                svp_pageset_add(&part->region->pending, page, 1);
                svp_pageset_add(&part->region->no_base, page, 1);
            }
        }
    }
}

/* ---- memory */

/* Every region that will be written can be, and a protecting watch lets go of it. */
static enum savepoint_status prepare_memory(struct svp_restore *restore, struct savepoint_error *error)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        const struct svp_restore_part *part = &restore->parts[i];
        struct svp_region *region = part->region;
        for (size_t k = 0; k < region->range_count && part->differing_pages > 0; k++) {
            enum savepoint_status status =
                region->backend->prepare(region->watch, region->ranges[k].start, region->ranges[k].bytes, error);
            if (status != SAVEPOINT_OK) {
                return status;
            }
        }
        struct savepoint_error found = { 0 };
        if (part->differing_pages > 0 &&
            svp_mapping_check((uintptr_t)region->base, region->bytes, NULL, &found) != SAVEPOINT_OK) {
            return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "restore",
                                   "region '%.80s' cannot be written, nothing was changed: %.200s", region->name,
                                   found.message);
        }
    }
    return SAVEPOINT_OK;
}

/* Pages left out there or here stay as they are; of those the snapshot left out
 * nothing is known, so the next take stores them whole. */
static void mark_excluded(struct svp_region *region, const struct svp_region_entry *entry)
{
    for (uint32_t i = 0; i < entry->excluded_count; i++) {
        const struct svp_excluded *range = &entry->excluded[i];
        svp_pageset_add(&region->pending, range->first_page, range->page_count);
        svp_pageset_add(&region->no_base, range->first_page, range->page_count);
        for (uint64_t page = range->first_page; page < range->first_page + range->page_count; page++) {
            svp_region_forget(region, page);
        }
    }
    uint64_t page = svp_pageset_next(&region->excluded, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&region->excluded, page + 1)) {
        svp_region_forget(region, page);
    }
}

/* The memory stands at the target and nothing is pending. What the watch reports now are the restore's own writes, as
 * the caller guarantees that nobody else writes: it is re-armed and the report thrown away. */
static void settle(struct savepoint *session, struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_region *region = restore->parts[i].region;
        region->id = restore->parts[i].entry->id;
        svp_region_collect(region, SVP_WATCH_REARM, &region->pending, session->runs, NULL);
        svp_pageset_clear(&region->pending);
        svp_pageset_clear(&region->no_base);
        mark_excluded(region, restore->parts[i].entry);
    }
}

/* Regions the snapshot does not know keep their contents, all of which the next snapshot has to store whole. They get
 * a new id: the old one may belong, on the branch taken now, to a region that has vanished. */
static void mark_strangers(struct savepoint *session, const struct svp_restore *restore)
{
    for (size_t i = 0; i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        bool known = false;
        for (size_t k = 0; k < restore->part_count; k++) {
            known = known || restore->parts[k].region == region;
        }
        if (!known) {
            svp_pageset_add(&region->pending, 0, region->pages);
            svp_pageset_add(&region->no_base, 0, region->pages);
            memset(region->states, 0, (size_t)region->pages * sizeof *region->states);
            region->id = session->next_region_id++;
        }
    }
}

static void close_restore(struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        svp_page_map_close(&restore->parts[i].map);
        svp_pageset_close(&restore->parts[i].differing);
        svp_memory_free(restore->parts[i].pages);
    }
    svp_memory_free(restore->parts);
    svp_regions_free(&restore->table);
}

/* Everything that can fail without a byte of memory or shadow changed. */
static enum savepoint_status
prepare(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    enum savepoint_status status =
        svp_source_commit(&session->append.source, &restore->commit, restore->commit_offset, error);
    status = status == SAVEPOINT_OK ? match_regions(session, restore, error) : status;
    status = status == SAVEPOINT_OK ? peek_all(session, error) : status;
    status = status == SAVEPOINT_OK ? load_maps(session, restore, error) : status;
    for (size_t i = 0; status == SAVEPOINT_OK && i < restore->part_count; i++) {
        find_differing(&restore->parts[i]);
        restore->differing_pages += restore->parts[i].differing_pages;
    }
    return status == SAVEPOINT_OK ? prepare_memory(restore, error) : status;
}

static enum savepoint_status
run_restore(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    enum savepoint_status status = prepare(session, restore, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    restore->told_ns = svp_host_monotonic_ns();
    status = decode_all(session, restore, error);
    if (status == SAVEPOINT_OK) { /* the last moment to stop */
        status = tell_progress(restore, restore->differing_pages, error);
    }
    status = status == SAVEPOINT_OK ? svp_commit_stand_at(session, restore->commit_offset, error) : status;
    if (status != SAVEPOINT_OK) {
        distrust_shadow(restore);
        return status;
    }
    svp_place_all(restore);
    settle(session, restore);
    mark_strangers(session, restore);
    session->positioned = true;
    svp_mutex_lock(session->mutex);
    session->statistics.restores++;
    session->statistics.pages_restored += restore->written_pages;
    svp_mutex_unlock(session->mutex);
    return SAVEPOINT_OK;
}

static enum savepoint_status
restore_commit(struct savepoint *session, const struct savepoint_snapshot *snapshot,
               const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    struct svp_restore restore = { .options = *options, .commit_offset = snapshot->file_offset };
    svp_mutex_lock(session->mutex);
    session->restoring = true;
    svp_mutex_unlock(session->mutex);
    enum savepoint_status status = run_restore(session, &restore, error);
    close_restore(&restore);
    svp_mutex_lock(session->mutex);
    session->restoring = false;
    svp_mutex_unlock(session->mutex);
    for (size_t i = 0; status == SAVEPOINT_OK && i < session->hook_count; i++) {
        session->hooks[i].call(session->hooks[i].user, snapshot);
    }
    return status;
}

enum savepoint_status savepoint_restore(struct savepoint *session, const struct savepoint_id *id,
                                        const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    struct savepoint_restore_options chosen = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = svp_session_check(session, "restore", error);
    if (status == SAVEPOINT_OK && id == NULL) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "restore", "the id is NULL");
    }
    status = status == SAVEPOINT_OK ? svp_options_copy(&chosen, sizeof chosen, options, "restore", error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_drain(session);
    status = svp_catalog_find_id(&session->catalog, &snapshot, id, error);
    return status == SAVEPOINT_OK ? restore_commit(session, &snapshot, &chosen, error) : status;
}

enum savepoint_status
savepoint_resume(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    const struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_snapshot head;
    enum savepoint_status status = svp_session_check(session, "resume", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_drain(session);
    status = svp_catalog_find(&session->catalog, &head, "HEAD", error);
    status = status == SAVEPOINT_OK ? restore_commit(session, &head, &options, error) : status;
    if (status == SAVEPOINT_OK && snapshot != NULL) {
        *snapshot = head;
    }
    return status;
}
