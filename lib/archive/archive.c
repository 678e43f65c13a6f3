/* archive.c - the public archive reader: open, facts, walking, regions, reading bytes, metadata */
#include "archive/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"
#include "status.h"

enum { OPEN_TRIES = 10 };

static enum savepoint_status open_file(struct svp_source *source, const char *path, struct savepoint_error *error)
{
    struct svp_file file = SVP_FILE_NONE;
    int code = svp_file_open(&file, path, SVP_FILE_READ, NULL);
    if (code == EISDIR || code == EINVAL) {
        return svp_status_fail(error, SAVEPOINT_NOT_AN_ARCHIVE, "open", "%s: %s, not an archive file", path,
                               code == EISDIR ? "this is a directory" : "this is not a regular file");
    }
    if (code != 0) {
        return svp_status_os(error, code, "open", "%s: cannot open the archive", path);
    }
    return svp_source_open(source, file, path, error);
}

/* While a writer is at work the tail changes under the reader: what looks damaged is looked at again. */
static enum savepoint_status read_log(struct savepoint_archive *archive, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (int i = 0; i < OPEN_TRIES; i++) {
        bool writer_before = svp_file_is_locked(&archive->source.file);
        status = svp_log_open(&archive->log, &archive->source, error);
        archive->writer_active = svp_file_is_locked(&archive->source.file);
        bool calm = !writer_before && !archive->writer_active;
        bool good = status == SAVEPOINT_OK && archive->log.damage_offset == SVP_NO_OFFSET;
        if (calm || good || status == SAVEPOINT_NO_MEMORY) {
            break;
        }
    }
    return status;
}

static enum savepoint_status load(struct savepoint_archive *archive, struct savepoint_error *error)
{
    enum savepoint_status status = read_log(archive, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (archive->log.newborn) {
        return svp_status_fail(error, SAVEPOINT_NOT_AN_ARCHIVE, "open",
                               "%s: not an archive (empty or cut at birth): no snapshot was ever completed in it",
                               archive->source.path);
    }
    archive->source.limit = archive->log.committed_bytes;
    svp_reader_open(&archive->reader, &archive->source);
    return svp_catalog_open(&archive->catalog, &archive->source, archive->log.segment.alignment, &archive->log.end,
                            archive->log.has_end, archive->log.sealed_bytes, error);
}

enum savepoint_status
savepoint_archive_open(struct savepoint_archive **archive, const char *path, struct savepoint_error *error)
{
    if (archive == NULL || path == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open", "archive and path must not be NULL");
    }
    struct savepoint_archive *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", path);
    }
    opened->source.file = (struct svp_file)SVP_FILE_NONE;
    enum savepoint_status status = open_file(&opened->source, path, error);
    if (status == SAVEPOINT_OK) {
        status = load(opened, error);
    }
    if (status != SAVEPOINT_OK) {
        savepoint_archive_close(opened);
        return status;
    }
    *archive = opened;
    return SAVEPOINT_OK;
}

void savepoint_archive_close(struct savepoint_archive *archive)
{
    if (archive != NULL) {
        svp_page_map_close(&archive->sought.map);
        svp_regions_free(&archive->regions);
        svp_catalog_close(&archive->catalog);
        svp_reader_close(&archive->reader);
        svp_source_close(&archive->source);
        svp_memory_free(archive);
    }
}

void savepoint_archive_describe(const struct savepoint_archive *archive, struct savepoint_archive_info *info)
{
    const struct svp_log *log = &archive->log;
    bool met_at_open = log->damage_offset != SVP_NO_OFFSET;
    *info = (struct savepoint_archive_info){
        .file_bytes = log->file_bytes,
        .committed_bytes = log->committed_bytes,
        .sealed_bytes = log->sealed_bytes,
        .torn_bytes = log->torn_bytes,
        .damage_offset = met_at_open ? log->damage_offset : archive->catalog.damage_offset,
        .snapshot_count = log->end.snapshot_count,
        .format_version = log->segment.version,
        .writer_active = archive->writer_active ? 1 : 0,
        .host_page_bytes = log->segment.host_page_bytes,
    };
    memcpy(info->file_uuid, log->segment.file_uuid, sizeof info->file_uuid);
    memcpy(info->history_uuid, log->segment.history_uuid, sizeof info->history_uuid);
    memcpy(info->creator, log->segment.creator, sizeof info->creator);
    memcpy(info->abi, log->segment.abi, sizeof info->abi);
}

enum savepoint_status savepoint_archive_find(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                                             const char *expression, struct savepoint_error *error)
{
    if (archive == NULL || snapshot == NULL || expression == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "find", "archive, snapshot and expression must not be NULL");
    }
    return svp_catalog_find(&archive->catalog, snapshot, expression, error);
}

enum savepoint_status
savepoint_archive_find_time(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot, uint64_t time_ns,
                            struct savepoint_error *error)
{
    struct savepoint_snapshot found;
    enum savepoint_status status = svp_catalog_find(&archive->catalog, &found, "HEAD", error);
    while (status == SAVEPOINT_OK && found.time_ns > time_ns) {
        status = svp_catalog_parent(&archive->catalog, &found, found.file_offset, error);
    }
    if (status == SAVEPOINT_NOT_FOUND) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: no snapshot on the way to HEAD is that old",
                               archive->source.path);
    }
    if (status == SAVEPOINT_OK) {
        *snapshot = found;
    }
    return status;
}

