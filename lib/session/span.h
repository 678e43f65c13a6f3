/* span.h - the INDEX a commit writes, and what the next one needs to know of those before */
#ifndef SVP_SPAN_H
#define SVP_SPAN_H

#include "session/session.h"

/* Writes the INDEX record of the commit being written; may put `regions` into another order. */
enum savepoint_status svp_span_write(struct savepoint *session, struct svp_region **regions, size_t region_count,
                                     uint64_t *index_offset, struct savepoint_error *error);
/* A commit of this depth was written. */
void svp_span_advance(struct svp_history *history, uint64_t commit_offset, uint32_t depth);
/* Finds history->levels for going on from a commit. */
enum savepoint_status svp_span_find(const struct svp_source *source, struct svp_history *history,
                                    uint64_t commit_offset, struct savepoint_error *error);

#endif
