/* check.h - the check layer: one test source, two runners (Criterion, or a plain main)
 *
 *     CHECK_TEST(pageset, add_twice_is_once)
 *     {
 *         CHECK_STATUS(svp_pageset_open(&set, 4), SAVEPOINT_OK);
 *         CHECK_EQ(svp_pageset_count(&set), 0);
 *     }
 *
 * Compiled with CHECK_CRITERION the tests run under Criterion, each in a process of its own; without it under
 * check_plain.c, one after the other in one process (TSan, valgrind, Wine and qemu cannot run Criterion).
 * Use nothing of Criterion directly.
 *
 * A check that fails prints why and ends the process with exit status 1, at once and without clean-up: so it is
 * safe on any thread and in a forked child (whose parent must look at the exit status).
 * CHECK_SKIP may only be called on the thread that runs the test. Every macro evaluates its arguments once. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "savepoint.h"

#if defined(__GNUC__)
#define CHECK_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define CHECK_PRINTF(format_index, first_index)
#endif

/* What the macros below call; `where` is "file:line", `text` the source of the check. */
_Noreturn void check_fail(const char *where, const char *format, ...) CHECK_PRINTF(2, 3);
_Noreturn void check_skip(const char *format, ...) CHECK_PRINTF(1, 2);
void check_equal_integer(const char *where, const char *text, uintmax_t left, uintmax_t right);
void check_equal_text(const char *where, const char *text, const char *left, const char *right);
void check_equal_memory(const char *where, const char *text, const void *left, const void *right, size_t bytes);
void check_equal_status(const char *where, const char *text, enum savepoint_status got, enum savepoint_status wanted);

#define CHECK_TEXT_(line) #line
#define CHECK_LINE_(line) CHECK_TEXT_(line)
#define CHECK_WHERE_ __FILE__ ":" CHECK_LINE_(__LINE__)

#define CHECK(condition) ((condition) ? (void)0 : check_fail(CHECK_WHERE_, "%s", #condition))
#define CHECK_MSG(condition, ...) ((condition) ? (void)0 : check_fail(CHECK_WHERE_, __VA_ARGS__))

/* Integers, enumerations and pointers of any type, widened to 64 bits: -1 equals UINT64_MAX, and differs from
 * UINT32_MAX. */
#define CHECK_EQ(left, right)                                                                                          \
    check_equal_integer(CHECK_WHERE_, #left " == " #right, (uintmax_t)(left), (uintmax_t)(right))
#define CHECK_STR(left, right) check_equal_text(CHECK_WHERE_, #left " == " #right, (left), (right))
#define CHECK_MEM(left, right, bytes) check_equal_memory(CHECK_WHERE_, #left " == " #right, (left), (right), (bytes))
#define CHECK_STATUS(expression, wanted) check_equal_status(CHECK_WHERE_, #expression, (expression), (wanted))
#define CHECK_OK(expression) CHECK_STATUS(expression, SAVEPOINT_OK)
#define CHECK_SKIP(...) check_skip(__VA_ARGS__)

/* Runner side: announce a test, and that it ran to its end. */
void check_begin(const char *name);
void check_end(void);
extern const char *check_current_name;

#ifdef CHECK_CRITERION

#include <criterion/criterion.h>

#define CHECK_TEST(suite, name)                                                                                        \
    static void check_body_##suite##_##name(void);                                                                     \
    Test(suite, name)                                                                                                  \
    {                                                                                                                  \
        check_begin(#suite "/" #name);                                                                                 \
        check_body_##suite##_##name();                                                                                 \
        check_end();                                                                                                   \
    }                                                                                                                  \
    static void check_body_##suite##_##name(void)

#else

struct check_test {
    const char *name;
    void (*body)(void);
    struct check_test *next;
};
void check_register(struct check_test *test);

#define CHECK_TEST(suite, name)                                                                                        \
    static void check_body_##suite##_##name(void);                                                                     \
    __attribute__((constructor)) static void check_register_##suite##_##name(void)                                     \
    {                                                                                                                  \
        static struct check_test test = { #suite "/" #name, check_body_##suite##_##name, NULL };                       \
        check_register(&test);                                                                                         \
    }                                                                                                                  \
    static void check_body_##suite##_##name(void)

#endif
#endif
