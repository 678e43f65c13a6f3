/* mach_vm.h - the calls of Apple's <mach/mach_vm.h> that savepoint uses, for a compiler that lacks that header
 *
 * Own declarations; the names and types are Apple's interface. Every real SDK has the header itself. */
#ifndef SAVEPOINT_CROSS_MACH_VM_H
#define SAVEPOINT_CROSS_MACH_VM_H

#include <mach/mach_types.h>

kern_return_t mach_vm_map(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, mach_vm_offset_t mask,
                          int flags, mem_entry_name_port_t object, memory_object_offset_t offset, boolean_t copy,
                          vm_prot_t protection, vm_prot_t max_protection, vm_inherit_t inheritance);

kern_return_t mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size);

kern_return_t mach_vm_protect(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size, boolean_t set_maximum,
                              vm_prot_t protection);

kern_return_t mach_vm_remap(vm_map_t target_task, mach_vm_address_t *target_address, mach_vm_size_t size,
                            mach_vm_offset_t mask, int flags, vm_map_t source_task, mach_vm_address_t source_address,
                            boolean_t copy, vm_prot_t *protection, vm_prot_t *max_protection, vm_inherit_t inheritance);

kern_return_t
mach_vm_region(vm_map_read_t task, mach_vm_address_t *address, mach_vm_size_t *size, vm_region_flavor_t flavor,
               vm_region_info_t info, mach_msg_type_number_t *info_count, mach_port_t *object_name);

kern_return_t
mach_vm_region_recurse(vm_map_read_t task, mach_vm_address_t *address, mach_vm_size_t *size, natural_t *nesting_depth,
                       vm_region_recurse_info_t info, mach_msg_type_number_t *info_count);

kern_return_t mach_vm_page_info(vm_map_read_t task, mach_vm_address_t address, vm_page_info_flavor_t flavor,
                                vm_page_info_t info, mach_msg_type_number_t *info_count);

kern_return_t mach_vm_page_range_query(vm_map_read_t task, mach_vm_offset_t address, mach_vm_size_t size,
                                       mach_vm_address_t dispositions, mach_vm_size_t *dispositions_count);

#endif
