/* posix.h - the POSIX calls that tests make and Windows lacks; included in front of every test there
 *
 * Memory is allocated for the write-watch, so that both backends get what they need. There is no fork: a test that
 * calls it is skipped, and tests/cross/windows.sh knows which those are. */
#ifndef CROSS_POSIX_H
#define CROSS_POSIX_H

#define tell tell_of_msvcrt /* tests have functions of that name */
#include <io.h>
#undef tell
#include <direct.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wconversion" /* its read and write count in unsigned */

enum { _SC_PAGESIZE = 1 };
long sysconf(int name);

int pipe(int ends[2]);
char *mkdtemp(char *pattern);
int setenv(const char *name, const char *value, int replace);
int unsetenv(const char *name);
int cross_system(const char *command); /* rm -rf, and no other */
#define system cross_system
ssize_t pread(int descriptor, void *to, size_t bytes, off_t offset);
ssize_t pwrite(int descriptor, const void *from, size_t bytes, off_t offset);

/* Memory for the write-watch, too; `free` takes it back. */
void *aligned_alloc(size_t alignment, size_t bytes);
void cross_free(void *memory);
#define free cross_free
void *memmem(const void *in, size_t in_bytes, const void *wanted, size_t wanted_bytes);

int fork(void); /* does not return */
pid_t waitpid(pid_t child, int *status, int options);
int geteuid(void);
int setuid(int user);
int setgid(int group);
int chown(const char *path, int user, int group);
#define mkdir(path, mode) _mkdir(path)

int kill(pid_t process, int number);
enum { SIGKILL = 9 };

#endif
