/* reader.c - finding pages through the indexes */
#include "archive/reader.h"

#include <string.h>

#include "archive/pages_cache.h"
#include "format/memory.h"
#include "status.h"

void svp_reader_open(struct svp_reader *reader, const struct svp_source *source)
{
    memset(reader, 0, sizeof *reader);
    reader->source = source;
}

void svp_reader_forget(struct svp_reader *reader)
{
    for (size_t i = 0; i < SVP_READER_PAGES; i++) {
        if (reader->pages[i] != NULL) {
            svp_buffer_free(&reader->pages[i]->body);
            svp_memory_free(reader->pages[i]->unpacked);
            svp_memory_free(reader->pages[i]);
            reader->pages[i] = NULL;
        }
    }
    for (size_t i = 0; i < SVP_READER_INDEXES; i++) {
        svp_index_free(&reader->indexes[i].index);
        reader->indexes[i].commit = 0;
    }
}

void svp_reader_close(struct svp_reader *reader)
{
    svp_reader_forget(reader);
}

static enum savepoint_status load_index(struct svp_reader *reader, struct svp_index *index, uint64_t commit_offset,
                                        struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_record record;
    struct svp_buffer body = {0};
    enum savepoint_status status = svp_source_commit(reader->source, &commit, commit_offset, error);
    if (status == SAVEPOINT_OK) {
        status = svp_source_record(reader->source, &record, &body, commit.index, SVP_INDEX, error);
    }
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict =
            svp_index_read(index, body.bytes, body.count, commit.index, reader->source->unpacker);
        status = svp_source_verdict(reader->source, verdict, commit.index, "index", error);
    }
    svp_buffer_free(&body);
    return status;
}

/* The index of a commit, from the cache where possible; valid until the next call. */
static enum savepoint_status get_index(struct svp_reader *reader, const struct svp_index **index,
                                       uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_cached_index *oldest = &reader->indexes[0];
    for (size_t i = 0; i < SVP_READER_INDEXES; i++) {
        struct svp_cached_index *cached = &reader->indexes[i];
        if (cached->commit == commit_offset) {
            cached->used = ++reader->clock;
            *index = &cached->index;
            return SAVEPOINT_OK;
        }
        oldest = cached->used < oldest->used || cached->commit == 0 ? cached : oldest;
    }
    svp_index_free(&oldest->index);
    oldest->commit = 0;
    enum savepoint_status status = load_index(reader, &oldest->index, commit_offset, error);
    if (status == SAVEPOINT_OK) {
        oldest->commit = commit_offset;
        oldest->used = ++reader->clock;
        *index = &oldest->index;
    }
    return status;
}

