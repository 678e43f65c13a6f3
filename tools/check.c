/* check.c - one check of the self-test: results and comparisons */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "terminal.h"

enum { PAGE_BYTES = 4096 };

void check_fail(struct check *check, const char *format, ...)
{
    va_list arguments;
    if (check->result != CHECK_OK) {
        return;
    }
    check->result = CHECK_FAILED;
    va_start(arguments, format);
    vsnprintf(check->message, sizeof check->message, format, arguments);
    va_end(arguments);
}

bool check_status(struct check *check, enum savepoint_status status)
{
    if (status == SAVEPOINT_OK || check->result != CHECK_OK) {
        return status == SAVEPOINT_OK;
    }
    bool no_room = status == SAVEPOINT_NO_SPACE || status == SAVEPOINT_NO_MEMORY;
    check->result = no_room ? CHECK_IMPOSSIBLE : CHECK_FAILED;
    savepoint_error_format(&check->trial.error, check->message, sizeof check->message);
    return false;
}

bool check_goes_on(struct check *check)
{
    if (check->result == CHECK_OK && terminal_interrupted()) {
        check->result = CHECK_STOPPED;
    }
    return check->result == CHECK_OK;
}

bool check_same(struct check *check, const unsigned char *found, const unsigned char *expected, const char *what)
{
    size_t bytes = check->trial.bytes;
    size_t pages = 0;
    size_t first = bytes;
    for (size_t page = 0; page < bytes; page += PAGE_BYTES) {
        if (memcmp(found + page, expected + page, PAGE_BYTES) != 0) {
            first = pages == 0 ? page : first;
            pages++;
        }
    }
    if (pages == 0) {
        return true;
    }
    while (found[first] == expected[first]) {
        first++;
    }
    check_fail(check, "%s on %zu of %zu pages: the first byte, at offset 0x%zx, is 0x%02x and should be 0x%02x", what,
               pages, bytes / PAGE_BYTES, first, found[first], expected[first]);
    return false;
}

uint64_t check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
