/* rearm.h - what a take collects: everything written, re-arming all but the hot pages */
#ifndef SVP_REARM_H
#define SVP_REARM_H

#include "session/session.h"

/* As svp_region_collect in mode REARM, into an empty set; but pages that are cheaper unarmed stay so, and are reported
 * the next time whether they are written or not. */
enum savepoint_status svp_rearm_collect(struct svp_region *region, struct svp_pageset *written,
                                        struct svp_watch_run *runs, struct savepoint_error *error);
/* The same, and no page stays unarmed: while a LIVE snapshot is being prepared. Each of them would have to be copied
 * once more in every round, and in the stop. */
enum savepoint_status svp_rearm_all(struct svp_region *region, struct svp_pageset *written, struct svp_watch_run *runs,
                                    struct savepoint_error *error);

#endif
