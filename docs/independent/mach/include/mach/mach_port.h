/* mach_port.h - references to ports */
#ifndef MACH_EMULATION_MACH_PORT_H
#define MACH_EMULATION_MACH_PORT_H

#include <mach/kern_return.h>

kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name);

#endif
