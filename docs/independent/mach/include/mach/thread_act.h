/* thread_act.h - stopping threads */
#ifndef MACH_EMULATION_THREAD_ACT_H
#define MACH_EMULATION_THREAD_ACT_H

#include <mach/kern_return.h>

kern_return_t thread_suspend(thread_act_t thread);
kern_return_t thread_resume(thread_act_t thread);

#endif
