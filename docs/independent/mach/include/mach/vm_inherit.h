/* vm_inherit.h - what a child gets, with Apple's values */
#ifndef MACH_EMULATION_VM_INHERIT_H
#define MACH_EMULATION_VM_INHERIT_H

#include <mach/mach_types.h>

#define VM_INHERIT_SHARE ((vm_inherit_t)0)
#define VM_INHERIT_COPY ((vm_inherit_t)1)
#define VM_INHERIT_NONE ((vm_inherit_t)2)
#define VM_INHERIT_DEFAULT VM_INHERIT_COPY

#endif
