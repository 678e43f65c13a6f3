/* mach_init.h - this task, this thread, this host */
#ifndef MACH_EMULATION_MACH_INIT_H
#define MACH_EMULATION_MACH_INIT_H

#include <mach/mach_types.h>
#include <mach/vm_page_size.h>

extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
#define current_task() mach_task_self()

mach_port_t mach_host_self(void);
mach_port_t mach_thread_self(void);

#endif
