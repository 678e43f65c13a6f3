/* rebuild.c - an index made anew from the records it should have named */
#include "archive/rebuild.h"

#include "archive/pages_cache.h"
#include "archive/scan.h"
#include "status.h"

static enum savepoint_status
add_batch(struct svp_reader *reader, struct svp_index *index, uint64_t offset, struct savepoint_error *error)
{
    const struct svp_cached_pages *cached = NULL;
    enum savepoint_status status = svp_pages_cache_get(reader, &cached, offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const struct svp_pages *pages = &cached->pages;
    const struct svp_index_entry entry = {
        .region_id = pages->region_id,
        .first_page = pages->pages[0],
        .page_count = pages->pages[pages->count - 1] - pages->pages[0] + 1,
        .record_offset = offset,
    };
    return svp_index_add(index, &entry) ? SAVEPOINT_OK
                                        : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read",
                                                          "%s: no memory for an index", reader->source->path);
}

enum savepoint_status
svp_rebuild_index(struct svp_reader *reader, struct svp_index *index, const struct svp_commit *commit,
                  uint64_t commit_offset, struct savepoint_error *error)
{
    uint64_t offset = commit->transaction_start;
    enum savepoint_status status = SAVEPOINT_OK;
    *index = (struct svp_index){ .kind = SVP_INDEX_LIST, .below = commit->base };
    while (status == SAVEPOINT_OK && offset < commit_offset) {
        struct svp_record record;
        bool found = true;
        status = svp_source_header(reader->source, &record, offset, error);
        if (status == SAVEPOINT_CORRUPT && offset >= commit->index) { /* the damaged index itself */
            status = svp_scan_header(reader->source, &found, &record, offset + 8, commit_offset, error);
            offset = found ? record.offset : commit_offset;
            continue;
        }
        if (status == SAVEPOINT_OK && record.type == SVP_PAGES) {
            status = add_batch(reader, index, offset, error);
        }
        offset += status == SAVEPOINT_OK ? svp_record_bytes(&record) : 0;
    }
    if (status != SAVEPOINT_OK) {
        svp_index_free(index);
    }
    return status;
}
