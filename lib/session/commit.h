/* commit.h - the encoder: one take becomes one transaction, laid out */
#ifndef SVP_COMMIT_H
#define SVP_COMMIT_H

#include "session/session.h"

/* The encoder: lays takes out in order until the session closes. */
void svp_commit_run(void *argument); /* a struct savepoint */

/* Finds where the commit after that at `commit_offset` would stand in the archive behind `source`. */
enum savepoint_status svp_commit_history(const struct svp_source *source, struct svp_history *history,
                                         uint64_t commit_offset, struct savepoint_error *error);

/* Reads what the next commit needs to know of its parent: identity, depth, levels, table of regions. Offset 0: no
 * parent. On failure the history is unchanged. */
enum savepoint_status
svp_commit_stand_at(struct savepoint *session, uint64_t commit_offset, struct savepoint_error *error);

#endif
