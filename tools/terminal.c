/* terminal.c - what the tool asks of the terminal, the clock and the signals of a POSIX system */
#define _DEFAULT_SOURCE
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROWEST = 40, WIDEST = 10000 };

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

/* Written by the handlers below, which do nothing else. */
static volatile sig_atomic_t interrupted; /* the signal that asked to end, the first one */
static volatile sig_atomic_t pipe_broken;

/* A call that waits is ended by the signal. One that begins to wait just behind it, when the flag had been looked at
 * already, is ended by an alarm, and so is each that follows. */
static void note_interrupt(int number)
{
    if (interrupted == 0) {
        interrupted = number;
    }
    alarm(1);
}

static void note_alarm(int number)
{
    (void)number;
    alarm(1);
}

static void note_broken_pipe(int number)
{
    (void)number;
    pipe_broken = 1;
}

static void catch_signal(int number, void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void terminal_begin(void)
{
    catch_signal(SIGPIPE, note_broken_pipe, SA_RESTART);
    catch_signal(SIGXFSZ, SIG_IGN, 0); /* a file above the limit of `ulimit -f`: the write fails, by EFBIG */
}

char **terminal_arguments(int *argc, char **argv)
{
    (void)argc;
    return argv;
}

bool terminal_is(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

static int clamp_columns(long columns)
{
    if (columns < NARROWEST) {
        return NARROWEST;
    }
    return columns > WIDEST ? WIDEST : (int)columns;
}

static int columns_of(int descriptor)
{
    const char *columns = getenv("COLUMNS");
    if (columns != NULL && columns[0] >= '1' && columns[0] <= '9') {
        return clamp_columns(strtol(columns, NULL, 10));
    }
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return clamp_columns(size.ws_col);
    }
    return 0;
}

int terminal_columns(void)
{
    return columns_of(STDOUT_FILENO);
}

int terminal_error_columns(void)
{
    return columns_of(STDERR_FILENO);
}

bool terminal_utf8(void)
{
    static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *locale = getenv(variables[i]);
        if (locale != NULL && locale[0] != '\0') { /* the first one that is set decides */
            return strstr(locale, "UTF-8") != NULL || strstr(locale, "utf8") != NULL || strstr(locale, "utf-8") != NULL;
        }
    }
    return false;
}

void terminal_catch_interrupt(void)
{
    struct sigaction before;
    catch_signal(SIGALRM, note_alarm, 0);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN) {
            continue; /* started in the background, or by nohup: the signal is meant for others */
        }
        catch_signal(ending[i], note_interrupt, (int)SA_RESETHAND); /* no SA_RESTART: see note_interrupt */
    }
}

bool terminal_release_interrupt(void)
{
    struct sigaction before;
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler == note_interrupt) {
            catch_signal(ending[i], SIG_DFL, 0);
        }
    }
    return interrupted == 0;
}

bool terminal_interrupted(void)
{
    return interrupted != 0;
}

int terminal_interrupt_code(void)
{
    return 128 + (interrupted == 0 ? SIGINT : (int)interrupted);
}

bool terminal_pipe_broken(void)
{
    return pipe_broken != 0;
}

bool terminal_stopped(void)
{
    return interrupted != 0 || pipe_broken != 0;
}

void terminal_end_of_pipe(void)
{
    catch_signal(SIGPIPE, SIG_DFL, 0);
    raise(SIGPIPE);
}

bool terminal_calendar(struct tm *calendar, uint64_t seconds, bool utc)
{
    time_t when = (time_t)seconds;
    return (utc ? gmtime_r(&when, calendar) : localtime_r(&when, calendar)) != NULL;
}

uint64_t terminal_time_ns(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t terminal_clock_ns(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
