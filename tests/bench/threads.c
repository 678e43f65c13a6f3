/* threads.c - a floor's work on as many threads as the subject has */
#define _GNU_SOURCE
#include "threads.h"

#include <pthread.h>
#include <sched.h>

#include "harness.h"

struct member {
    void (*work)(void *context, unsigned index);
    void *context;
    unsigned index;
};

static void *run_member(void *argument)
{
    const struct member *member = argument;
    member->work(member->context, member->index);
    return NULL;
}

void threads_run(unsigned threads, void (*work)(void *context, unsigned index), void *context)
{
    pthread_t started[THREADS_MAX];
    struct member members[THREADS_MAX];
    for (unsigned i = 0; i + 1 < threads; i++) {
        members[i] = (struct member){ work, context, i };
        if (pthread_create(&started[i], NULL, run_member, &members[i]) != 0) {
            bench_fail("no more threads");
        }
    }
    work(context, threads - 1);
    for (unsigned i = 0; i + 1 < threads; i++) {
        pthread_join(started[i], NULL);
    }
}

unsigned threads_default(void)
{
    cpu_set_t cores;
    unsigned count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    return count < 4 ? count : 4;
}
