/* mach_threads.h - stopping all other threads of this process for a moment */
#ifndef SVP_MACH_THREADS_H
#define SVP_MACH_THREADS_H

#include <mach/mach.h>

enum { SVP_MACH_THREADS_PASSES = 16 };

struct svp_mach_threads { /* stopped by us: the lists of the system, with MACH_PORT_NULL for the others */
    unsigned passes;
    struct {
        thread_act_array_t threads;
        mach_msg_type_number_t count;
    } lists[SVP_MACH_THREADS_PASSES];
};

/* None but the caller's thread runs any of the program's code when this returns; a system call that another one is in
 * goes on until it wants to return. One caller at a time: others wait here. Until the threads run again, nothing may
 * be done that can wait for one of them: no allocation, no locks. On failure nothing is stopped. */
kern_return_t svp_mach_threads_stop(struct svp_mach_threads *stopped);
void svp_mach_threads_go(struct svp_mach_threads *stopped);

/* In a forked child: its thread is the only one. */
void svp_mach_threads_begin_child(void);

#endif
