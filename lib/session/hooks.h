/* hooks.h - what others notice of a restore: takes are BUSY while it runs, hooks are called when it has ended */
#ifndef SVP_HOOKS_H
#define SVP_HOOKS_H

#include "session/session.h"

void svp_hooks_begin_restore(struct savepoint *session);
/* The hooks are called where `status` is OK. */
void svp_hooks_end_restore(struct savepoint *session, const struct savepoint_snapshot *snapshot,
                           enum savepoint_status status);

#endif
