/* mach_types.h - the types of Mach, with Apple's names and sizes */
#ifndef MACH_EMULATION_MACH_TYPES_H
#define MACH_EMULATION_MACH_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int boolean_t;
typedef unsigned int natural_t;
typedef int integer_t;
typedef int kern_return_t;
typedef int mach_error_t;

typedef uintptr_t vm_offset_t;
typedef uintptr_t vm_address_t;
typedef uintptr_t vm_size_t;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_offset_t;
typedef uint64_t mach_vm_size_t;
typedef uint64_t vm_map_offset_t;
typedef uint64_t vm_map_address_t;
typedef uint64_t vm_map_size_t;
typedef uint64_t memory_object_offset_t;
typedef uint64_t memory_object_size_t;
typedef uint64_t vm_object_id_t;
typedef uint32_t vm32_object_id_t;

typedef int vm_prot_t;
typedef unsigned int vm_inherit_t;
typedef int vm_behavior_t;

typedef unsigned int mach_port_name_t;
typedef unsigned int mach_port_t;
typedef unsigned int mach_msg_type_number_t;
typedef mach_port_t mem_entry_name_port_t;
typedef mach_port_t memory_object_name_t;
typedef mach_port_t task_t;
typedef mach_port_t task_name_t;
typedef mach_port_t vm_map_t;
typedef mach_port_t vm_map_read_t;
typedef mach_port_t thread_t;
typedef mach_port_t thread_act_t;
typedef mach_port_t host_t;
typedef thread_act_t *thread_act_array_t;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#define MACH_PORT_NULL ((mach_port_t)0)
#define MACH_PORT_DEAD (~(mach_port_t)0)
#define MACH_PORT_VALID(name) ((name) != MACH_PORT_NULL && (name) != MACH_PORT_DEAD)
#define MEMORY_OBJECT_NULL MACH_PORT_NULL
#define TASK_NULL MACH_PORT_NULL
#define VM_MAP_NULL MACH_PORT_NULL

#endif
