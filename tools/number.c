/* number.c - numbers as people write them, of which some are too large */
#include "number.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>

static unsigned digit_value(char digit)
{
    if (isdigit((unsigned char)digit)) {
        return (unsigned)(digit - '0');
    }
    return isxdigit((unsigned char)digit) ? (unsigned)(tolower((unsigned char)digit) - 'a') + 10 : UINT_MAX;
}

enum number_kind number_take(uint64_t *number, const char **at, unsigned base)
{
    const char *next = *at;
    uint64_t value = 0;
    bool too_large = false;
    for (; digit_value(*next) < base; next++) {
        too_large = too_large || value > (UINT64_MAX - digit_value(*next)) / base;
        value = too_large ? UINT64_MAX : value * base + digit_value(*next);
    }
    if (next == *at) {
        return NUMBER_NONE;
    }
    *at = next;
    *number = value;
    return too_large ? NUMBER_TOO_LARGE : NUMBER_GOOD;
}

enum number_kind number_scale(uint64_t *number, unsigned shift)
{
    if (*number > UINT64_MAX >> shift) {
        *number = UINT64_MAX;
        return NUMBER_TOO_LARGE;
    }
    *number <<= shift;
    return NUMBER_GOOD;
}
