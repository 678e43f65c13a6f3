/* fail.h - what the tool says when something is wrong, and the exit code that goes with it */
#ifndef TOOL_FAIL_H
#define TOOL_FAIL_H

#include "savepoint.h"
#include "verbs.h"

#if defined(__GNUC__)
#define FAIL_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define FAIL_PRINTF(format_index, first_index)
#endif

/* The exit code of a status: the only place where the two meet. */
int fail_exit_code(enum savepoint_status status);

/* Whether a message of the library begins with the path. */
bool fail_is_about(const char *message, const char *path);

/* Most messages of the library begin with the path, which the tool has printed already: this is what stands behind it.
 * In one that a long path has cut nothing else is left: then it is the name of the status. */
const char *fail_message(const char *message, const char *path, enum savepoint_status status);

/* "savepoint: VERB: PATH: message", then what to do. Returns the exit code. `error` holds the status. */
int fail_with(const struct tool *tool, const char *path, const struct savepoint_error *error);
/* The same where the advice for its status does not fit. */
int fail_without_advice(const struct tool *tool, const char *path, const struct savepoint_error *error);

/* A system call of the tool itself failed on `path`; `what` is what could not be done. Returns TOOL_ENVIRONMENT. */
int fail_system(const struct tool *tool, const char *path, const char *what, int os_code);

/* The command line is wrong. Returns TOOL_USAGE. */
int fail_usage(const struct tool *tool, const char *format, ...) FAIL_PRINTF(2, 3);

/* A number on the command line, given as `text` for `what`, is above the most that it may be. Returns TOOL_USAGE. */
int fail_too_large(const struct tool *tool, const char *what, const char *text, const char *most);

/* Something that is worth knowing and no failure; left out when the tool is quiet. `path` may be NULL. */
void fail_note(const struct tool *tool, const char *path, const char *format, ...) FAIL_PRINTF(3, 4);

/* As fail_note, and never left out. */
void fail_warn(const struct tool *tool, const char *path, const char *format, ...) FAIL_PRINTF(3, 4);

/* Allocates, or ends the process with a message. */
void *fail_alloc(size_t count, size_t bytes);
void *fail_resize(void *old, size_t count, size_t bytes);

#endif
