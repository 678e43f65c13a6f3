/* mach_threads.c - stopping all other threads of this process for a moment */
#include "mach_threads.h"

#include <mach/mach_vm.h>
#include <pthread.h>
#include <stdbool.h>

/* Two that stop each other would both stand still for ever. */
static pthread_mutex_t stopper = PTHREAD_MUTEX_INITIALIZER;

static bool contains(const struct svp_mach_threads *stopped, thread_act_t thread)
{
    for (unsigned pass = 0; pass < stopped->passes; pass++) {
        for (mach_msg_type_number_t i = 0; i < stopped->lists[pass].count; i++) {
            if (stopped->lists[pass].threads[i] == thread) {
                return true;
            }
        }
    }
    return false;
}

/* Stops the threads that are not stopped yet, and sets how many those were. What is not stopped by this pass, the
 * caller's own thread and those that are ending among it, leaves its list. */
static kern_return_t stop_once(struct svp_mach_threads *stopped, thread_act_t self, unsigned *stopped_now)
{
    thread_act_array_t threads = NULL;
    mach_msg_type_number_t count = 0;
    kern_return_t result = task_threads(mach_task_self(), &threads, &count);
    *stopped_now = 0;
    if (result != KERN_SUCCESS) {
        return result;
    }
    for (mach_msg_type_number_t i = 0; i < count; i++) {
        if (threads[i] != self && !contains(stopped, threads[i]) && thread_suspend(threads[i]) == KERN_SUCCESS) {
            ++*stopped_now;
        } else {
            mach_port_deallocate(mach_task_self(), threads[i]);
            threads[i] = MACH_PORT_NULL;
        }
    }
    stopped->lists[stopped->passes].threads = threads;
    stopped->lists[stopped->passes].count = count;
    stopped->passes++;
    return KERN_SUCCESS;
}

static void go(struct svp_mach_threads *stopped)
{
    for (unsigned pass = 0; pass < stopped->passes; pass++) {
        thread_act_array_t threads = stopped->lists[pass].threads;
        mach_msg_type_number_t count = stopped->lists[pass].count;
        for (mach_msg_type_number_t i = 0; i < count; i++) {
            if (threads[i] != MACH_PORT_NULL) {
                thread_resume(threads[i]);
                mach_port_deallocate(mach_task_self(), threads[i]);
            }
        }
        mach_vm_deallocate(mach_task_self(), (mach_vm_address_t)(uintptr_t)threads, count * sizeof threads[0]);
    }
}

/* A thread may start another before it is stopped itself: the list is read again until it holds no new one. */
static kern_return_t stop_all(struct svp_mach_threads *stopped, thread_act_t self)
{
    kern_return_t result = KERN_SUCCESS;
    unsigned stopped_now = 1;
    stopped->passes = 0;
    while (result == KERN_SUCCESS && stopped_now > 0) {
        result = stopped->passes < SVP_MACH_THREADS_PASSES ? stop_once(stopped, self, &stopped_now) : KERN_FAILURE;
    }
    if (result != KERN_SUCCESS) {
        go(stopped);
    }
    return result;
}

kern_return_t svp_mach_threads_stop(struct svp_mach_threads *stopped)
{
    pthread_mutex_lock(&stopper);
    thread_act_t self = mach_thread_self();
    kern_return_t result = stop_all(stopped, self);
    mach_port_deallocate(mach_task_self(), self);
    if (result != KERN_SUCCESS) {
        pthread_mutex_unlock(&stopper);
    }
    return result;
}

void svp_mach_threads_go(struct svp_mach_threads *stopped)
{
    go(stopped);
    pthread_mutex_unlock(&stopper);
}

void svp_mach_threads_begin_child(void)
{
    pthread_mutex_init(&stopper, NULL);
}
