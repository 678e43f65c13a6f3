/* pthread.h - the host's, and what macOS adds to it */
#ifndef MACH_EMULATION_PTHREAD_H
#define MACH_EMULATION_PTHREAD_H

#include_next <pthread.h>
#include <stddef.h>

/* The highest address of the thread's stack, and its size. */
void *pthread_get_stackaddr_np(pthread_t thread);
size_t pthread_get_stacksize_np(pthread_t thread);

#endif
