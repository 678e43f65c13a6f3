/* crash_resume.c - a lesson: a program that crashes twice, and each time goes on from its last snapshot */
#define _POSIX_C_SOURCE 200809L /* SIGKILL */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <savepoint.h>

/* Everything that must survive stands in one block of memory; the rest is made anew at every start. */
struct work {
    int starts;       /* of this program */
    int number;       /* the next to look at */
    int prime_count;  /* below it */
    int *last_prime;  /* a pointer into the block: good again after a resume, the block comes back where it was */
    int primes[2000]; /* those found */
};

enum { NUMBER_END = 10000, NUMBERS_BETWEEN_TAKES = 1000 };

static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "crash_resume: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void look_at_next(struct work *work)
{
    int prime = work->number > 1;
    for (int i = 0; prime && i < work->prime_count && work->primes[i] * work->primes[i] <= work->number; i++) {
        prime = work->number % work->primes[i] != 0;
    }
    if (prime) {
        work->last_prime = &work->primes[work->prime_count++];
        *work->last_prime = work->number;
    }
    work->number++;
}

/* No handler runs, nothing is flushed or closed: what was captured and waited for is all there will be. */
static void crash(const struct work *work, const char *how, int signal_number)
{
    printf("%s at number %d, %d primes found\n", how, work->number, work->prime_count);
    fflush(stdout);
    raise(signal_number);
}

int main(int count, char **arguments)
{
    struct savepoint *session;
    void *memory;
    need(savepoint_open(&session, count > 1 ? arguments[1] : "crash_resume.svp", NULL, &error));
    need(savepoint_map(session, &memory, "work", sizeof(struct work), NULL, &error));
    enum savepoint_status status = savepoint_resume(session, NULL, &error);
    if (status != SAVEPOINT_EMPTY) { /* empty: the first start, all is zero */
        need(status);
    }
    struct work *work = memory;
    work->starts++;
    printf("start %d: from number %d, %d primes found, the last is %d\n", work->starts, work->number, work->prime_count,
           work->last_prime != NULL ? *work->last_prime : 0);

    while (work->number < NUMBER_END) {
        look_at_next(work);
        if (work->number % NUMBERS_BETWEEN_TAKES == 0) {
            need(savepoint_take(session, NULL, NULL, &error));
            need(savepoint_wait(session, 0, NULL, &error)); /* from here on even a power cut cannot take it away */
        }
        if (work->starts == 1 && work->number == 3456) {
            crash(work, "killed", SIGKILL);
        }
        if (work->starts == 2 && work->number == 7890) {
            crash(work, "aborted", SIGABRT);
        }
    }
    printf("done: %d primes below %d, the last is %d\n", work->prime_count, work->number, *work->last_prime);
    need(savepoint_close(session, &error));
    return 0;
}
