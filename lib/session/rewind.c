/* rewind.c - going back and forth in a session's ring
 *
 * The shadow and the log are both at hand, so nothing is decoded: the records between here and there are applied to the
 * shadow, each page in question is copied from it once, and the log's cursor moves. */
#include "session/rewind.h"

#include <string.h>

#include "format/expect.h"
#include "format/memory.h"
#include "session/region.h"
#include "session/ring_take.h"
#include "status.h"

enum { RECORDS = 64 };

struct rewound { /* one region on its way to the mark */
    struct svp_region *region;
    bool in_mark;
    struct svp_ring_part part;
    struct svp_pageset moved;  /* of its shadow */
    struct svp_pageset copied; /* to memory */
};

struct rewind {
    size_t count;
    struct rewound *regions; /* those of the session, in its order */
};

static struct rewound *find(const struct rewind *rewind, uint32_t ring_id)
{
    for (size_t i = 0; i < rewind->count; i++) {
        if (rewind->regions[i].region->ring_id == ring_id) {
            return &rewind->regions[i];
        }
    }
    return NULL;
}

static void close_rewind(struct rewind *rewind)
{
    for (size_t i = 0; i < rewind->count; i++) {
        svp_pageset_close(&rewind->regions[i].moved);
        svp_pageset_close(&rewind->regions[i].copied);
    }
    svp_memory_free(rewind->regions);
}

static enum savepoint_status
open_rewind(const struct savepoint *session, struct rewind *rewind, struct savepoint_error *error)
{
    rewind->regions = svp_memory_zalloc(session->region_count, sizeof *rewind->regions);
    bool enough = rewind->regions != NULL;
    for (size_t i = 0; enough && i < session->region_count; i++) {
        struct rewound *rewound = &rewind->regions[i];
        rewound->region = session->regions[i];
        rewind->count = i + 1;
        enough = svp_pageset_open(&rewound->moved, rewound->region->pages) &&
                 svp_pageset_open(&rewound->copied, rewound->region->pages);
    }
    return enough ? SAVEPOINT_OK
                  : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore", "no memory; nothing was changed");
}

/* Every region of the mark is here, unless that may be: names are not kept in a ring. */
static enum savepoint_status
match_parts(struct rewind *rewind, const struct svp_ring_mark *mark, bool skip_missing, struct savepoint_error *error)
{
    const uint8_t *at = mark->body;
    for (uint32_t i = 0; i < mark->snapshot.region_count; i++) {
        struct svp_ring_part part;
        at = svp_ring_part_read(&part, at);
        struct rewound *rewound = find(rewind, part.ring_id);
        if (rewound != NULL) {
            rewound->in_mark = true;
            rewound->part = part;
        } else if (!skip_missing) {
            return svp_status_fail(error, SAVEPOINT_MISMATCH, "restore",
                                   "the snapshot holds a region that was removed since: restore with "
                                   "SAVEPOINT_RESTORE_SKIP_MISSING");
        }
    }
    return SAVEPOINT_OK;
}

/* ---- which pages */

/* Whatever was written since the last take joins pending. */
static enum savepoint_status peek(struct savepoint *session, struct rewind *rewind, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < rewind->count; i++) {
        struct svp_region *region = rewind->regions[i].region;
        status = svp_region_collect(region, SVP_WATCH_PEEK, &rewind->regions[i].copied, session->runs, error);
        svp_mutex_lock(session->mutex);
        svp_region_report(region, &rewind->regions[i].copied);
        svp_mutex_unlock(session->mutex);
    }
    return status;
}

static void find_moved(const struct savepoint *session, struct rewind *rewind, uint64_t position)
{
    struct svp_ring_walk walk;
    struct svp_ring_record records[RECORDS];
    struct rewound *rewound = NULL;
    size_t count;
    svp_ring_walk(&walk, &session->ring, session->ring.cursor, position);
    while ((count = svp_ring_next(&walk, records, RECORDS)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (rewound == NULL || rewound->region->ring_id != records[i].region) {
                rewound = find(rewind, records[i].region);
            }
            if (rewound != NULL) {
                svp_pageset_add(&rewound->moved, records[i].page, 1);
            }
        }
    }
}

/* Pages left out there or here stay as they are. A region that the mark does not know stays, but for its shadow. */
static void find_copied(struct rewound *rewound)
{
    const struct svp_region *region = rewound->region;
    svp_pageset_clear(&rewound->copied);
    if (!rewound->in_mark) {
        return;
    }
    svp_pageset_unite(&rewound->copied, &rewound->moved);
    svp_pageset_unite(&rewound->copied, &region->ring_pending);
    svp_pageset_subtract(&rewound->copied, &region->excluded);
    for (uint32_t i = 0; i < rewound->part.excluded_count; i++) {
        uint64_t first = 0;
        uint64_t count = 0;
        svp_ring_part_excluded(&rewound->part, i, &first, &count);
        svp_pageset_remove(&rewound->copied, first, count);
    }
}

