/* mach_threads.c - stopping all other threads of this process for a moment */
#include "mach_threads.h"

#include <mach/mach_vm.h>
#include <pthread.h>
#include <stdbool.h>

/* Two that stop each other would both stand still for ever. */
static pthread_mutex_t stopper = PTHREAD_MUTEX_INITIALIZER;

static void free_list(const struct svp_mach_threads *threads)
{
    for (mach_msg_type_number_t i = 0; i < threads->count; i++) {
        if (threads->list[i] != MACH_PORT_NULL) {
            mach_port_deallocate(mach_task_self(), threads->list[i]);
        }
    }
    if (threads->count > 0) {
        mach_vm_deallocate(mach_task_self(), (mach_vm_address_t)(uintptr_t)threads->list,
                           threads->count * sizeof threads->list[0]);
    }
}

static bool contains(const struct svp_mach_threads *threads, thread_act_t thread)
{
    for (mach_msg_type_number_t i = 0; i < threads->count; i++) {
        if (threads->list[i] == thread) {
            return true;
        }
    }
    return false;
}

/* Stops those of `now` that are not in `before`; returns how many. What is not stopped, the caller's own thread and
 * those that are ending, leaves the list. */
static unsigned stop_new(struct svp_mach_threads *now, const struct svp_mach_threads *before, thread_act_t self)
{
    unsigned stopped = 0;
    for (mach_msg_type_number_t i = 0; i < now->count; i++) {
        thread_act_t thread = now->list[i];
        if (contains(before, thread)) {
            continue;
        }
        if (thread != self && thread_suspend(thread) == KERN_SUCCESS) {
            stopped++;
        } else {
            mach_port_deallocate(mach_task_self(), thread);
            now->list[i] = MACH_PORT_NULL;
        }
    }
    return stopped;
}

static void resume(const struct svp_mach_threads *threads)
{
    for (mach_msg_type_number_t i = 0; i < threads->count; i++) {
        if (threads->list[i] != MACH_PORT_NULL) {
            thread_resume(threads->list[i]);
        }
    }
    free_list(threads);
}

/* A thread may start another before it is stopped itself: the list is read again until it holds no new one. */
static kern_return_t stop_all(struct svp_mach_threads *stopped, thread_act_t self)
{
    struct svp_mach_threads now = { NULL, 0 };
    unsigned stopped_now;
    do {
        kern_return_t result = task_threads(mach_task_self(), &now.list, &now.count);
        if (result != KERN_SUCCESS) {
            resume(stopped);
            return result;
        }
        stopped_now = stop_new(&now, stopped, self);
        free_list(stopped);
        *stopped = now;
    } while (stopped_now > 0);
    return KERN_SUCCESS;
}

kern_return_t svp_mach_threads_stop(struct svp_mach_threads *stopped)
{
    pthread_mutex_lock(&stopper);
    thread_act_t self = mach_thread_self();
    *stopped = (struct svp_mach_threads){ NULL, 0 };
    kern_return_t result = stop_all(stopped, self);
    mach_port_deallocate(mach_task_self(), self);
    if (result != KERN_SUCCESS) {
        pthread_mutex_unlock(&stopper);
    }
    return result;
}

void svp_mach_threads_go(struct svp_mach_threads *stopped)
{
    resume(stopped);
    pthread_mutex_unlock(&stopper);
}

void svp_mach_threads_begin_child(void)
{
    pthread_mutex_init(&stopper, NULL);
}