enum savepoint_status savepoint_archive_newest(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                                               struct savepoint_error *error)
{
    return svp_catalog_newest(&archive->catalog, snapshot, error);
}

enum savepoint_status savepoint_archive_previous(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                                                 struct savepoint_error *error)
{
    return svp_catalog_previous(&archive->catalog, snapshot, snapshot->file_offset, error);
}

enum savepoint_status savepoint_archive_parent(struct savepoint_archive *archive, struct savepoint_snapshot *snapshot,
                                               struct savepoint_error *error)
{
    return svp_catalog_parent(&archive->catalog, snapshot, snapshot->file_offset, error);
}

enum savepoint_status savepoint_archive_ref_at(struct savepoint_archive *archive, struct savepoint_ref *ref,
                                               size_t index, struct savepoint_error *error)
{
    if (index >= archive->catalog.ref_count) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "there are %zu references",
                               archive->catalog.ref_count);
    }
    const struct svp_ref *found = &archive->catalog.refs[index];
    *ref = (struct savepoint_ref){ .kind = found->kind };
    memcpy(ref->target.bytes, found->target_id.bytes, sizeof ref->target.bytes);
    memcpy(ref->name, found->name, sizeof ref->name);
    return SAVEPOINT_OK;
}

/* The regions of a snapshot; the table is the archive's, until the next call. It is kept, for most snapshots have that
 * of the one before, and whoever asks for one region after the other would have it parsed for each. */
static enum savepoint_status regions_of(struct savepoint_archive *archive, const struct svp_region_table **table,
                                        const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_region_table read = { 0 };
    enum savepoint_status status = svp_source_commit(&archive->source, &commit, snapshot->file_offset, error);
    *table = &archive->regions;
    if (status != SAVEPOINT_OK || (archive->regions_offset != 0 && archive->regions_offset == commit.regions)) {
        return status;
    }
    status = svp_source_regions(&archive->source, &read, commit.regions, error);
    if (status == SAVEPOINT_OK) {
        svp_regions_free(&archive->regions);
        archive->regions = read;
        archive->regions_offset = commit.regions;
    }
    return status;
}

enum savepoint_status
savepoint_archive_region_at(struct savepoint_archive *archive, struct savepoint_region *region,
                            const struct savepoint_snapshot *snapshot, size_t index, struct savepoint_error *error)
{
    const struct svp_region_table *table = NULL;
    enum savepoint_status status = regions_of(archive, &table, snapshot, error);
    if (status == SAVEPOINT_OK && index >= table->count) {
        status = svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "the snapshot has %u regions", table->count);
    }
    if (status == SAVEPOINT_OK) {
        const struct svp_region_entry *entry = &table->entries[index];
        *region = (struct savepoint_region){
            .id = entry->id, .flags = entry->flags, .address = entry->address, .bytes = entry->bytes
        };
        for (uint32_t i = 0; i < entry->excluded_count; i++) {
            region->excluded_bytes += entry->excluded[i].page_count * SVP_PAGE_BYTES;
        }
        memcpy(region->name, entry->name, sizeof region->name);
    }
    return status;
}

/* Where all pages of the region are. Behind damage to an index nothing is known: for those pages it is to be met. */
static enum savepoint_status
map_region(struct savepoint_archive *archive, const struct svp_region_entry *entry, struct savepoint_error *error)
{
    struct savepoint_archive_sought *sought = &archive->sought;
    sought->mapped = svp_page_map_open(&sought->map, entry->id, entry->bytes / SVP_PAGE_BYTES);
    if (!sought->mapped) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory for a page table",
                               archive->source.path);
    }
    enum savepoint_status status = svp_reader_map(&archive->reader, &sought->map, 1, sought->commit, error);
    sought->whole = status == SAVEPOINT_OK;
    if (!sought->whole && status != SAVEPOINT_CORRUPT && status != SAVEPOINT_UNSUPPORTED) {
        svp_page_map_close(&sought->map);
        sought->mapped = false;
        return status;
    }
    return SAVEPOINT_OK;
}

/* Looking for one page takes a few steps, as indexes are written here. Where it takes so many that all the pages of the
 * region could have been looked up at once, they are: a file may be made such that each page is a long way off. */
