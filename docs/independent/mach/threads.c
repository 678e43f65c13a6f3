/* threads.c - the threads of this process as Mach sees them: listed, suspended, resumed
 *
 * A suspended thread waits in the handler of a signal. Signals are blocked in the emulated kernel, so no thread is
 * suspended while it holds the kernel's lock. */
#define _GNU_SOURCE
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 1024, PORT_BASE = 0x100000 };

static struct {
    atomic_int thread; /* 0: free */
    atomic_int suspended;
    atomic_int stopped; /* it is in the handler */
} slots[THREADS];

static int suspend_signal(void)
{
    return SIGRTMAX - 2;
}

static void wait_in_handler(int number)
{
    int saved = errno;
    int self = (int)em_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
    (void)number;
    for (int i = 0; i < THREADS; i++) {
        if (atomic_load(&slots[i].thread) != self) {
            continue;
        }
        atomic_store(&slots[i].stopped, 1);
        for (int count = atomic_load(&slots[i].suspended); count > 0; count = atomic_load(&slots[i].suspended)) {
            em_syscall(SYS_futex, (long)&slots[i].suspended, FUTEX_WAIT_PRIVATE, count, 0, 0, 0);
        }
        atomic_store(&slots[i].stopped, 0);
        break;
    }
    errno = saved;
}

static int slot_of(int thread, bool make)
{
    int empty = -1;
    for (int i = 0; i < THREADS; i++) {
        int owner = atomic_load(&slots[i].thread);
        if (owner == thread) {
            return i;
        }
        bool idle = owner == 0 || (atomic_load(&slots[i].suspended) == 0 && atomic_load(&slots[i].stopped) == 0);
        empty = empty < 0 && idle ? i : empty;
    }
    if (make && empty >= 0) {
        atomic_store(&slots[empty].thread, thread);
        return empty;
    }
    return -1;
}

/* Sets whether it runs, or would if it had a processor. */
static bool blocks_signal(int thread, bool *runs)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = descriptor < 0 ? 0 : read(descriptor, text, sizeof text - 1);
    if (descriptor >= 0) {
        close(descriptor);
    }
    text[got > 0 ? got : 0] = '\0';
    *runs = strstr(text, "State:\tR") != NULL;
    const char *mask = strstr(text, "SigBlk:");
    return mask != NULL && (strtoull(mask + 7, NULL, 16) >> (suspend_signal() - 1) & 1) != 0;
}

/* A thread that blocks our signal for good (a sanitizer's own) sleeps, cannot be suspended, and is not listed. One that
 * is in the emulated kernel blocks it for a moment, which is as long as a busy machine runs others meanwhile: it must
 * not be taken for one of those, and run on while it is believed to stand. */
static bool can_suspend(int thread)
{
    bool runs;
    bool blocked = blocks_signal(thread, &runs);
    for (unsigned asleep = 0; blocked && asleep < 200; asleep += !runs) {
        usleep(20);
        blocked = blocks_signal(thread, &runs);
    }
    return !blocked;
}

kern_return_t task_threads(task_t task, thread_act_array_t *threads, mach_msg_type_number_t *thread_count)
{
    kern_return_t result = KERN_SUCCESS;
    mach_vm_address_t address = 0;
    mach_msg_type_number_t count = 0;
    int self = (int)em_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
    if (!em_enter(MACH_EMULATION_TASK_THREADS, task, &result)) {
        return result;
    }
    em_leave(KERN_SUCCESS);
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) {
        return KERN_RESOURCE_SHORTAGE;
    }
    result = mach_vm_allocate(mach_task_self(), &address, THREADS * sizeof(thread_t), VM_FLAGS_ANYWHERE);
    thread_t *list = (thread_t *)(uintptr_t)address;
    for (struct dirent *line = readdir(folder); result == KERN_SUCCESS && line != NULL; line = readdir(folder)) {
        int thread = (int)strtol(line->d_name, NULL, 10);
        if (thread > 0 && count < THREADS && (thread == self || can_suspend(thread))) {
            list[count++] = (thread_t)(PORT_BASE + thread);
        }
    }
    closedir(folder);
    if (result == KERN_SUCCESS) {
        *threads = list;
        *thread_count = count;
    }
    return result;
}

mach_port_t mach_thread_self(void)
{
    return (mach_port_t)(PORT_BASE + em_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0));
}

static void install(void)
{
    struct sigaction action = { .sa_handler = wait_in_handler, .sa_flags = SA_RESTART | SA_ONSTACK };
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSEGV);
    sigaction(suspend_signal(), &action, NULL);
}

kern_return_t thread_suspend(thread_act_t port)
{
    kern_return_t result = KERN_SUCCESS;
    int thread = (int)(port - PORT_BASE);
    if (port < PORT_BASE) {
        return MACH_SEND_INVALID_DEST;
    }
    if (!em_enter(MACH_EMULATION_THREAD_SUSPEND, mach_task_self(), &result)) {
        return result;
    }
    int slot = slot_of(thread, true);
    if (slot >= 0) {
        install();
        atomic_fetch_add(&slots[slot].suspended, 1);
    }
    em_leave(KERN_SUCCESS);
    if (slot < 0) {
        return KERN_RESOURCE_SHORTAGE;
    }
    if (em_syscall(SYS_tgkill, getpid(), thread, suspend_signal(), 0, 0, 0) != 0) {
        atomic_store(&slots[slot].suspended, 0);
        return KERN_TERMINATED;
    }
    bool other = thread != (int)em_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
    for (unsigned tries = 0; other && atomic_load(&slots[slot].stopped) == 0; tries++) {
        if (em_syscall(SYS_tgkill, getpid(), thread, 0, 0, 0, 0) != 0) {
            atomic_store(&slots[slot].suspended, 0);
            return KERN_TERMINATED;
        }
        usleep(tries < 100 ? 10 : 1000);
    }
    return KERN_SUCCESS;
}

kern_return_t thread_resume(thread_act_t port)
{
    kern_return_t result = KERN_SUCCESS;
    if (port < PORT_BASE) {
        return MACH_SEND_INVALID_DEST;
    }
    if (!em_enter(MACH_EMULATION_THREAD_RESUME, mach_task_self(), &result)) {
        return result;
    }
    int slot = slot_of((int)(port - PORT_BASE), false);
    result = slot < 0 || atomic_load(&slots[slot].suspended) == 0 ? KERN_FAILURE : KERN_SUCCESS;
    if (result == KERN_SUCCESS && atomic_fetch_sub(&slots[slot].suspended, 1) == 1) {
        em_syscall(SYS_futex, (long)&slots[slot].suspended, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
    return em_leave(result);
}

/* ---- stacks */

static char *stack_of(pthread_t thread, size_t *bytes)
{
    pthread_attr_t attributes;
    void *low = NULL;
    *bytes = 0;
    if (pthread_getattr_np(thread, &attributes) == 0) {
        pthread_attr_getstack(&attributes, &low, bytes);
        pthread_attr_destroy(&attributes);
    }
    return low;
}

void *pthread_get_stackaddr_np(pthread_t thread)
{
    size_t bytes;
    char *low = stack_of(thread, &bytes);
    return low + bytes;
}

size_t pthread_get_stacksize_np(pthread_t thread)
{
    size_t bytes;
    (void)stack_of(thread, &bytes);
    return bytes;
}
