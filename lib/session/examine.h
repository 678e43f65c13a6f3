/* examine.h - staged pages are compared with the shadow and hashed: by the encoder, and by callers that wait for it
 *
 * Most of that is waiting for memory, and two threads wait half as long. But a second thread of our own would take a
 * core that the program has work for, and has to be woken first: so who waits for a take, or for room to stage one,
 * does it, whose core has nothing else to do, and holds the staged pages in its cache. It begins at once, before the
 * encoder does, and examines the next few chunks of the take that is encoded next. The encoder encodes them in order;
 * where the next one is not ready it examines the first that nobody has begun. It alone moves the shadow, page by page
 * as they are encoded: since no take captures a page twice, what is compared ahead of it is what it will find. */
#ifndef SVP_EXAMINE_H
#define SVP_EXAMINE_H

#include "session/session.h"

bool svp_examine_open(struct svp_examiner *examiner); /* false: no memory */
void svp_examine_close(struct svp_examiner *examiner);

/* Caller, with the mutex held, which is let go meanwhile: examines a chunk where the session may have more than one
 * worker and there is one to examine; else waits until something has changed. */
void svp_examine_wait(struct savepoint *session);

/* Encoder: the take's next chunk, examined unless the take has failed; NULL: all have been taken. */
struct svp_chunk *svp_examine_next(struct savepoint *session, struct svp_take *take);
/* Encoder: examines a chunk that was not staged. It holds what was found until the next such chunk is examined. */
void svp_examine_now(struct savepoint *session, struct svp_chunk *chunk);
/* With the mutex held: the chunk was encoded, or will not be. */
void svp_examine_give_back(struct svp_examiner *examiner, struct svp_chunk *chunk);

#endif
