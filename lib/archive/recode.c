/* recode.c - snapshots that exist already, written anew */
#include "archive/recode.h"

#include <string.h>

#include "format/memory.h"
#include "status.h"

enum { BATCH_PAGES = 256, BATCH_BYTES = 64 * SVP_PAGE_BYTES }; /* as a session writes them */
enum { SPAN_RADIX = 4, COMPRESSION = 1 };

bool svp_recode_open(struct svp_recode *recode, const struct svp_sink *sink)
{
    *recode = (struct svp_recode){ .sink = *sink, .packer = svp_packer_open(COMPRESSION) };
    bool enough = recode->packer != NULL;
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        recode->batches[i] = svp_memory_zalloc(1, sizeof *recode->batches[i]);
        enough = enough && recode->batches[i] != NULL;
    }
    return enough;
}

void svp_recode_close(struct svp_recode *recode)
{
    svp_packer_close(recode->packer);
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        if (recode->batches[i] != NULL) {
            svp_batch_free(recode->batches[i]);
            svp_memory_free(recode->batches[i]);
        }
    }
    svp_index_free(&recode->list);
    svp_places_close(&recode->places);
    *recode = (struct svp_recode){ 0 };
}

static enum savepoint_status fail_memory(struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "encode", "no memory to encode pages");
}

void svp_recode_begin(struct svp_recode *recode, uint32_t depth)
{
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        svp_batch_clear(recode->batches[i]);
    }
    recode->depth = depth;
    recode->region_id = 0;
    recode->list.count = 0;
    recode->list.kind = SVP_INDEX_LIST;
    recode->runs = recode->pages_stored = recode->delta_bytes = recode->key_bytes = 0;
}

/* ---- pages */

/* The pages of a batch now stand in the record at `offset`. */
static void note_pages(struct svp_recode *recode, const struct svp_batch *batch, const struct svp_coder *coder,
                       struct svp_batch_sizes sizes, uint64_t offset)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct svp_place *place = svp_places_get(&recode->places, recode->region_id, batch->pages[i]);
        place->target = offset;
        place->depth = recode->depth;
        place->chain_known = true;
        if (coder->has_base) {
            place->links++; /* its delta_bytes were counted when it was added */
        } else {
            place->links = 0;
            place->delta_bytes = 0;
            place->key_bytes = sizes.stored_bytes / batch->count;
        }
        recode->runs += i == 0 || batch->pages[i] != batch->pages[i - 1] + 1;
    }
    recode->pages_stored += batch->count;
    *(coder->has_base ? &recode->delta_bytes : &recode->key_bytes) += sizes.stored_bytes;
}

static enum savepoint_status flush_batch(struct svp_recode *recode, struct svp_batch *batch,
                                         const struct svp_coder *coder, struct savepoint_error *error)
{
    if (batch->count == 0) {
        return SAVEPOINT_OK;
    }
    uint64_t offset = recode->sink.offset(recode->sink.to);
    svp_buffer_clear(recode->sink.body);
    struct svp_batch_sizes sizes =
        svp_batch_write(recode->sink.body, batch, coder, recode->region_id, offset, recode->packer);
    const struct svp_index_entry entry = {
        .region_id = recode->region_id,
        .first_page = batch->pages[0],
        .page_count = batch->pages[batch->count - 1] - batch->pages[0] + 1,
        .record_offset = offset,
    };
    enum savepoint_status status = recode->sink.record(recode->sink.to, SVP_PAGES, &offset, error);
    if (status == SAVEPOINT_OK && !svp_index_add(&recode->list, &entry)) {
        status = fail_memory(error);
    }
    if (status == SAVEPOINT_OK) {
        note_pages(recode, batch, coder, sizes, offset);
    }
    svp_batch_clear(batch);
    return status;
}

enum savepoint_status svp_recode_finish(struct svp_recode *recode, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < SVP_CODER_COUNT; i++) {
        status = flush_batch(recode, recode->batches[i], svp_coder_find((uint16_t)i), error);
    }
    return status;
}

/* The same bounds as those of a session (SPEC.md section 5). */
static const struct svp_coder *choose(struct svp_place *place, const struct svp_changes *changes, bool has_before)
{
    bool base_usable = has_before && place->target != 0 && place->links < SVP_CHAIN_LINKS_WRITTEN;
    uint32_t budget = place->key_bytes > place->delta_bytes ? place->key_bytes - place->delta_bytes : 0;
    const struct svp_coder *coder = svp_coder_choose(changes, base_usable, budget);
    if (coder->has_base) {
        place->delta_bytes += coder->estimate(changes, true);
    }
    return coder;
}

