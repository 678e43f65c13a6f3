/* vm_page_size.h - the page size of the address space, and of the objects below it */
#ifndef MACH_EMULATION_VM_PAGE_SIZE_H
#define MACH_EMULATION_VM_PAGE_SIZE_H

#include <mach/mach_types.h>

extern vm_size_t vm_page_size;
extern vm_size_t vm_page_mask;
extern int vm_page_shift;
extern vm_size_t vm_kernel_page_size;
extern vm_size_t vm_kernel_page_mask;
extern int vm_kernel_page_shift;

#define trunc_page(x) ((x) & (~(vm_size_t)vm_page_mask))
#define round_page(x) trunc_page((x) + vm_page_mask)
#define mach_vm_trunc_page(x) ((mach_vm_offset_t)(x) & ~(mach_vm_offset_t)vm_page_mask)
#define mach_vm_round_page(x) (((mach_vm_offset_t)(x) + vm_page_mask) & ~(mach_vm_offset_t)vm_page_mask)

#endif
