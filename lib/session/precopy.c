/* precopy.c - copying pages while the program runs, until those that it has written since are few */
#include "os/host.h"
#include "session/copy.h"
#include "session/live.h"
#include "session/rearm.h"
#include "session/region.h"
#include "session/staging.h"
#include "session/store.h"

/* A round pays where the next one finds at most so much of what it found; one that does not may have been held up. */
enum { ROUNDS_MAX = 16, STALLED_MAX = 2, SHRINK_PERCENT = 70 };
enum { METERED_PAGES = 64 };
/* Between the rounds that keep the rest small: so many times as long as one takes, and within these bounds. */
enum { REST_ROUNDS = 4 };
#define REST_NS_MIN UINT64_C(100000)
#define REST_NS_MAX UINT64_C(50000000)

struct round {
    uint64_t began_ns;
    uint64_t pages; /* that a stop now would have to copy */
    bool whole;     /* all of the memory is there */
};

/* Its watch tells while the program runs, and system calls that write into it have not been promised to work. */
static bool is_copied(const struct svp_region *region)
{
    return region->collects_live && !region->prepared;
}

/* With the mutex held. */
static void choose_pages(const struct savepoint *session, struct svp_stored *part, struct round *round)
{
    struct svp_region *region = part->region;
    svp_pageset_clear(&part->todo);
    svp_pageset_unite(&part->todo, session->has_ring ? &region->ring_pending : &region->pending);
    svp_pageset_subtract(&part->todo, &region->excluded);
    if (is_copied(region)) {
        svp_pageset_subtract(&part->todo, &region->precopied);
        round->pages += svp_pageset_count(&part->todo);
    } else {
        round->pages += region->arms_memory ? svp_pageset_count(&part->todo) : region->pages;
        svp_pageset_clear(&part->todo);
    }
}

/* Collects for all histories, and finds what to copy. False: the worker is to leave. */
static bool find_pages(struct savepoint *session, struct svp_store *store, struct round *round)
{
    struct svp_live *live = session->live;
    svp_mutex_lock(session->watching);
    bool stays = !atomic_load(&store->leave);
    round->whole = true;
    for (size_t i = 0; stays && i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        svp_pageset_clear(&part->written);
        if (is_copied(part->region)) {
            enum savepoint_status status = svp_rearm_all(part->region, &part->written, live->runs, NULL);
            round->whole = round->whole && status == SAVEPOINT_OK;
        }
    }
    svp_mutex_lock(session->mutex);
    for (size_t i = 0; stays && i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        session->statistics.pages_reported += svp_pageset_count(&part->written);
        svp_region_report(part->region, &part->written);
        choose_pages(session, part, round);
    }
    session->statistics.live_rounds += stays;
    svp_mutex_unlock(session->mutex);
    svp_mutex_unlock(session->watching);
    return stays;
}

/* The pages about to be copied count as copied from here on: what is written meanwhile takes them out again. */
static bool begin_copying(struct savepoint *session, struct svp_store *store)
{
    svp_mutex_lock(session->mutex);
    bool stays = !atomic_load(&store->leave);
    for (size_t i = 0; stays && i < store->part_count; i++) {
        svp_pageset_unite(&store->parts[i].region->precopied, &store->parts[i].todo);
    }
    if (stays) {
        atomic_store(&store->position, svp_store_position(0, 0));
    }
    svp_mutex_unlock(session->mutex);
    return stays;
}

/* What a page costs where nothing comes between: the least of a round, as other threads only add to it. */
struct meter {
    uint64_t began_ns;
    uint64_t page_ns; /* 0: not known */
};

static void read_meter(struct meter *meter)
{
    const uint64_t now_ns = svp_host_monotonic_ns();
    const uint64_t page_ns = (now_ns - meter->began_ns) / METERED_PAGES + 1;
    meter->page_ns = meter->page_ns == 0 || page_ns < meter->page_ns ? page_ns : meter->page_ns;
    meter->began_ns = now_ns;
}

