/* fail.c - what the tool says when something is wrong, and the exit code that goes with it */
#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int fail_exit_code(enum savepoint_status status)
{
    switch (status) {
    case SAVEPOINT_OK:
        return TOOL_DONE;
    case SAVEPOINT_EMPTY:
    case SAVEPOINT_INVALID:
    case SAVEPOINT_NOT_FOUND:
    case SAVEPOINT_AMBIGUOUS:
    case SAVEPOINT_EXISTS:
    case SAVEPOINT_OVERLAP:
    case SAVEPOINT_MISMATCH:
    case SAVEPOINT_NOT_RESUMED:
        return TOOL_USAGE;
    case SAVEPOINT_NO_MEMORY:
    case SAVEPOINT_IO:
    case SAVEPOINT_NO_SPACE:
    case SAVEPOINT_ADDRESS_TAKEN:
    case SAVEPOINT_BAD_MEMORY:
    case SAVEPOINT_BUSY:
    case SAVEPOINT_POISONED:
    case SAVEPOINT_FORKED:
    case SAVEPOINT_NO_BACKEND:
    case SAVEPOINT_LIMIT:
    case SAVEPOINT_UNCERTAIN:
        return TOOL_ENVIRONMENT;
    case SAVEPOINT_TRUNCATED:
        return TOOL_FINDING;
    case SAVEPOINT_LOCKED:
        return TOOL_LOCKED;
    case SAVEPOINT_NOT_AN_ARCHIVE:
    case SAVEPOINT_UNSUPPORTED:
        return TOOL_FOREIGN;
    case SAVEPOINT_CORRUPT:
        return TOOL_DAMAGED;
    case SAVEPOINT_CANCELLED:
        return TOOL_INTERRUPTED;
    }
    return TOOL_ENVIRONMENT;
}

/* What to do about it; "%s" stands for the archive. NULL where the message has to be enough. */
static const char *advice(enum savepoint_status status)
{
    switch (status) {
    case SAVEPOINT_EMPTY:
        return "A program has to take a snapshot first.";
    case SAVEPOINT_NOT_FOUND:
        return "This lists what is there: savepoint log --all %s";
    case SAVEPOINT_AMBIGUOUS:
        return "Give more digits of the id. This shows them all: savepoint log --all --json %s";
    case SAVEPOINT_NO_SPACE:
        return "Free some space, then try again; the archive is as it was.";
    case SAVEPOINT_LOCKED:
        return "A program has this archive open. Stop it, then try again; log, show, verify and export work beside it.";
    case SAVEPOINT_NOT_AN_ARCHIVE:
        return "Check the path: archives usually end in .svp.";
    case SAVEPOINT_UNSUPPORTED:
        return "A newer savepoint reads it; 'savepoint version' tells what this one can do.";
    case SAVEPOINT_CORRUPT:
        return "Keep a copy of the file. show, cat and export read what does not rest on the damage. This tells what "
               "does: savepoint verify %s";
    case SAVEPOINT_UNCERTAIN:
        return "The disk may be failing. Look at what is there before going on: savepoint log %s";
    default:
        return NULL;
    }
}

static void print_prefix(const struct tool *tool, const char *path)
{
    fflush(stdout); /* so that both streams on one terminal keep their order */
    fputs("savepoint: ", stderr);
    if (tool->verb != NULL) {
        fprintf(stderr, "%s: ", tool->verb->name);
    }
    if (path != NULL) {
        text_print(stderr, path, strlen(path), NULL);
        fputs(": ", stderr);
    }
}

static void print_advice(enum savepoint_status status, const char *path)
{
    const char *text = advice(status);
    if (text == NULL) {
        return;
    }
    const char *place = strstr(text, "%s");
    if (place == NULL) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    fwrite(text, 1, (size_t)(place - text), stderr);
    text_print_argument(stderr, path);
    fprintf(stderr, "%s\n", place + 2);
}

/* How many bytes of the path the message begins with; control characters are '?' there. */
static size_t common_bytes(const char *message, const char *path)
{
    size_t length = 0;
    while (path[length] != '\0' &&
           (message[length] == path[length] ||
            (message[length] == '?' && ((unsigned char)path[length] < 0x20 || path[length] == 0x7f)))) {
        length++;
    }
    return length;
}

bool fail_is_about(const char *message, const char *path)
{
    const size_t length = common_bytes(message, path);
    return path[length] == '\0' && strncmp(message + length, ": ", 2) == 0;
}

const char *fail_message(const char *message, const char *path, enum savepoint_status status)
{
    if (fail_is_about(message, path)) {
        return message + strlen(path) + 2;
    }
    bool cut = message[common_bytes(message, path)] == '\0';
    return cut ? savepoint_status_name(status) : message;
}

int fail_with(const struct tool *tool, const char *path, const struct savepoint_error *error)
{
    int code = fail_without_advice(tool, path, error);
    if (code != TOOL_INTERRUPTED) {
        print_advice(error->status, path);
    }
    return code;
}

int fail_without_advice(const struct tool *tool, const char *path, const struct savepoint_error *error)
{
    if (error->status == SAVEPOINT_CANCELLED || error->os_code == EINTR) {
        return TOOL_INTERRUPTED; /* who pressed Ctrl-C knows */
    }
    print_prefix(tool, path);
    const char *message = fail_message(error->message, path, error->status);
    text_print(stderr, message, strlen(message), NULL);
    if (error->os_code != 0) {
        fprintf(stderr, " (%s)", strerror(error->os_code));
    }
    if (error->file_offset != UINT64_MAX) {
        fprintf(stderr, " (offset %llu)", (unsigned long long)error->file_offset);
    }
    fputc('\n', stderr);
    return fail_exit_code(error->status);
}

int fail_system(const struct tool *tool, const char *path, const char *what, int os_code)
{
    print_prefix(tool, path);
    fprintf(stderr, "%s: %s\n", what, strerror(os_code));
    return TOOL_ENVIRONMENT;
}

FAIL_PRINTF(3, 0)
static void say(const struct tool *tool, const char *path, const char *format, va_list arguments)
{
    char message[1024];
    vsnprintf(message, sizeof message, format, arguments);
    print_prefix(tool, path);
    text_print(stderr, message, strlen(message), NULL);
    fputc('\n', stderr);
}

int fail_usage(const struct tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(tool, NULL, format, arguments);
    va_end(arguments);
    fprintf(stderr, "'savepoint %s%shelp' tells more.\n", tool->verb == NULL ? "" : tool->verb->name,
            tool->verb == NULL ? "" : " --");
    return TOOL_USAGE;
}

int fail_too_large(const struct tool *tool, const char *what, const char *text, const char *most)
{
    return fail_usage(tool, "%s: %s is too large, the most is %s", what, text, most);
}

void fail_note(const struct tool *tool, const char *path, const char *format, ...)
{
    if (tool->quiet) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    say(tool, path, format, arguments);
    va_end(arguments);
}

void fail_warn(const struct tool *tool, const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(tool, path, format, arguments);
    va_end(arguments);
}

void *fail_alloc(size_t count, size_t bytes)
{
    return fail_resize(NULL, count, bytes);
}

void *fail_resize(void *old, size_t count, size_t bytes)
{
    void *block = count > SIZE_MAX / bytes ? NULL : realloc(old, count * bytes);
    if (block == NULL) {
        fputs("savepoint: out of memory\n", stderr);
        exit(TOOL_ENVIRONMENT);
    }
    return block;
}
