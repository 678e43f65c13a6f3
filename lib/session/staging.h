/* staging.h - memory for captured pages between the pause and the encoder: a budget, and chunks used again */
#ifndef SVP_STAGING_H
#define SVP_STAGING_H

#include "session/session.h"

/* Caller: an empty chunk, after waiting for room in the budget (an autosave does not wait). NULL: the take has failed
 * (also for want of memory) and nothing more need be staged. */
struct svp_chunk *svp_staging_chunk(struct savepoint *session, struct svp_take *take);
/* With the mutex held: half of what LIVE snapshots leave of the budget is in use. */
bool svp_staging_is_short(const struct savepoint *session);
/* Encoder: the chunk has been encoded. */
void svp_staging_release(struct savepoint *session, struct svp_chunk *chunk);
/* Worker of LIVE snapshots: a stop will copy about so many pages, or all there are; touching new memory is done before
 * it. Until `expected_bytes` is 0 again. */
void svp_staging_expect(struct savepoint *session, uint64_t pages);
/* With the mutex held, when a take has ended: the chunks that recent takes did not need, or the budget
 * does not allow to be kept, for svp_staging_free. */
struct svp_chunk *svp_staging_settle(struct svp_staging *staging, uint64_t budget_bytes);
void svp_staging_free(struct svp_chunk *chunks); /* and all behind it; without the mutex */

#endif
