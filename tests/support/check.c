/* check.c - the checks themselves: compare, and say what differs */
#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *check_current_name = "(no test)";

void check_begin(const char *name)
{
    check_current_name = name;
}

/* tests/support/run_test.sh counts these lines: a test that leaves by exit(0) prints none. */
void check_end(void)
{
    fprintf(stderr, "[PASS] %s\n", check_current_name);
}

void check_fail(const char *where, const char *format, ...)
{
    va_list arguments;
    char message[1024];
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "[FAIL] %s: %s: %s\n", check_current_name, where, message);
    _Exit(EXIT_FAILURE);
}

static void print_integer(char *text, size_t text_bytes, uintmax_t value)
{
    if (value > (uintmax_t)INTMAX_MAX) {
        snprintf(text, text_bytes, "%" PRIuMAX " (or %" PRIdMAX ", 0x%" PRIxMAX ")", value, (intmax_t)value, value);
    } else {
        snprintf(text, text_bytes, "%" PRIuMAX " (0x%" PRIxMAX ")", value, value);
    }
}

void check_equal_integer(const char *where, const char *text, uintmax_t left, uintmax_t right)
{
    if (left == right) {
        return;
    }
    char left_text[96];
    char right_text[96];
    print_integer(left_text, sizeof left_text, left);
    print_integer(right_text, sizeof right_text, right);
    check_fail(where, "%s: %s != %s", text, left_text, right_text);
}

void check_equal_text(const char *where, const char *text, const char *left, const char *right)
{
    if (left == right || (left != NULL && right != NULL && strcmp(left, right) == 0)) {
        return;
    }
    check_fail(where, "%s: \"%s\" != \"%s\"", text, left != NULL ? left : "(NULL)", right != NULL ? right : "(NULL)");
}

void check_equal_memory(const char *where, const char *text, const void *left, const void *right, size_t bytes)
{
    const unsigned char *left_bytes = left;
    const unsigned char *right_bytes = right;
    size_t differing = 0;
    size_t first = 0;
    for (size_t offset = bytes; offset > 0; offset--) {
        if (left_bytes[offset - 1] != right_bytes[offset - 1]) {
            differing++;
            first = offset - 1;
        }
    }
    if (differing > 0) {
        check_fail(where, "%s: %zu of %zu bytes differ, first at %zu: 0x%02x != 0x%02x", text, differing, bytes, first,
                   left_bytes[first], right_bytes[first]);
    }
}

void check_equal_status(const char *where, const char *text, enum savepoint_status got, enum savepoint_status wanted)
{
    if (got != wanted) {
        check_fail(where, "%s: got %s, wanted %s", text, savepoint_status_name(got), savepoint_status_name(wanted));
    }
}