static enum savepoint_status
find_page(struct savepoint_archive *archive, uint64_t *record, const struct svp_region_entry *entry,
          uint64_t commit_offset, uint64_t page, struct savepoint_error *error)
{
    enum { WORK_MAX = 1 << 16 };
    struct savepoint_archive_sought *sought = &archive->sought;
    if (sought->commit != commit_offset || sought->region_id != entry->id) {
        svp_page_map_close(&sought->map);
        *sought = (struct savepoint_archive_sought){ .commit = commit_offset,
                                                     .region_id = entry->id,
                                                     .work_before = archive->reader.work };
    }
    if (!sought->mapped && archive->reader.work - sought->work_before > WORK_MAX) {
        enum savepoint_status status = map_region(archive, entry, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    *record = sought->mapped ? svp_page_map_get(&sought->map, page) : 0;
    return *record != 0 || sought->whole
               ? SAVEPOINT_OK
               : svp_reader_find(&archive->reader, record, commit_offset, entry->id, page, error);
}

/* Reads the part of one page that falls into [offset, offset + bytes). */
static enum savepoint_status
read_page_part(struct savepoint_archive *archive, uint8_t *to, const struct svp_region_entry *entry,
               uint64_t commit_offset, uint64_t offset, size_t bytes, struct savepoint_error *error)
{
    uint8_t page[SVP_PAGE_BYTES];
    struct svp_page_origin origin;
    uint64_t page_index = offset / SVP_PAGE_BYTES;
    uint64_t record = 0;
    enum savepoint_status status = SAVEPOINT_OK;
    if (!svp_region_excludes(entry, page_index)) {
        status = find_page(archive, &record, entry, commit_offset, page_index, error);
    }
    if (status == SAVEPOINT_OK) {
        status = svp_reader_page(&archive->reader, page, &origin, record, entry->id, page_index, error);
    }
    if (status == SAVEPOINT_OK) {
        memcpy(to, page + offset % SVP_PAGE_BYTES, bytes);
    }
    return status;
}

enum savepoint_status
savepoint_archive_read(struct savepoint_archive *archive, void *buffer, const struct savepoint_snapshot *snapshot,
                       const char *region, uint64_t offset, size_t bytes, struct savepoint_error *error)
{
    const struct svp_region_table *table = NULL;
    if (archive == NULL || buffer == NULL || snapshot == NULL || region == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "read",
                               "archive, buffer, snapshot and region must not be NULL");
    }
    enum savepoint_status status = regions_of(archive, &table, snapshot, error);
    const struct svp_region_entry *entry = status == SAVEPOINT_OK ? svp_regions_find(table, region) : NULL;
    if (status == SAVEPOINT_OK && entry == NULL) {
        status = svp_status_fail(error, SAVEPOINT_NOT_FOUND, "read", "%s: the snapshot has no region '%.80s'",
                                 archive->source.path, region);
    }
    if (status == SAVEPOINT_OK && (offset > entry->bytes || bytes > entry->bytes - offset)) {
        status =
            svp_status_fail(error, SAVEPOINT_INVALID, "read", "region '%.80s' has %llu bytes: the range ends behind it",
                            region, (unsigned long long)entry->bytes);
    }
    uint8_t *to = buffer;
    while (status == SAVEPOINT_OK && bytes > 0) {
        size_t room = SVP_PAGE_BYTES - (size_t)(offset % SVP_PAGE_BYTES);
        size_t part = bytes < room ? bytes : room;
        status = read_page_part(archive, to, entry, snapshot->file_offset, offset, part, error);
        to += part;
        offset += part;
        bytes -= part;
    }
    return status;
}

/* The first value of a type among the TLVs of META; NULL when there is none. */
static const uint8_t *find_value(const struct svp_buffer *body, uint16_t type, size_t *value_bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body->bytes, body->count);
    while (svp_cursor_left(&cursor) > 0 && !cursor.bad) {
        uint16_t found = svp_cursor16(&cursor);
        svp_cursor16(&cursor);
        uint32_t bytes = svp_cursor32(&cursor);
        const uint8_t *value = svp_cursor_bytes(&cursor, bytes);
        svp_cursor_bytes(&cursor, (8 - bytes % 8) % 8);
        if (found == type && value != NULL) {
            *value_bytes = bytes;
            return value;
        }
    }
    return NULL;
}

enum savepoint_status
savepoint_archive_metadata(struct savepoint_archive *archive, void *buffer, size_t *value_bytes, size_t capacity,
                           const struct savepoint_snapshot *snapshot, uint16_t type, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_record record;
    struct svp_buffer body = { 0 };
    size_t found_bytes = 0;
    const uint8_t *value = NULL;
    enum savepoint_status status = svp_source_commit(&archive->source, &commit, snapshot->file_offset, error);
    if (status == SAVEPOINT_OK && commit.metadata != 0) {
        status = svp_source_record(&archive->source, &record, &body, commit.metadata, SVP_META, error);
        value = status == SAVEPOINT_OK ? find_value(&body, type, &found_bytes) : NULL;
    }
    if (status == SAVEPOINT_OK && value == NULL) {
        status = svp_status_fail(error, SAVEPOINT_NOT_FOUND, "read", "the snapshot has no metadata of type %u", type);
    }
    if (status == SAVEPOINT_OK && capacity > 0 && capacity < found_bytes) {
        status = svp_status_fail(error, SAVEPOINT_LIMIT, "read", "the value has %zu bytes, the buffer %zu", found_bytes,
                                 capacity);
    }
    if (status == SAVEPOINT_OK) {
        *value_bytes = found_bytes;
        if (capacity > 0) {
            memcpy(buffer, value, found_bytes);
        }
    }
    svp_buffer_free(&body);
    return status;
}
