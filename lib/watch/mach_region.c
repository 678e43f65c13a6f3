/* mach_region.c - what the Mach kernel says about entries of this task's map, and about single pages */
#include "mach_region.h"

#include <mach/mach.h>
#include <mach/mach_vm.h>

/* In its short form the call looks at the chain of objects as such, at none of their pages: cheap, however large the
 * entry. Its address goes in and out: the answer is about the entry around it. */
bool svp_mach_region_find(struct svp_mach_region *region, uintptr_t address)
{
    mach_vm_address_t start = address;
    mach_vm_size_t bytes = 0;
    natural_t nesting = 0;
    vm_region_submap_short_info_data_64_t info = { 0 };
    mach_msg_type_number_t count = VM_REGION_SUBMAP_SHORT_INFO_COUNT_64;
    if (mach_vm_region_recurse(mach_task_self(), &start, &bytes, &nesting, (vm_region_recurse_info_t)&info, &count) !=
        KERN_SUCCESS) {
        return false;
    }
    *region = (struct svp_mach_region){
        .start = (uintptr_t)start,
        .end = (uintptr_t)(start + bytes),
        .readable = (info.protection & VM_PROT_READ) != 0,
        .writable = (info.protection & VM_PROT_WRITE) != 0,
        .executable = (info.protection & VM_PROT_EXECUTE) != 0,
        .inherited_shared = info.inheritance == VM_INHERIT_SHARE,
        .submap = info.is_submap != 0,
        .external = info.external_pager != 0,
        .wired = info.user_wired_count != 0,
        .share_mode = info.share_mode,
        .references = info.ref_count,
        .depth = info.shadow_depth,
        .object = info.object_id,
        .offset = info.offset,
    };
    return true;
}

bool svp_mach_page_find(struct svp_mach_page *page, uintptr_t address)
{
    vm_page_info_basic_data_t info = { 0 };
    mach_msg_type_number_t count = VM_PAGE_INFO_BASIC_COUNT;
    if (mach_vm_page_info(mach_task_self(), address, VM_PAGE_INFO_BASIC, (vm_page_info_t)&info, &count) !=
        KERN_SUCCESS) {
        return false;
    }
    *page = (struct svp_mach_page){ (uint64_t)info.object_id, (uint64_t)info.offset, (unsigned)info.depth };
    return true;
}
