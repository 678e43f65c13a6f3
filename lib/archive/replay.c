/* replay.c - checking snapshots one after the other, each from the one before */
#include "archive/replay.h"

#include <string.h>

#include "archive/pages_cache.h"
#include "archive/rebuild.h"
#include "format/memory.h"
#include "status.h"

#define DENSE_PAGES_MAX (UINT64_C(1) << 22) /* 16 GiB of regions; beyond, every snapshot is checked by itself */

void svp_replay_close(struct svp_replay *replay)
{
    for (uint32_t i = 0; replay->regions != NULL && i < replay->table.count; i++) {
        svp_tree_close(&replay->regions[i].tree);
        svp_memory_free(replay->regions[i].offsets);
        svp_memory_free(replay->regions[i].depths);
    }
    svp_memory_free(replay->regions);
    svp_regions_free(&replay->table);
    *replay = (struct svp_replay){ 0 };
}

/* One page as stored in a record: decoded, verified, and put in its place. */
static enum savepoint_status
place_page(struct svp_replay *replay, struct svp_reader *reader, uint32_t index, uint64_t page, uint64_t record_offset,
           uint32_t depth, uint64_t *pages_checked, struct savepoint_error *error)
{
    uint8_t bytes[SVP_PAGE_BYTES];
    struct svp_page_origin origin;
    const struct svp_region_entry *entry = &replay->table.entries[index];
    struct svp_replay_region *region = &replay->regions[index];
    region->offsets[page] = record_offset;
    region->depths[page] = depth;
    if (svp_region_excludes(entry, page)) {
        return SAVEPOINT_OK; /* it counts as zeros, which the tree holds */
    }
    enum savepoint_status status = svp_reader_page(reader, bytes, &origin, record_offset, entry->id, page, error);
    if (status == SAVEPOINT_OK) {
        svp_tree_update(&region->tree, page, &origin.hash);
        ++*pages_checked;
    }
    return status;
}

/* ---- beginning anew: every page of the snapshot */

static bool open_regions(struct svp_replay *replay, struct svp_page_map *maps)
{
    replay->regions = svp_memory_zalloc(replay->table.count, sizeof *replay->regions);
    bool enough = replay->regions != NULL;
    for (uint32_t i = 0; enough && i < replay->table.count; i++) {
        uint64_t pages = replay->table.entries[i].bytes / SVP_PAGE_BYTES;
        struct svp_replay_region *region = &replay->regions[i];
        region->offsets = svp_memory_zalloc((size_t)pages, sizeof *region->offsets);
        region->depths = svp_memory_zalloc((size_t)pages, sizeof *region->depths);
        enough = region->offsets != NULL && region->depths != NULL && svp_tree_open(&region->tree, pages) &&
                 svp_page_map_open(&maps[i], replay->table.entries[i].id, pages);
    }
    return enough;
}

static enum savepoint_status
place_all(struct svp_replay *replay, struct svp_reader *reader, const struct svp_page_map *maps,
          uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < replay->table.count; i++) {
        uint64_t page = svp_page_map_next(&maps[i], 0);
        for (; status == SAVEPOINT_OK && page != UINT64_MAX; page = svp_page_map_next(&maps[i], page + 1)) {
            status = place_page(replay, reader, i, page, svp_page_map_get(&maps[i], page), 0, pages_checked, error);
            status = status == SAVEPOINT_OK ? svp_verify_step(pace, SVP_PAGE_BYTES, error) : status;
        }
    }
    return status;
}

static enum savepoint_status begin(struct svp_replay *replay, struct svp_reader *reader, uint64_t commit_offset,
                                   uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error)
{
    struct svp_page_map *maps = svp_memory_zalloc(replay->table.count, sizeof *maps);
    enum savepoint_status status = SAVEPOINT_OK;
    if (maps == NULL || !open_regions(replay, maps)) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "verify", "%s: no memory for a page table",
                                 reader->source->path);
    }
    status = status == SAVEPOINT_OK ? svp_reader_map(reader, maps, replay->table.count, commit_offset, error) : status;
    status = status == SAVEPOINT_OK ? place_all(replay, reader, maps, pages_checked, pace, error) : status;
    for (uint32_t i = 0; maps != NULL && i < replay->table.count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
    return status;
}

/* ---- going on: the pages of one more transaction, and its index */

static uint32_t find_region(const struct svp_replay *replay, uint32_t region_id)
{
    uint32_t i = 0;
    while (i < replay->table.count && replay->table.entries[i].id != region_id) {
        i++;
    }
    return i;
}

static enum savepoint_status
place_batch(struct svp_replay *replay, struct svp_reader *reader, const struct svp_index_entry *batch, uint32_t depth,
            uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error)
{
    uint64_t pages[SVP_BATCH_PAGES_MAX]; /* the cache may give up the record while its pages are decoded */
    const struct svp_cached_pages *cached = NULL;
    uint32_t index = find_region(replay, batch->region_id);
    enum savepoint_status status = svp_pages_cache_get(reader, &cached, batch->record_offset, error);
    if (status != SAVEPOINT_OK || index == replay->table.count) {
        return status;
    }
    uint32_t count = cached->pages.count;
    memcpy(pages, cached->pages.pages, count * sizeof pages[0]);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < count; i++) {
        if (pages[i] < replay->regions[index].tree.pages) {
            status = place_page(replay, reader, index, pages[i], batch->record_offset, depth, pages_checked, error);
            status = status == SAVEPOINT_OK ? svp_verify_step(pace, SVP_PAGE_BYTES, error) : status;
        }
    }
    return status;
}

