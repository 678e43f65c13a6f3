/* take.c - capturing: collect what was written, copy it to staging, hand it to the encoder */
#include <string.h>

#include "format/expect.h"
#include "format/memory.h"
#include "os/host.h"
#include "session/copy.h"
#include "options.h"
#include "session/live.h"
#include "session/rearm.h"
#include "session/region.h"
#include "session/staging.h"
#include "session/takes.h"
#include "status.h"
#include "utf8.h"

enum savepoint_status svp_take_check_options(const struct savepoint_take_options *options, const char *operation,
                                             struct savepoint_error *error)
{
    if (options->label != NULL && strlen(options->label) >= SAVEPOINT_LABEL_BYTES) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "a label has at most %d bytes",
                               SAVEPOINT_LABEL_BYTES - 1);
    }
    if (options->label != NULL && !svp_utf8_valid(options->label)) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "the label is not UTF-8 text");
    }
    if (options->history > SAVEPOINT_RING) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "history %u is not known", options->history);
    }
    if ((unsigned)options->durability > SAVEPOINT_NONE) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "durability %d is not known",
                               (int)options->durability);
    }
    return svp_live_check_options(options, operation, error);
}

/* The history that the options name, the only one, or of both the archive. */
static enum savepoint_status
choose_history(const struct savepoint *session, const struct savepoint_take_options *options, bool *for_ring,
               struct savepoint_error *error)
{
    *for_ring = options->history == SAVEPOINT_RING || (options->history == 0 && !session->has_archive);
    if (*for_ring && options->mode == SAVEPOINT_LIVE) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "take", "a LIVE snapshot goes to an archive, not to a ring");
    }
    if (*for_ring ? session->has_ring : session->has_archive) {
        return SAVEPOINT_OK;
    }
    return svp_status_fail(error, SAVEPOINT_INVALID, "take",
                           *for_ring ? "this session has no ring: open it with ring_bytes"
                                     : "this session has no archive: open it with a path");
}

enum savepoint_status
svp_take_check_stand(const struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    return session->positioned
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_NOT_RESUMED, operation,
                                 "%s holds snapshots: call savepoint_resume or savepoint_restore first, or open with "
                                 "SAVEPOINT_OPEN_NEW_ROOT to start a second root",
                                 session->append.source.path);
}

static enum savepoint_status check_take(struct savepoint *session, bool for_ring, struct savepoint_error *error)
{
    enum savepoint_status status = for_ring ? SAVEPOINT_OK : svp_take_check_stand(session, "take", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_mutex_lock(session->mutex);
    bool restoring = session->restoring;
    bool writer_poisoned = session->writer_poisoned;
    svp_mutex_unlock(session->mutex);
    if (restoring) {
        return svp_status_fail(error, SAVEPOINT_BUSY, "take", "a restore, a promotion or a load is running");
    }
    if (writer_poisoned && !for_ring) {
        return svp_status_fail(
            error, SAVEPOINT_POISONED, "take",
            "%s: an earlier sync or cut of it failed, so the end of the archive is in doubt; the pages stay pending: "
            "close this session and take into another archive",
            session->append.source.path);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status
add_metadata(struct svp_take *take, const struct savepoint_take_options *options, struct savepoint_error *error)
{
    size_t total = 0;
    if (options->metadata == NULL && options->metadata_count > 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "take", "metadata is NULL, but metadata_count is not 0");
    }
    for (size_t i = 0; i < options->metadata_count; i++) {
        const struct savepoint_metadata *item = &options->metadata[i];
        const bool named = item->type >= SAVEPOINT_METADATA_ORIGIN && item->type <= SAVEPOINT_METADATA_THUMBNAIL;
        const bool known = named || item->type >= SAVEPOINT_METADATA_APPLICATION;
        if (!known || (item->value == NULL && item->bytes > 0)) {
            return svp_status_fail(error, SAVEPOINT_INVALID, "take",
                                   known ? "a value of metadata is NULL, but has %zu bytes"
                                         : "metadata of type %zu is kept for the library: applications have those "
                                           "from 0x8000 on",
                                   known ? item->bytes : (size_t)item->type);
        }
        if (item->bytes > SVP_METADATA_BYTES_MAX || (total += item->bytes) > SVP_METADATA_BYTES_MAX) {
            return svp_status_fail(error, SAVEPOINT_LIMIT, "take", "metadata has at most %u bytes in all",
                                   SVP_METADATA_BYTES_MAX);
        }
        svp_buffer_add16(&take->metadata, item->type);
        svp_buffer_add16(&take->metadata, 0);
        svp_buffer_add32(&take->metadata, (uint32_t)item->bytes);
        svp_buffer_add(&take->metadata, item->value, item->bytes);
        svp_buffer_pad(&take->metadata, 8);
        if (take->metadata.count > SVP_META_BYTES_MAX) { /* many, and small */
            return svp_status_fail(error, SAVEPOINT_LIMIT, "take", "too many values of metadata");
        }
    }
    return SAVEPOINT_OK;
}

/* A take that can no longer fail for want of memory, but for its staging. */
static enum savepoint_status new_take(struct savepoint *session, struct svp_take **made,
                                      const struct savepoint_take_options *options, struct savepoint_error *error)
{
    struct svp_take *take = svp_memory_zalloc(1, sizeof *take);
    enum savepoint_status status = SAVEPOINT_OK;
    const bool live = options->mode == SAVEPOINT_LIVE;
    if (take != NULL) {
        take->captures = svp_memory_zalloc(session->region_count, sizeof *take->captures);
    }
    bool enough = take != NULL && take->captures != NULL;
    for (size_t i = 0; enough && i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        take->captures[i].region = region;
        take->capture_count = i + 1;
        enough = svp_pageset_open(&take->captures[i].captured, region->pages) &&
                 svp_pageset_open(&take->captures[i].no_base, region->pages) &&
                 svp_pageset_open(&take->captures[i].rebased, session->has_ring ? region->pages : 0) &&
                 svp_pageset_open(&take->captures[i].staged, session->has_ring || live ? region->pages : 0) &&
                 svp_pageset_open(&take->captures[i].stored, live ? region->pages : 0);
    }
    if (enough) {
        status = add_metadata(take, options, error);
        enough = !take->metadata.failed;
    }
    if (!enough) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "take", "no memory for a take; its pages stay pending");
    }
    if (status != SAVEPOINT_OK) {
        svp_take_free(take);
        return status;
    }
    take->live = live;
    take->durability = options->durability;
    take->flags = options->durability == SAVEPOINT_SYNC ? 0 : SVP_COMMIT_UNSYNCED;
    if (options->label != NULL) {
        strcpy(take->label, options->label);
    }
    *made = take;
    return SAVEPOINT_OK;
}

