/* source.c - verified records out of an archive file */
#include "archive/source.h"

#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"
#include "status.h"

enum savepoint_status
svp_source_open(struct svp_source *source, struct svp_file file, const char *path, struct savepoint_error *error)
{
    size_t path_bytes = strlen(path) + 1;
    *source = (struct svp_source){ .file = file, .limit = UINT64_MAX };
    source->path = svp_memory_alloc(path_bytes);
    source->unpacker = svp_unpacker_open();
    source->window = svp_memory_zalloc(1, sizeof *source->window);
    if (source->path == NULL || source->unpacker == NULL || source->window == NULL) {
        svp_source_close(source);
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory to open the archive", path);
    }
    memcpy(source->path, path, path_bytes);
    return SAVEPOINT_OK;
}

void svp_source_close(struct svp_source *source)
{
    svp_file_close(&source->file);
    svp_memory_free(source->path);
    svp_unpacker_close(source->unpacker);
    svp_memory_free(source->window);
    *source = (struct svp_source){ .file = SVP_FILE_NONE };
}

enum savepoint_status
svp_source_share(struct svp_source *shared, const struct svp_source *source, struct savepoint_error *error)
{
    *shared = *source;
    shared->unpacker = svp_unpacker_open();
    shared->window = svp_memory_zalloc(1, sizeof *shared->window);
    return shared->unpacker != NULL && shared->window != NULL
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to read", source->path);
}

void svp_source_unshare(struct svp_source *shared)
{
    svp_unpacker_close(shared->unpacker);
    svp_memory_free(shared->window);
}

void svp_source_look(const struct svp_source *source, uint64_t offset, size_t bytes)
{
    struct svp_source_window *window = source->window;
    bytes = bytes < sizeof window->bytes ? bytes : sizeof window->bytes;
    bytes = bytes < source->limit - offset ? bytes : (size_t)(source->limit - offset);
    window->offset = offset;
    window->count = 0;
    if (offset < source->limit && svp_file_read(&source->file, window->bytes, bytes, offset, &window->count) != 0) {
        window->count = 0; /* who asks for the bytes themselves learns why */
    }
}

void svp_source_look_away(const struct svp_source *source)
{
    source->window->count = 0;
}

static bool in_window(const struct svp_source_window *window, uint64_t offset, size_t bytes)
{
    return window->count > 0 && offset >= window->offset && offset - window->offset <= window->count &&
           bytes <= window->count - (size_t)(offset - window->offset);
}

enum savepoint_status svp_source_bytes(const struct svp_source *source, void *to, size_t bytes, uint64_t offset,
                                       struct savepoint_error *error)
{
    size_t done = 0;
    if (offset > source->limit || bytes > source->limit - offset) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read",
                             "%s: a record points behind the end of the archive", source->path);
    }
    if (in_window(source->window, offset, bytes)) {
        memcpy(to, source->window->bytes + (offset - source->window->offset), bytes);
        return SAVEPOINT_OK;
    }
    int code = svp_file_read(&source->file, to, bytes, offset, &done);
    if (code != 0) {
        svp_status_os(error, code, "read", "%s: cannot read", source->path);
        if (error != NULL) {
            error->file_offset = offset;
        }
        return SAVEPOINT_IO;
    }
    if (done < bytes) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: the file ends inside a record",
                             source->path);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status check_header(const struct svp_source *source, struct svp_record *record,
                                          const uint8_t *header, uint64_t offset, struct savepoint_error *error)
{
    enum svp_verdict verdict = svp_record_read(record, header, offset);
    if (verdict != SVP_GOOD || (source->salt_known && record->salt != source->salt)) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: no valid record here: bytes have changed",
                             source->path);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_source_header(const struct svp_source *source, struct svp_record *record, uint64_t offset,
                                        struct savepoint_error *error)
{
    uint8_t header[SVP_HEADER_BYTES];
    enum savepoint_status status = svp_source_bytes(source, header, sizeof header, offset, error);
    return status == SAVEPOINT_OK ? check_header(source, record, header, offset, error) : status;
}

static enum savepoint_status
read_record(const struct svp_source *source, struct svp_record *record, struct svp_buffer *body, uint64_t offset,
            unsigned type, struct savepoint_error *error)
{
    enum savepoint_status status = svp_source_header(source, record, offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (type != 0 && record->type != type) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: a record of type %u where type %u belongs",
                             source->path, record->type, type);
    }
    size_t padded = (size_t)svp_round_up(record->body_bytes, 8);
    svp_buffer_clear(body);
    uint8_t *to = svp_buffer_reserve(body, padded);
    if (to == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory for a record of %zu bytes",
                               source->path, padded);
    }
    status = svp_source_bytes(source, to, padded, offset + SVP_HEADER_BYTES, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (!svp_record_body_good(record, to)) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: a record's bytes have changed",
                             source->path);
    }
    body->count = (size_t)record->body_bytes;
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_source_record(const struct svp_source *source, struct svp_record *record, struct svp_buffer *body, uint64_t offset,
                  unsigned type, struct savepoint_error *error)
{
    enum { SMALL_BYTES = 384, LARGE_BYTES = 24 << 10 }; /* most of them have less */
    const bool large = type == SVP_PAGES || type == SVP_INDEX || type == SVP_REGIONS;
    const bool known = in_window(source->window, offset, SVP_HEADER_BYTES);
    if (!known) {
        svp_source_look(source, offset, large ? LARGE_BYTES : SMALL_BYTES);
    }
    enum savepoint_status status = read_record(source, record, body, offset, type, error);
    if (!known) {
        svp_source_look_away(source);
    }
    return status;
}

enum savepoint_status svp_source_verdict(const struct svp_source *source, enum svp_verdict verdict, uint64_t offset,
                                         const char *what, struct savepoint_error *error)
{
    switch (verdict) {
    case SVP_GOOD:
        return SAVEPOINT_OK;
    case SVP_UNSUPPORTED:
        return svp_status_at(error, SAVEPOINT_UNSUPPORTED, offset, "read",
                             "%s: this %s needs a newer savepoint: update the tool or library", source->path, what);
    case SVP_EXHAUSTED:
        return svp_status_at(error, SAVEPOINT_NO_MEMORY, offset, "read", "%s: no memory for this %s", source->path,
                             what);
    case SVP_BAD:
    default:
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: this %s breaks the format", source->path,
                             what);
    }
}

enum savepoint_status svp_source_commit(const struct svp_source *source, struct svp_commit *commit, uint64_t offset,
                                        struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    enum savepoint_status status = svp_source_record(source, &record, &body, offset, SVP_COMMIT, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_commit_read(commit, body.bytes, body.count);
        /* Every pointer leads back: no walk over commits can loop. */
        if (verdict == SVP_GOOD && (commit->base >= offset || commit->parent >= offset || commit->previous >= offset ||
                                    commit->regions >= offset || commit->index >= offset ||
                                    commit->metadata >= offset || commit->transaction_start > offset)) {
            verdict = SVP_BAD;
        }
        status = svp_source_verdict(source, verdict, offset, "snapshot record", error);
    }
    svp_buffer_free(&body);
    return status;
}

enum savepoint_status svp_source_regions(const struct svp_source *source, struct svp_region_table *table,
                                         uint64_t offset, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_buffer body = { 0 };
    enum savepoint_status status = svp_source_record(source, &record, &body, offset, SVP_REGIONS, error);
    if (status == SAVEPOINT_OK) {
        status = svp_source_verdict(source, svp_regions_read(table, body.bytes, body.count), offset, "table of regions",
                                    error);
    }
    svp_buffer_free(&body);
    return status;
}
