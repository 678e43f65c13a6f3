/* copy.c - pages of one archive's snapshots, written to another file or a stream */
#include "archive/copy.h"

#include "format/memory.h"
#include "status.h"

bool svp_copy_open(struct svp_copy *copy, struct svp_reader *reader, const struct svp_sink *sink,
                   struct svp_reader *written, struct svp_verify_pace *pace)
{
    *copy = (struct svp_copy){ .reader = reader, .written = written, .pace = pace };
    return svp_recode_open(&copy->recode, sink);
}

void svp_copy_close(struct svp_copy *copy)
{
    svp_recode_close(&copy->recode);
    svp_regions_free(&copy->table);
}

static enum savepoint_status fail_memory(const struct svp_copy *copy, struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "copy", "%s: no memory for a page table",
                           copy->reader->source->path);
}

/* ---- page tables of a snapshot */

static void close_maps(struct svp_page_map *maps, uint32_t count)
{
    for (uint32_t i = 0; maps != NULL && i < count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
}

/* The maps of a table's regions, filled with what was stored after `base_offset`; to be closed. */
static enum savepoint_status open_maps(struct svp_copy *copy, struct svp_reader *reader, struct svp_page_map **maps,
                                       const struct svp_region_table *table, uint64_t commit_offset,
                                       uint64_t base_offset, struct savepoint_error *error)
{
    struct svp_page_map *opened = svp_memory_zalloc(table->count, sizeof *opened);
    bool enough = opened != NULL;
    for (uint32_t i = 0; enough && i < table->count; i++) {
        enough = svp_page_map_open(&opened[i], table->entries[i].id, table->entries[i].bytes / SVP_PAGE_BYTES);
    }
    enum savepoint_status status =
        enough ? svp_reader_map_above(reader, opened, table->count, commit_offset, base_offset, error)
               : fail_memory(copy, error);
    if (status != SAVEPOINT_OK) {
        close_maps(opened, table->count);
        return status;
    }
    *maps = opened;
    return SAVEPOINT_OK;
}

static enum savepoint_status
read_table(struct svp_copy *copy, struct svp_region_table *table, uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    enum savepoint_status status = svp_source_commit(copy->reader->source, &commit, commit_offset, error);
    return status == SAVEPOINT_OK ? svp_source_regions(copy->reader->source, table, commit.regions, error) : status;
}

/* ---- standing at a snapshot */

static bool adopt_region(struct svp_copy *copy, const struct svp_page_map *source, const struct svp_page_map *target,
                         uint32_t depth)
{
    uint64_t page = svp_page_map_next(source, 0);
    for (; page != UINT64_MAX; page = svp_page_map_next(source, page + 1)) {
        struct svp_place *place = svp_places_add(&copy->recode.places, source->region_id, source->pages, page);
        if (place == NULL) {
            return false;
        }
        *place = (struct svp_place){ .source = svp_page_map_get(source, page),
                                     .target = target != NULL ? svp_page_map_get(target, page) : SVP_COPY_OUTSIDE,
                                     .depth = depth,
                                     .chain_known = target == NULL,
                                     .key_bytes = SVP_PAGE_BYTES };
    }
    return true;
}

enum savepoint_status svp_copy_stand_at(struct svp_copy *copy, uint64_t commit_offset, uint64_t written_offset,
                                        uint32_t depth, struct savepoint_error *error)
{
    struct svp_page_map *source = NULL;
    struct svp_page_map *target = NULL;
    enum savepoint_status status = SAVEPOINT_OK;
    svp_places_close(&copy->recode.places);
    svp_regions_free(&copy->table);
    copy->table = (struct svp_region_table){ 0 };
    copy->at = 0;
    if (commit_offset == 0) {
        return SAVEPOINT_OK;
    }
    status = read_table(copy, &copy->table, commit_offset, error);
    if (status == SAVEPOINT_OK) {
        status = open_maps(copy, copy->reader, &source, &copy->table, commit_offset, 0, error);
    }
    if (status == SAVEPOINT_OK && copy->written != NULL) {
        status = open_maps(copy, copy->written, &target, &copy->table, written_offset, 0, error);
    }
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < copy->table.count; i++) {
        bool enough = adopt_region(copy, &source[i], target != NULL ? &target[i] : NULL, depth);
        status = enough ? SAVEPOINT_OK : fail_memory(copy, error);
    }
    close_maps(source, copy->table.count);
    close_maps(target, copy->table.count);
    copy->at = status == SAVEPOINT_OK ? commit_offset : 0;
    return status;
}