static void swap_sets(struct svp_pageset *left, struct svp_pageset *right)
{
    struct svp_pageset held = *left;
    *left = *right;
    *right = held;
}

/* With the mutex held: the take gets the whole of its history's pending. What one take captures, the ring need not
 * capture again: it will be in the shadow. The archive has to store it, and the shadow is not the base
 * it knew. */
static void capture_pending(const struct savepoint *session, const struct svp_take *take, struct svp_capture *capture)
{
    struct svp_region *region = capture->region;
    svp_pageset_clear(&capture->captured);
    if (take->for_ring) {
        swap_sets(&region->ring_pending, &capture->captured);
        svp_pageset_unite(&region->rebased, &capture->captured);
    } else {
        swap_sets(&region->pending, &capture->captured);
        swap_sets(&region->no_base, &capture->no_base);
        if (session->has_ring) {
            svp_pageset_unite(&capture->captured, &region->ring_pending);
            swap_sets(&region->rebased, &capture->rebased);
            swap_sets(&region->ring_pending, &capture->staged);
            svp_pageset_subtract(&capture->staged, &region->excluded);
        }
    }
    svp_pageset_subtract(&capture->captured, &region->excluded);
    if (take->live) {
        svp_live_share(capture, session->has_ring ? &capture->staged : &capture->captured);
    }
}

/* Who takes collects, for all: what is reported joins pending. Taking it and joining
 * the queue are one step: a take in flight that failed between the two would return pages this one never sees. */
static enum savepoint_status
collect_and_enqueue(struct savepoint *session, struct svp_take *take, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t reported = 0;
    const bool live = svp_live_is_prepared(session);
    svp_mutex_lock(session->watching);
    for (size_t i = 0; i < take->capture_count; i++) {
        struct svp_capture *capture = &take->captures[i];
        enum savepoint_status failure =
            live ? svp_rearm_all(capture->region, &capture->captured, session->runs, error)
                 : svp_rearm_collect(capture->region, &capture->captured, session->runs, error);
        status = failure != SAVEPOINT_OK ? failure : status;
        reported += svp_pageset_count(&capture->captured);
    }
    svp_mutex_lock(session->mutex);
    session->statistics.pages_reported += reported;
    for (size_t i = 0; i < take->capture_count; i++) {
        struct svp_region *region = take->captures[i].region;
        svp_region_report(region, &take->captures[i].captured);
        if (region->backend->widened(region->watch)) {
            session->statistics.flags |= SAVEPOINT_SESSION_WIDENED;
        }
    }
    if (status == SAVEPOINT_OK) {
        svp_live_close(session, take);
        for (size_t i = 0; i < take->capture_count; i++) {
            capture_pending(session, take, &take->captures[i]);
        }
        svp_take_enqueue(session, take);
    }
    svp_mutex_unlock(session->mutex);
    svp_mutex_unlock(session->watching);
    return status;
}

/* The next page to copy, from `page` on, which is fetched: a copy of scattered pages takes a tenth less, as with
 * sixteen lines. */
static uint64_t next_staged(const struct svp_region *region, const struct svp_pageset *pages, uint64_t page)
{
    uint64_t next = svp_pageset_next(pages, page);
    if (next != SVP_PAGESET_NONE) {
        svp_expect(region->base + next * SVP_PAGE_BYTES, 4);
    }
    return next;
}

