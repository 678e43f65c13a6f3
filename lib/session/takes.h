/* takes.h - the queue from the caller to the encoder to the writer: takes, their staged chunks, their results */
#ifndef SVP_TAKES_H
#define SVP_TAKES_H

#include "session/session.h"

/* The part of the options that needs no session: label and durability. */
enum savepoint_status svp_take_check_options(const struct savepoint_take_options *options, const char *operation,
                                             struct savepoint_error *error);
/* A snapshot of the archive has something to go on from, or is meant to be a root; else NOT_RESUMED. */
enum savepoint_status
svp_take_check_stand(const struct savepoint *session, const char *operation, struct savepoint_error *error);
/* Caller: captures the regions and hands them to the encoder; savepoint_take with checked options. A LIVE one is only
 * begun, and has ticket 0. `autosave`: on whose behalf, NULL for a call of the application. */
enum savepoint_status
svp_take_capture(struct savepoint *session, uint64_t *ticket, const struct savepoint_take_options *options,
                 const struct svp_autosave *autosave, struct savepoint_error *error);

/* Caller, while nobody writes: ends the LIVE take that was prepared. On failure the take is still the caller's. */
enum savepoint_status
svp_take_end(struct savepoint *session, uint64_t *ticket, struct svp_take *take, struct savepoint_error *error);

void svp_take_free(struct svp_take *take); /* NULL does nothing */
/* With the mutex held: gives the take its ticket and puts it behind those in flight. The encoder is not woken yet:
 * it would compete with the copying. */
void svp_take_enqueue(struct savepoint *session, struct svp_take *take);

/* Caller: hands a filled chunk to the encoder. */
void svp_take_stage(struct savepoint *session, struct svp_take *take, struct svp_chunk *chunk);

/* Encoder: the oldest take that is not encoded, after waiting for one; NULL: the session is closing and none is left.
 */
struct svp_take *svp_take_next(struct savepoint *session);
/* Encoder: sets `stand` to what the take's transaction goes on from, where that is not behind the one encoded last. */
void svp_take_stand(struct savepoint *session, const struct svp_take *take, struct svp_stand *stand);
/* Encoder: what the take has captured is in the shadow, unless the status returned is a failure. A take of the ring can
 * no longer be given up. */
enum savepoint_status svp_take_moved(struct savepoint *session, struct svp_take *take);
/* Encoder: is done with the take; the writer ends it, or the encoder itself if it is one of the ring. */
void svp_take_encoded(struct savepoint *session, struct svp_take *take);
/* Notes the first failure of a take, so that all work on it stops. The takes behind it that rest on it fail too. The
 * pages of all of them return to pending at once and bypass the comparison from then on: the shadow has moved on. */
void svp_take_fail(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                   const struct savepoint_error *error);
enum savepoint_status svp_take_status(struct savepoint *session, const struct svp_take *take);
/* With the mutex held: something is in flight that an autosave does not queue behind: a take of the archive or a
 * compaction, which wait for the disk, or another autosave. */
bool svp_take_puts_off(const struct savepoint *session);
/* Writer: the oldest take of the archive in flight, after waiting for one; NULL: the session is closing and none is
 * left. */
struct svp_take *svp_take_oldest(struct savepoint *session);
/* Writer, and encoder for a take of the ring: ends it. */
void svp_take_finish(struct savepoint *session, struct svp_take *take, const struct savepoint_snapshot *snapshot);
/* When all work has ended: why the last take of the archive failed, if nobody was told. */
enum savepoint_status svp_take_untold(const struct savepoint *session, struct savepoint_error *error);

#endif
