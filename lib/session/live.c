/* live.c - a LIVE snapshot on its way: begun, ended by the stop, or given up */
#include "session/live.h"

#include <string.h>

#include "format/memory.h"
#include "os/host.h"
#include "session/store.h"
#include "session/takes.h"
#include "status.h"

#define BUDGET_DEFAULT_NS UINT64_C(1000000)
enum { PAGE_NS_GUESS = 500 };

/* ---- the worker */

static void run(void *argument)
{
    struct savepoint *session = argument;
    struct svp_live *live = session->live;
    svp_host_work_behind();
    svp_mutex_lock(session->mutex);
    for (;;) {
        while (live->next == NULL && !session->stopping) {
            svp_condition_wait(live->wake, session->mutex);
        }
        struct svp_store *store = live->next;
        live->next = NULL;
        if (store == NULL) {
            break;
        }
        svp_mutex_unlock(session->mutex);
        svp_precopy(session, store);
        svp_mutex_lock(session->mutex);
        store->at_work = false;
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
}

static void free_live(struct svp_live *live)
{
    svp_condition_close(live->wake);
    svp_memory_free(live->runs);
    svp_memory_free(live);
}

/* Makes the worker, the first time. */
static enum savepoint_status start(struct savepoint *session, struct savepoint_error *error)
{
    if (session->live != NULL) {
        return SAVEPOINT_OK;
    }
    struct svp_live *live = svp_memory_zalloc(1, sizeof *live);
    if (live != NULL) {
        live->page_ns = PAGE_NS_GUESS;
        live->wake = svp_condition_open();
        live->runs = svp_memory_alloc(SVP_RUNS * sizeof *live->runs);
    }
    if (live != NULL && live->wake != NULL && live->runs != NULL) {
        memset(live->runs, 0, SVP_RUNS * sizeof *live->runs); /* resident: the kernel will write to it */
        svp_mutex_lock(session->mutex);
        session->live = live;
        svp_mutex_unlock(session->mutex);
        live->thread = svp_thread_start(run, session);
    }
    if (live == NULL || live->thread == NULL) {
        svp_mutex_lock(session->mutex);
        session->live = NULL;
        svp_mutex_unlock(session->mutex);
        if (live != NULL) {
            free_live(live);
        }
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "take", "cannot start the worker of LIVE snapshots");
    }
    return SAVEPOINT_OK;
}

void svp_live_stop(struct savepoint *session)
{
    struct svp_live *live = session->live;
    if (live != NULL) {
        svp_mutex_lock(session->mutex);
        svp_condition_wake_all(live->wake);
        svp_mutex_unlock(session->mutex);
        svp_thread_join(live->thread);
        session->live = NULL;
        free_live(live);
    }
}

/* ---- what is being prepared, and its end */

bool svp_live_is_prepared(const struct savepoint *session)
{
    return session->live != NULL && session->live->take != NULL;
}

enum svp_live_stand svp_live_stand(struct savepoint *session)
{
    struct svp_live *live = session->live;
    if (live == NULL) {
        return SVP_LIVE_NONE;
    }
    svp_mutex_lock(session->mutex);
    enum svp_live_stand stand = SVP_LIVE_NONE;
    if (live->ready || live->news.status != SAVEPOINT_OK) {
        stand = SVP_LIVE_DUE;
    } else if (live->take != NULL) {
        stand = (live->take->flags & SVP_COMMIT_AUTOSAVE) != 0 ? SVP_LIVE_AUTOSAVE_PREPARED : SVP_LIVE_PREPARED;
    }
    svp_mutex_unlock(session->mutex);
    return stand;
}

/* With the mutex held: no copy counts any more. */
static void forget_copies(const struct svp_store *store)
{
    for (size_t i = 0; i < store->part_count; i++) {
        svp_pageset_clear(&store->parts[i].region->precopied);
    }
}

void svp_live_close(struct savepoint *session, struct svp_take *take)
{
    struct svp_live *live = session->live;
    if (take->store != NULL) {
        svp_store_end(take->store);
        svp_condition_wake_all(live->wake);
        live->take = NULL;
        live->ready = live->ending = false;
        atomic_store(&session->stop_wanted, false);
        atomic_fetch_sub(&session->busy, 1);
    }
}

void svp_live_share(struct svp_capture *capture, const struct svp_pageset *pages)
{
    struct svp_pageset *precopied = &capture->region->precopied;
    svp_pageset_unite(&capture->stored, pages);
    if (pages != &capture->staged) {
        svp_pageset_unite(&capture->staged, pages);
    }
    svp_pageset_subtract(&capture->staged, precopied);
    svp_pageset_subtract(&capture->stored, &capture->staged);
    svp_pageset_clear(precopied);
}

/* The take will not be captured: its pages are pending. */
static void drop(struct savepoint *session)
{
    struct svp_take *take = session->live->take;
    if (take == NULL) {
        return;
    }
    svp_mutex_lock(session->mutex);
    svp_live_close(session, take);
    svp_mutex_unlock(session->mutex);
    svp_store_settle(session, take->store);
    svp_mutex_lock(session->mutex);
    forget_copies(take->store);
    session->staging.expected_bytes = 0;
    svp_mutex_unlock(session->mutex);
    svp_store_close(session, take->store);
    svp_take_free(take);
}

/* ---- beginning */

enum savepoint_status svp_live_check_options(const struct savepoint_take_options *options, const char *operation,
                                             struct savepoint_error *error)
{
    if ((unsigned)options->mode > SAVEPOINT_LIVE || (unsigned)options->live_policy > SAVEPOINT_LIVE_GIVE_UP) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "mode %d or live_policy %d is not known",
                               (int)options->mode, (int)options->live_policy);
    }
    return SAVEPOINT_OK;
}

