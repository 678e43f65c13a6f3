/* recall.c - pages that the shadow does not hold, and how it gets them when they are needed */
#include "session/recall.h"

#include "archive/bulk.h"
#include "format/memory.h"
#include "session/copy.h"

enum { GROUP_PAGES = 64 }; /* about a batch: what one page of it takes to unpack, its neighbours are there for */

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

/* The absent ones among the captured pages, and their neighbours. */
static void find_wanted(struct svp_pageset *wanted, const struct svp_region *region, const struct svp_pageset *captured)
{
    uint64_t page = svp_pageset_next(captured, 0);
    while (page != SVP_PAGESET_NONE) {
        const uint64_t first = page - page % GROUP_PAGES;
        const uint64_t end = region->pages - first < GROUP_PAGES ? region->pages : first + GROUP_PAGES;
        bool absent = svp_pageset_has(&region->absent, page);
        uint64_t beside = absent ? svp_pageset_next(&region->absent, first) : end;
        for (; beside < end; beside = svp_pageset_next(&region->absent, beside + 1)) {
            svp_pageset_add(wanted, beside, 1);
        }
        page = absent ? svp_pageset_next(captured, end) : svp_pageset_next(captured, page + 1);
    }
}

/* Where the shadow's versions are stored. False: no memory. */
static bool find_records(struct svp_page_map *map, const struct svp_region *region, const struct svp_pageset *wanted)
{
    bool enough = true;
    uint64_t page = svp_pageset_next(wanted, 0);
    for (; enough && page != SVP_PAGESET_NONE; page = svp_pageset_next(wanted, page + 1)) {
        enough = svp_page_map_fill(map, page, region->states[page].record_offset);
    }
    return enough;
}

static enum savepoint_status go_on(void *user, uint64_t done_pages, struct savepoint_error *error)
{
    (void)user;
    (void)done_pages;
    (void)error;
    return SAVEPOINT_OK;
}

static bool decode(struct savepoint *session, struct svp_region *region, const struct svp_pageset *wanted)
{
    const struct svp_bulk_team team = { session->options.workers, go_on, NULL };
    struct svp_pageset nowhere_else = { 0 };
    struct svp_page_map map = { 0 };
    struct svp_bulk_page *pages = svp_memory_zalloc((size_t)region->pages, sizeof *pages);
    const struct svp_bulk_part part = {
        .map = &map, .wanted = wanted, .pages = pages, .memory = region->shadow, .others = &nowhere_else
    };
    bool done = pages != NULL && svp_pageset_open(&nowhere_else, region->pages) &&
                svp_page_map_open(&map, region->id, region->pages) && find_records(&map, region, wanted) &&
                svp_bulk_decode(&session->recall.source, &part, 1, &team, NULL) == SAVEPOINT_OK;
    svp_page_map_close(&map);
    svp_pageset_close(&nowhere_else);
    svp_memory_free(pages);
    return done;
}

static void recall_captured(struct savepoint *session, const struct svp_capture *capture)
{
    struct svp_region *region = capture->region;
    struct svp_pageset wanted = { 0 };
    if (svp_pageset_next(&region->absent, 0) == SVP_PAGESET_NONE || !session->recall.open ||
        !svp_pageset_open(&wanted, region->pages)) {
        return;
    }
    find_wanted(&wanted, region, &capture->captured);
    bool done = svp_pageset_next(&wanted, 0) == SVP_PAGESET_NONE || decode(session, region, &wanted);
    if (done) {
        svp_mutex_lock(session->mutex);
        svp_pageset_subtract(&region->absent, &wanted);
        svp_mutex_unlock(session->mutex);
    }
    svp_pageset_close(&wanted);
}

void svp_recall_captured(struct savepoint *session, const struct svp_take *take)
{
    for (size_t i = 0; i < take->capture_count; i++) {
        recall_captured(session, &take->captures[i]);
    }
}

void svp_recall_settle(struct savepoint *session, struct svp_region *region, uint64_t page)
{
    svp_mutex_lock(session->mutex);
    svp_pageset_remove(&region->absent, page, 1);
    svp_mutex_unlock(session->mutex);
}

void svp_recall_chunk(struct savepoint *session, struct svp_chunk *chunk)
{
    struct svp_region *region = chunk->region;
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (svp_pageset_has(&region->absent, chunk->pages[i])) {
            if (!svp_recall_from_archive(session, region, chunk->pages[i])) {
                chunk->no_base |= UINT64_C(1) << i;
            }
            svp_recall_settle(session, region, chunk->pages[i]);
        }
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
