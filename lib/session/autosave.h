/* autosave.h - snapshots taken by the clock: what became of the last one */
#ifndef SVP_AUTOSAVE_H
#define SVP_AUTOSAVE_H

#include "session/session.h"

/* Writer, with the mutex held: a take has ended. Its cost is counted; if it was an autosave that failed, the next tick
 * says so. */
void svp_autosave_note(struct savepoint *session, const struct svp_take *take);

#endif