/* Every page that will be written can be, and a protecting watch lets go of it. */
static enum savepoint_status prepare(const struct rewound *rewound, struct savepoint_error *error)
{
    struct svp_region *region = rewound->region;
    const uint64_t zeroed = rewound->in_mark ? region->pages - rewound->part.pages : 0;
    const uint64_t pages = svp_pageset_count(&rewound->copied) + zeroed;
    return pages > 0 ? svp_region_prepare(region, pages, error) : SAVEPOINT_OK;
}

/* ---- there */

static void apply(struct savepoint *session, const struct rewind *rewind, const struct svp_ring_mark *mark)
{
    struct svp_ring_walk walk;
    struct svp_ring_record records[RECORDS];
    struct rewound *rewound = NULL;
    size_t count;
    svp_ring_walk(&walk, &session->ring, session->ring.cursor, mark->position);
    while ((count = svp_ring_next(&walk, records, RECORDS)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (rewound == NULL || rewound->region->ring_id != records[i].region) {
                rewound = find(rewind, records[i].region);
            }
            if (rewound != NULL) {
                svp_ring_apply(&records[i], rewound->region->shadow + records[i].page * SVP_PAGE_BYTES);
            }
        }
    }
    svp_ring_move(&session->ring, mark);
    session->rebased_since = mark->position;
}

