/* changes.c - the pages a snapshot stored, one by one */
#include <string.h>

#include "archive/archive.h"
#include "archive/pages_cache.h"
#include "status.h"

/* Bytes a delta changes: decoded onto zeros, it is the difference itself. */
static uint32_t changed_bytes(const struct svp_cached_pages *cached, uint32_t slot)
{
    uint8_t page[SVP_PAGE_BYTES] = { 0 };
    uint32_t changed = 0;
    cached->pages.coder->decode(page, &cached->pages.slots[slot], cached->unpacked.bytes);
    for (size_t i = 0; i < sizeof page; i++) {
        changed += page[i] != 0;
    }
    return changed;
}

static enum savepoint_status report_batch(struct savepoint_archive *archive, uint64_t offset,
                                          savepoint_change_report *report, void *user, struct savepoint_error *error)
{
    const struct svp_cached_pages *cached = NULL;
    enum savepoint_status status = svp_pages_cache_get(&archive->reader, &cached, offset, error);
    if (status == SAVEPOINT_OK && cached->pages.coder->has_base) {
        status = svp_pages_cache_unpacked(&archive->reader, &cached, offset, error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const struct svp_pages *pages = &cached->pages;
    struct savepoint_change change = {
        .region_id = pages->region_id,
        .kind = pages->coder->has_base               ? SAVEPOINT_CHANGE_DELTA
                : pages->coder->id == SVP_CODER_ZERO ? SAVEPOINT_CHANGE_ZERO
                                                     : SAVEPOINT_CHANGE_WHOLE,
        .coder = pages->coder->name,
    };
    for (uint32_t i = 0; i < pages->count; i++) {
        change.page = pages->pages[i];
        change.stored_bytes = pages->stored_bytes / pages->count + (i < pages->stored_bytes % pages->count ? 1 : 0);
        change.changed_bytes = pages->coder->has_base ? changed_bytes(cached, i) : SVP_PAGE_BYTES;
        if (report(user, &change) != 0) {
            return svp_status_fail(error, SAVEPOINT_CANCELLED, "read", "stopped by the caller");
        }
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_archive_changes(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot,
                          savepoint_change_report *report, void *user, struct savepoint_error *error)
{
    if (archive == NULL || snapshot == NULL || report == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "read", "archive, snapshot and report must not be NULL");
    }
    struct svp_commit commit;
    enum savepoint_status status = svp_source_commit(&archive->source, &commit, snapshot->file_offset, error);
    uint64_t offset = status == SAVEPOINT_OK ? commit.transaction_start : 0;
    while (status == SAVEPOINT_OK && offset < snapshot->file_offset) {
        struct svp_record record;
        status = svp_source_header(&archive->source, &record, offset, error);
        if (status == SAVEPOINT_OK && record.type == SVP_PAGES) {
            status = report_batch(archive, offset, report, user, error);
        }
        offset += status == SAVEPOINT_OK ? svp_record_bytes(&record) : 0;
    }
    return status;
}
