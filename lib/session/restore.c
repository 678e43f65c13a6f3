/* restore.c - bringing a snapshot back: verify everything, then write only what differs */
#include "session/restore.h"

#include <string.h>

#include "format/memory.h"
#include "session/busy.h"
#include "session/commit.h"
#include "options.h"
#include "os/host.h"
#include "session/place.h"
#include "session/plan.h"
#include "session/recall.h"
#include "session/hooks.h"
#include "session/live.h"
#include "session/region.h"
#include "session/rewind.h"
#include "session/twins.h"
#include "status.h"

/* ---- decoding */

static enum savepoint_status tell_progress(struct svp_restore *restore, uint64_t pages, struct savepoint_error *error)
{
    const struct savepoint_restore_options *options = &restore->options;
    restore->told_ns = svp_host_monotonic_ns();
    pages = restore->told_pages = pages > restore->told_pages ? pages : restore->told_pages;
    if (options->progress != NULL && options->progress(options->progress_user, pages * SVP_PAGE_BYTES,
                                                       restore->differing_pages * SVP_PAGE_BYTES) != 0) {
        return svp_status_fail(error, SAVEPOINT_CANCELLED, "restore", "cancelled; memory is unchanged");
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status report_progress(void *user, uint64_t done_pages, struct savepoint_error *error)
{
    const uint64_t pace_ns = 100 * 1000 * 1000; /* about ten times a second */
    struct svp_restore *restore = user;
    bool due = restore->options.progress != NULL && svp_host_monotonic_ns() - restore->told_ns >= pace_ns;
    return due ? tell_progress(restore, done_pages, error) : SAVEPOINT_OK;
}

/* What the shadow holds now: the version last stored, unless a take failed since. It was stored under another id when
 * this region and that of the snapshot have only the name in common. */
static void note_held(struct svp_restore_part *part)
{
    struct svp_region *region = part->region;
    uint64_t page = region->id == part->entry->id ? svp_pageset_next(&part->differing, 0) : SVP_PAGESET_NONE;
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
        const struct svp_page_state *state = &region->states[page];
        if (!svp_pageset_has(&region->no_base, page) && !svp_pageset_has(&region->rebased, page) &&
            svp_recall_from_memory(region, page)) {
            part->pages[page].held = state->record_offset;
            part->pages[page].origin = (struct svp_page_origin){ .links = state->links,
                                                                 .delta_bytes = state->delta_bytes,
                                                                 .key_bytes = state->key_bytes };
        }
    }
}

/* Decoding from what the shadow held has failed, and it holds anything now. True: that is forgotten, and all pages can
 * be decoded from what is stored alone; not so where none was held, or where memory was blank and may not be any more.
 */
static bool forget_held(struct svp_bulk_part *parts, size_t part_count)
{
    bool any = false;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].blank) {
            return false;
        }
    }
    for (size_t i = 0; i < part_count; i++) {
        uint64_t page = svp_pageset_next(parts[i].wanted, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(parts[i].wanted, page + 1)) {
            any = any || parts[i].pages[page].held != 0;
            parts[i].pages[page] = (struct svp_bulk_page){ .lines = SVP_LINES_ALL };
        }
    }
    return any;
}

/* Decodes all parts from what the shadow holds, the shorter way; where that is damaged, from what is stored alone. */
static enum savepoint_status decode_parts(struct savepoint *session, struct svp_restore *restore,
                                          struct svp_bulk_part *parts, struct savepoint_error *error)
{
    const struct svp_source *source = &session->append.source;
    const struct svp_bulk_team team = { session->options.workers, report_progress, restore };
    enum savepoint_status status = svp_bulk_decode(source, parts, restore->part_count, &team, error);
    restore->around = status == SAVEPOINT_CORRUPT && forget_held(parts, restore->part_count);
    return restore->around ? svp_bulk_decode(source, parts, restore->part_count, &team, error) : status;
}

