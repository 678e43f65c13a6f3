/* progress.c - a line that shows how far long work has come */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"
#include "text.h"

#define FIRST_DRAWN_NS 500000000u
#define DRAWN_EVERY_NS 100000000u

void progress_open(struct progress *progress, const struct tool *tool)
{
    const char *terminal = getenv("TERM");
    bool dumb = terminal != NULL && strcmp(terminal, "dumb") == 0;
    *progress = (struct progress){ tool->verb->name, false, false, terminal_clock_ns(), 0 };
    progress->wanted = terminal_is(stderr) && !dumb && !tool->quiet;
    terminal_catch_interrupt();
}

static void draw(struct progress *progress, uint64_t elapsed_ns, uint64_t done_bytes, uint64_t total_bytes)
{
    char done[TEXT_SHORT_BYTES], total[TEXT_SHORT_BYTES], rate[TEXT_SHORT_BYTES], left[TEXT_SHORT_BYTES] = "?";
    double seconds = (double)elapsed_ns / 1e9;
    double bytes_per_s = (double)done_bytes / seconds;
    double part = total_bytes == 0 ? 0 : (double)done_bytes / (double)total_bytes;
    if (part > 0 && done_bytes <= total_bytes) {
        text_duration(left,
                      (uint64_t)((1 - part) / part * (double)elapsed_ns) / 1000000000u * 1000000000u + 1000000000u);
    }
    fprintf(stderr, "\r\x1b[K%s: %3.0f%%  %s of %s  %s/s  %s left", progress->what, part * 100,
            text_size(done, done_bytes), text_size(total, total_bytes), text_size(rate, (uint64_t)bytes_per_s), left);
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
