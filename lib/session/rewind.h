/* rewind.h - going back and forth in a session's ring */
#ifndef SVP_REWIND_H
#define SVP_REWIND_H

#include "session/restore.h"

/* Caller: brings memory and shadow to a mark of the ring. On failure both are unchanged. */
enum savepoint_status svp_rewind(struct savepoint *session, const struct svp_ring_mark *mark,
                                 const struct savepoint_restore_options *options, struct savepoint_error *error);

/* A restore from the archive moves the shadow under the ring: what it was is kept before (NO_MEMORY: nothing was
 * changed), and logged when it has moved, also where the restore has failed. NULL where there is no ring. */
enum savepoint_status svp_rewind_keep(const struct savepoint *session, const struct svp_restore *restore,
                                      uint8_t **kept, struct savepoint_error *error);
void svp_rewind_log(struct savepoint *session, const struct svp_restore *restore, uint8_t *kept, bool failed);

#endif
