/* thread_windows.c - mutex, condition and thread on Windows */
#define _WIN32_WINNT 0x0602
#define WIN32_LEAN_AND_MEAN
#include "os/thread.h"

#include <process.h>
#include <stdint.h>
#include <windows.h>

#include "format/memory.h"

struct svp_mutex {
    SRWLOCK system;
};
struct svp_condition {
    CONDITION_VARIABLE system;
};
struct svp_thread {
    HANDLE system;
    void (*run)(void *);
    void *argument;
};

struct svp_mutex *svp_mutex_open(void)
{
    struct svp_mutex *mutex = svp_memory_alloc(sizeof *mutex);
    if (mutex != NULL) {
        InitializeSRWLock(&mutex->system);
    }
    return mutex;
}

void svp_mutex_close(struct svp_mutex *mutex)
{
    svp_memory_free(mutex);
}

void svp_mutex_lock(struct svp_mutex *mutex)
{
    AcquireSRWLockExclusive(&mutex->system);
}

void svp_mutex_unlock(struct svp_mutex *mutex)
{
    ReleaseSRWLockExclusive(&mutex->system);
}

struct svp_condition *svp_condition_open(void)
{
    struct svp_condition *condition = svp_memory_alloc(sizeof *condition);
    if (condition != NULL) {
        InitializeConditionVariable(&condition->system);
    }
    return condition;
}

void svp_condition_close(struct svp_condition *condition)
{
    svp_memory_free(condition);
}

void svp_condition_wait(struct svp_condition *condition, struct svp_mutex *mutex)
{
    SleepConditionVariableSRW(&condition->system, &mutex->system, INFINITE, 0);
}

void svp_condition_wait_for(struct svp_condition *condition, struct svp_mutex *mutex, uint64_t ns)
{
    const uint64_t ms = ns / 1000000 + 1;
    SleepConditionVariableSRW(&condition->system, &mutex->system, ms < INFINITE ? (DWORD)ms : INFINITE - 1, 0);
}

void svp_condition_wake_all(struct svp_condition *condition)
{
    WakeAllConditionVariable(&condition->system);
}

static unsigned __stdcall run_thread(void *argument)
{
    struct svp_thread *thread = argument;
    thread->run(thread->argument);
    return 0;
}

/* Windows delivers no signals to threads: there is nothing to block. */
struct svp_thread *svp_thread_start(void (*run)(void *), void *argument)
{
    struct svp_thread *thread = svp_memory_alloc(sizeof *thread);
    if (thread == NULL) {
        return NULL;
    }
    thread->run = run;
    thread->argument = argument;
    thread->system = (HANDLE)_beginthreadex(NULL, 0, run_thread, thread, 0, NULL);
    if (thread->system == NULL) {
        svp_memory_free(thread);
        return NULL;
    }
    return thread;
}

void svp_thread_join(struct svp_thread *thread)
{
    WaitForSingleObject(thread->system, INFINITE);
    CloseHandle(thread->system);
    svp_memory_free(thread);
}
