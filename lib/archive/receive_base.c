/* receive_base.c - the beginning of a stream, what the archive holds already, and standing at one of its snapshots */
#include <string.h>

#include "archive/receive.h"
#include "format/bytes.h"
#include "format/coder.h"
#include "format/memory.h"
#include "status.h"

static enum savepoint_status fail_memory(const struct svp_receive *receive)
{
    return svp_status_fail(receive->error, SAVEPOINT_NO_MEMORY, "receive", "no memory for a page table");
}

/* ---- what is here */

static enum savepoint_status load_known(struct svp_receive *receive)
{
    const struct svp_source *source = &receive->append.source;
    struct svp_buffer body = { 0 };
    struct svp_buffer gone = { 0 }; /* struct svp_tombstone */
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t at = receive->append.tail.end.newest_tombstone; status == SAVEPOINT_OK && at != 0;) {
        struct svp_record record;
        struct svp_tombstone tombstone = { 0 };
        status = svp_source_record(source, &record, &body, at, SVP_TOMBSTONE, receive->error);
        if (status == SAVEPOINT_OK) {
            enum svp_verdict verdict = svp_tombstone_read(&tombstone, body.bytes, body.count);
            status = svp_source_verdict(source, tombstone.previous < at ? verdict : SVP_BAD, at, "tombstone",
                                        receive->error);
        }
        at = tombstone.previous;
        if (status == SAVEPOINT_OK && tombstone.commit == 0) {
            svp_buffer_add(&gone, &tombstone, sizeof tombstone);
        }
    }
    const struct svp_tombstone *first = (const struct svp_tombstone *)(const void *)gone.bytes;
    if (status == SAVEPOINT_OK && (gone.failed || !svp_receive_know(receive, first, gone.count / sizeof *first))) {
        status = fail_memory(receive);
    }
    svp_buffer_free(&body);
    svp_buffer_free(&gone);
    return status;
}

static enum savepoint_status load_next_id(struct svp_receive *receive)
{
    struct svp_region_table table = { 0 };
    uint64_t newest = receive->append.tail.end.newest_regions;
    enum savepoint_status status =
        newest != 0 ? svp_source_regions(&receive->append.source, &table, newest, receive->error) : SAVEPOINT_OK;
    receive->next_id = table.next_id;
    svp_regions_free(&table);
    return status;
}

