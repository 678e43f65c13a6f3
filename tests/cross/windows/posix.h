/* posix.h - the POSIX calls that tests make and Windows lacks; included in front of every test there
 *
 * Memory is allocated for the write-watch, so that both backends get what they need. There is no fork: a test that
 * calls it is skipped, and tests/cross/windows.sh knows which those are. */
#ifndef CROSS_POSIX_H
#define CROSS_POSIX_H

#include <stdlib.h> /* before the names below change what it declares */
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { _SC_PAGESIZE = 1 };
long sysconf(int name);

int pipe(int ends[2]);
char *mkdtemp(char *pattern);
int setenv(const char *name, const char *value, int replace);
int unsetenv(const char *name);
ssize_t pread(int descriptor, void *to, size_t bytes, off_t offset);
ssize_t pwrite(int descriptor, const void *from, size_t bytes, off_t offset);

int fork(void); /* does not return */
pid_t waitpid(pid_t child, int *status, int options);
int kill(pid_t process, int number);
enum { SIGKILL = 9 };

#endif
