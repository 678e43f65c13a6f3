/* examine.h - staged pages are compared with the shadow and hashed: by the encoder, and by a worker ahead of it
 *
 * Most of that is waiting for memory, and two threads wait half as long. But a second thread may take a core that the
 * program has work for: the worker works while a caller waits for a take, or for room to stage one, and so leaves a
 * core of its own to it. It examines the next few chunks of the take that is being encoded. The encoder encodes them in
 * order; where the next one is not ready it examines the first that nobody has begun. It alone moves the shadow, page
 * by page as they are encoded: since no take captures a page twice, what is compared ahead of it is what it will find.
 */
#ifndef SVP_EXAMINE_H
#define SVP_EXAMINE_H

#include "session/session.h"

bool svp_examine_open(struct svp_examiner *examiner); /* false: no memory */
void svp_examine_close(struct svp_examiner *examiner);
/* Where the session may have more than one worker for a piece of work. Where no thread can be started there is none, as
 * with one worker: it is only slower. */
void svp_examine_start(struct savepoint *session);
/* Once the encoder has ended. */
void svp_examine_stop(struct savepoint *session);

/* Caller, with the mutex held: it waits for takes from now on, until the session ends. */
void svp_examine_hurry(struct savepoint *session);
/* The same until something has changed: the mutex is let go meanwhile. */
void svp_examine_wait(struct savepoint *session);

/* Encoder: the worker may begin with the take's chunks. */
void svp_examine_begin(struct savepoint *session, struct svp_take *take);
/* Encoder: the take's next chunk, examined unless the take has failed; NULL: all have been taken. */
struct svp_chunk *svp_examine_next(struct savepoint *session, struct svp_take *take);
/* Encoder: examines a chunk that was not staged. It holds what was found until the next such chunk is examined. */
void svp_examine_now(struct savepoint *session, struct svp_chunk *chunk);
/* With the mutex held: the chunk was encoded, or will not be. */
void svp_examine_give_back(struct svp_examiner *examiner, struct svp_chunk *chunk);

#endif
