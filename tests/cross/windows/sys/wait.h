/* wait.h - for tests on Windows, where nothing is forked */
#ifndef CROSS_WAIT_H
#define CROSS_WAIT_H

#include "posix.h"

#define WIFEXITED(status) ((status) >= 0)
#define WEXITSTATUS(status) (status)
#define WIFSIGNALED(status) ((status) < 0)
#define WTERMSIG(status) (-(status))

#endif
