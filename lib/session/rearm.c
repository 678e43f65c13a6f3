/* rearm.c - what a take collects: everything written, re-arming all but the hot pages
 *
 * First a look that arms nothing; then the reported pages are armed, part by part between the hot ones, or all at once
 * where that is cheaper. A page written between the two is reported by the second. */
#include "session/rearm.h"

#include "os/host.h"
#include "session/region.h"

/* Clean pages in a part cost a look each: so many are about as dear as another call. */
enum { GAP_PAGES = 512, PART_RUNS = 64 };
/* Calls are made while the program stands, faults come one by one while it runs: the first count so many times. And
 * where the parts of one take do not pay, those of the next ones are not looked for. */
enum { PAUSE_WEIGHT = 4, REST_TAKES = 30, CALL_MOST = 4 };

struct parts { /* a walk over the pages that are to be armed */
    const struct svp_region *region;
    const struct svp_pageset *written;
    uint64_t unit; /* pages of a host page */
    uint64_t page; /* where it stands */
};

struct part {
    uint64_t first, end;
};

/* The range of the region that holds a page. */
static const struct svp_range *range_of(const struct svp_region *region, uint64_t page)
{
    uintptr_t address = (uintptr_t)region->base + page * SVP_PAGE_BYTES;
    const struct svp_range *range = region->ranges;
    while (address - range->start >= range->bytes) {
        range++;
    }
    return range;
}

/* The next pages to arm with one call; false past the last. */
static bool next_part(struct parts *parts, struct part *part)
{
    const struct svp_region *region = parts->region;
    bool open = false;
    for (uint64_t page = svp_pageset_next(parts->written, parts->page); page != SVP_PAGESET_NONE;
         page = svp_pageset_next(parts->written, parts->page)) {
        bool hot = svp_pageset_has(&region->hot.unarmed, page);
        bool apart = open && (page - part->end > GAP_PAGES || range_of(region, page) != range_of(region, part->first));
        if (open && (hot || apart)) {
            return true;
        }
        parts->page = page + parts->unit;
        if (!hot) {
            part->first = open ? part->first : page;
            part->end = parts->page;
            open = true;
        }
    }
    return open;
}

/* Finds the pages to leave unarmed. */
static void find_hot(struct svp_region *region, const struct svp_pageset *written, uint64_t unit)
{
    uint64_t page = svp_pageset_next(written, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(written, page + unit)) {
        if (svp_hot_has(&region->hot, page, unit)) {
            svp_pageset_add(&region->hot.unarmed, page, unit);
        }
    }
}

/* A call in a take costs more than one that was measured by itself; an interruption is not to count for ever. */
static uint64_t call_cost(const struct svp_hot *hot)
{
    return hot->call_seen_ns > hot->call_ns ? hot->call_seen_ns : hot->call_ns;
}

static void note_calls(struct svp_hot *hot, uint64_t calls, uint64_t spent_ns)
{
    uint64_t most = CALL_MOST * hot->call_ns;
    uint64_t each = spent_ns / calls < most ? spent_ns / calls : most;
    hot->call_seen_ns = hot->call_seen_ns == 0 ? each : hot->call_seen_ns - hot->call_seen_ns / 4 + each / 4;
}

/* Few hot pages between others are armed with them, where their faults cost less than another call. */
static void join_parts(struct svp_region *region, const struct svp_pageset *written, uint64_t unit)
{
    enum { HOT_MAX = 8 };
    struct svp_hot *hot = &region->hot;
    uint64_t between[HOT_MAX];
    uint64_t most = hot->fault_ns > 0 ? call_cost(hot) / hot->fault_ns : 0;
    uint64_t count = HOT_MAX + 1; /* since the last one that is armed */
    most = most < HOT_MAX ? most : HOT_MAX;
    uint64_t page = svp_pageset_next(written, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(written, page + unit)) {
        if (svp_pageset_has(&hot->unarmed, page)) {
            if (count < HOT_MAX) {
                between[count] = page;
            }
            count++;
            continue;
        }
        for (uint64_t i = 0; count <= most && i < count; i++) {
            svp_pageset_remove(&hot->unarmed, between[i], unit);
        }
        count = 0;
    }
}

/* Whether arming part by part costs less than the faults of so many pages. */
static bool parts_pay(const struct svp_region *region, const struct svp_pageset *written, uint64_t unit, uint64_t kept)
{
    struct parts parts = { region, written, unit, 0 };
    struct part part;
    uint64_t calls = 0;
    while (next_part(&parts, &part)) {
        calls++;
    }
    return PAUSE_WEIGHT * calls * call_cost(&region->hot) < kept * region->hot.fault_ns;
}

static enum savepoint_status rearm_part(struct svp_region *region, const struct part *part, struct svp_pageset *written)
{
    struct svp_watch_run runs[PART_RUNS];
    const struct svp_range range = { (uintptr_t)region->base + part->first * SVP_PAGE_BYTES,
                                     (part->end - part->first) * SVP_PAGE_BYTES };
    return svp_region_collect_range(region, &range, SVP_WATCH_REARM, written, runs, PART_RUNS, NULL);
}

static bool rearm_parts(struct svp_region *region, struct svp_pageset *written, uint64_t unit)
{
    struct parts parts = { region, written, unit, 0 };
    struct part part;
    uint64_t calls = 0;
    uint64_t began = svp_host_monotonic_ns();
    while (next_part(&parts, &part)) {
        if (rearm_part(region, &part, written) != SAVEPOINT_OK) {
            return false;
        }
        calls++;
    }
    note_calls(&region->hot, calls + (calls == 0), svp_host_monotonic_ns() - began);
    return true;
}

enum savepoint_status svp_rearm_all(struct svp_region *region, struct svp_pageset *written, struct svp_watch_run *runs,
                                    struct savepoint_error *error)
{
    svp_hot_begin(&region->hot);
    return svp_region_collect(region, SVP_WATCH_REARM, written, runs, error);
}

enum savepoint_status svp_rearm_collect(struct svp_region *region, struct svp_pageset *written,
                                        struct svp_watch_run *runs, struct savepoint_error *error)
{
    struct svp_hot *hot = &region->hot;
    uint64_t unit = region->host_page_bytes / SVP_PAGE_BYTES;
    svp_hot_begin(hot);
    hot->rest -= hot->rest > 0 ? 1 : 0;
    if (!region->arms_memory || !svp_hot_any(hot) || hot->rest > 0) {
        return svp_region_collect(region, SVP_WATCH_REARM, written, runs, error);
    }
    enum savepoint_status status = svp_region_collect(region, SVP_WATCH_PEEK, written, runs, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    find_hot(region, written, unit);
    join_parts(region, written, unit);
    uint64_t kept = svp_pageset_count(&hot->unarmed) / unit;
    bool armed = kept > 0 && parts_pay(region, written, unit, kept);
    hot->backoff = armed || kept == 0 ? 0 : hot->backoff < REST_TAKES ? 2 * hot->backoff + 1 : hot->backoff;
    hot->rest = hot->backoff;
    if (armed && rearm_parts(region, written, unit)) {
        return SAVEPOINT_OK;
    }
    hot->call_seen_ns -= hot->call_seen_ns / 8;
    svp_pageset_clear(&hot->unarmed);
    return svp_region_collect(region, SVP_WATCH_REARM, written, runs, error);
}
