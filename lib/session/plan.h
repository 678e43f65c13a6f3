/* plan.h - what a restore will change */
#ifndef SVP_PLAN_H
#define SVP_PLAN_H

#include "session/restore.h"

/* Everything that can fail without a byte of memory or shadow changed: fills in the commit, the parts and what differs,
 * and sees to it that the memory can be written. */
enum savepoint_status
svp_plan_restore(struct savepoint *session, struct svp_restore *restore, struct savepoint_error *error);

#endif
