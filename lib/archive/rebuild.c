/* rebuild.c - an index made anew from the records it should have named */
#include "archive/rebuild.h"

#include "archive/scan.h"
#include "format/memory.h"
#include "format/pages.h"
#include "status.h"

static enum savepoint_status
add_batch(const struct svp_source *source, struct svp_index *index, struct svp_pages *pages, struct svp_buffer *body,
          uint64_t offset, struct savepoint_error *error)
{
    struct svp_record record;
    uint16_t coder_id = 0;
    enum savepoint_status status = svp_source_record(source, &record, body, offset, SVP_PAGES, error);
    if (status == SAVEPOINT_OK) {
        enum svp_verdict verdict = svp_pages_read(pages, body->bytes, body->count, offset, &coder_id);
        status = svp_source_verdict(source, verdict, offset, "batch of pages", error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const struct svp_index_entry entry = {
        .region_id = pages->region_id,
        .first_page = pages->pages[0],
        .page_count = pages->pages[pages->count - 1] - pages->pages[0] + 1,
        .record_offset = offset,
    };
    return svp_index_add(index, &entry)
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory for an index", source->path);
}

enum savepoint_status
svp_rebuild_index(const struct svp_source *source, struct svp_index *index, const struct svp_commit *commit,
                  uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_buffer body = { 0 };
    struct svp_pages *pages = svp_memory_alloc(sizeof *pages);
    uint64_t offset = commit->transaction_start;
    enum savepoint_status status = SAVEPOINT_OK;
    *index = (struct svp_index){ .kind = SVP_INDEX_LIST, .below = commit->base };
    if (pages == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory for an index", source->path);
    }
    while (status == SAVEPOINT_OK && offset < commit_offset) {
        struct svp_record record;
        bool found = true;
        status = svp_source_header(source, &record, offset, error);
        if (status == SAVEPOINT_CORRUPT && offset >= commit->index) { /* the damaged index itself */
            status = svp_scan_header(source, &found, &record, offset + 8, commit_offset, error);
            offset = found ? record.offset : commit_offset;
            continue;
        }
        if (status == SAVEPOINT_OK && record.type == SVP_PAGES) {
            status = add_batch(source, index, pages, &body, offset, error);
        }
        offset += status == SAVEPOINT_OK ? svp_record_bytes(&record) : 0;
    }
    svp_memory_free(pages);
    svp_buffer_free(&body);
    if (status != SAVEPOINT_OK) {
        svp_index_free(index);
    }
    return status;
}