static enum savepoint_status load(struct svp_receive *receive)
{
    struct svp_append *append = &receive->append;
    struct svp_catalog catalog;
    enum savepoint_status status =
        svp_catalog_open(&catalog, &append->source, append->segment.alignment, &append->tail.end, append->tail.has_end,
                         append->tail.durable_bytes, receive->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = svp_lineage_open(&receive->here, &catalog, receive->error);
    svp_catalog_close(&catalog);
    status = status == SAVEPOINT_OK ? load_known(receive) : status;
    return status == SAVEPOINT_OK ? load_next_id(receive) : status;
}

enum savepoint_status svp_receive_check_clash(struct svp_receive *receive)
{
    const struct svp_commit *commit = &receive->commit;
    if (receive->regions != receive->base.regions && receive->table.next_id < receive->next_id) {
        return svp_status_fail(receive->error, SAVEPOINT_MISMATCH, "receive",
                               "the archive has regions that are newer than this stream: receive it into a new one");
    }
    enum svp_receive_place place = svp_receive_where(receive, commit->sequence);
    if (place == SVP_RECEIVE_GONE) {
        return svp_status_fail(receive->error, SAVEPOINT_MISMATCH, "receive",
                               "snapshot %llu of the stream was dropped here and its bytes are gone: send --since "
                               "the newest one that is here",
                               (unsigned long long)commit->sequence);
    }
    if (place == SVP_RECEIVE_HERE) {
        return svp_status_fail(receive->error, SAVEPOINT_MISMATCH, "receive",
                               "snapshot %llu of the stream is another one than that here: a program went on with "
                               "this archive; receive into a new one",
                               (unsigned long long)commit->sequence);
    }
    return SAVEPOINT_OK;
}

/* ---- standing at a snapshot */

/* What the index needs to know of the base chain. */
static enum savepoint_status find_levels(struct svp_receive *receive, uint64_t commit_offset)
{
    struct svp_recode *recode = &receive->recode;
    enum savepoint_status status = SAVEPOINT_OK;
    memset(recode->levels, 0, sizeof recode->levels);
    for (uint64_t at = commit_offset; status == SAVEPOINT_OK && at != 0;) {
        struct svp_commit commit;
        status = svp_source_commit(&receive->append.source, &commit, at, receive->error);
        if (status == SAVEPOINT_OK) {
            svp_recode_meet(recode, at, commit.depth);
            at = commit.base;
        }
    }
    return status;
}

static enum savepoint_status set_base(struct svp_receive *receive, const struct svp_line *line)
{
    struct svp_receive_base *base = &receive->base;
    struct svp_record record;
    struct svp_commit commit;
    const struct svp_source *source = &receive->append.source;
    enum savepoint_status status = svp_source_commit(source, &commit, line->offset, receive->error);
    if (status == SAVEPOINT_OK) {
        status = svp_source_record(source, &record, &base->regions_body, commit.regions, SVP_REGIONS, receive->error);
    }
    if (status == SAVEPOINT_OK) {
        svp_regions_free(&base->table);
        status = svp_source_regions(source, &base->table, commit.regions, receive->error);
    }
    bool follows =
        status == SAVEPOINT_OK && base->commit != 0 && commit.base == base->commit && commit.depth == base->depth + 1;
    base->commit = line->offset;
    base->id = line->id;
    base->depth = commit.depth;
    base->regions = commit.regions;
    if (follows) { /* as most do: the way to the root need not be gone for each */
        receive->recode.depth = commit.depth;
        svp_recode_advance(&receive->recode, line->offset);
        return SAVEPOINT_OK;
    }
    return status == SAVEPOINT_OK ? find_levels(receive, line->offset) : status;
}

/* Pages outside of the stream; their hashes are part of every state root to come. */
static enum savepoint_status
adopt_region(struct svp_receive *receive, const struct svp_region_entry *entry, const struct svp_page_map *map)
{
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t page = svp_page_map_next(map, 0);
    for (; status == SAVEPOINT_OK && page != UINT64_MAX; page = svp_page_map_next(map, page + 1)) {
        uint8_t bytes[SVP_PAGE_BYTES];
        struct svp_page_origin origin = { 0 };
        struct svp_place *place = svp_places_add(&receive->recode.places, entry->id, map->pages, page);
        if (place == NULL) {
            return fail_memory(receive);
        }
        bool wanted = !svp_region_excludes(entry, page);
        uint64_t record = svp_page_map_get(map, page);
        if (wanted) {
            status = svp_reader_page(&receive->reader, bytes, &origin, record, entry->id, page, receive->error);
        }
        *place = (struct svp_place){ .source = SVP_COPY_OUTSIDE,
                                     .target = record,
                                     .depth = receive->base.depth,
                                     .chain_known = wanted,
                                     .links = origin.links,
                                     .delta_bytes = origin.delta_bytes,
                                     .key_bytes = origin.key_bytes,
                                     .hash = origin.hash };
    }
    return status;
}

enum savepoint_status svp_receive_stand_at(struct svp_receive *receive, const struct svp_line *line)
{
    enum savepoint_status status = set_base(receive, line);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const struct svp_region_table *table = &receive->base.table;
    struct svp_page_map *maps = svp_memory_zalloc(table->count, sizeof *maps);
    bool enough = maps != NULL;
    for (uint32_t i = 0; enough && i < table->count; i++) {
        enough = svp_page_map_open(&maps[i], table->entries[i].id, table->entries[i].bytes / SVP_PAGE_BYTES);
    }
    status = enough ? svp_reader_map(&receive->reader, maps, table->count, line->offset, receive->error)
                    : fail_memory(receive);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        status = adopt_region(receive, &table->entries[i], &maps[i]);
    }
    for (uint32_t i = 0; maps != NULL && i < table->count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
    return status;
}

enum savepoint_status svp_receive_move_to(struct svp_receive *receive, const struct svp_line *line)
{
    enum savepoint_status status = set_base(receive, line);
    const struct svp_buffer *theirs = &receive->stream_body;
    const struct svp_buffer *ours = &receive->base.regions_body;
    if (status == SAVEPOINT_OK &&
        (theirs->count != ours->count || memcmp(theirs->bytes, ours->bytes, ours->count) != 0)) {
        return svp_status_fail(receive->error, SAVEPOINT_MISMATCH, "receive",
                               "the stream numbers regions otherwise than this archive: receive it into a new one");
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < receive->touched.count; i += sizeof(struct svp_receive_touch)) {
        struct svp_receive_touch touch;
        uint64_t record = 0;
        memcpy(&touch, receive->touched.bytes + i, sizeof touch);
        uint32_t region_id = (uint32_t)touch.region_id;
        status = svp_reader_find(&receive->reader, &record, line->offset, region_id, touch.page, receive->error);
        struct svp_place *place = svp_places_get(&receive->recode.places, region_id, touch.page);
        place->target = record;
        place->depth = receive->base.depth;
        place->chain_known = false;
    }
    return status;
}

/* ---- the beginning of the stream, and the archive */

enum savepoint_status svp_receive_segment(struct svp_receive *receive)
{
    const struct svp_inflow *inflow = &receive->inflow;
    struct svp_segment *segment = &receive->segment;
    if (inflow->record.type != SVP_SEGMENT) {
        return svp_status_fail(receive->error, SAVEPOINT_NOT_AN_ARCHIVE, "receive", "this is no stream");
    }
    enum svp_verdict verdict = svp_segment_read(segment, inflow->body, (size_t)inflow->record.body_bytes);
    uint64_t unknown = segment->incompatible & ~svp_coder_features();
    if (verdict == SVP_UNSUPPORTED && (segment->version != 0 || unknown != SVP_FEATURE_CONTINUES)) {
        return svp_status_fail(receive->error, SAVEPOINT_UNSUPPORTED, "receive",
                               "the stream needs %.60s: update the tool or library", segment->missing);
    }
    if (verdict == SVP_BAD || segment->page_bytes != SVP_PAGE_BYTES) {
        return svp_inflow_broken(inflow, "its header breaks the format", receive->error);
    }
    if (segment->alignment != SVP_STREAM_ALIGNMENT) {
        return svp_status_fail(receive->error, SAVEPOINT_NOT_AN_ARCHIVE, "receive",
                               "this is an archive file, no stream: copy it, or use 'savepoint send'");
    }
    return SAVEPOINT_OK;
}

static bool continues(const struct svp_receive *receive)
{
    return (receive->segment.incompatible & SVP_FEATURE_CONTINUES) != 0;
}

enum savepoint_status svp_receive_open(struct svp_receive *receive, const char *path)
{
    struct svp_repair repair;
    struct svp_append *append = &receive->append;
    enum savepoint_status status = svp_append_open(append, &repair, path, SVP_APPEND_CREATE, receive->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_reader_open(&receive->reader, &append->source);
    receive->was_empty = append->tail.end.newest_commit == 0 && append->tail.end.newest_tombstone == 0;
    if (!append->tail.has_end) {
        memcpy(append->segment.history_uuid, receive->segment.history_uuid, sizeof append->segment.history_uuid);
    } else if (memcmp(append->segment.history_uuid, receive->segment.history_uuid,
                      sizeof append->segment.history_uuid) != 0) {
        return svp_status_fail(receive->error, SAVEPOINT_MISMATCH, "receive",
                               "the stream holds another history than this archive: receive it into another file");
    }
    return load(receive);
}

enum savepoint_status svp_receive_start(struct svp_receive *receive)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    struct savepoint_id id;
    if (!continues(receive)) {
        return SAVEPOINT_OK;
    }
    const struct svp_line *line = svp_receive_find(receive, &receive->segment.continues);
    if (line == NULL) {
        memcpy(id.bytes, receive->segment.continues.bytes, sizeof id.bytes);
        savepoint_id_format(&id, text);
        return svp_status_fail(receive->error, SAVEPOINT_NOT_FOUND, "receive",
                               "the stream goes on from snapshot %s, which is not here: send without --since, or since "
                               "one that is",
                               text);
    }
    return svp_receive_stand_at(receive, line);
}
