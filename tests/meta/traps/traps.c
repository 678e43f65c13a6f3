/* traps.c - every way in which a test may be wrong while its runner says "passed" */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int sink = INT_MAX;
static void *volatile lost;

static void *thread_fails(void *unused)
{
    (void)unused;
    CHECK_EQ(1, 2);
    return NULL;
}

CHECK_TEST(pass, passes)
{
    CHECK_EQ(sink, INT_MAX);
}

CHECK_TEST(wrong, fails)
{
    CHECK_STR("one", "two");
}

CHECK_TEST(wrong_on_thread, fails)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, thread_fails, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

CHECK_TEST(wrong_in_child, fails)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(1, 2);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

CHECK_TEST(crash, aborts)
{
    abort();
}

CHECK_TEST(leak, loses_a_block)
{
    lost = malloc(100);
    lost = NULL;
}

CHECK_TEST(undefined, overflows)
{
    sink = sink + 1;
}

CHECK_TEST(early_exit, leaves)
{
    exit(0);
}

CHECK_TEST(early_hard_exit, leaves)
{
    _exit(0);
}

CHECK_TEST(skip, skips)
{
    CHECK_SKIP("nothing to see on %s", "this machine");
}

CHECK_TEST(skip_and_pass, skips)
{
    CHECK_SKIP("half of it");
}

CHECK_TEST(skip_and_pass, passes)
{
    CHECK_EQ(sink, INT_MAX);
}

CHECK_TEST(skip_and_wrong, a_skips)
{
    CHECK_SKIP("half of it");
}

CHECK_TEST(skip_and_wrong, b_fails)
{
    CHECK(sink == 0);
}

CHECK_TEST(hang, waits)
{
    for (;;) {
        pause();
    }
}
