/* reader.c - finding pages through the indexes */
#include "archive/reader.h"

#include <string.h>

#include "archive/pages_cache.h"
#include "archive/rebuild.h"
#include "format/memory.h"
#include "status.h"

void svp_reader_open(struct svp_reader *reader, const struct svp_source *source)
{
    memset(reader, 0, sizeof *reader);
    reader->source = source;
}

static uint64_t index_bytes(const struct svp_index *index)
{
    return (uint64_t)index->capacity * sizeof *index->entries;
}

static void drop_index(struct svp_reader *reader, struct svp_cached_index *cached)
{
    reader->index_bytes -= index_bytes(&cached->index);
    svp_index_free(&cached->index);
    cached->commit = 0;
    cached->used = 0;
}

void svp_reader_forget(struct svp_reader *reader)
{
    for (size_t i = 0; i < SVP_READER_PAGES; i++) {
        svp_pages_cache_drop(reader, i);
    }
    for (size_t i = 0; i < SVP_READER_INDEXES; i++) {
        drop_index(reader, &reader->indexes[i]);
    }
    svp_survey_close(&reader->survey);
}

void svp_reader_close(struct svp_reader *reader)
{
    svp_reader_forget(reader);
}

static enum savepoint_status read_index(struct svp_reader *reader, struct svp_index *index, struct svp_record *record,
                                        uint64_t offset, struct savepoint_error *error)
{
    struct svp_buffer body = { 0 };
    enum savepoint_status status = svp_source_record(reader->source, record, &body, offset, SVP_INDEX, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_index_read(index, body.bytes, body.count, offset, reader->source->unpacker);
        status = svp_source_verdict(reader->source, verdict, offset, "index", error);
    }
    svp_buffer_free(&body);
    return status;
}

/* The snapshots that rest on one with a damaged COMMIT need no more of it than its index, which stands before it. */
static enum savepoint_status
index_before(struct svp_reader *reader, struct svp_index *index, uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_record record;
    uint64_t offset = 0;
    enum savepoint_status status =
        svp_survey_before(&reader->survey, reader->source, &offset, SVP_INDEX, commit_offset, error);
    status = status == SAVEPOINT_OK ? read_index(reader, index, &record, offset, error) : status;
    if (status == SAVEPOINT_OK && offset + svp_record_bytes(&record) != commit_offset) {
        svp_index_free(index);
        status = svp_status_at(error, SAVEPOINT_CORRUPT, commit_offset, "read",
                               "%s: a snapshot's record and its index are damaged", reader->source->path);
    }
    return status;
}

static enum savepoint_status
load_index(struct svp_reader *reader, struct svp_index *index, uint64_t commit_offset, struct savepoint_error *error)
{
    enum { COMMIT_BYTES = 1024, BEFORE_BYTES = sizeof reader->source->window->bytes - COMMIT_BYTES };
    struct svp_commit commit;
    struct svp_record record;
    uint64_t before =
        commit_offset < BEFORE_BYTES ? commit_offset : BEFORE_BYTES; /* an index stands before its commit */
    svp_source_look(reader->source, commit_offset - before, (size_t)before + COMMIT_BYTES);
    enum savepoint_status status = svp_source_commit(reader->source, &commit, commit_offset, error);
    enum savepoint_status commit_status = status;
    status = status == SAVEPOINT_OK ? read_index(reader, index, &record, commit.index, error) : status;
    svp_source_look_away(reader->source);
    if (commit_status == SAVEPOINT_CORRUPT) {
        return index_before(reader, index, commit_offset, error);
    }
    return status == SAVEPOINT_CORRUPT ? svp_rebuild_index(reader, index, &commit, commit_offset, error) : status;
}

static struct svp_cached_index *oldest_index(struct svp_reader *reader)
{
    struct svp_cached_index *oldest = &reader->indexes[0];
    for (size_t i = 1; i < SVP_READER_INDEXES; i++) {
        oldest = reader->indexes[i].used < oldest->used ? &reader->indexes[i] : oldest;
    }
    return oldest;
}

/* The oldest that holds memory and is not `kept`; NULL: there is none. */
static struct svp_cached_index *oldest_large_index(struct svp_reader *reader, const struct svp_cached_index *kept)
{
    struct svp_cached_index *oldest = NULL;
    for (size_t i = 0; i < SVP_READER_INDEXES; i++) {
        struct svp_cached_index *cached = &reader->indexes[i];
        bool candidate = cached != kept && cached->index.capacity > 0;
        oldest = candidate && (oldest == NULL || cached->used < oldest->used) ? cached : oldest;
    }
    return oldest;
}

