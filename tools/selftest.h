/* selftest.h - savepoint doctor --self-test: every write-watch that works here has to prove it */
#ifndef TOOL_SELFTEST_H
#define TOOL_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "verbs.h"

/* Returns an exit code. */
int selftest_run(const struct tool *tool, uint64_t seconds, bool json);

#endif
