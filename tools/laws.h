/* laws.h - the self-test's first check: writes of every kind are saved, and come back */
#ifndef TOOL_LAWS_H
#define TOOL_LAWS_H

#include "check.h"

void laws_run(struct check *check);

#endif
