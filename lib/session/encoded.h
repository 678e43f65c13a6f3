/* encoded.h - memory for laid out bytes between the encoder and the writer: a budget, and blocks used again */
#ifndef SVP_ENCODED_H
#define SVP_ENCODED_H

#include "session/session.h"

/* Encoder: hands over bytes of the take being laid out (a svp_append_sink of the session), after waiting for room in
 * the budget. Fails also when the take has. */
enum savepoint_status svp_encoded_push(void *user, struct svp_buffer *laid_out, struct savepoint_error *error);
/* Writer: the take's next block, after waiting for it; NULL: there are no more. With the last one it is too late to
 * give the take up. */
struct svp_block *svp_encoded_pop(struct savepoint *session, struct svp_take *take);
/* Writer: the block is written. */
void svp_encoded_release(struct savepoint *session, struct svp_block *block);
void svp_encoded_free(struct savepoint *session); /* what is kept; when the workers have ended */

#endif
