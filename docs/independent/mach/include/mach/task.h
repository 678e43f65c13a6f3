/* task.h - the threads of a task */
#ifndef MACH_EMULATION_TASK_H
#define MACH_EMULATION_TASK_H

#include <mach/kern_return.h>

kern_return_t task_threads(task_t task, thread_act_array_t *threads, mach_msg_type_number_t *thread_count);

#endif