static void hash_page(struct svp_region *region, uint64_t page, const struct svp_hash *zero)
{
    struct svp_hash hash = *zero;
    if (!svp_pageset_has(&region->excluded, page)) {
        hash = svp_digest128(0, region->shadow + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
    }
    svp_tree_update(&region->tree, page, &hash);
}

/* The first page at or after this one that has moved or is to be copied. */
static uint64_t next_page(const struct rewound *rewound, uint64_t page)
{
    const uint64_t moved = svp_pageset_next(&rewound->moved, page);
    const uint64_t copied = svp_pageset_next(&rewound->copied, page);
    return moved < copied ? moved : copied;
}

/* The page, if it is one, is about to be hashed and copied. */
static void expect_page(const struct svp_region *region, uint64_t page)
{
    enum { LINES = 4 };
    if (page != SVP_PAGESET_NONE) {
        svp_expect(region->shadow + page * SVP_PAGE_BYTES, LINES);
        svp_expect(region->base + page * SVP_PAGE_BYTES, LINES);
    }
}

/* Hashes and copies each page while it is at hand. Pages that come back without having moved may have been excluded,
 * and counted as zeros, in between. Returns how many were written. */
static uint64_t bring_back(struct rewound *rewound)
{
    struct svp_region *region = rewound->region;
    const struct svp_hash zero = svp_tree_zero_page();
    uint64_t written = 0;
    for (uint64_t page = next_page(rewound, 0), next; page != SVP_PAGESET_NONE; page = next) {
        const uint8_t *shadow = region->shadow + page * SVP_PAGE_BYTES;
        next = next_page(rewound, page + 1);
        expect_page(region, next);
        if (svp_pageset_has(&rewound->moved, page) || memcmp(&region->tree.hashes[0][page], &zero, sizeof zero) == 0) {
            hash_page(region, page, &zero);
        }
        if (page < rewound->part.pages && svp_pageset_has(&rewound->copied, page)) {
            memcpy(region->base + page * SVP_PAGE_BYTES, shadow, SVP_PAGE_BYTES);
            written++;
        }
    }
    return written;
}

/* What lies behind the snapshot's size becomes zeros. */
static uint64_t clear_tail(struct rewound *rewound)
{
    struct svp_region *region = rewound->region;
    uint64_t written = 0;
    for (uint64_t page = rewound->part.pages; rewound->in_mark && page < region->pages; page++) {
        if (!svp_pageset_has(&region->excluded, page)) {
            memset(region->base + page * SVP_PAGE_BYTES, 0, SVP_PAGE_BYTES);
            written++;
        }
    }
    return written;
}

/* What the watch reports now are our own writes, as the caller guarantees that nobody else writes. */
static void rearm(struct savepoint *session, struct rewound *rewound)
{
    if (rewound->in_mark) {
        svp_region_collect(rewound->region, SVP_WATCH_REARM, &rewound->copied, session->runs, NULL);
        svp_pageset_clear(&rewound->region->hot.unarmed);
    }
}

/* With the mutex held. The archive sees an ordinary change, whose base the shadow no longer is. */
static void settle(struct rewound *rewound)
{
    struct svp_region *region = rewound->region;
    svp_pageset_unite(&region->pending, &rewound->moved);
    svp_pageset_unite(&region->no_base, &rewound->moved);
    svp_pageset_unite(&region->no_base, &region->rebased);
    svp_pageset_clear(&region->rebased);
    if (!rewound->in_mark) { /* its memory stays, its shadow may have moved away from it */
        svp_pageset_unite(&region->ring_pending, &rewound->moved);
        return;
    }
    svp_pageset_unite(&region->pending, &rewound->copied);
    svp_pageset_clear(&region->ring_pending);
    svp_region_pend(region, rewound->part.pages, region->pages - rewound->part.pages);
    for (uint32_t i = 0; i < rewound->part.excluded_count; i++) {
        uint64_t first = 0;
        uint64_t count = 0;
        svp_ring_part_excluded(&rewound->part, i, &first, &count);
        svp_region_pend(region, first, count);
        svp_pageset_add(&region->no_base, first, count);
    }
}

static enum savepoint_status
confirm(const struct savepoint_restore_options *options, const struct rewind *rewind, struct savepoint_error *error)
{
    uint64_t pages = 0;
    for (size_t i = 0; options->progress != NULL && i < rewind->count; i++) {
        pages += svp_pageset_count(&rewind->regions[i].copied);
    }
    if (options->progress != NULL &&
        options->progress(options->progress_user, pages * SVP_PAGE_BYTES, pages * SVP_PAGE_BYTES) != 0) {
        return svp_status_fail(error, SAVEPOINT_CANCELLED, "restore", "cancelled; memory is unchanged");
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status run(struct savepoint *session, struct rewind *rewind, const struct svp_ring_mark *mark,
                                 const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    bool skip_missing = (options->flags & SAVEPOINT_RESTORE_SKIP_MISSING) != 0;
    enum savepoint_status status = open_rewind(session, rewind, error);
    status = status == SAVEPOINT_OK ? match_parts(rewind, mark, skip_missing, error) : status;
    status = status == SAVEPOINT_OK ? peek(session, rewind, error) : status;
    if (status == SAVEPOINT_OK) {
        find_moved(session, rewind, mark->position);
    }
    svp_mutex_lock(session->mutex); /* a take of the archive may fail meanwhile and return its pages */
    for (size_t i = 0; status == SAVEPOINT_OK && i < rewind->count; i++) {
        find_copied(&rewind->regions[i]);
    }
    svp_mutex_unlock(session->mutex);
    for (size_t i = 0; status == SAVEPOINT_OK && i < rewind->count; i++) {
        status = prepare(&rewind->regions[i], error);
    }
    status = status == SAVEPOINT_OK ? confirm(options, rewind, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    uint64_t written_pages = 0;
    apply(session, rewind, mark);
    for (size_t i = 0; i < rewind->count; i++) {
        written_pages += bring_back(&rewind->regions[i]) + clear_tail(&rewind->regions[i]);
        rearm(session, &rewind->regions[i]);
    }
    svp_mutex_lock(session->mutex);
    for (size_t i = 0; i < rewind->count; i++) {
        settle(&rewind->regions[i]);
    }
    session->statistics.restores++;
    session->statistics.pages_restored += written_pages;
    svp_mutex_unlock(session->mutex);
    return SAVEPOINT_OK;
}

enum savepoint_status svp_rewind(struct savepoint *session, const struct svp_ring_mark *mark,
                                 const struct savepoint_restore_options *options, struct savepoint_error *error)
{
    struct rewind rewind = { 0 };
    enum savepoint_status status = run(session, &rewind, mark, options, error);
    close_rewind(&rewind);
    if (status == SAVEPOINT_OK) {
        session->ring_history.parent = mark->snapshot.id;
        session->ring_history.has_parent = true;
    }
    return status;
}

/* ---- restores from the archive */

enum savepoint_status svp_rewind_keep(const struct savepoint *session, const struct svp_restore *restore,
                                      uint8_t **kept, struct savepoint_error *error)
{
    *kept = NULL;
    if (!session->has_ring || restore->differing_pages == 0) {
        return SAVEPOINT_OK;
    }
    uint8_t *to = *kept = svp_memory_alloc((size_t)restore->differing_pages * SVP_PAGE_BYTES);
    if (to == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "restore",
                               "no memory to keep what the ring needs; nothing was changed");
    }
    for (size_t i = 0; i < restore->part_count; i++) {
        const struct svp_restore_part *part = &restore->parts[i];
        uint64_t page = svp_pageset_next(&part->differing, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            memcpy(to, part->region->shadow + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
            to += SVP_PAGE_BYTES;
        }
    }
    return SAVEPOINT_OK;
}

void svp_rewind_log(struct savepoint *session, const struct svp_restore *restore, uint8_t *kept, bool failed)
{
    const uint8_t *old = kept;
    for (size_t i = 0; kept != NULL && i < restore->part_count; i++) {
        const struct svp_restore_part *part = &restore->parts[i];
        struct svp_region *region = part->region;
        uint64_t page = svp_pageset_next(&part->differing, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            const uint8_t *now = region->shadow + page * SVP_PAGE_BYTES;
            struct svp_changes changes;
            svp_compare(&changes, old, now);
            if (!changes.same) {
                svp_ring_log(&session->ring, region->ring_id, page, old, now, &changes);
            }
            if (!changes.same && failed) { /* else its hash comes with the snapshot */
                const struct svp_hash hash = svp_digest128(0, now, SVP_PAGE_BYTES);
                svp_tree_update(&region->tree, page, &hash);
            }
            old += SVP_PAGE_BYTES;
        }
    }
    svp_memory_free(kept);
}
