/* screen.c - a picture that is drawn again and again, on a POSIX terminal */
#define _DEFAULT_SOURCE
#include "screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const char enter[] = "\x1b[?1049h\x1b[?25l"; /* another screen, no cursor */
static const char leave[] = "\x1b[?25h\x1b[?1049l";
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Set before the handlers that read them are. */
static bool is_live;
static bool keys_changed;
static struct termios keys_before;

/* Written by the handlers. */
static volatile sig_atomic_t caught; /* the signal that asked to end */
static volatile sig_atomic_t resized;
static volatile sig_atomic_t suspended;

/* Nothing but calls that are allowed in a signal handler. */
static void put_back(void)
{
    if (is_live) {
        ssize_t unused = write(STDOUT_FILENO, leave, sizeof leave - 1);
        (void)unused;
    }
    if (keys_changed) {
        tcsetattr(STDIN_FILENO, TCSANOW, &keys_before);
    }
}

/* The first one asks for an orderly end; where that does not come, the second one ends the process. */
static void on_ending(int number)
{
    if (caught != 0) {
        put_back();
        _exit(128 + number);
    }
    caught = number;
}

static void on_resize(int number)
{
    (void)number;
    resized = 1;
}

static void on_suspend(int number)
{
    (void)number;
    suspended = 1;
}

static void catch_signal(int number, void (*handler)(int))
{
    struct sigaction action;
    struct sigaction before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
        sigaction(number, &action, NULL);
    }
}

static void take_terminal(void)
{
    struct termios keys;
    if (tcgetattr(STDIN_FILENO, &keys_before) == 0) {
        keys = keys_before;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        keys.c_cc[VMIN] = 0;
        keys.c_cc[VTIME] = 0;
        keys_changed = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
    }
    fputs(enter, stdout);
    fflush(stdout);
}

void screen_open(bool live)
{
    is_live = live;
    atexit(screen_close); /* also where memory runs out */
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        catch_signal(ending[i], on_ending);
    }
    if (live) {
        catch_signal(SIGWINCH, on_resize);
        catch_signal(SIGTSTP, on_suspend);
        take_terminal();
    }
}

void screen_close(void)
{
    fflush(stdout);
    put_back();
    is_live = false;
    keys_changed = false;
}

bool screen_stopped(void)
{
    return caught != 0;
}

void screen_end(void)
{
    if (caught != 0 && caught != SIGINT) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}

/* Ctrl-Z: the shell gets its terminal as it was, and after `fg` the picture comes back. */
static void suspend(void)
{
    suspended = 0;
    fflush(stdout);
    put_back();
    raise(SIGSTOP);
    take_terminal();
}

static bool quit_pressed(void)
{
    char key = 0;
    bool quit = false;
    while (read(STDIN_FILENO, &key, 1) == 1) {
        quit = quit || key == 'q' || key == 'Q';
    }
    return quit;
}

static enum screen_event what_happened(void)
{
    if (caught != 0) {
        return SCREEN_STOPPED;
    }
    if (suspended) {
        suspend();
        return SCREEN_REDRAW;
    }
    if (resized) {
        resized = 0;
        return SCREEN_REDRAW;
    }
    return keys_changed && quit_pressed() ? SCREEN_QUIT : SCREEN_TIME;
}

/* A signal that comes just before poll() waits is seen at its end: so none of the waits is long. */
enum screen_event screen_wait(uint64_t wait_ns)
{
    const uint64_t step_ns = 200000000;
    enum screen_event event = what_happened();
    while (event == SCREEN_TIME && wait_ns > 0) {
        uint64_t now_ns = wait_ns < step_ns ? wait_ns : step_ns;
        struct pollfd input = { .fd = keys_changed ? STDIN_FILENO : -1, .events = POLLIN };
        int ready = poll(&input, 1, (int)((now_ns + 999999) / 1000000));
        if (ready > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            return SCREEN_QUIT; /* the terminal has gone */
        }
        wait_ns -= ready == 0 ? now_ns : 0;
        event = what_happened();
    }
    return event;
}

int screen_rows(void)
{
    struct winsize size;
    if (!is_live || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return size.ws_row;
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