/* Decodes and verifies every differing page into the shadow, where it has to be in the end: no memory is needed
 * beside it, and live memory stays as it is. Blank pages are decoded in their place, and made blank again should this
 * fail. */
static enum savepoint_status
decode_all(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    struct svp_bulk_part *parts = svp_memory_alloc(restore->part_count * sizeof *parts);
    bool enough = parts != NULL;
    for (size_t i = 0; enough && i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        part->pages = svp_memory_zalloc((size_t)part->region->pages, sizeof *part->pages);
        enough = part->pages != NULL;
        if (enough) {
            note_held(part);
        }
        parts[i] = (struct svp_bulk_part){
            .map = &part->map,
            .wanted = &part->differing,
            .pages = part->pages,
            .memory = part->region->shadow,
            .blank = part->region->untouched,
            .other = part->region->base,
            .others = &part->blank,
        };
        part->region->untouched = false;
    }
    enum savepoint_status status =
        enough ? decode_parts(session, restore, parts, error)
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory; nothing was changed");
    svp_memory_free(parts);
    return status;
}

/* The restore failed with the shadow half-way: the comparison must not trust it, and what was blank is so again. */
static void take_back(struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        uint64_t page = part->pages != NULL ? svp_pageset_next(&part->differing, 0) : SVP_PAGESET_NONE;
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            if (part->pages[page].lines != 0 && svp_pageset_has(&part->blank, page)) {
                memset(part->region->base + page * SVP_PAGE_BYTES, 0, SVP_PAGE_BYTES);
            }
            if (part->pages[page].lines != 0) {
                svp_region_pend(part->region, page, 1);
                svp_pageset_add(&part->region->no_base, page, 1);
            }
        }
    }
}

/* ---- after it */

/* Pages left out there or here stay as they are; of those the snapshot left out
 * nothing is known, so the next take stores them whole. */
static void mark_excluded(struct svp_region *region, const struct svp_region_entry *entry)
{
    for (uint32_t i = 0; i < entry->excluded_count; i++) {
        const struct svp_excluded *range = &entry->excluded[i];
        svp_region_pend(region, range->first_page, range->page_count);
        svp_pageset_add(&region->no_base, range->first_page, range->page_count);
        for (uint64_t page = range->first_page; page < range->first_page + range->page_count; page++) {
            svp_region_forget(region, page);
        }
    }
    uint64_t page = svp_pageset_next(&region->excluded, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&region->excluded, page + 1)) {
        svp_region_forget(region, page);
    }
}

/* The memory stands at the target and nothing is pending. What the watch reports now are the restore's own writes, as
 * the caller guarantees that nobody else writes: it is re-armed and the report thrown away. */
static void settle(struct savepoint *session, struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_region *region = restore->parts[i].region;
        region->id = restore->parts[i].entry->id;
        svp_region_collect(region, SVP_WATCH_REARM, &region->pending, session->runs, NULL);
        svp_pageset_clear(&region->hot.unarmed);
        svp_pageset_clear(&region->pending);
        svp_pageset_clear(&region->no_base);
        svp_pageset_clear(&region->rebased);
        svp_pageset_clear(&region->ring_pending);
        mark_excluded(region, restore->parts[i].entry);
    }
}

/* Regions the snapshot does not know keep their contents, all of which the next snapshot has to store whole. They get
 * a new id: the old one may belong, on the branch taken now, to a region that has vanished. */
static void mark_strangers(struct savepoint *session, const struct svp_restore *restore)
{
    for (size_t i = 0; i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        bool known = false;
        for (size_t k = 0; k < restore->part_count; k++) {
            known = known || restore->parts[k].region == region;
        }
        if (!known) {
            svp_pageset_add(&region->pending, 0, region->pages);
            svp_pageset_add(&region->no_base, 0, region->pages);
            memset(region->states, 0, (size_t)region->pages * sizeof *region->states);
            region->id = session->next_region_id++;
        }
    }
}

