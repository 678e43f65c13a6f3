/* load.c - savepoint_load: a snapshot of an archive becomes one of the ring, and memory stays as it is */
#include <string.h>

#include "archive/archive.h"
#include "format/memory.h"
#include "options.h"
#include "session/busy.h"
#include "session/live.h"
#include "session/origin.h"
#include "session/region.h"
#include "session/ring_take.h"
#include "session/takes.h"
#include "status.h"

struct load {
    struct savepoint *session;
    struct savepoint_load_options options;
    struct savepoint_archive *archive; /* NULL: the session's own */
    struct svp_reader *reader;
    struct savepoint_snapshot from;
    struct svp_commit commit;
    struct svp_table table;         /* the regions of the snapshot, and ours of the same names */
    struct svp_page_map *maps;      /* where their pages are */
    struct svp_chunk *first, *last; /* the pages in which the shadow differs from it */
    uint64_t changed_pages, record_bytes;
    uint64_t done_bytes;
    struct svp_take take; /* what the ring is told of it */
    struct savepoint_error *error;
};

static enum savepoint_status fail_memory(const struct load *load)
{
    return svp_status_fail(load->error, SAVEPOINT_NO_MEMORY, "load", "no memory; nothing was changed");
}

/* ---- where it comes from */

static enum savepoint_status find(struct load *load, const char *path, const char *expression)
{
    struct savepoint *session = load->session;
    struct svp_catalog *catalog = &session->catalog;
    enum savepoint_status status = SAVEPOINT_OK;
    if (path == NULL) {
        svp_session_drain(session);
        load->reader = &session->reader;
    } else {
        svp_session_settle(session);
        status = savepoint_archive_open(&load->archive, path, load->error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        load->reader = &load->archive->reader;
        catalog = &load->archive->catalog;
    }
    status = svp_catalog_find(catalog, &load->from, expression, load->error);
    return status == SAVEPOINT_OK
               ? svp_source_commit(load->reader->source, &load->commit, load->from.file_offset, load->error)
               : status;
}

/* ---- what is told of it */

static enum savepoint_status describe(struct load *load)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    const struct svp_commit *commit = &load->commit;
    struct svp_take *take = &load->take;
    const char *label = load->options.label != NULL ? load->options.label : commit->label;
    enum savepoint_status status = SAVEPOINT_OK;
    if (commit->metadata != 0) {
        status = svp_source_record(load->reader->source, &record, &body, commit->metadata, SVP_META, load->error);
    }
    if (status == SAVEPOINT_OK) {
        status = svp_origin_add(&take->metadata, &load->from.id, body.bytes, body.count, "load", load->error);
    }
    svp_buffer_free(&body);
    strcpy(take->label, label); /* a take's has room for as many bytes as a commit's */
    take->time_ns = commit->time_ns;
    take->pause_ns = commit->pause_ns;
    return status;
}

/* ---- regions */

