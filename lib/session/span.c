/* span.c - the INDEX a commit writes: its own records, or a map over a span of the base chain (SPEC.md section 4.5)
 *
 * At depths divisible by 4^k a map spans the last 4^k commits, so that finding a page takes O(log n) records; all
 * commits, where that takes not much more room: then it takes no more than about ten records, whatever n is. */
#include "session/span.h"

#include <stdlib.h>

#include "format/bytes.h"
#include "status.h"

enum { SPAN_RADIX = 4, WHOLE_LEVEL_MIN = 3, WHOLE_COST_MAX = 2 };

/* The largest k with 4^k dividing depth, as far as levels go. */
static unsigned level_of(uint32_t depth)
{
    unsigned level = 0;
    while (depth % SPAN_RADIX == 0 && level + 1 < SVP_LEVELS) {
        depth /= SPAN_RADIX;
        level++;
    }
    return level;
}

static bool add_region_to_map(struct svp_index *map, const struct svp_region *region, uint32_t above_depth)
{
    bool enough = true;
    for (uint64_t page = 0; enough && page < region->pages; page++) {
        const struct svp_page_state *state = &region->states[page];
        if (state->record_offset != 0 && state->changed_depth > above_depth) {
            enough = svp_index_add(map, &(struct svp_index_entry){ region->id, page, 1, state->record_offset });
        }
    }
    return enough;
}

static int order_by_id(const void *left, const void *right)
{
    uint32_t a = (*(struct svp_region *const *)left)->id;
    uint32_t b = (*(struct svp_region *const *)right)->id;
    return (a > b) - (a < b);
}

/* Whether a map over all commits has not many more entries than one over those above a depth: runs of pages that stand
 * in one record. */
static bool whole_pays(struct svp_region **regions, size_t region_count, uint32_t above_depth)
{
    uint64_t whole = 0, span = 0;
    for (size_t i = 0; i < region_count; i++) {
        uint64_t before = 0;
        for (uint64_t page = 0; page < regions[i]->pages; page++) {
            const struct svp_page_state *state = &regions[i]->states[page];
            bool begins = state->record_offset != 0 && state->record_offset != before;
            whole += begins;
            span += begins && state->changed_depth > above_depth;
            before = state->record_offset;
        }
    }
    return whole <= span * WHOLE_COST_MAX;
}

/* Writes a map over the last 4^level commits or more (and orders the regions by id for it); false when that was not
 * possible (no memory, too many entries): a list serves as well. */
static bool write_map(struct savepoint *session, struct svp_region **regions, size_t region_count, unsigned level,
                      struct svp_buffer *body)
{
    uint32_t span = 1;
    for (unsigned i = 0; i < level; i++) {
        span *= SPAN_RADIX;
    }
    uint32_t above_depth = session->encoder.depth - span;
    /* Where the span begins is not known behind a map of all commits, or behind damage: svp_span_find. */
    if (session->history.levels[level] == 0 ||
        (level >= WHOLE_LEVEL_MIN && whole_pays(regions, region_count, above_depth))) {
        above_depth = 0;
    }
    struct svp_index map = { .kind = SVP_INDEX_MAP };
    map.below = above_depth == 0 ? 0 : session->history.levels[level];
    bool enough = true;
    if (region_count > 1) {
        qsort(regions, region_count, sizeof(struct svp_region *), order_by_id);
    }
    for (size_t i = 0; enough && i < region_count; i++) {
        enough = add_region_to_map(&map, regions[i], above_depth);
    }
    bool written = enough && svp_index_write(body, &map, svp_append_offset(&session->append), session->encoder.packer);
    svp_index_free(&map);
    return written && !body->failed;
}

/* A map tells exactly where pages are; a list makes readers look into each of its records. It pays where it is no
 * larger than a list, and where walking the regions is little beside storing the pages. */
static bool map_pays(const struct svp_encoder *encoder, struct svp_region **regions, size_t region_count)
{
    enum { PAGES_WALKED_PER_STORED = 64 };
    uint64_t pages = 0;
    for (size_t i = 0; i < region_count; i++) {
        pages += regions[i]->pages;
    }
    return encoder->runs <= 2 * (uint64_t)encoder->index.count &&
           pages <= encoder->pages_stored * PAGES_WALKED_PER_STORED;
}

enum savepoint_status svp_span_write(struct savepoint *session, struct svp_region **regions, size_t region_count,
                                     uint64_t *index_offset, struct savepoint_error *error)
{
    struct svp_append *append = &session->append;
    struct svp_index *list = &session->encoder.index;
    unsigned level = level_of(session->encoder.depth);
    svp_buffer_clear(&append->body);
    bool map = level > 0 || map_pays(&session->encoder, regions, region_count);
    if (!map || !write_map(session, regions, region_count, level, &append->body)) {
        svp_buffer_clear(&append->body);
        list->below = session->history.parent;
        svp_index_sort(list);
        if (!svp_index_write(&append->body, list, svp_append_offset(append), session->encoder.packer)) {
            return svp_status_fail(error, SAVEPOINT_LIMIT, "write", "%s: too many batches in one snapshot",
                                   append->source.path);
        }
    }
    return svp_append_record(append, SVP_INDEX, index_offset, error);
}

void svp_span_advance(struct svp_history *history, uint64_t commit_offset, uint32_t depth)
{
    for (unsigned level = 0; level <= level_of(depth); level++) {
        history->levels[level] = commit_offset;
    }
}

/* The newest commits of the base chain at depths divisible by 4^k. The walk goes by the indexes, whose spans begin and
 * end at such depths, so it meets all of them in O(log n) steps; those behind a map of all commits are not needed. */
enum savepoint_status svp_span_find(const struct svp_source *source, struct svp_history *history,
                                    uint64_t commit_offset, struct savepoint_error *error)
{
    unsigned found = 0;
    while (commit_offset != 0 && found < SVP_LEVELS) {
        struct svp_commit commit;
        struct svp_record record;
        struct svp_buffer body = { 0 };
        enum savepoint_status status = svp_source_commit(source, &commit, commit_offset, error);
        bool commit_read = status == SAVEPOINT_OK;
        if (commit_read) {
            status = svp_source_record(source, &record, &body, commit.index, SVP_INDEX, error);
        }
        uint64_t below = status == SAVEPOINT_OK && body.count >= 8 ? svp_load64(body.bytes) : commit.base;
        svp_buffer_free(&body);
        if (status == SAVEPOINT_CORRUPT && commit_read) { /* a damaged index is only a cache: one step at a time then */
            status = SAVEPOINT_OK;
        }
        if (status == SAVEPOINT_CORRUPT &&
            found > 0) { /* a base is damaged: maps of all commits until there are new levels */
            return SAVEPOINT_OK;
        }
        if (status == SAVEPOINT_OK && below >= commit_offset) {
            status = svp_source_verdict(source, SVP_BAD, commit.index, "index", error);
        }
        if (status != SAVEPOINT_OK) {
            return status;
        }
        for (; found <= level_of(commit.depth); found++) {
            history->levels[found] = commit_offset;
        }
        commit_offset = below;
    }
    return SAVEPOINT_OK;
}
