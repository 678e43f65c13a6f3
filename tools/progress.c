/* progress.c - a line that shows how far long work has come */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"
#include "text.h"

#define FIRST_DRAWN_NS 500000000u
#define DRAWN_EVERY_NS 100000000u
#define NS_PER_S 1000000000u
#define LONGEST_NS 1e18

enum { PIECE_BYTES = 2 * TEXT_SHORT_BYTES + 8 };

void progress_open(struct progress *progress, const struct tool *tool)
{
    const char *terminal = getenv("TERM");
    bool dumb = terminal != NULL && strcmp(terminal, "dumb") == 0;
    *progress = (struct progress){ tool->verb->name, false, false, terminal_clock_ns(), 0 };
    progress->wanted = terminal_is(stderr) && !dumb && !tool->quiet;
    terminal_catch_interrupt();
}

/* Whole seconds, and never none: there is something left. "?" where nothing can be said yet. */
static void text_left(char out[TEXT_SHORT_BYTES], uint64_t elapsed_ns, double part)
{
    double left_ns = part > 0 && part <= 1 ? (1 - part) / part * (double)elapsed_ns : LONGEST_NS;
    strcpy(out, "?");
    if (left_ns < LONGEST_NS) {
        text_duration(out, ((uint64_t)left_ns / NS_PER_S + 1) * NS_PER_S);
    }
}

/* What does not fit the terminal is left out: a line that wraps could not be taken away again. */
static void draw(struct progress *progress, uint64_t elapsed_ns, uint64_t done_bytes, uint64_t total_bytes)
{
    char done[TEXT_SHORT_BYTES], total[TEXT_SHORT_BYTES], rate[TEXT_SHORT_BYTES], left[TEXT_SHORT_BYTES];
    char pieces[4][PIECE_BYTES];
    int room = terminal_error_columns() - 1;
    double part = total_bytes == 0 ? 0 : (double)done_bytes / (double)total_bytes;
    text_left(left, elapsed_ns, part);
    text_size(rate, (uint64_t)((double)done_bytes / ((double)elapsed_ns / NS_PER_S)));
    snprintf(pieces[0], PIECE_BYTES, "%s: %3.0f%%", progress->what, part * 100);
    snprintf(pieces[1], PIECE_BYTES, "  %s left", left);
    snprintf(pieces[2], PIECE_BYTES, "  %s/s", rate);
    snprintf(pieces[3], PIECE_BYTES, "  %s of %s", text_size(done, done_bytes), text_size(total, total_bytes));
    fputs("\r\x1b[K", stderr);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        room -= text_columns(pieces[i]);
        if (room < 0 && terminal_error_columns() > 0) {
            break;
        }
        fputs(pieces[i], stderr);
    }
    fflush(stderr);
    progress->drawn = true;
}

int progress_step(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *progress = user;
    uint64_t now_ns = terminal_clock_ns();
    uint64_t elapsed_ns = now_ns - progress->start_ns;
    if (progress->wanted && elapsed_ns >= FIRST_DRAWN_NS && now_ns - progress->drawn_ns >= DRAWN_EVERY_NS) {
        progress->drawn_ns = now_ns;
        draw(progress, elapsed_ns, done_bytes, total_bytes);
    }
    return terminal_interrupted();
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
        progress->drawn = false;
    }
}
