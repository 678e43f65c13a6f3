/* recall.c - pages that the shadow does not hold, and how it gets them when they are needed */
#include "session/recall.h"

#include "session/copy.h"

enum savepoint_status svp_recall_open(struct savepoint *session, struct savepoint_error *error)
{
    struct svp_recall *recall = &session->recall;
    svp_recall_close(recall);
    enum savepoint_status status = svp_source_share(&recall->source, &session->append.source, error);
    if (status != SAVEPOINT_OK) {
        svp_source_unshare(&recall->source);
        return status;
    }
    svp_reader_open(&recall->reader, &recall->source);
    recall->open = true;
    return SAVEPOINT_OK;
}

void svp_recall_close(struct svp_recall *recall)
{
    if (recall->open) {
        svp_reader_close(&recall->reader);
        svp_source_unshare(&recall->source);
        recall->open = false;
    }
}

bool svp_recall_from_archive(struct savepoint *session, struct svp_region *region, uint64_t page)
{
    struct svp_page_origin origin;
    struct svp_recall *recall = &session->recall;
    return recall->open && svp_reader_page(&recall->reader, region->shadow + page * SVP_PAGE_BYTES, &origin,
                                           region->states[page].record_offset, region->id, page, NULL) == SAVEPOINT_OK;
}

void svp_recall_forget(struct svp_recall *recall)
{
    if (recall->open) {
        svp_reader_forget(&recall->reader);
    }
}

bool svp_recall_from_memory(struct svp_region *region, uint64_t page)
{
    if (!svp_pageset_has(&region->absent, page)) {
        return true;
    }
    if (svp_pageset_has(&region->pending, page)) {
        return false;
    }
    svp_copy_live(region->shadow + page * SVP_PAGE_BYTES, region->base + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
    svp_pageset_remove(&region->absent, page, 1);
    return true;
}