/* ---- going on to the next one */

/* What the page was, into `before`; *usable: it can be a base. */
static enum savepoint_status read_before(struct svp_copy *copy, uint8_t *before, bool *usable, struct svp_place *place,
                                         uint32_t region_id, uint64_t page, struct savepoint_error *error)
{
    struct svp_page_origin origin;
    const struct svp_region_entry *entry = svp_regions_find_id(&copy->table, region_id);
    *usable = place != NULL && place->target != 0 && entry != NULL && !svp_region_excludes(entry, page);
    if (!*usable) {
        return SAVEPOINT_OK;
    }
    if (place->chain_known) {
        return svp_reader_page(copy->reader, before, &origin, place->source, region_id, page, error);
    }
    enum savepoint_status status =
        svp_reader_page(copy->written, before, &origin, place->target, region_id, page, error);
    place->links = origin.links;
    place->delta_bytes = origin.delta_bytes;
    place->key_bytes = origin.key_bytes;
    place->chain_known = status == SAVEPOINT_OK;
    return status;
}

static enum savepoint_status copy_page(struct svp_copy *copy, const struct svp_region_entry *entry, uint64_t page,
                                       uint64_t record, struct savepoint_error *error)
{
    uint8_t bytes[SVP_PAGE_BYTES];
    uint8_t before[SVP_PAGE_BYTES];
    struct svp_page_origin origin;
    bool usable = false;
    struct svp_place *place = svp_places_get(&copy->recode.places, entry->id, page);
    if (place != NULL && place->source == record) {
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = read_before(copy, before, &usable, place, entry->id, page, error);
    status =
        status == SAVEPOINT_OK ? svp_reader_page(copy->reader, bytes, &origin, record, entry->id, page, error) : status;
    if (status == SAVEPOINT_OK) {
        const struct svp_recode_page wanted = {
            .region_id = entry->id,
            .region_pages = entry->bytes / SVP_PAGE_BYTES,
            .page = page,
            .source = record,
            .bytes = bytes,
            .hash = &origin.hash,
            .before = usable ? before : NULL,
        };
        status = svp_recode_page(&copy->recode, &wanted, error);
    }
    return status == SAVEPOINT_OK ? svp_verify_step(copy->pace, SVP_PAGE_BYTES, error) : status;
}

static enum savepoint_status copy_region(struct svp_copy *copy, const struct svp_region_entry *entry,
                                         const struct svp_page_map *map, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t page = svp_page_map_next(map, 0);
    for (; status == SAVEPOINT_OK && page != UINT64_MAX; page = svp_page_map_next(map, page + 1)) {
        if (!svp_region_excludes(entry, page)) {
            status = copy_page(copy, entry, page, svp_page_map_get(map, page), error);
        }
    }
    return status;
}

enum savepoint_status
svp_copy_pages(struct svp_copy *copy, uint64_t commit_offset, uint32_t depth, struct savepoint_error *error)
{
    struct svp_region_table table = { 0 };
    struct svp_page_map *maps = NULL;
    svp_recode_begin(&copy->recode, depth);
    enum savepoint_status status = read_table(copy, &table, commit_offset, error);
    status =
        status == SAVEPOINT_OK ? open_maps(copy, copy->reader, &maps, &table, commit_offset, copy->at, error) : status;
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table.count; i++) {
        status = copy_region(copy, &table.entries[i], &maps[i], error);
    }
    status = status == SAVEPOINT_OK ? svp_recode_finish(&copy->recode, error) : status;
    close_maps(maps, table.count);
    svp_regions_free(&copy->table);
    copy->table = table;
    copy->at = status == SAVEPOINT_OK ? commit_offset : 0;
    return status;
}

enum savepoint_status svp_copy_record(struct svp_copy *copy, enum svp_record_type type, uint64_t from, uint64_t *offset,
                                      struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_sink *sink = &copy->recode.sink;
    enum savepoint_status status = svp_source_record(copy->reader->source, &record, sink->body, from, type, error);
    return status == SAVEPOINT_OK ? sink->record(sink->to, type, offset, error) : status;
}
