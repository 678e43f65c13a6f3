/* verbs.h - the table of verbs, and what every verb is given
 *
 * A new verb is one file that defines `const struct verb verb_NAME`, and one row in TOOL_VERBS.
 *
 * Names shared between the files of the tool start with the stem of their file and carry no svp_ prefix:
 * that one belongs to the library, which may be linked statically. */
#ifndef TOOL_VERBS_H
#define TOOL_VERBS_H

#include <stdbool.h>
#include <stddef.h>

/* In the order in which help lists them. */
/* clang-format off */
#define TOOL_VERBS(row) \
    row(log) \
    row(show) \
    row(diff) \
    row(stats) \
    row(report) \
    row(top) \
    row(verify) \
    row(restore) \
    row(label) \
    row(pin) \
    row(drop) \
    row(compact) \
    row(send) \
    row(receive) \
    row(export) \
    row(cat) \
    row(hexdump) \
    row(doctor) \
    row(version) \
    row(completion)
/* clang-format on */

enum tool_exit {
    TOOL_DONE = 0,
    TOOL_FINDING = 1,     /* damage found, or a difference */
    TOOL_USAGE = 2,       /* also an unknown snapshot */
    TOOL_ENVIRONMENT = 3, /* the system refused something */
    TOOL_LOCKED = 4,
    TOOL_FOREIGN = 5, /* not an archive, or one that this version cannot read */
    TOOL_DAMAGED = 6, /* damage prevents the result */
    TOOL_INTERRUPTED = 130
};
#define TOOL_GO_ON (-1) /* of helpers that return an exit code: there is no reason to stop */

enum tool_colour { TOOL_COLOUR_AUTO, TOOL_COLOUR_ALWAYS, TOOL_COLOUR_NEVER };

struct option;

/* One run of the tool. */
struct tool {
    const struct verb *verb; /* NULL before it is known */
    enum tool_colour colour;
    bool quiet; /* notes are left out; errors are not */
    /* Where set, options_parse() tells it the options of the verb, and the verb does nothing. */
    void (*told_options)(void *user, const struct option *options, size_t option_count);
    void *told_user;
};

struct verb {
    const char *name;
    const char *summary; /* one line, for the list of verbs */
    const char *help;    /* the whole text: examples first */
    /* argv[0] is the first argument behind the verb. Returns an exit code. */
    int (*run)(struct tool *tool, int argc, char **argv);
};

#define TOOL_DECLARE(name) extern const struct verb verb_##name;
TOOL_VERBS(TOOL_DECLARE)
#undef TOOL_DECLARE

/* Verb number `index` in the order of help, NULL past the last; the verb of that name, NULL where there is none. */
const struct verb *verbs_at(size_t index);
const struct verb *verbs_find(const char *name);

#endif
