/* fork.c - no fork on Windows: the test that wants one is skipped */
#include "check.h"
#include "sys/wait.h"

int fork(void)
{
    check_skip("Windows has no fork");
}

pid_t waitpid(pid_t child, int *status, int options)
{
    (void)child;
    (void)status;
    (void)options;
    return -1;
}

int kill(pid_t process, int number)
{
    (void)process;
    (void)number;
    return -1;
}
