/* drop.h - keep_last: an autosave that is committed drops older ones, in its own transaction */
#ifndef SVP_DROP_H
#define SVP_DROP_H

#include "session/session.h"

void svp_drop_close(struct svp_drops *drops);

/* Encoder, in the transaction of a take, behind its COMMIT: writes the TOMBSTONEs of what it drops and tells `end`.
 * What cannot be found out or kept in mind (no memory, unreadable snapshots) is dropped by a later autosave: only a
 * failure to write fails the take. */
enum savepoint_status svp_drop_write(struct savepoint *session, const struct svp_take *take, struct svp_end *end,
                                     struct savepoint_error *error);
/* Writer, once that transaction is committed: catalog, list and statistics follow. */
void svp_drop_settle(struct savepoint *session, const struct svp_take *take, const struct svp_commit *commit,
                     uint64_t commit_offset);

#endif
