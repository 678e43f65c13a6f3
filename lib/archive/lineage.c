/* lineage.c - all snapshots of an archive in file order: who rests on whom, and which are to be kept */
#include "archive/lineage.h"

#include "format/memory.h"
#include "status.h"

static bool add(struct svp_lineage *lineage, const struct svp_line *line)
{
    if (lineage->count == lineage->capacity) {
        size_t capacity = lineage->capacity > 0 ? 2 * lineage->capacity : 256;
        struct svp_line *grown = svp_memory_resize(lineage->lines, capacity, sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        lineage->lines = grown;
        lineage->capacity = capacity;
    }
    lineage->lines[lineage->count++] = *line;
    return true;
}

static void reverse(struct svp_lineage *lineage)
{
    for (size_t i = 0; i < lineage->count / 2; i++) {
        struct svp_line held = lineage->lines[i];
        lineage->lines[i] = lineage->lines[lineage->count - 1 - i];
        lineage->lines[lineage->count - 1 - i] = held;
    }
}

/* The snapshot at *offset, which becomes that of the next one. */
static enum savepoint_status add_at(struct svp_lineage *lineage, const struct svp_catalog *catalog, uint64_t *offset,
                                    bool chain, struct savepoint_error *error)
{
    struct svp_commit commit;
    uint64_t at = *offset;
    enum savepoint_status status = svp_source_commit(catalog->source, &commit, at, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    bool dropped = svp_catalog_is_dropped(catalog, at);
    const struct svp_line line = {
        .id = commit.id,
        .parent_id = commit.parent_id,
        .offset = at,
        .base = commit.base,
        .parent = commit.parent,
        .sequence = commit.sequence,
        .time_ns = commit.time_ns,
        .pages_stored = commit.pages_stored,
        .dropped = dropped,
        .bound = at == catalog->end.head || svp_catalog_is_named(catalog, at),
        .kept = !dropped,
        .regions = commit.regions,
    };
    *offset = chain ? commit.base : commit.previous;
    return add(lineage, &line)
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory", catalog->source->path);
}

static enum savepoint_status load(struct svp_lineage *lineage, const struct svp_catalog *catalog, uint64_t from,
                                  bool chain, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    *lineage = (struct svp_lineage){ 0 };
    for (uint64_t at = from; status == SAVEPOINT_OK && at != 0;) {
        status = add_at(lineage, catalog, &at, chain, error);
    }
    if (status != SAVEPOINT_OK) {
        svp_lineage_close(lineage);
        return status;
    }
    reverse(lineage);
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_lineage_open(struct svp_lineage *lineage, const struct svp_catalog *catalog, struct savepoint_error *error)
{
    if (catalog->chain_damaged) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, catalog->damage_offset, "read",
                             "%s: a reference or a tombstone is damaged: what must be kept is not known",
                             catalog->source->path);
    }
    return load(lineage, catalog, catalog->end.newest_commit, false, error);
}

enum savepoint_status svp_lineage_open_chain(struct svp_lineage *lineage, const struct svp_catalog *catalog,
                                             uint64_t commit_offset, struct savepoint_error *error)
{
    return load(lineage, catalog, commit_offset, true, error);
}

void svp_lineage_close(struct svp_lineage *lineage)
{
    svp_memory_free(lineage->lines);
    *lineage = (struct svp_lineage){ 0 };
}

struct svp_line *svp_lineage_at(const struct svp_lineage *lineage, uint64_t offset)
{
    size_t low = 0;
    for (size_t high = lineage->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        low = lineage->lines[middle].offset < offset ? middle + 1 : low;
        high = lineage->lines[middle].offset < offset ? high : middle;
    }
    bool found = low < lineage->count && lineage->lines[low].offset == offset;
    return found ? &lineage->lines[low] : NULL;
}

/* Where both ways lead back in the file, as svp_source_commit saw to, what a line leads to is settled before it is. */
void svp_lineage_settle(struct svp_lineage *lineage)
{
    for (size_t i = 0; i < lineage->count; i++) {
        struct svp_line *line = &lineage->lines[i];
        struct svp_line *base = svp_lineage_at(lineage, line->base);
        struct svp_line *parent = svp_lineage_at(lineage, line->parent);
        line->kept_base = base == NULL || base->kept ? base : base->kept_base;
        line->kept_parent = parent == NULL || parent->kept ? parent : parent->kept_parent;
    }
}
