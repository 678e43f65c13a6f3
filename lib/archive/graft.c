/* graft.c - snapshots from elsewhere, appended to an archive as a branch */
#include "archive/graft.h"

#include <string.h>

#include "format/memory.h"
#include "format/tree.h"
#include "status.h"

static enum savepoint_status fail_memory(const struct svp_graft *graft, struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "promote", "%s: no memory for a page table",
                           graft->append->source.path);
}

static enum savepoint_status
append_record(void *to, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    return svp_append_record(to, type, offset, error);
}

static uint64_t append_offset(const void *to)
{
    return svp_append_offset(to);
}

/* ---- standing at a snapshot */

/* The next snapshot rests on none. */
static void rest_on_none(struct svp_graft *graft)
{
    svp_places_close(&graft->recode.places);
    svp_regions_free(&graft->table);
    graft->table = (struct svp_region_table){ 0 };
    graft->base = graft->regions = 0;
    graft->depth = 0;
    memset(graft->recode.levels, 0, sizeof graft->recode.levels);
}

/* What the index needs to know of the base chain. */
static enum savepoint_status find_levels(struct svp_graft *graft, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t at = graft->base; status == SAVEPOINT_OK && at != 0;) {
        struct svp_commit commit;
        status = svp_source_commit(&graft->append->source, &commit, at, error);
        if (status == SAVEPOINT_OK) {
            svp_recode_meet(&graft->recode, at, commit.depth);
            at = commit.base;
        }
    }
    return status;
}

static bool adopt_pages(struct svp_graft *graft, const struct svp_page_map *map)
{
    uint64_t page = svp_page_map_next(map, 0);
    for (; page != UINT64_MAX; page = svp_page_map_next(map, page + 1)) {
        struct svp_place *place = svp_places_add(&graft->recode.places, map->region_id, map->pages, page);
        if (place == NULL) {
            return false;
        }
        *place = (struct svp_place){ .target = svp_page_map_get(map, page), .depth = graft->depth };
    }
    return true;
}

static enum savepoint_status find_places(struct svp_graft *graft, struct savepoint_error *error)
{
    const struct svp_region_table *table = &graft->table;
    struct svp_page_map *maps = svp_memory_zalloc(table->count, sizeof *maps);
    bool enough = maps != NULL;
    for (uint32_t i = 0; enough && i < table->count; i++) {
        enough = svp_page_map_open(&maps[i], table->entries[i].id, table->entries[i].bytes / SVP_PAGE_BYTES);
    }
    enum savepoint_status status =
        enough ? svp_reader_map(&graft->reader, maps, table->count, graft->base, error) : fail_memory(graft, error);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        status = adopt_pages(graft, &maps[i]) ? SAVEPOINT_OK : fail_memory(graft, error);
    }
    for (uint32_t i = 0; maps != NULL && i < table->count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
    return status;
}

