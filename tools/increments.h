/* increments.h - the self-test's second check: threads count up in memory, and no count may be missing */
#ifndef TOOL_INCREMENTS_H
#define TOOL_INCREMENTS_H

#include "check.h"

/* Goes on until check->until_ns, and beyond that up to check->latest_ns while it has not done enough. */
void increments_run(struct check *check);

#endif