static void close_restore(struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        svp_page_map_close(&restore->parts[i].map);
        svp_pageset_close(&restore->parts[i].differing);
        svp_pageset_close(&restore->parts[i].blank);
        svp_memory_free(restore->parts[i].pages);
    }
    svp_memory_free(restore->parts);
    svp_regions_free(&restore->table);
}

static enum savepoint_status
run_restore(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error)
{
    enum savepoint_status status = svp_plan_restore(session, restore, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    uint8_t *kept = NULL;
    restore->told_ns = svp_host_monotonic_ns();
    svp_twins_clear(&session->encoder.twins); /* the shadow moves, perhaps only half of it */
    status = svp_recall_open(session, error);
    status = status == SAVEPOINT_OK ? svp_rewind_keep(session, restore, &kept, error) : status;
    status = status == SAVEPOINT_OK ? decode_all(session, restore, error) : status;
    if (status == SAVEPOINT_OK) { /* the last moment to stop */
        status = tell_progress(restore, restore->differing_pages, error);
    }
    status = status == SAVEPOINT_OK ? svp_commit_stand_at(session, restore->commit_offset, error) : status;
    svp_rewind_log(session, restore, kept, status != SAVEPOINT_OK);
    if (status != SAVEPOINT_OK) {
        take_back(restore);
        return status;
    }
    svp_place_all(restore, session->options.workers);
    settle(session, restore);
    mark_strangers(session, restore);
    session->rebased_since = session->ring.cursor;
    session->positioned = true;
    svp_mutex_lock(session->mutex);
    session->statistics.restores++;
    session->statistics.restores_around += restore->around ? 1 : 0;
    session->statistics.pages_restored += restore->written_pages;
    svp_mutex_unlock(session->mutex);
    return SAVEPOINT_OK;
}

static enum savepoint_status
restore_commit(struct savepoint *session, const struct savepoint_snapshot *snapshot,
               const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    struct svp_restore restore = { .options = *options, .commit_offset = snapshot->file_offset };
    svp_hooks_begin_restore(session);
    enum savepoint_status status = run_restore(session, &restore, error);
    close_restore(&restore);
    svp_hooks_end_restore(session, snapshot, status);
    return status;
}

static enum savepoint_status
restore_mark(struct savepoint *session, const struct svp_ring_mark *mark,
             const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    svp_hooks_begin_restore(session);
    enum savepoint_status status = svp_rewind(session, mark, options, error);
    svp_hooks_end_restore(session, &mark->snapshot, status);
    return status;
}

enum savepoint_status savepoint_restore(struct savepoint *session, const struct savepoint_id *id,
                                        const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    struct savepoint_restore_options chosen = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = svp_busy_check(session, "restore", error);
    if (status == SAVEPOINT_OK && id == NULL) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "restore", "the id is NULL");
    }
    status = status == SAVEPOINT_OK ? svp_options_copy(&chosen, sizeof chosen, options, "restore", error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_ring_mark mark;
    svp_live_give_up(session, "restore");
    svp_session_settle(session);
    if (svp_ring_find(&session->ring, &mark, id)) {
        return restore_mark(session, &mark, &chosen, error);
    }
    if (!session->has_archive) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "restore", "the ring does not hold this snapshot any more");
    }
    svp_session_drain(session);
    status = svp_catalog_find_id(&session->catalog, &snapshot, id, error);
    return status == SAVEPOINT_OK ? restore_commit(session, &snapshot, &chosen, error) : status;
}

enum savepoint_status
savepoint_resume(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    const struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_snapshot head;
    enum savepoint_status status = svp_busy_check(session, "resume", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_live_give_up(session, "resume");
    svp_session_drain(session);
    status = session->has_archive ? svp_catalog_find(&session->catalog, &head, "HEAD", error)
                                  : svp_status_fail(error, SAVEPOINT_EMPTY, "resume", "a ring alone is always new");
    status = status == SAVEPOINT_OK ? restore_commit(session, &head, &options, error) : status;
    if (status == SAVEPOINT_OK && snapshot != NULL) {
        *snapshot = head;
    }
    return status;
}
