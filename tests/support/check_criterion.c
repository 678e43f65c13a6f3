/* check_criterion.c - the Criterion runner: what the check layer needs beyond Criterion's own main */
#include "check.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

void check_skip(const char *format, ...)
{
    va_list arguments;
    char message[512];
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fprintf(stderr, "[SKIP] %s: %s\n", check_current_name, message);
    cr_skip("%s", message);
}
