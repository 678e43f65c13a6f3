/* check_plain.c - the plain runner: every test of the program, in order, in one process */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct check_test *first_test;
static struct check_test **last_link = &first_test;
static jmp_buf skip_target;

void check_register(struct check_test *test)
{
    *last_link = test;
    last_link = &test->next;
}

void check_skip(const char *format, ...)
{
    va_list arguments;
    char message[512];
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fprintf(stderr, "[SKIP] %s: %s\n", check_current_name, message);
    longjmp(skip_target, 1);
}

/* Globs of `*` and `?`, as Criterion's --filter knows them. */
static bool matches(const char *glob, const char *name)
{
    const char *star = NULL;
    const char *retry = NULL;
    while (*name != '\0') {
        if (*glob == '*') {
            star = glob++;
            retry = name;
        } else if (*glob == '?' || *glob == *name) {
            glob++;
            name++;
        } else if (star != NULL) {
            glob = star + 1;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*glob == '*') {
        glob++;
    }
    return *glob == '\0';
}

static bool run_one(const struct check_test *test)
{
    check_begin(test->name);
    if (setjmp(skip_target) != 0) {
        return false;
    }
    test->body();
    check_end();
    return true;
}

static int run_all(const char *filter)
{
    unsigned passed = 0;
    unsigned skipped = 0;
    for (const struct check_test *test = first_test; test != NULL; test = test->next) {
        if (!matches(filter, test->name)) {
            continue;
        }
        if (run_one(test)) {
            passed++;
        } else {
            skipped++;
        }
    }
    fprintf(stderr, "check: %u passed, %u skipped\n", passed, skipped);
    if (passed + skipped == 0) {
        fprintf(stderr, "check: no test matches '%s'\n", filter);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 2 && strcmp(arguments[1], "--list") == 0) {
        for (const struct check_test *test = first_test; test != NULL; test = test->next) {
            puts(test->name);
        }
        return EXIT_SUCCESS;
    }
    if (argument_count == 3 && strcmp(arguments[1], "--filter") == 0) {
        return run_all(arguments[2]);
    }
    if (argument_count == 1) {
        return run_all("*");
    }
    fprintf(stderr, "usage: %s [--list | --filter GLOB]\n", arguments[0]);
    return 2;
}
