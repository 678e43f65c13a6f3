/* thread_posix.c - mutex, condition and thread on POSIX systems */
#define _POSIX_C_SOURCE 200809L
#include "os/thread.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "format/memory.h"

struct svp_mutex {
    pthread_mutex_t system;
};
struct svp_condition {
    pthread_cond_t system;
};
struct svp_thread {
    pthread_t system;
    void (*run)(void *);
    void *argument;
};

struct svp_mutex *svp_mutex_open(void)
{
    struct svp_mutex *mutex = svp_memory_alloc(sizeof *mutex);
    if (mutex != NULL) {
        pthread_mutex_init(&mutex->system, NULL);
    }
    return mutex;
}

void svp_mutex_close(struct svp_mutex *mutex)
{
    if (mutex != NULL) {
        pthread_mutex_destroy(&mutex->system);
        svp_memory_free(mutex);
    }
}

void svp_mutex_lock(struct svp_mutex *mutex)
{
    pthread_mutex_lock(&mutex->system);
}

void svp_mutex_unlock(struct svp_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->system);
}

struct svp_condition *svp_condition_open(void)
{
    struct svp_condition *condition = svp_memory_alloc(sizeof *condition);
    if (condition != NULL) {
        pthread_cond_init(&condition->system, NULL);
    }
    return condition;
}

void svp_condition_close(struct svp_condition *condition)
{
    if (condition != NULL) {
        pthread_cond_destroy(&condition->system);
        svp_memory_free(condition);
    }
}

void svp_condition_wait(struct svp_condition *condition, struct svp_mutex *mutex)
{
    pthread_cond_wait(&condition->system, &mutex->system);
}

void svp_condition_wait_for(struct svp_condition *condition, struct svp_mutex *mutex, uint64_t ns)
{
    const uint64_t second = 1000000000;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until); /* the clock of conditions on every system */
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / second);
    until.tv_nsec = (long)(ns % second);
    pthread_cond_timedwait(&condition->system, &mutex->system, &until);
}

void svp_condition_wake_all(struct svp_condition *condition)
{
    pthread_cond_broadcast(&condition->system);
}

static void *run_thread(void *argument)
{
    struct svp_thread *thread = argument;
    thread->run(thread->argument);
    return NULL;
}

struct svp_thread *svp_thread_start(void (*run)(void *), void *argument)
{
    struct svp_thread *thread = svp_memory_alloc(sizeof *thread);
    if (thread == NULL) {
        return NULL;
    }
    thread->run = run;
    thread->argument = argument;
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGFPE);
    pthread_sigmask(SIG_SETMASK, &blocked, &before); /* inherited by the new thread: no gap */
    int code = pthread_create(&thread->system, NULL, run_thread, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        svp_memory_free(thread);
        return NULL;
    }
    return thread;
}

void svp_thread_join(struct svp_thread *thread)
{
    pthread_join(thread->system, NULL);
    svp_memory_free(thread);
}
