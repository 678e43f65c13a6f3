/* patch.c - programs that make a patch from one file to another: peers of bench_coders */
#define _GNU_SOURCE
#include "patch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { OPTION_BYTES = BENCH_PATH_BYTES + 32, NOT_FOUND = 127 };

const char *patch_name(enum patch_tool tool)
{
    static const char *const names[] = { "xdelta3", "zstd_patch_from" };
    return names[tool];
}

/* In the child: never returns. */
static _Noreturn void
become(enum patch_tool tool, const char *old_path, const char *new_path, const char *patch_path, uint64_t bytes)
{
    char window[32];
    char from[OPTION_BYTES];
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    snprintf(window, sizeof window, "%llu", (unsigned long long)bytes);
    snprintf(from, sizeof from, "--patch-from=%s", old_path);
    if (tool == PATCH_XDELTA3) {
        execlp("xdelta3", "xdelta3", "-e", "-f", "-1", "-S", "none", "-B", window, "-s", old_path, new_path, patch_path,
               (char *)NULL);
    } else {
        execlp("zstd", "zstd", "-q", "-f", "-1", "--long=31", from, new_path, "-o", patch_path, (char *)NULL);
    }
    _exit(NOT_FOUND);
}

bool patch_run(struct patch_result *result, enum patch_tool tool, const char *old_path, const char *new_path,
               const char *patch_path, uint64_t bytes, const char **why)
{
    struct rusage used;
    struct stat about;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        become(tool, old_path, new_path, patch_path, bytes);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        bench_fail("cannot run %s", patch_name(tool));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || stat(patch_path, &about) != 0) {
        *why = WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND ? "not installed" : "the program failed";
        return false;
    }
    result->bytes = (uint64_t)about.st_size;
    result->cpu_ms = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
                     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
    unlink(patch_path);
    return true;
}