static enum savepoint_status stand_at(struct svp_graft *graft, uint64_t parent, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_commit commit;
    struct svp_buffer body = { 0 };
    const struct svp_source *source = &graft->append->source;
    enum savepoint_status status = svp_source_commit(source, &commit, parent, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    graft->parent = parent;
    graft->parent_id = commit.id;
    status = svp_source_record(source, &record, &body, commit.regions, SVP_REGIONS, error);
    if (status == SAVEPOINT_OK) {
        graft->regions_hash = svp_digest128(0, body.bytes, record.body_bytes);
        status = svp_source_regions(source, &graft->table, commit.regions, error);
    }
    svp_buffer_free(&body);
    if (status == SAVEPOINT_OK) {
        graft->base = parent;
        graft->depth = commit.depth;
        graft->regions = commit.regions;
        status = find_levels(graft, error);
    }
    return status == SAVEPOINT_OK ? find_places(graft, error) : status;
}

static enum savepoint_status find_next_id(struct svp_graft *graft, struct savepoint_error *error)
{
    struct svp_region_table table = { 0 };
    const uint64_t newest = graft->append->tail.end.newest_regions;
    enum savepoint_status status =
        newest != 0 ? svp_source_regions(&graft->append->source, &table, newest, error) : SAVEPOINT_OK;
    graft->next_id = newest != 0 ? table.next_id : 1;
    svp_regions_free(&table);
    return status;
}

enum savepoint_status
svp_graft_open(struct svp_graft *graft, struct svp_append *append, uint64_t parent, struct savepoint_error *error)
{
    const struct svp_sink sink = { append, &append->body, append_record, append_offset };
    const struct svp_end *end = &append->tail.end;
    *graft = (struct svp_graft){ .append = append };
    graft->was_empty = end->newest_commit == 0 && end->newest_tombstone == 0;
    svp_reader_open(&graft->reader, &append->source);
    if (!svp_recode_open(&graft->recode, &sink)) {
        return fail_memory(graft, error);
    }
    enum savepoint_status status = find_next_id(graft, error);
    if (status == SAVEPOINT_OK && parent != 0) {
        status = stand_at(graft, parent, error);
        if (status == SAVEPOINT_CORRUPT) {
            rest_on_none(graft);
            status = SAVEPOINT_OK;
        }
    }
    return status;
}

void svp_graft_close(struct svp_graft *graft)
{
    svp_reader_close(&graft->reader);
    svp_recode_close(&graft->recode);
    svp_regions_free(&graft->table);
}

/* ---- regions */

const struct svp_region_entry *svp_graft_before(const struct svp_graft *graft, const struct svp_region_entry *entry)
{
    return svp_regions_find(&graft->table, entry->name);
}

/* Along a base chain no region shrinks (SPEC.md section 4.2). */
static bool shrinks(const struct svp_graft *graft, const struct svp_region_table *table)
{
    bool found = false;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct svp_region_entry *before = svp_graft_before(graft, &table->entries[i]);
        found = found || (before != NULL && before->bytes > table->entries[i].bytes);
    }
    return found;
}

static void number_regions(struct svp_graft *graft, struct svp_region_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct svp_region_entry *before = svp_graft_before(graft, &table->entries[i]);
        table->entries[i].id = before != NULL ? before->id : graft->next_id++;
    }
    table->next_id = graft->next_id;
}

/* Where the table differs from the one in force. */
static enum savepoint_status
write_regions(struct svp_graft *graft, const struct svp_region_table *table, struct savepoint_error *error)
{
    struct svp_append *append = graft->append;
    svp_buffer_clear(&append->body);
    svp_regions_write(&append->body, table);
    const struct svp_hash hash = svp_digest128(0, append->body.bytes, append->body.count);
    bool same = graft->regions != 0 && memcmp(&hash, &graft->regions_hash, sizeof hash) == 0;
    graft->regions_hash = hash;
    return same && !append->body.failed ? SAVEPOINT_OK : svp_append_record(append, SVP_REGIONS, &graft->regions, error);
}

static enum savepoint_status
write_metadata(struct svp_graft *graft, const struct svp_buffer *metadata, struct savepoint_error *error)
{
    struct svp_append *append = graft->append;
    graft->metadata = 0;
    graft->metadata_hash = svp_digest128(0, metadata->bytes, metadata->count);
    if (metadata->count == 0) {
        return SAVEPOINT_OK;
    }
    svp_buffer_clear(&append->body);
    svp_buffer_add(&append->body, metadata->bytes, metadata->count);
    return svp_append_record(append, SVP_META, &graft->metadata, error);
}

enum savepoint_status svp_graft_begin(struct svp_graft *graft, struct svp_region_table *table,
                                      const struct svp_buffer *metadata, struct savepoint_error *error)
{
    if (shrinks(graft, table)) {
        rest_on_none(graft);
    }
    number_regions(graft, table);
    svp_recode_begin(&graft->recode, graft->depth + 1);
    enum savepoint_status status = svp_append_begin(graft->append, error);
    status = status == SAVEPOINT_OK ? write_regions(graft, table, error) : status;
    return status == SAVEPOINT_OK ? write_metadata(graft, metadata, error) : status;
}

/* ---- pages */

/* What the page was, into `before`; *usable: it can be a base. Damaged, it cannot. */
static enum savepoint_status
read_before(struct svp_graft *graft, uint8_t *before, bool *usable, struct svp_place *place, uint32_t region_id,
            uint64_t page, struct savepoint_error *error)
{
    struct svp_page_origin origin;
    enum savepoint_status status =
        svp_reader_page(&graft->reader, before, &origin, place->target, region_id, page, error);
    *usable = status == SAVEPOINT_OK;
    if (*usable) {
        place->links = origin.links;
        place->delta_bytes = origin.delta_bytes;
        place->key_bytes = origin.key_bytes;
        place->chain_known = true;
    }
    return status == SAVEPOINT_CORRUPT ? SAVEPOINT_OK : status;
}

