/* takes.h - the queue between the caller and the worker: takes, their staged chunks, their results */
#ifndef SVP_TAKES_H
#define SVP_TAKES_H

#include "session/session.h"

/* The part of the options that needs no session: label and durability. */
enum savepoint_status svp_take_check_options(const struct savepoint_take_options *options, const char *operation,
                                             struct savepoint_error *error);
/* Caller: captures the regions and hands them to the worker; savepoint_take with checked options. `autosave`: on whose
 * behalf, NULL for a call of the application. */
enum savepoint_status
svp_take_capture(struct savepoint *session, uint64_t *ticket, const struct savepoint_take_options *options,
                 const struct svp_autosave *autosave, struct savepoint_error *error);

void svp_take_free(struct svp_take *take); /* NULL does nothing */
/* With the mutex held: gives the take its ticket and puts it behind those in flight. The worker, which is not woken
 * yet (it would compete with the copying), frees it once it is
 * complete. */
void svp_take_enqueue(struct savepoint *session, struct svp_take *take);

/* Caller: hands a filled chunk to the worker. */
void svp_take_stage(struct savepoint *session, struct svp_take *take, struct svp_chunk *chunk);

/* Worker: the oldest take in flight, after waiting for one; NULL: the session is closing and none is left. */
struct svp_take *svp_take_next(struct savepoint *session);
/* Worker: the next staged chunk, after waiting for it; NULL: there are no more. */
struct svp_chunk *svp_take_unstage(struct savepoint *session, struct svp_take *take);
/* Worker: notes the first failure of a take, so that staging stops. */
void svp_take_fail(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                   const struct savepoint_error *error);
enum savepoint_status svp_take_status(struct savepoint *session, const struct svp_take *take);
/* Worker: ends the oldest take. On failure its pages, and those of every take behind it, return to pending and
 * bypass the comparison from then on: the shadow has moved on. */
void svp_take_finish(struct savepoint *session, struct svp_take *take, const struct savepoint_snapshot *snapshot);

#endif