/* The index of a commit, from the cache where possible; valid until the next call. */
static enum savepoint_status get_index(struct svp_reader *reader, const struct svp_index **index,
                                       uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_cached_index *cached = NULL;
    for (size_t i = 0; cached == NULL && i < SVP_READER_INDEXES; i++) {
        cached = reader->indexes[i].commit == commit_offset ? &reader->indexes[i] : NULL;
    }
    if (cached == NULL) {
        cached = oldest_index(reader);
        drop_index(reader, cached);
        enum savepoint_status status = load_index(reader, &cached->index, commit_offset, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        cached->commit = commit_offset;
        reader->work += 64 + cached->index.count;
        reader->index_bytes += index_bytes(&cached->index);
    }
    cached->used = ++reader->clock;
    struct svp_cached_index *victim = NULL;
    while (reader->index_bytes > SVP_READER_INDEX_BYTES && (victim = oldest_large_index(reader, cached)) != NULL) {
        drop_index(reader, victim);
    }
    *index = &cached->index;
    return SAVEPOINT_OK;
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

static enum savepoint_status
find_in_list(struct svp_reader *reader, uint64_t *record_offset, const struct svp_index *index, uint32_t region_id,
             uint64_t page, struct savepoint_error *error)
{
    for (uint32_t i = 0; i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        const struct svp_cached_pages *cached = NULL;
        reader->work++;
        if (entry->region_id != region_id || page < entry->first_page ||
            page - entry->first_page >= entry->page_count) {
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

struct filling { /* of page maps, from one index after the other */
    struct svp_reader *reader;
    struct svp_page_map *maps;
    size_t map_count;
    uint64_t damaged_pages_left; /* that may yet be led to damage */
};

static struct svp_page_map *map_of(const struct filling *filling, uint32_t region_id)
{
    for (size_t i = 0; i < filling->map_count; i++) {
        if (filling->maps[i].region_id == region_id) {
            return &filling->maps[i];
        }
    }
    return NULL;
}

static bool fill_run(struct svp_page_map *map, const struct svp_index_entry *entry)
{
    bool enough = true;
    for (uint64_t k = 0; enough && k < entry->page_count && entry->first_page + k < map->pages; k++) {
        enough = svp_page_map_fill(map, entry->first_page + k, entry->record_offset);
    }
    return enough;
}

/* A damaged record must not cost pages that do not depend on it: all pages that might be in it and have no newer
 * version point to it, so that whoever reads one of them meets the damage, and nobody else. Bounds too wide for that,
 * taken together, are damage to all: a few bytes could claim all the memory there is. */
static enum savepoint_status
fill_damaged(struct filling *filling, struct svp_page_map *map, const struct svp_index_entry *entry, bool *enough,
             enum savepoint_status damage)
{
    if (entry->page_count > filling->damaged_pages_left) {
        return damage;
    }
    filling->damaged_pages_left -= entry->page_count;
    *enough = fill_run(map, entry);
    return SAVEPOINT_OK;
}

static enum savepoint_status
fill_from_list_entry(struct filling *filling, struct svp_page_map *map, const struct svp_index_entry *entry,
                     bool *enough, struct savepoint_error *error)
{
    const struct svp_cached_pages *cached = NULL;
    enum savepoint_status status = svp_pages_cache_get(filling->reader, &cached, entry->record_offset, error);
    if (status == SAVEPOINT_OK && cached->pages.region_id != map->region_id) {
        status = svp_source_verdict(filling->reader->source, SVP_BAD, entry->record_offset, "batch of pages", error);
    }
    if (status == SAVEPOINT_CORRUPT) {
        return fill_damaged(filling, map, entry, enough, status);
    }
    for (uint32_t i = 0; status == SAVEPOINT_OK && *enough && i < cached->pages.count; i++) {
        *enough = svp_page_map_fill(map, cached->pages.pages[i], entry->record_offset);
    }
    return status;
}

static enum savepoint_status
fill_from_index(struct filling *filling, const struct svp_index *index, struct savepoint_error *error)
{
    bool enough = true;
    enum savepoint_status status = SAVEPOINT_OK;
    struct svp_page_map *map = NULL;
    for (uint32_t i = 0; status == SAVEPOINT_OK && enough && i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        if (i == 0 || entry->region_id != index->entries[i - 1].region_id) { /* entries go by regions */
            map = map_of(filling, entry->region_id);
        }
        if (map == NULL) {
            continue;
        }
        if (index->kind == SVP_INDEX_LIST) {
            status = fill_from_list_entry(filling, map, entry, &enough, error);
        } else {
            enough = fill_run(map, entry);
        }
    }
    if (status == SAVEPOINT_OK && !enough) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory for a page table",
                                 filling->reader->source->path);
    }
    return status;
}

enum savepoint_status svp_reader_map(struct svp_reader *reader, struct svp_page_map *maps, size_t map_count,
                                     uint64_t commit_offset, struct savepoint_error *error)
{
    return svp_reader_map_above(reader, maps, map_count, commit_offset, 0, error);
}

enum savepoint_status svp_reader_map_above(struct svp_reader *reader, struct svp_page_map *maps, size_t map_count,
                                           uint64_t commit_offset, uint64_t base_offset, struct savepoint_error *error)
{
    struct filling filling = { reader, maps, map_count, UINT64_C(1) << 23 };
    while (commit_offset > base_offset) {
        struct svp_index index = { 0 };
        enum savepoint_status status = load_index(reader, &index, commit_offset, error);
        if (status == SAVEPOINT_OK) {
            status = fill_from_index(&filling, &index, error);
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