static bool same_lists(const struct svp_index *left, const struct svp_index *right)
{
    bool same = left->count == right->count;
    for (uint32_t i = 0; same && i < left->count; i++) {
        const struct svp_index_entry *a = &left->entries[i];
        const struct svp_index_entry *b = &right->entries[i];
        same = a->region_id == b->region_id && a->first_page == b->first_page && a->page_count == b->page_count &&
               a->record_offset == b->record_offset;
    }
    return same;
}

/* Every page a map names is where the map says; every page stored in its span is named. */
static bool map_true(const struct svp_replay *replay, const struct svp_index *map, uint32_t above_depth)
{
    uint64_t named = 0; /* of the pages stored in the span */
    uint64_t stored = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct svp_index_entry *entry = &map->entries[i];
        uint32_t index = find_region(replay, entry->region_id);
        for (uint64_t k = 0; index < replay->table.count && k < entry->page_count; k++) {
            uint64_t page = entry->first_page + k;
            if (page >= replay->regions[index].tree.pages || svp_region_excludes(&replay->table.entries[index], page)) {
                continue;
            }
            if (replay->regions[index].offsets[page] != entry->record_offset) {
                return false;
            }
            named += replay->regions[index].depths[page] > above_depth ? 1 : 0;
        }
    }
    for (uint32_t i = 0; i < replay->table.count; i++) {
        for (uint64_t page = 0; page < replay->regions[i].tree.pages; page++) {
            bool in_span = replay->regions[i].depths[page] > above_depth;
            stored += in_span && !svp_region_excludes(&replay->table.entries[i], page) ? 1 : 0;
        }
    }
    return named == stored;
}

/* The stored index against the records it should name. One that cannot be read was reported where it stands. */
static enum savepoint_status
check_index(const struct svp_replay *replay, struct svp_reader *reader, const struct svp_commit *commit,
            struct svp_index *own, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    struct svp_index index = { 0 };
    struct svp_commit below = { 0 };
    const struct svp_source *source = reader->source;
    enum savepoint_status status = svp_source_record(source, &record, &body, commit->index, SVP_INDEX, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_index_read(&index, body.bytes, body.count, commit->index, source->unpacker);
        status = svp_source_verdict(source, verdict, commit->index, "index", error);
    }
    if (status == SAVEPOINT_OK && index.kind == SVP_INDEX_MAP && index.below != 0) {
        status = svp_source_commit(source, &below, index.below, error);
    }
    if (status == SAVEPOINT_OK) {
        svp_index_sort(own);
        bool good = index.kind == SVP_INDEX_LIST ? same_lists(&index, own) : map_true(replay, &index, below.depth);
        if (!good) {
            status = svp_status_at(error, SAVEPOINT_CORRUPT, commit->index, "verify",
                                   "%s: this index does not name the records it stands for", source->path);
        }
    } else if (status == SAVEPOINT_CORRUPT) {
        status = SAVEPOINT_OK;
    }
    svp_buffer_free(&body);
    svp_index_free(&index);
    return status;
}

static enum savepoint_status
go_on(struct svp_replay *replay, struct svp_reader *reader, const struct svp_commit *commit, uint64_t commit_offset,
      uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error)
{
    struct svp_index own = { 0 };
    enum savepoint_status status = svp_rebuild_index(reader, &own, commit, commit_offset, error);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < own.count; i++) {
        status = place_batch(replay, reader, &own.entries[i], commit->depth, pages_checked, pace, error);
    }
    status = status == SAVEPOINT_OK ? check_index(replay, reader, commit, &own, error) : status;
    svp_index_free(&own);
    return status;
}

/* ---- one snapshot */

static bool state_of(struct svp_replay *replay, struct svp_buffer *state)
{
    for (uint32_t i = 0; i < replay->table.count; i++) {
        const struct svp_hash root = svp_tree_root(&replay->regions[i].tree);
        svp_state_add(state, &replay->table.entries[i], &root);
    }
    return !state->failed;
}

static uint64_t pages_of(const struct svp_region_table *table)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        pages += table->entries[i].bytes / SVP_PAGE_BYTES;
    }
    return pages;
}

enum savepoint_status svp_replay_check(struct svp_replay *replay, struct svp_reader *reader, uint64_t commit_offset,
                                       const uint8_t history_uuid[16], uint64_t *pages_checked,
                                       struct svp_verify_pace *pace, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_buffer state = { 0 };
    enum savepoint_status status = svp_source_commit(reader->source, &commit, commit_offset, error);
    bool follows = status == SAVEPOINT_OK && replay->commit != 0 && commit.base == replay->commit &&
                   commit.regions == replay->regions_offset;
    if (status == SAVEPOINT_OK && !follows) {
        svp_replay_close(replay);
        status = svp_source_regions(reader->source, &replay->table, commit.regions, error);
        if (status == SAVEPOINT_OK && pages_of(&replay->table) > DENSE_PAGES_MAX) {
            svp_replay_close(replay);
            return svp_verify_snapshot(reader, commit_offset, history_uuid, pages_checked, pace, error);
        }
        status = status == SAVEPOINT_OK ? begin(replay, reader, commit_offset, pages_checked, pace, error) : status;
    } else if (status == SAVEPOINT_OK) {
        status = go_on(replay, reader, &commit, commit_offset, pages_checked, pace, error);
    }
    if (status == SAVEPOINT_OK) {
        state_of(replay, &state);
        status = svp_verify_identity(reader->source, &commit, &state, history_uuid, commit_offset, error);
    }
    svp_buffer_free(&state);
    if (status != SAVEPOINT_OK) {
        svp_replay_close(replay); /* the next one begins anew */
        return status;
    }
    replay->commit = commit_offset;
    replay->regions_offset = commit.regions;
    return SAVEPOINT_OK;
}