/* Copies one region's captured pages, chunk by chunk; false once the take has failed. */
static bool stage_region(struct savepoint *session, struct svp_take *take, struct svp_capture *capture)
{
    const bool beside_ring = session->has_ring && !take->for_ring;
    const struct svp_pageset *pages = beside_ring || take->live ? &capture->staged : &capture->captured;
    const bool tells_hot = !svp_live_is_prepared(session); /* else its worker collects meanwhile */
    uint64_t next = next_staged(capture->region, pages, 0);
    while (next != SVP_PAGESET_NONE) {
        struct svp_chunk *chunk = svp_staging_chunk(session, take);
        if (chunk == NULL) {
            return false;
        }
        chunk->region = capture->region;
        while (next != SVP_PAGESET_NONE && chunk->count < SVP_CHUNK_PAGES) {
            const uint64_t page = next;
            next = next_staged(capture->region, pages, page + 1);
            if (svp_pageset_has(&capture->no_base, page)) {
                chunk->no_base |= UINT64_C(1) << chunk->count;
            }
            if (tells_hot && svp_pageset_has(&capture->region->hot.kept, page)) {
                chunk->unarmed |= UINT64_C(1) << chunk->count;
            }
            if (beside_ring && svp_pageset_has(&capture->rebased, page)) {
                chunk->rebased |= UINT64_C(1) << chunk->count;
            }
            svp_copy_live(chunk->bytes + chunk->count * SVP_PAGE_BYTES, capture->region->base + page * SVP_PAGE_BYTES,
                          SVP_PAGE_BYTES);
            chunk->pages[chunk->count++] = page;
        }
        svp_take_stage(session, take, chunk);
    }
    return true;
}

static void count_pause(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_statistics *statistics = &session->statistics;
    uint64_t pause = svp_host_monotonic_ns() - take->started_ns;
    take->pause_ns = pause;
    statistics->pause_ns_last = pause;
    statistics->pause_ns_total += pause;
    statistics->pause_ns_max = pause > statistics->pause_ns_max ? pause : statistics->pause_ns_max;
    if (take->live) {
        statistics->live_pause_ns_last = pause;
        statistics->live_pause_ns_max = pause > statistics->live_pause_ns_max ? pause : statistics->live_pause_ns_max;
        session->staging.expected_bytes = 0;
    }
}

/* Collects, copies, and lets the encoder have all of it. On failure the take is still the caller's. */
static enum savepoint_status
capture(struct savepoint *session, uint64_t *ticket, struct svp_take *take, struct savepoint_error *error)
{
    bool alive = true;
    take->started_ns = svp_host_monotonic_ns();
    enum savepoint_status status = collect_and_enqueue(session, take, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const uint64_t given = take->ticket;
    for (size_t i = 0; alive && i < take->capture_count; i++) {
        alive = stage_region(session, take, &take->captures[i]);
    }
    svp_mutex_lock(session->mutex);
    take->time_ns = svp_host_time_ns();
    count_pause(session, take);
    take->complete = true; /* the workers may free it from here on */
    svp_condition_wake_all(session->changed);
    svp_mutex_unlock(session->mutex);
    if (ticket != NULL) {
        *ticket = given;
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_take_end(struct savepoint *session, uint64_t *ticket, struct svp_take *take, struct savepoint_error *error)
{
    enum savepoint_status status = check_take(session, false, error);
    return status == SAVEPOINT_OK ? capture(session, ticket, take, error) : status;
}

enum savepoint_status
svp_take_capture(struct savepoint *session, uint64_t *ticket, const struct savepoint_take_options *options,
                 const struct svp_autosave *autosave, struct savepoint_error *error)
{
    struct svp_take *take = NULL;
    bool for_ring = false;
    enum savepoint_status status = choose_history(session, options, &for_ring, error);
    status = status == SAVEPOINT_OK ? check_take(session, for_ring, error) : status;
    status = status == SAVEPOINT_OK ? new_take(session, &take, options, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    take->for_ring = for_ring;
    if (autosave != NULL) {
        take->flags |= SVP_COMMIT_AUTOSAVE;
        take->keep_last = autosave->options.keep_last;
    }
    status = take->live ? svp_live_begin(session, take, options, error) : capture(session, ticket, take, error);
    if (status != SAVEPOINT_OK) {
        svp_take_free(take);
    } else if (options->mode == SAVEPOINT_LIVE && ticket != NULL) {
        *ticket = 0;
    }
    return status;
}

enum savepoint_status savepoint_take(struct savepoint *session, uint64_t *ticket,
                                     const struct savepoint_take_options *options, struct savepoint_error *error)
{
    struct savepoint_take_options chosen = SAVEPOINT_TAKE_OPTIONS_INIT;
    enum savepoint_status status = svp_session_check(session, "take", error);
    if (status == SAVEPOINT_OK) {
        status = svp_options_copy(&chosen, sizeof chosen, options, "take", error);
    }
    status = status == SAVEPOINT_OK ? svp_take_check_options(&chosen, "take", error) : status;
    return status == SAVEPOINT_OK ? svp_take_capture(session, ticket, &chosen, NULL, error) : status;
}
