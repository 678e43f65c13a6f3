/* race.h - what the race programs share: how they fail, and numbers at random
 *
 * Inline, so that each stays a program of one file. */
#ifndef RACE_H
#define RACE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "savepoint.h"

static inline _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("race: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static inline void require(enum savepoint_status status, const struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK) {
        char text[512];
        savepoint_error_format(error, text, sizeof text);
        fail("%s", text);
    }
}

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
