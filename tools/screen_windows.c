/* screen_windows.c - a picture that is drawn again and again, on a Windows console */
#define WIN32_LEAN_AND_MEAN
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static const char enter[] = "\x1b[?1049h\x1b[?25l"; /* another screen, no cursor */
static const char leave[] = "\x1b[?25h\x1b[?1049l";

static bool is_live;
static bool keys_changed;
static DWORD keys_before;
static COORD size_before;
static volatile LONG caught; /* written by the handler of Ctrl-C, which has a thread of its own */

/* The first one asks for an orderly end; where that does not come, the second one ends the process. */
static BOOL WINAPI on_ending(DWORD kind)
{
    (void)kind;
    return InterlockedExchange(&caught, 1) == 0 ? TRUE : FALSE;
}

static COORD size_now(void)
{
    CONSOLE_SCREEN_BUFFER_INFO facts;
    if (!GetConsoleScreenBufferInfo(GetStdHandle(STD_OUTPUT_HANDLE), &facts)) {
        return (COORD){ 0, 0 };
    }
    return (COORD){ (SHORT)(facts.srWindow.Right - facts.srWindow.Left + 1),
                    (SHORT)(facts.srWindow.Bottom - facts.srWindow.Top + 1) };
}

void screen_open(bool live)
{
    is_live = live;
    atexit(screen_close); /* also where memory runs out */
    SetConsoleCtrlHandler(on_ending, TRUE);
    if (!live) {
        return;
    }
    HANDLE keys = GetStdHandle(STD_INPUT_HANDLE);
    if (GetConsoleMode(keys, &keys_before)) {
        keys_changed = SetConsoleMode(keys, keys_before & ~(DWORD)(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT)) != 0;
    }
    size_before = size_now();
    fputs(enter, stdout);
    fflush(stdout);
}

void screen_close(void)
{
    if (is_live) {
        fputs(leave, stdout);
    }
    fflush(stdout);
    if (keys_changed) {
        SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), keys_before);
    }
    is_live = false;
    keys_changed = false;
}

bool screen_stopped(void)
{
    return caught != 0;
}

/* Windows has no signal to end by: the exit code tells. */
void screen_end(void)
{
}

static bool quit_pressed(void)
{
    HANDLE keys = GetStdHandle(STD_INPUT_HANDLE);
    INPUT_RECORD event;
    DWORD count = 0;
    bool quit = false;
    while (PeekConsoleInputA(keys, &event, 1, &count) && count > 0 && ReadConsoleInputA(keys, &event, 1, &count)) {
        char key = event.Event.KeyEvent.uChar.AsciiChar;
        quit = quit || (event.EventType == KEY_EVENT && event.Event.KeyEvent.bKeyDown && (key == 'q' || key == 'Q'));
    }
    return quit;
}

static enum screen_event what_happened(void)
{
    if (caught != 0) {
        return SCREEN_STOPPED;
    }
    COORD size = size_now();
    if (is_live && (size.X != size_before.X || size.Y != size_before.Y)) {
        size_before = size;
        return SCREEN_REDRAW;
    }
    return keys_changed && quit_pressed() ? SCREEN_QUIT : SCREEN_TIME;
}

/* Nothing wakes the wait: so none of its steps is long. */
enum screen_event screen_wait(uint64_t wait_ns)
{
    const uint64_t step_ns = 50000000;
    enum screen_event event = what_happened();
    while (event == SCREEN_TIME && wait_ns > 0) {
        uint64_t now_ns = wait_ns < step_ns ? wait_ns : step_ns;
        Sleep((DWORD)((now_ns + 999999) / 1000000));
        wait_ns -= now_ns;
        event = what_happened();
    }
    return event;
}

int screen_rows(void)
{
    return is_live ? size_now().Y : 0;
}

void screen_begin_picture(void)
{
    fputs(is_live ? "\x1b[H" : "", stdout);
}

void screen_next_line(void)
{
    fputs(is_live ? "\x1b[K\n" : "\n", stdout);
}

void screen_end_picture(void)
{
    fputs(is_live ? "\x1b[K\x1b[J" : "\n\n", stdout);
    fflush(stdout);
}
