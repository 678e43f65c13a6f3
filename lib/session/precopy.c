/* precopy.c - copying pages while the program runs, until those that it has written since are few */
#include "os/host.h"
#include "session/copy.h"
#include "session/live.h"
#include "session/rearm.h"
#include "session/region.h"
#include "session/staging.h"
#include "session/store.h"

/* A round pays as long as it leaves at most so much of what there was. */
enum { ROUNDS_MAX = 16, SHRINK_PERCENT = 70 };
enum { MEASURED_PAGES_MIN = 64 };
/* Between the rounds that keep the rest small: so many times as long as one takes, and within these bounds. */
enum { REST_ROUNDS = 4 };
#define REST_NS_MIN UINT64_C(100000)
#define REST_NS_MAX UINT64_C(50000000)

struct round {
    uint64_t began_ns, collected_ns;
    uint64_t pages;      /* that a stop now would have to copy */
    uint64_t todo_pages; /* of them, those that the round copies */
    bool whole;          /* all of the memory is there */
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
        round->todo_pages += svp_pageset_count(&part->todo);
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

/* False: the worker is to leave; where it stands tells what it has not copied. */
static bool copy_pages(struct savepoint *session, struct svp_store *store)
{
    struct svp_live *live = session->live;
    const uint64_t began = svp_host_monotonic_ns();
    uint64_t copied = 0;
    bool stays = true;
    for (size_t i = 0; stays && i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        uint64_t page = svp_pageset_next(&part->todo, 0);
        for (; stays && page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->todo, page + 1)) {
            svp_copy_live(svp_store_page(store, part, page), part->region->base + page * SVP_PAGE_BYTES,
                          SVP_PAGE_BYTES);
            atomic_store_explicit(&store->position, svp_store_position(i, page + 1), memory_order_release);
            copied++;
            stays = !atomic_load_explicit(&store->leave, memory_order_relaxed);
        }
    }
    if (copied >= MEASURED_PAGES_MIN) {
        const uint64_t page_ns = (svp_host_monotonic_ns() - began) / copied;
        live->page_ns = page_ns > 0 ? page_ns : 1;
    }
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

void svp_precopy(struct savepoint *session, struct svp_store *store)
{
    struct svp_live *live = session->live;
    uint64_t pages_before = 0, collected_before_ns = svp_host_monotonic_ns();
    bool announced = false, room = true;
    for (unsigned number = 1;; number++) {
        struct round round = { .began_ns = svp_host_monotonic_ns() };
        if (!find_pages(session, store, &round)) {
            return;
        }
        round.collected_ns = svp_host_monotonic_ns();
        const uint64_t budget_pages = store->budget_ns / live->page_ns;
        const bool fits = round.pages <= budget_pages;
        const bool shrinks = number == 1 || round.pages * 100 < pages_before * SHRINK_PERCENT;
        const bool hopeless = !announced && !fits && (!round.whole || !room || !shrinks || number == ROUNDS_MAX);
        if (hopeless && store->policy == SAVEPOINT_LIVE_GIVE_UP) {
            svp_live_fail(session, store, round.pages);
            return;
        }
        if (hopeless || (fits && !announced)) {
            announce(session, store, fits, fits ? budget_pages : round.pages);
            announced = true;
        }
        if (round.whole) {
            room = svp_store_place(session, store);
            if (!begin_copying(session, store) || !copy_pages(session, store)) {
                return;
            }
        }
        if (hopeless) {
            rest(session, store, UINT64_MAX);
            return;
        }
        if (announced) {
            rest(session, store, rest_ns(&round, round.collected_ns - collected_before_ns, budget_pages));
        }
        pages_before = round.pages;
        collected_before_ns = round.collected_ns;
    }
}
