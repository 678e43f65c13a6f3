/* wine.c - the peer of bench_watch: a Windows program, run by Wine, that measures its own write-watch on demand */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "watch_subjects.h"

enum { PATIENCE_MS = 120 * 1000, ANSWER_BYTES = 512 }; /* the first start of Wine makes its prefix: it takes long */

static struct {
    pid_t process; /* 0: not started; -1: cannot be */
    int to, from;
    char why[ANSWER_BYTES];
} wine;

static void refuse(const char *why)
{
    wine.process = -1;
    snprintf(wine.why, sizeof wine.why, "%s", why);
}

/* In the child: never returns. */
static _Noreturn void become_wine(int input, int output)
{
    char program[] = BENCH_WIN32_PROGRAM;
    char *arguments[] = { "wine", program, NULL };
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    /* A prefix of its own, and no window, nor message, nor offer to install more. */
    setenv("WINEPREFIX", BENCH_WINE_PREFIX, 0);
    setenv("WINEDEBUG", "-all", 0);
    setenv("WINEDLLOVERRIDES", "mscoree=;mshtml=", 0);
    unsetenv("DISPLAY");
    if (freopen("/dev/null", "w", stderr) != NULL) {
        execvp("wine", arguments);
        arguments[0] = "wine64";
        execvp("wine64", arguments);
    }
    _exit(127);
}

static void start(void)
{
    int to[2];
    int from[2];
    if (BENCH_WIN32_PROGRAM[0] == '\0') {
        refuse("built without x86_64-w64-mingw32-gcc (Debian: gcc-mingw-w64-x86-64)");
        return;
    }
    (void)mkdir(BENCH_WINE_PREFIX, 0700);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        bench_fail("cannot make a pipe: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    wine.process = fork();
    if (wine.process == 0) {
        become_wine(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    wine.to = to[1];
    wine.from = from[0];
    if (wine.process < 0) {
        bench_fail("cannot fork: %s", strerror(errno));
    }
}

void wine_stop(void)
{
    if (wine.process > 0) {
        close(wine.to); /* no further job: it ends */
        close(wine.from);
        waitpid(wine.process, NULL, 0);
    }
    wine.process = 0;
}

/* A line without its end; false when none comes. */
static bool read_answer(char answer[ANSWER_BYTES])
{
    for (size_t length = 0; length < ANSWER_BYTES; length++) {
        struct pollfd ready = { .fd = wine.from, .events = POLLIN };
        if (poll(&ready, 1, PATIENCE_MS) <= 0 || read(wine.from, &answer[length], 1) != 1) {
            return false;
        }
        if (answer[length] == '\n') {
            answer[length] = '\0';
            return true;
        }
    }
    return false;
}

static bool ask(const struct watch_job *job, char answer[ANSWER_BYTES])
{
    return dprintf(wine.to, "%d %d %d %d %d %d %d %d\n", job->kind, job->pages, job->amount, job->threads,
                   job->delay_ms, job->random, job->reset_inside, job->dirty_pages) > 0 &&
           read_answer(answer);
}

static bool parse_figures(const char *text, double figures[WATCH_FIGURES])
{
    for (int i = 0; i < WATCH_FIGURES; i++) {
        char *end;
        figures[i] = strtod(text, &end);
        if (end == text) {
            return false;
        }
        text = end;
    }
    return true;
}

/* Wine is not there, or cannot run the program, or has stopped to answer. */
static void give_up(void)
{
    int status = 0;
    kill(wine.process, SIGKILL);
    close(wine.to);
    close(wine.from);
    waitpid(wine.process, &status, 0);
    refuse(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "Wine is not installed (Debian: wine64)"
                                                           : "Wine does not run the program, or does not answer");
}

bool wine_run(const struct watch_job *job, double figures[WATCH_FIGURES], const char **why)
{
    static char answer[ANSWER_BYTES];
    if (wine.process == 0) {
        start();
    }
    if (wine.process > 0 && !ask(job, answer)) {
        give_up();
    }
    *why = wine.process > 0 ? answer + 3 : wine.why; /* behind "no " */
    return wine.process > 0 && strncmp(answer, "ok ", 3) == 0 && parse_figures(answer + 3, figures);
}
