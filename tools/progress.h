/* progress.h - a line that shows how far long work has come
 *
 * It is drawn on stderr, only where that is a terminal, and not in the first half second. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "verbs.h"

struct progress {
    const char *what; /* "verify" */
    bool drawn;       /* a line stands on the terminal */
    bool wanted;
    uint64_t start_ns, drawn_ns;
};

/* From here on Ctrl-C is an orderly end: see progress_step(). */
void progress_open(struct progress *progress, const struct tool *tool);

/* A savepoint_progress callback (`user` is the struct progress): asks to stop after Ctrl-C. */
int progress_step(void *user, uint64_t done_bytes, uint64_t total_bytes);

/* Takes the line away, before something else is printed and at the end. */
void progress_clear(struct progress *progress);

#endif
