/* options.h - options and operands of one verb */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "verbs.h"

enum option_kind {
    OPTION_FLAG,   /* value is a bool */
    OPTION_TEXT,   /* value is a const char * */
    OPTION_NUMBER, /* value is a uint64_t, at least 1: none of something is nothing to ask for */
    OPTION_BOUNDED /* value is a struct option_bounded */
};

struct option_bounded {
    uint64_t number, most;
};

struct option {
    char letter;      /* 0 where there is none */
    const char *name; /* NULL where there is none */
    enum option_kind kind;
    void *value; /* left as it is where the option is not given */
};

/* Takes the options out of argv wherever they stand (up to "--") and leaves the operands, *argc of them.
 * --help and --color are known to every verb. Returns TOOL_GO_ON, or the exit code to stop with. */
int options_parse(struct tool *tool, int *argc, char **argv, const struct option *options, size_t option_count,
                  int operands_least, int operands_most);

/* "auto", "always" or "never"; false for anything else. */
bool options_colour(struct tool *tool, const char *when);

#endif