enum savepoint_status svp_graft_page(struct svp_graft *graft, const struct svp_region_entry *entry, uint64_t page,
                                     const uint8_t *bytes, const struct svp_hash *hash, struct savepoint_error *error)
{
    uint8_t before[SVP_PAGE_BYTES];
    bool usable = false;
    const struct svp_hash zero = svp_tree_zero_page();
    const struct svp_region_entry *old = svp_regions_find_id(&graft->table, entry->id);
    const bool returns = old != NULL && svp_region_excludes(old, page); /* such a page is stored, and whole */
    struct svp_place *place = svp_places_get(&graft->recode.places, entry->id, page);
    enum savepoint_status status = SAVEPOINT_OK;
    if (place == NULL && !returns && memcmp(hash, &zero, sizeof zero) == 0) {
        return SAVEPOINT_OK;
    }
    if (place != NULL && place->target != 0 && !returns) {
        status = read_before(graft, before, &usable, place, entry->id, page, error);
    }
    const struct svp_recode_page wanted = {
        .region_id = entry->id,
        .region_pages = entry->bytes / SVP_PAGE_BYTES,
        .page = page,
        .bytes = bytes,
        .hash = hash,
        .before = usable ? before : NULL,
    };
    return status == SAVEPOINT_OK ? svp_recode_page(&graft->recode, &wanted, error) : status;
}

/* ---- the commit */

static void place_commit(struct svp_graft *graft, struct svp_commit *commit, const struct svp_region_table *table)
{
    static const struct svp_hash none;
    const struct svp_append *append = graft->append;
    const struct svp_recode *recode = &graft->recode;
    commit->parent = graft->parent;
    commit->parent_id = graft->parent != 0 ? graft->parent_id : none;
    commit->base = graft->base;
    commit->base_id = graft->base != 0 ? graft->parent_id : none;
    commit->previous = append->tail.end.newest_commit;
    commit->regions = graft->regions;
    commit->metadata = graft->metadata;
    commit->metadata_hash = graft->metadata_hash;
    commit->sequence = append->tail.end.highest_sequence + 1;
    commit->transaction_start = append->tail.committed_bytes;
    commit->pages_stored = recode->pages_stored;
    commit->delta_bytes = recode->delta_bytes;
    commit->key_bytes = recode->key_bytes;
    commit->flags |= graft->was_empty ? 0 : (uint32_t)SVP_COMMIT_NO_HEAD;
    commit->depth = recode->depth;
    commit->region_count = table->count;
    commit->region_pages = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        commit->region_pages += table->entries[i].bytes / SVP_PAGE_BYTES;
    }
    commit->id = svp_commit_identity(commit, append->segment.history_uuid);
}

/* The next snapshot goes on from this one. */
static void
advance(struct svp_graft *graft, const struct svp_commit *commit, uint64_t offset, struct svp_region_table *table)
{
    svp_recode_advance(&graft->recode, offset);
    svp_regions_free(&graft->table);
    graft->table = *table;
    *table = (struct svp_region_table){ 0 };
    graft->parent = graft->base = offset;
    graft->parent_id = commit->id;
    graft->depth = commit->depth;
}

enum savepoint_status svp_graft_finish(struct svp_graft *graft, struct svp_commit *commit, uint64_t *offset,
                                       struct svp_region_table *table, bool sync, struct savepoint_error *error)
{
    struct svp_append *append = graft->append;
    struct svp_end end = append->tail.end;
    enum savepoint_status status = svp_recode_finish(&graft->recode, error);
    status =
        status == SAVEPOINT_OK ? svp_recode_index(&graft->recode, &commit->index, graft->base, true, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    place_commit(graft, commit, table);
    svp_buffer_clear(&append->body);
    svp_commit_write(&append->body, commit);
    status = svp_append_record(append, SVP_COMMIT, offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    end.newest_commit = *offset;
    end.head = graft->was_empty ? *offset : end.head;
    end.newest_regions = commit->regions > end.newest_regions ? commit->regions : end.newest_regions;
    end.highest_sequence = commit->sequence;
    end.snapshot_count++;
    status = svp_append_finish(append, &end, sync, error);
    if (status == SAVEPOINT_OK) {
        advance(graft, commit, *offset, table);
    }
    return status;
}
