/* fork.c - no fork, no users, no signals on Windows: a test that forks is skipped */
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

int geteuid(void)
{
    return 1;
}

int setuid(int user)
{
    (void)user;
    return -1;
}

int setgid(int group)
{
    (void)group;
    return -1;
}

int chown(const char *path, int user, int group)
{
    (void)path;
    (void)user;
    (void)group;
    return -1;
}

int kill(pid_t process, int number)
{
    (void)process;
    (void)number;
    return -1;
}
