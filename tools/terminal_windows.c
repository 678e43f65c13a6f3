/* terminal_windows.c - what the tool asks of the console, the clock and Ctrl-C on Windows */
#define _WIN32_WINNT 0x0602
#define WIN32_LEAN_AND_MEAN
#include "terminal.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <shellapi.h>

#include "fail.h"
#include "wide.h"

#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING
#define ENABLE_VIRTUAL_TERMINAL_PROCESSING 4
#endif

#define TICKS_TO_1970 UINT64_C(116444736000000000) /* of 100 ns, since 1601 */

enum { NARROWEST = 40, WIDEST = 10000 };

static volatile LONG interrupted; /* written by the handler of Ctrl-C, which has a thread of its own */

static HANDLE handle_of(FILE *stream)
{
    return (HANDLE)_get_osfhandle(_fileno(stream));
}

/* Text is UTF-8 with bare line feeds, as in files; consoles obey escape sequences only when told to. */
void terminal_begin(void)
{
    FILE *const streams[] = { stdin, stdout, stderr };
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        DWORD mode = 0;
        _setmode(_fileno(streams[i]), _O_BINARY);
        if (i > 0 && GetConsoleMode(handle_of(streams[i]), &mode)) {
            SetConsoleMode(handle_of(streams[i]), mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
            SetConsoleOutputCP(CP_UTF8);
        }
    }
}

/* What main() was given has lost the characters that its code page lacks. */
char **terminal_arguments(int *argc, char **argv)
{
    int count = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
    if (wide == NULL) {
        return argv;
    }
    char **arguments = fail_alloc((size_t)count + 1, sizeof *arguments);
    for (int i = 0; i < count; i++) {
        arguments[i] = wide_to_utf8(wide[i]);
    }
    arguments[count] = NULL;
    LocalFree(wide);
    *argc = count;
    return arguments;
}

bool terminal_is(FILE *stream)
{
    DWORD mode = 0;
    return GetConsoleMode(handle_of(stream), &mode) != 0;
}

static int clamp_columns(long columns)
{
    if (columns < NARROWEST) {
        return NARROWEST;
    }
    return columns > WIDEST ? WIDEST : (int)columns;
}

static int columns_of(FILE *stream)
{
    const char *columns = getenv("COLUMNS");
    if (columns != NULL && columns[0] >= '1' && columns[0] <= '9') {
        return clamp_columns(strtol(columns, NULL, 10));
    }
    CONSOLE_SCREEN_BUFFER_INFO facts;
    if (GetConsoleScreenBufferInfo(handle_of(stream), &facts)) {
        return clamp_columns(facts.srWindow.Right - facts.srWindow.Left + 1);
    }
    return 0;
}

int terminal_columns(void)
{
    return columns_of(stdout);
}

int terminal_error_columns(void)
{
    return columns_of(stderr);
}

/* A console was told to show UTF-8; elsewhere the locale of a POSIX shell tells, where there is one. */
bool terminal_utf8(void)
{
    static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *locale = getenv(variables[i]);
        if (locale != NULL && locale[0] != '\0') {
            return strstr(locale, "UTF-8") != NULL || strstr(locale, "utf8") != NULL || strstr(locale, "utf-8") != NULL;
        }
    }
    return terminal_is(stdout);
}

/* The second one gets the system's own handler, which ends the process. */
static BOOL WINAPI on_control(DWORD kind)
{
    bool first = kind == CTRL_C_EVENT && InterlockedExchange(&interrupted, 1) == 0;
    return first ? TRUE : FALSE;
}

void terminal_catch_interrupt(void)
{
    SetConsoleCtrlHandler(on_control, TRUE);
}

bool terminal_interrupted(void)
{
    return interrupted != 0;
}

bool terminal_release_interrupt(void)
{
    SetConsoleCtrlHandler(on_control, FALSE);
    return interrupted == 0;
}

int terminal_interrupt_code(void)
{
    return TOOL_INTERRUPTED;
}

/* There is no signal for it: writing to a pipe fails. */
bool terminal_pipe_broken(void)
{
    return ferror(stdout) != 0 && GetFileType(handle_of(stdout)) == FILE_TYPE_PIPE;
}

bool terminal_stopped(void)
{
    return interrupted != 0 || ferror(stdout) != 0;
}

void terminal_end_of_pipe(void)
{
}

bool terminal_calendar(struct tm *calendar, uint64_t seconds, bool utc)
{
    __time64_t when = (__time64_t)seconds;
    return (utc ? _gmtime64_s(calendar, &when) : _localtime64_s(calendar, &when)) == 0;
}

uint64_t terminal_time_ns(void)
{
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    return (((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) - TICKS_TO_1970) * 100;
}

uint64_t terminal_clock_ns(void)
{
    const uint64_t ns_per_s = UINT64_C(1000000000);
    LARGE_INTEGER frequency;
    LARGE_INTEGER now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t ticks = (uint64_t)now.QuadPart;
    uint64_t per_s = (uint64_t)frequency.QuadPart;
    return ticks / per_s * ns_per_s + ticks % per_s * ns_per_s / per_s;
}