static uint64_t find_in_map(const struct svp_index *index, uint32_t region_id, uint64_t page)
{
    uint32_t low = 0;
    uint32_t high = index->count;
    while (low < high) { /* the last entry that starts at or before the page */
        uint32_t middle = low + (high - low) / 2;
        const struct svp_index_entry *entry = &index->entries[middle];
        bool before = entry->region_id < region_id || (entry->region_id == region_id && entry->first_page <= page);
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    const struct svp_index_entry *entry = low > 0 ? &index->entries[low - 1] : NULL;
    bool inside = entry != NULL && entry->region_id == region_id && page - entry->first_page < entry->page_count;
    return inside ? entry->record_offset : 0;
}

static enum savepoint_status find_in_list(struct svp_reader *reader, uint64_t *record_offset,
                                          const struct svp_index *index, uint32_t region_id, uint64_t page,
                                          struct savepoint_error *error)
{
    for (uint32_t i = 0; i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        const struct svp_cached_pages *cached = NULL;
        if (entry->region_id != region_id || page < entry->first_page || page - entry->first_page >= entry->page_count) {
            continue;
        }
        enum savepoint_status status = svp_pages_cache_get(reader, &cached, entry->record_offset, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        if (cached->pages.region_id == region_id && svp_pages_find(&cached->pages, page) >= 0) {
            *record_offset = entry->record_offset;
            return SAVEPOINT_OK;
        }
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_reader_find(struct svp_reader *reader, uint64_t *record_offset, uint64_t commit_offset,
                                      uint32_t region_id, uint64_t page, struct savepoint_error *error)
{
    uint64_t found = 0;
    while (commit_offset != 0 && found == 0) {
        const struct svp_index *index = NULL;
        enum savepoint_status status = get_index(reader, &index, commit_offset, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        uint64_t below = index->below;
        if (below >= commit_offset) { /* svp_index_read compares with the index; the commit stands behind it */
            return svp_source_verdict(reader->source, SVP_BAD, commit_offset, "index", error);
        }
        if (index->kind == SVP_INDEX_MAP) {
            found = find_in_map(index, region_id, page);
        } else {
            status = find_in_list(reader, &found, index, region_id, page, error);
        }
        if (status != SAVEPOINT_OK) {
            return status;
        }
        commit_offset = below;
    }
    *record_offset = found;
    return SAVEPOINT_OK;
}

static struct svp_region_map *map_of(struct svp_region_map *maps, size_t map_count, uint32_t region_id)
{
    for (size_t i = 0; i < map_count; i++) {
        if (maps[i].region_id == region_id) {
            return &maps[i];
        }
    }
    return NULL;
}

static void fill_page(struct svp_region_map *map, uint64_t page, uint64_t record_offset)
{
    if (page < map->page_count && map->offsets[page] == 0) {
        map->offsets[page] = record_offset;
    }
}

/* A damaged record must not cost pages that do not depend on it: all pages that might be in it and have no newer
 * version point to it, so that whoever reads one of them meets the damage, and nobody else. */
static void fill_bounds(struct svp_region_map *map, const struct svp_index_entry *entry)
{
    for (uint64_t k = 0; k < entry->page_count && entry->first_page + k < map->page_count; k++) {
        fill_page(map, entry->first_page + k, entry->record_offset);
    }
}

static enum savepoint_status fill_from_list_entry(struct svp_reader *reader, struct svp_region_map *map,
                                                  const struct svp_index_entry *entry, struct savepoint_error *error)
{
    const struct svp_cached_pages *cached = NULL;
    uint64_t record_offset = entry->record_offset;
    enum savepoint_status status = svp_pages_cache_get(reader, &cached, record_offset, error);
    if (status == SAVEPOINT_CORRUPT || (status == SAVEPOINT_OK && cached->pages.region_id != map->region_id)) {
        fill_bounds(map, entry);
        return SAVEPOINT_OK;
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < cached->pages.count; i++) {
        fill_page(map, cached->pages.pages[i], record_offset);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status fill_from_index(struct svp_reader *reader, struct svp_region_map *maps, size_t map_count,
                                             const struct svp_index *index, struct savepoint_error *error)
{
    for (uint32_t i = 0; i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        struct svp_region_map *map = map_of(maps, map_count, entry->region_id);
        if (map == NULL) {
            continue;
        }
        if (index->kind == SVP_INDEX_LIST) {
            enum savepoint_status status = fill_from_list_entry(reader, map, entry, error);
            if (status != SAVEPOINT_OK) {
                return status;
            }
            continue;
        }
        fill_bounds(map, entry);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_reader_map(struct svp_reader *reader, struct svp_region_map *maps, size_t map_count,
                                     uint64_t commit_offset, struct savepoint_error *error)
{
    while (commit_offset != 0) {
        struct svp_index index = {0};
        enum savepoint_status status = load_index(reader, &index, commit_offset, error);
        if (status == SAVEPOINT_OK) {
            status = fill_from_index(reader, maps, map_count, &index, error);
        }
        if (status == SAVEPOINT_OK && index.below >= commit_offset) {
            status = svp_source_verdict(reader->source, SVP_BAD, commit_offset, "index", error);
        }
        commit_offset = index.below;
        svp_index_free(&index);
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    return SAVEPOINT_OK;
}