/* Asked for anew before a tick could tell why the one before was given up. */
static void forget_news(struct savepoint *session)
{
    struct svp_live *live = session->live;
    if (live != NULL) {
        svp_mutex_lock(session->mutex);
        bool given_up = live->news.status != SAVEPOINT_OK;
        live->news.status = SAVEPOINT_OK;
        svp_mutex_unlock(session->mutex);
        if (given_up) {
            drop(session);
            atomic_store(&session->stop_wanted, false);
        }
    }
}

/* What the stop writes to is not touched for the first time there. */
static void make_resident(struct svp_capture *capture)
{
    svp_pageset_clear(&capture->captured);
    svp_pageset_clear(&capture->no_base);
    svp_pageset_clear(&capture->staged);
    svp_pageset_clear(&capture->stored);
}

enum savepoint_status svp_live_begin(struct savepoint *session, struct svp_take *take,
                                     const struct savepoint_take_options *options, struct savepoint_error *error)
{
    forget_news(session);
    if (svp_live_is_prepared(session)) {
        return svp_status_fail(error, SAVEPOINT_BUSY, "take",
                               "a LIVE snapshot is being prepared: savepoint_tick() ends it, savepoint_cancel() gives "
                               "it up");
    }
    enum savepoint_status status = start(session, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_live *live = session->live;
    take->store = svp_store_open(session);
    if (take->store == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "take", "no memory for a LIVE snapshot");
    }
    take->store->budget_ns = options->pause_budget_ns != 0 ? options->pause_budget_ns : BUDGET_DEFAULT_NS;
    take->store->policy = options->live_policy;
    for (size_t i = 0; i < take->capture_count; i++) {
        atomic_store(&take->captures[i].region->prepared, false);
        make_resident(&take->captures[i]);
    }
    svp_mutex_lock(session->mutex);
    live->take = take;
    live->next = take->store;
    live->next->at_work = true;
    live->ready = live->ending = false;
    atomic_store(&session->stop_wanted, false);
    atomic_fetch_add(&session->busy, 1);
    svp_condition_wake_all(live->wake);
    svp_mutex_unlock(session->mutex);
    return SAVEPOINT_OK;
}

/* ---- the stop */

/* With the mutex held: the next tick is to tell. */
static void note(struct savepoint *session, const struct savepoint_error *why)
{
    struct svp_live *live = session->live;
    live->news = *why;
    live->news_of_autosave = (live->take->flags & SVP_COMMIT_AUTOSAVE) != 0;
    live->ready = false;
    atomic_store(&live->take->store->leave, true);
    atomic_store(&session->stop_wanted, true);
    svp_condition_wake_all(live->wake);
}

enum savepoint_status
svp_live_end(struct savepoint *session, uint64_t *ticket, bool *autosave, struct savepoint_error *error)
{
    struct svp_live *live = session->live;
    enum savepoint_status status = SAVEPOINT_OK;
    svp_mutex_lock(session->mutex);
    const struct savepoint_error news = live->news;
    live->news.status = SAVEPOINT_OK;
    live->ending = news.status == SAVEPOINT_OK;
    *autosave = live->ending ? (live->take->flags & SVP_COMMIT_AUTOSAVE) != 0 : live->news_of_autosave;
    svp_mutex_unlock(session->mutex);
    if (news.status == SAVEPOINT_OK) {
        status = svp_take_end(session, ticket, live->take, error);
    } else {
        status = news.status;
        if (error != NULL) {
            *error = news;
        }
    }
    if (status == SAVEPOINT_BUSY) { /* in a call of long work: it is ended by a tick behind that */
        svp_mutex_lock(session->mutex);
        live->ending = false;
        svp_mutex_unlock(session->mutex);
        *autosave = false;
    } else if (status != SAVEPOINT_OK) {
        drop(session);
        atomic_store(&session->stop_wanted, false);
    }
    return status;
}

/* ---- giving up */

void svp_live_give_up(struct savepoint *session, const char *operation)
{
    struct savepoint_error why;
    if (!svp_live_is_prepared(session)) {
        return;
    }
    svp_status_fail(&why, SAVEPOINT_CANCELLED, "take",
                    "a LIVE snapshot was given up while it was prepared, for the call of %s; the next take carries "
                    "its pages",
                    operation);
    svp_mutex_lock(session->mutex);
    if (session->live->news.status == SAVEPOINT_OK) {
        note(session, &why);
    }
    svp_mutex_unlock(session->mutex);
    drop(session);
    atomic_store(&session->stop_wanted, true);
}

void svp_live_forget_autosave(struct savepoint *session)
{
    if (svp_live_is_prepared(session) && (session->live->take->flags & SVP_COMMIT_AUTOSAVE) != 0) {
        drop(session);
        forget_news(session);
    }
}

void svp_live_cancel(struct savepoint *session, const struct savepoint_error *why)
{
    struct svp_live *live = session->live;
    if (live != NULL && live->take != NULL && !live->ending && live->news.status == SAVEPOINT_OK) {
        note(session, why);
    }
}

void svp_live_fail(struct savepoint *session, struct svp_store *store, uint64_t pages)
{
    struct savepoint_error why;
    svp_status_fail(&why, SAVEPOINT_LIMIT, "take",
                    "a LIVE snapshot was given up: about %llu pages stay to be copied in the stop, however often they "
                    "are copied before, more than fit its budget of %llu ns: raise pause_budget_ns, or let it take "
                    "longer (SAVEPOINT_LIVE_ACCEPT)",
                    (unsigned long long)pages, (unsigned long long)store->budget_ns);
    svp_mutex_lock(session->mutex);
    if (!atomic_load(&store->leave)) {
        note(session, &why);
    }
    svp_mutex_unlock(session->mutex);
}
