/* mach_vm.h - the calls on address spaces */
#ifndef MACH_EMULATION_MACH_VM_H
#define MACH_EMULATION_MACH_VM_H

#include <mach/kern_return.h>
#include <mach/mach_types.h>
#include <mach/vm_inherit.h>
#include <mach/vm_page_size.h>
#include <mach/vm_prot.h>
#include <mach/vm_region.h>
#include <mach/vm_statistics.h>

kern_return_t mach_vm_allocate(vm_map_t target, mach_vm_address_t *address, mach_vm_size_t size, int flags);
kern_return_t mach_vm_deallocate(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size);
kern_return_t mach_vm_protect(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size, boolean_t set_maximum,
                              vm_prot_t new_protection);
kern_return_t
mach_vm_inherit(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size, vm_inherit_t new_inheritance);
kern_return_t mach_vm_read(vm_map_read_t target, mach_vm_address_t address, mach_vm_size_t size, vm_offset_t *data,
                           mach_msg_type_number_t *data_count);
kern_return_t mach_vm_read_overwrite(vm_map_read_t target, mach_vm_address_t address, mach_vm_size_t size,
                                     mach_vm_address_t data, mach_vm_size_t *out_size);
kern_return_t
mach_vm_write(vm_map_t target, mach_vm_address_t address, vm_offset_t data, mach_msg_type_number_t data_count);
kern_return_t
mach_vm_copy(vm_map_t target, mach_vm_address_t source_address, mach_vm_size_t size, mach_vm_address_t dest_address);
kern_return_t mach_vm_map(vm_map_t target, mach_vm_address_t *address, mach_vm_size_t size, mach_vm_offset_t mask,
                          int flags, mem_entry_name_port_t object, memory_object_offset_t offset, boolean_t copy,
                          vm_prot_t cur_protection, vm_prot_t max_protection, vm_inherit_t inheritance);
kern_return_t
mach_vm_remap(vm_map_t target, mach_vm_address_t *target_address, mach_vm_size_t size, mach_vm_offset_t mask, int flags,
              vm_map_t source, mach_vm_address_t source_address, boolean_t copy, vm_prot_t *cur_protection,
              vm_prot_t *max_protection, vm_inherit_t inheritance);
kern_return_t
mach_vm_remap_new(vm_map_t target, mach_vm_address_t *target_address, mach_vm_size_t size, mach_vm_offset_t mask,
                  int flags, vm_map_read_t source, mach_vm_address_t source_address, boolean_t copy,
                  vm_prot_t *cur_protection, vm_prot_t *max_protection, vm_inherit_t inheritance);
kern_return_t
mach_vm_region(vm_map_read_t target, mach_vm_address_t *address, mach_vm_size_t *size, vm_region_flavor_t flavor,
               vm_region_info_t info, mach_msg_type_number_t *info_count, mach_port_t *object_name);
kern_return_t
mach_vm_region_recurse(vm_map_read_t target, mach_vm_address_t *address, mach_vm_size_t *size, natural_t *nesting_depth,
                       vm_region_recurse_info_t info, mach_msg_type_number_t *info_count);
kern_return_t
mach_vm_page_query(vm_map_read_t target, mach_vm_offset_t offset, integer_t *disposition, integer_t *ref_count);
kern_return_t mach_vm_page_info(vm_map_read_t target, mach_vm_address_t address, vm_page_info_flavor_t flavor,
                                vm_page_info_t info, mach_msg_type_number_t *info_count);
kern_return_t mach_vm_page_range_query(vm_map_read_t target, mach_vm_offset_t address, mach_vm_size_t size,
                                       mach_vm_address_t dispositions, mach_vm_size_t *dispositions_count);
kern_return_t
mach_make_memory_entry_64(vm_map_t target, memory_object_size_t *size, memory_object_offset_t offset,
                          vm_prot_t permission, mach_port_t *object_handle, mem_entry_name_port_t parent_entry);
kern_return_t vm_deallocate(vm_map_t target, vm_address_t address, vm_size_t size);
kern_return_t vm_allocate(vm_map_t target, vm_address_t *address, vm_size_t size, int flags);
kern_return_t
vm_protect(vm_map_t target, vm_address_t address, vm_size_t size, boolean_t set_maximum, vm_prot_t new_protection);

#endif