static enum savepoint_status match_entry(struct load *load, uint32_t index)
{
    const struct svp_region_entry *entry = &load->table.regions.entries[index];
    struct svp_region *region = svp_session_region(load->session, entry->name);
    load->table.ordered[index] = region;
    if (region == NULL) {
        return svp_status_fail(load->error, SAVEPOINT_MISMATCH, "load",
                               "the snapshot holds region '%.80s', which this session does not watch: watch or map it "
                               "first",
                               entry->name);
    }
    enum savepoint_status status = svp_region_check_fits(region, entry, "load", load->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    return svp_page_map_open(&load->maps[index], entry->id, entry->bytes / SVP_PAGE_BYTES) ? SAVEPOINT_OK
                                                                                           : fail_memory(load);
}

static enum savepoint_status match_regions(struct load *load)
{
    struct svp_region_table *table = &load->table.regions;
    enum savepoint_status status = svp_source_regions(load->reader->source, table, load->commit.regions, load->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    load->table.ordered = svp_memory_zalloc(table->count, sizeof(struct svp_region *));
    load->maps = svp_memory_zalloc(table->count, sizeof *load->maps);
    status = load->table.ordered != NULL && load->maps != NULL ? SAVEPOINT_OK : fail_memory(load);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        status = match_entry(load, i);
    }
    return status == SAVEPOINT_OK
               ? svp_reader_map(load->reader, load->maps, table->count, load->from.file_offset, load->error)
               : status;
}

/* ---- pages */

/* The shadow holds the very version that the snapshot has: the archive is the session's own, and the page is neither
 * pending there nor left out, when nobody knows where it is. */
static bool
is_held(const struct load *load, const struct svp_region *region, const struct svp_page_map *map, uint64_t page)
{
    if (load->archive != NULL || region->id != map->region_id ||
        region->states[page].record_offset != svp_page_map_get(map, page)) {
        return false;
    }
    svp_mutex_lock(load->session->mutex); /* a LIVE snapshot may be on its way */
    const bool pending = svp_pageset_has(&region->pending, page);
    svp_mutex_unlock(load->session->mutex);
    return !pending && !svp_pageset_has(&region->excluded, page);
}

/* Where the next page of the region goes; NULL: no memory. */
static uint8_t *next_place(struct load *load, struct svp_region *region, uint64_t page)
{
    struct svp_chunk *chunk = load->last;
    if (chunk == NULL || chunk->region != region || chunk->count == SVP_CHUNK_PAGES) {
        chunk = svp_memory_alloc(sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = NULL;
        chunk->region = region;
        chunk->count = 0;
        *(load->last != NULL ? &load->last->next : &load->first) = chunk;
        load->last = chunk;
    }
    chunk->pages[chunk->count] = page;
    return chunk->bytes + (size_t)chunk->count * SVP_PAGE_BYTES;
}

static enum savepoint_status
decode_page(struct load *load, struct svp_region *region, const struct svp_page_map *map, uint64_t page)
{
    struct svp_page_origin origin;
    struct svp_changes changes;
    uint8_t *bytes = next_place(load, region, page);
    if (bytes == NULL) {
        return fail_memory(load);
    }
    enum savepoint_status status =
        svp_reader_page(load->reader, bytes, &origin, svp_page_map_get(map, page), map->region_id, page, load->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_compare(&changes, region->shadow + page * SVP_PAGE_BYTES, bytes);
    if (!changes.same) {
        load->last->count++;
        load->changed_pages++;
        load->record_bytes += svp_ring_record_bytes(&changes);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status tell_progress(struct load *load)
{
    const struct savepoint_load_options *options = &load->options;
    const uint64_t total = load->commit.region_pages * SVP_PAGE_BYTES;
    return options->progress != NULL && options->progress(options->progress_user, load->done_bytes, total) != 0
               ? svp_status_fail(load->error, SAVEPOINT_CANCELLED, "load", "cancelled; nothing was changed")
               : SAVEPOINT_OK;
}

static enum savepoint_status decode_region(struct load *load, uint32_t index)
{
    enum { BYTES_BETWEEN_CALLS = 8 << 20 };
    const struct svp_region_entry *entry = &load->table.regions.entries[index];
    struct svp_region *region = load->table.ordered[index];
    const struct svp_page_map *map = &load->maps[index];
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t page = 0; status == SAVEPOINT_OK && page < map->pages; page++) {
        if (!svp_region_excludes(entry, page) && !is_held(load, region, map, page)) {
            status = decode_page(load, region, map, page);
        }
        load->done_bytes += SVP_PAGE_BYTES;
        if (status == SAVEPOINT_OK && load->done_bytes % BYTES_BETWEEN_CALLS == 0) {
            status = tell_progress(load);
        }
    }
    return status;
}

/* ---- into the ring: nothing of it can fail */

/* What is excluded here counts as zeros in the tree, whatever the snapshot has there. */
static void move_page(struct savepoint *session, struct svp_region *region, uint64_t page, const uint8_t *bytes)
{
    struct svp_changes changes;
    uint8_t *shadow = region->shadow + page * SVP_PAGE_BYTES;
    svp_compare(&changes, shadow, bytes);
    svp_ring_log(&session->ring, region->ring_id, page, shadow, bytes, &changes);
    memcpy(shadow, bytes, SVP_PAGE_BYTES);
    if (!svp_pageset_has(&region->excluded, page)) {
        const struct svp_hash hash = svp_digest128(0, bytes, SVP_PAGE_BYTES);
        svp_tree_update(&region->tree, page, &hash);
    }
}

/* With the mutex held. Memory is not what the shadow holds now; the log leads back to what the archive knows. */
static void note_pages(const struct svp_chunk *chunk)
{
    struct svp_region *region = chunk->region;
    region->untouched = false;
    for (uint32_t i = 0; i < chunk->count; i++) {
        svp_region_pend(region, chunk->pages[i], 1);
        svp_pageset_add(&region->rebased, chunk->pages[i], 1);
    }
}

static enum savepoint_status set_mark(struct load *load, struct savepoint_snapshot *snapshot)
{
    struct savepoint *session = load->session;
    svp_ring_take_begin(session);
    if (!svp_ring_take_describe(session, &load->take, &load->table, &load->commit.state_root, snapshot)) {
        return fail_memory(load);
    }
    snapshot->changed_pages = load->changed_pages;
    if (!svp_ring_fits(&session->ring, load->record_bytes, snapshot, session->append.body.count)) {
        return svp_status_fail(load->error, SAVEPOINT_LIMIT, "load",
                               "the ring's %llu bytes have no room for %llu pages that differ, beside the snapshot "
                               "that it stands on: open the session with a larger ring_bytes",
                               (unsigned long long)session->ring.capacity, (unsigned long long)load->changed_pages);
    }
    for (const struct svp_chunk *chunk = load->first; chunk != NULL; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->count; i++) {
            move_page(session, chunk->region, chunk->pages[i], chunk->bytes + (size_t)i * SVP_PAGE_BYTES);
        }
    }
    svp_mutex_lock(session->mutex);
    for (const struct svp_chunk *chunk = load->first; chunk != NULL; chunk = chunk->next) {
        note_pages(chunk);
    }
    svp_mutex_unlock(session->mutex);
    return svp_ring_take_set(session, snapshot, load->error);
}

/* ---- the call */

static void close_load(struct load *load)
{
    for (uint32_t i = 0; load->maps != NULL && i < load->table.regions.count; i++) {
        svp_page_map_close(&load->maps[i]);
    }
    while (load->first != NULL) {
        struct svp_chunk *chunk = load->first;
        load->first = chunk->next;
        svp_memory_free(chunk);
    }
    svp_memory_free(load->maps);
    svp_table_close(&load->table);
    svp_buffer_free(&load->take.metadata);
    savepoint_archive_close(load->archive);
}

static enum savepoint_status
run(struct load *load, struct savepoint_snapshot *loaded, const char *path, const char *expression)
{
    enum savepoint_status status = find(load, path, expression);
    status = status == SAVEPOINT_OK ? describe(load) : status;
    status = status == SAVEPOINT_OK ? match_regions(load) : status;
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < load->table.regions.count; i++) {
        status = decode_region(load, i);
    }
    status = status == SAVEPOINT_OK ? tell_progress(load) : status; /* the last moment to stop */
    return status == SAVEPOINT_OK ? set_mark(load, loaded) : status;
}

static enum savepoint_status
check_arguments(const struct savepoint *session, const char *path, const char *expression,
                const struct savepoint_load_options *options, struct savepoint_error *error)
{
    const struct savepoint_take_options as_take = { .label = options->label };
    if (expression == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "load", "the expression is NULL");
    }
    if (!session->has_ring) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "load", "this session has no ring: open it with ring_bytes");
    }
    if (path == NULL && !session->has_archive) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "load", "this session has no archive: name one to load from");
    }
    return svp_take_check_options(&as_take, "load", error);
}

enum savepoint_status
savepoint_load(struct savepoint *session, struct savepoint_snapshot *snapshot, const char *path, const char *expression,
               const struct savepoint_load_options *options, struct savepoint_error *error)
{
    struct savepoint_snapshot loaded;
    struct savepoint_error ignored = { .status = SAVEPOINT_OK };
    struct load load = { .session = session,
                         .options = SAVEPOINT_LOAD_OPTIONS_INIT,
                         .error = error != NULL ? error : &ignored };
    enum savepoint_status status = svp_session_check(session, "load", error);
    status =
        status == SAVEPOINT_OK ? svp_options_copy(&load.options, sizeof load.options, options, "load", error) : status;
    status = status == SAVEPOINT_OK ? check_arguments(session, path, expression, &load.options, error) : status;
    status = status == SAVEPOINT_OK ? svp_busy_begin(session, "load", error) : status;
    if (status == SAVEPOINT_OK) {
        svp_live_give_up(session, "load");
        status = run(&load, &loaded, path, expression);
        close_load(&load);
        svp_busy_end(session);
    }
    if (status == SAVEPOINT_OK && snapshot != NULL) {
        *snapshot = loaded;
    }
    return status;
}