enum savepoint_status
svp_recode_page(struct svp_recode *recode, const struct svp_recode_page *page, struct savepoint_error *error)
{
    static const uint8_t zeros[SVP_PAGE_BYTES];
    struct svp_changes changes;
    enum savepoint_status status = SAVEPOINT_OK;
    if (recode->region_id != page->region_id) {
        status = svp_recode_finish(recode, error);
        recode->region_id = page->region_id;
    }
    struct svp_place *place = svp_places_add(&recode->places, page->region_id, page->region_pages, page->page);
    if (status != SAVEPOINT_OK || place == NULL) {
        return status != SAVEPOINT_OK ? status : fail_memory(error);
    }
    const uint8_t *before = page->before != NULL ? page->before : zeros;
    svp_compare(&changes, before, page->bytes);
    place->source = page->source;
    if (changes.same && page->before != NULL) {
        return SAVEPOINT_OK;
    }
    const struct svp_coder *coder = choose(place, &changes, page->before != NULL);
    struct svp_batch *batch = recode->batches[coder->id];
    uint64_t target = place->target;
    if (batch->count > 0 && batch->pages[batch->count - 1] >= page->page) {
        status = flush_batch(recode, batch, coder, error); /* pages of a batch ascend */
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_batch_add(batch, coder, page->page, target, page->hash, page->bytes, before, &changes);
    bool full = batch->count == BATCH_PAGES || batch->lists.count + batch->bytes.count >= BATCH_BYTES;
    return full ? flush_batch(recode, batch, coder, error) : SAVEPOINT_OK;
}

/* ---- the index */

/* The largest k with 4^k dividing depth, as far as levels go. */
static unsigned level_of(uint32_t depth)
{
    unsigned level = 0;
    while (depth % SPAN_RADIX == 0 && level + 1 < SVP_RECODE_LEVELS) {
        depth /= SPAN_RADIX;
        level++;
    }
    return level;
}

void svp_recode_advance(struct svp_recode *recode, uint64_t commit_offset)
{
    for (unsigned level = 0; level <= level_of(recode->depth); level++) {
        recode->levels[level] = commit_offset;
    }
}

void svp_recode_meet(struct svp_recode *recode, uint64_t commit_offset, uint32_t depth)
{
    for (unsigned level = 0; level <= level_of(depth); level++) {
        recode->levels[level] = recode->levels[level] != 0 ? recode->levels[level] : commit_offset;
    }
}

/* Adds all pages that snapshots above a depth stored; false: no memory. */
static bool fill_map(const struct svp_recode *recode, struct svp_index *map, uint32_t above_depth)
{
    bool enough = true;
    for (size_t i = 0; enough && i < recode->places.region_count; i++) {
        const struct svp_places_region *region = &recode->places.regions[i];
        uint64_t page = svp_page_map_next(&region->map, 0);
        for (; enough && page != UINT64_MAX; page = svp_page_map_next(&region->map, page + 1)) {
            const struct svp_place *place = &recode->places.pool[svp_page_map_get(&region->map, page) - 1];
            if (place->target != 0 && place->depth > above_depth) {
                enough = svp_index_add(map, &(struct svp_index_entry){ region->id, page, 1, place->target });
            }
        }
    }
    return enough;
}

/* Writes a map over the last 4^level commits to the body; false when that was not possible: a list serves as well. */
static bool write_map(struct svp_recode *recode, unsigned level)
{
    uint32_t span = 1;
    for (unsigned i = 0; i < level; i++) {
        span *= SPAN_RADIX;
    }
    uint32_t above_depth = recode->depth - span;
    if (above_depth != 0 && recode->levels[level] == 0) {
        return false; /* the commit where the span begins was not met */
    }
    struct svp_index map = { .kind = SVP_INDEX_MAP, .below = above_depth == 0 ? 0 : recode->levels[level] };
    uint64_t offset = recode->sink.offset(recode->sink.to);
    bool written = fill_map(recode, &map, above_depth) &&
                   svp_index_write(recode->sink.body, &map, offset, recode->packer) && !recode->sink.body->failed;
    svp_index_free(&map);
    return written;
}

/* A map tells exactly where pages are; a list makes readers look into each of its records. It pays where it is no
 * larger than a list, and where walking all places is little beside storing the pages. */
static bool map_pays(const struct svp_recode *recode)
{
    enum { PLACES_WALKED_PER_STORED = 64 };
    return recode->runs <= 2 * (uint64_t)recode->list.count &&
           recode->places.count <= recode->pages_stored * PLACES_WALKED_PER_STORED;
}

enum savepoint_status
svp_recode_index(struct svp_recode *recode, uint64_t *offset, uint64_t base, bool maps, struct savepoint_error *error)
{
    unsigned level = level_of(recode->depth);
    svp_buffer_clear(recode->sink.body);
    if (!maps || (level == 0 && !map_pays(recode)) || !write_map(recode, level)) {
        svp_buffer_clear(recode->sink.body);
        recode->list.below = base;
        svp_index_sort(&recode->list);
        if (!svp_index_write(recode->sink.body, &recode->list, recode->sink.offset(recode->sink.to), recode->packer)) {
            return svp_status_fail(error, SAVEPOINT_LIMIT, "write", "too many batches in one snapshot");
        }
    }
    return recode->sink.record(recode->sink.to, SVP_INDEX, offset, error);
}