/* False: the worker is to leave; where it stands tells what it has not copied. */
static bool copy_pages(struct savepoint *session, struct svp_store *store)
{
    struct svp_live *live = session->live;
    struct meter meter = { .began_ns = svp_host_monotonic_ns() };
    uint64_t copied = 0;
    bool stays = true;
    for (size_t i = 0; stays && i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        uint64_t page = svp_pageset_next(&part->todo, 0);
        for (; stays && page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->todo, page + 1)) {
            svp_copy_live(svp_store_page(store, part, page), part->region->base + page * SVP_PAGE_BYTES,
                          SVP_PAGE_BYTES);
            atomic_store_explicit(&store->position, svp_store_position(i, page + 1), memory_order_release);
            if (++copied % METERED_PAGES == 0) {
                read_meter(&meter);
            }
            stays = !atomic_load_explicit(&store->leave, memory_order_relaxed);
        }
    }
    live->page_ns = meter.page_ns > 0 ? meter.page_ns : live->page_ns;
    svp_mutex_lock(session->mutex);
    session->statistics.live_pages_precopied += copied;
    if (!atomic_load(&store->leave)) {
        atomic_store(&store->position, SVP_STORE_REST);
    }
    svp_mutex_unlock(session->mutex);
    return stays;
}

/* The next tick may end the capture. */
static void announce(struct savepoint *session, const struct svp_store *store, bool fits, uint64_t pages)
{
    svp_staging_expect(session, pages);
    svp_mutex_lock(session->mutex);
    if (!atomic_load(&store->leave)) {
        session->live->ready = true;
        session->statistics.live_not_converged += !fits;
        atomic_store(&session->stop_wanted, true);
    }
    svp_mutex_unlock(session->mutex);
}

/* Until about half of the budget will have been written; `ns` UINT64_MAX: for good. */
static void rest(struct savepoint *session, const struct svp_store *store, uint64_t ns)
{
    svp_mutex_lock(session->mutex);
    while (ns == UINT64_MAX && !atomic_load(&store->leave)) {
        svp_condition_wait(session->live->wake, session->mutex);
    }
    if (!atomic_load(&store->leave)) {
        svp_condition_wait_for(session->live->wake, session->mutex, ns);
    }
    svp_mutex_unlock(session->mutex);
}

/* How long the pages that a round found took to be written tells how long half a budget takes. */
static uint64_t rest_ns(const struct round *round, uint64_t written_ns, uint64_t budget_pages)
{
    const uint64_t least = REST_ROUNDS * (svp_host_monotonic_ns() - round->began_ns) + REST_NS_MIN;
    uint64_t ns = REST_NS_MAX;
    if (round->pages > 0 && written_ns / round->pages < REST_NS_MAX / (budget_pages / 2 + 1)) {
        ns = written_ns / round->pages * (budget_pages / 2 + 1);
    }
    return ns > least ? ns : least;
}

/* What the rounds of one capture have come to. */
struct course {
    unsigned rounds, stalled; /* the last of them that did not pay */
    uint64_t least_pages;     /* that one has found */
    uint64_t collected_ns;    /* the one before */
    bool room;                /* for all pages in the store */
    bool announced;
};

/* No number of rounds will make it fit. */
static bool is_hopeless(struct course *course, const struct round *round)
{
    const bool shrinks = course->rounds == 0 || round->pages * 100 < course->least_pages * SHRINK_PERCENT;
    course->rounds++;
    course->stalled = shrinks ? 0 : course->stalled + 1;
    course->least_pages = shrinks ? round->pages : course->least_pages;
    return !round->whole || !course->room || course->stalled == STALLED_MAX || course->rounds == ROUNDS_MAX;
}

/* One round; false: there is to be no other. */
static bool run_round(struct savepoint *session, struct svp_store *store, struct course *course)
{
    struct round round = { .began_ns = svp_host_monotonic_ns() };
    if (!find_pages(session, store, &round)) {
        return false;
    }
    const uint64_t now_ns = svp_host_monotonic_ns();
    const uint64_t written_ns = now_ns - course->collected_ns;
    const uint64_t budget_pages = store->budget_ns / session->live->page_ns;
    const bool fits = round.pages <= budget_pages;
    const bool hopeless = !fits && !course->announced && is_hopeless(course, &round);
    course->collected_ns = now_ns;
    if (hopeless && store->policy == SAVEPOINT_LIVE_GIVE_UP) {
        svp_live_fail(session, store, round.pages);
        return false;
    }
    if (round.whole) {
        course->room = svp_store_place(session, store);
        if (!begin_copying(session, store) || !copy_pages(session, store)) {
            return false;
        }
    }
    if (!course->announced && (fits || hopeless)) {
        announce(session, store, fits, fits ? budget_pages : round.pages);
        course->announced = true;
    }
    if (course->announced) {
        rest(session, store, hopeless ? UINT64_MAX : rest_ns(&round, written_ns, budget_pages));
    }
    return !hopeless;
}

void svp_precopy(struct savepoint *session, struct svp_store *store)
{
    struct course course = { .collected_ns = svp_host_monotonic_ns(), .room = true };
    while (run_round(session, store, &course)) {
    }
}
