/* live.h - a LIVE snapshot on its way: prepared by a worker while the program runs, ended by a short stop
 *
 * The worker copies pages to a store (store.h), round by round; a page's copy is current while the page is in its
 * region's `precopied`. Two rules keep that true:
 *  - a page is put there before it is copied, and taken out by whoever collects it as written (svp_region_report), so
 *    that a write beside the copying takes it out again;
 *  - what a collect reports is entered before the watch is let go (session->watching): the next collect will not report
 *    it again.
 * At the end the stop collects for the last time, and copies what is wanted and not precopied. */
#ifndef SVP_LIVE_H
#define SVP_LIVE_H

#include "session/session.h"

struct svp_live {
    struct svp_thread *thread;
    struct svp_condition *wake; /* for the worker */
    struct svp_watch_run *runs; /* worker: SVP_RUNS */

    /* shared */
    struct svp_take *take;       /* being prepared; NULL: none. Changed by the caller only */
    struct svp_store *next;      /* for the worker to begin with */
    bool ready;                  /* for the stop */
    bool ending;                 /* the stop has begun: too late to give it up */
    struct savepoint_error news; /* why one was given up, for the next tick to return; status OK: none */
    bool news_of_autosave;

    /* worker */
    uint64_t page_ns; /* what copying a page costs, as measured */
};

/* What the next tick finds. */
enum svp_live_stand {
    SVP_LIVE_NONE,
    SVP_LIVE_PREPARED,          /* by the worker, for savepoint_take ... */
    SVP_LIVE_AUTOSAVE_PREPARED, /* ... or for the interval: nothing else is due */
    SVP_LIVE_DUE                /* to be ended, or was given up: svp_live_end */
};
enum svp_live_stand svp_live_stand(struct savepoint *session);

/* Caller: the part of the options that makes a take LIVE. */
enum savepoint_status svp_live_check_options(const struct savepoint_take_options *options, const char *operation,
                                             struct savepoint_error *error);
/* Caller: has the take prepared, and keeps it unless an error is returned. */
enum savepoint_status svp_live_begin(struct savepoint *session, struct svp_take *take,
                                     const struct savepoint_take_options *options, struct savepoint_error *error);
/* Caller, while nobody writes: the stop; or the reason why there is none. `autosave`: an autosave is over by that.
 * BUSY: it stays prepared. */
enum savepoint_status
svp_live_end(struct savepoint *session, uint64_t *ticket, bool *autosave, struct savepoint_error *error);
/* Caller: gives up what is being prepared, because of what is to be done now; the next tick says so. */
void svp_live_give_up(struct savepoint *session, const char *operation);
/* Caller: the same for one of the interval, of which nothing is to be told. */
void svp_live_forget_autosave(struct savepoint *session);
/* With the mutex held, any thread: savepoint_cancel asks for it. */
void svp_live_cancel(struct savepoint *session, const struct savepoint_error *why);
/* Worker: the dirty set does not come to fit the budget, and the policy is not to stop for it. */
void svp_live_fail(struct savepoint *session, struct svp_store *store, uint64_t pages);
/* Closing: nothing is being prepared, `stopping` is set. */
void svp_live_stop(struct savepoint *session);

/* Caller: a take is being prepared. */
bool svp_live_is_prepared(const struct savepoint *session);
/* With mutex and `watching` held, everything reported: the take to be captured now is the one prepared, and the worker
 * is done with it. */
void svp_live_close(struct savepoint *session, struct svp_take *take);
/* With the mutex held, then: `pages` are to be captured; those whose copies are current go to capture->stored, the
 * others to capture->staged. */
void svp_live_share(struct svp_capture *capture, const struct svp_pageset *pages);

/* The worker's part of it (precopy.c): rounds, until it is to leave the store. */
void svp_precopy(struct savepoint *session, struct svp_store *store);

#endif
