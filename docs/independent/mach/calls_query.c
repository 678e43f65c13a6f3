/* calls_query.c - mach_vm_region and its like: arguments and layouts; query.c has the answers */
#define _GNU_SOURCE
#include "query.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { QUERY_PAGES = 4096 }; /* looked at in one hold of the lock */

static unsigned char narrow(unsigned value)
{
    return (unsigned char)value;
}

static void basic_info(const struct em_region *region, struct vm_region_basic_info_64 *info)
{
    const struct entry *entry = region->entry;
    memset(info, 0, sizeof *info);
    info->protection = entry == NULL ? region->mapping.protection : entry->protection;
    info->max_protection = entry == NULL ? VM_PROT_ALL : entry->max_protection;
    info->inheritance =
        entry == NULL ? (region->mapping.private ? VM_INHERIT_COPY : VM_INHERIT_SHARE) : entry->inheritance;
    info->shared = entry == NULL ? !region->mapping.private : entry->is_shared;
    info->offset = entry == NULL ? 0 : entry->offset;
    info->user_wired_count = entry == NULL ? 0 : (unsigned short)entry->wired;
}

static void extended_info(const struct em_region *region, struct vm_region_extended_info *info)
{
    struct em_walk walk;
    em_region_walk(region, true, &walk);
    memset(info, 0, sizeof *info);
    info->protection = region->entry == NULL ? region->mapping.protection : region->entry->protection;
    info->user_tag = region->entry == NULL ? 0 : region->entry->tag;
    info->pages_resident = walk.resident;
    info->pages_shared_now_private = walk.private_now;
    info->pages_dirtied = walk.dirtied;
    info->ref_count = walk.references;
    info->shadow_depth = (unsigned short)walk.depth;
    info->external_pager = walk.external;
    info->share_mode = narrow(walk.share_mode);
}

/* Pages do not count here: any shadow at all is SM_COW. */
static void top_info(const struct em_region *region, struct vm_region_top_info *info)
{
    const struct object *object = region->entry == NULL ? NULL : region->entry->object;
    memset(info, 0, sizeof *info);
    info->share_mode = SM_EMPTY;
    if (object == NULL) {
        return;
    }
    info->obj_id = (unsigned)object->id;
    info->ref_count = object->refs;
    unsigned resident = (unsigned)object->resident;
    if (object->shadow == NULL && !region->entry->needs_copy && object->refs == 1) {
        info->share_mode = SM_PRIVATE;
        info->private_pages_resident = resident;
        return;
    }
    info->share_mode = object->shadow != NULL || region->entry->needs_copy ? SM_COW : SM_SHARED;
    *(object->refs == 1 && !region->entry->needs_copy ? &info->private_pages_resident : &info->shared_pages_resident) =
        resident;
    for (const struct object *below = object->shadow; below != NULL; below = below->shadow) {
        info->shared_pages_resident += (unsigned)below->resident;
        info->ref_count += below->refs - 1;
    }
}

kern_return_t
mach_vm_region(vm_map_read_t target, mach_vm_address_t *address, mach_vm_size_t *size, vm_region_flavor_t flavor,
               vm_region_info_t info, mach_msg_type_number_t *info_count, mach_port_t *object_name)
{
    kern_return_t result = KERN_SUCCESS;
    union {
        struct vm_region_basic_info_64 basic;
        struct vm_region_extended_info extended;
        struct vm_region_top_info top;
    } answer;
    mach_msg_type_number_t count = flavor == VM_REGION_BASIC_INFO_64   ? VM_REGION_BASIC_INFO_COUNT_64
                                   : flavor == VM_REGION_EXTENDED_INFO ? VM_REGION_EXTENDED_INFO_COUNT
                                   : flavor == VM_REGION_TOP_INFO      ? VM_REGION_TOP_INFO_COUNT
                                                                       : 0;
    if (count == 0 || *info_count < count) {
        return KERN_INVALID_ARGUMENT;
    }
    uint64_t asked = *address;
    struct em_region region;
    if (!em_enter(MACH_EMULATION_REGION, target, &result)) {
        return result;
    }
    if (!em_region_at(asked, &region)) {
        return em_leave(KERN_INVALID_ADDRESS);
    }
    if (flavor == VM_REGION_BASIC_INFO_64) {
        basic_info(&region, &answer.basic);
    } else if (flavor == VM_REGION_EXTENDED_INFO) {
        extended_info(&region, &answer.extended);
    } else {
        top_info(&region, &answer.top);
    }
    em_leave(KERN_SUCCESS); /* what follows may fault */
    memcpy(info, &answer, count * sizeof(int));
    *info_count = count;
    *address = region.start;
    *size = region.end - region.start;
    if (object_name != NULL) {
        *object_name = MACH_PORT_NULL;
    }
    return KERN_SUCCESS;
}

static void submap_short(const struct em_region *region, struct vm_region_submap_short_info_64 *info)
{
    struct vm_region_basic_info_64 basic;
    struct em_walk walk;
    basic_info(region, &basic);
    em_region_walk(region, false, &walk);
    memset(info, 0, sizeof *info);
    info->protection = basic.protection;
    info->max_protection = basic.max_protection;
    info->inheritance = basic.inheritance;
    info->offset = basic.offset;
    info->user_tag = region->entry == NULL ? 0 : region->entry->tag;
    info->ref_count = walk.references;
    info->shadow_depth = (unsigned short)walk.depth;
    info->external_pager = walk.external;
    info->share_mode = narrow(walk.share_mode);
    info->object_id = region->entry == NULL || region->entry->object == NULL ? 0 : (unsigned)region->entry->object->id;
    info->user_wired_count = basic.user_wired_count;
}

static void submap_long(const struct em_region *region, struct vm_region_submap_info_64 *info)
{
    struct vm_region_submap_short_info_64 brief;
    struct em_walk walk;
    submap_short(region, &brief);
    em_region_walk(region, true, &walk);
    memset(info, 0, sizeof *info);
    info->protection = brief.protection;
    info->max_protection = brief.max_protection;
    info->inheritance = brief.inheritance;
    info->offset = brief.offset;
    info->user_tag = brief.user_tag;
    info->pages_resident = walk.resident;
    info->pages_shared_now_private = walk.private_now;
    info->pages_dirtied = walk.dirtied;
    info->ref_count = walk.references;
    info->shadow_depth = (unsigned short)walk.depth;
    info->external_pager = brief.external_pager;
    info->share_mode = narrow(walk.share_mode);
    info->object_id = brief.object_id;
    info->user_wired_count = brief.user_wired_count;
    info->object_id_full = brief.object_id;
}

kern_return_t
mach_vm_region_recurse(vm_map_read_t target, mach_vm_address_t *address, mach_vm_size_t *size, natural_t *nesting_depth,
                       vm_region_recurse_info_t info, mach_msg_type_number_t *info_count)
{
    kern_return_t result = KERN_SUCCESS;
    union {
        struct vm_region_submap_short_info_64 brief;
        struct vm_region_submap_info_64 full;
    } answer;
    mach_msg_type_number_t count = *info_count >= VM_REGION_SUBMAP_INFO_COUNT_64 ? VM_REGION_SUBMAP_INFO_COUNT_64
                                                                                 : VM_REGION_SUBMAP_SHORT_INFO_COUNT_64;
    if (*info_count < count) {
        return KERN_INVALID_ARGUMENT;
    }
    uint64_t asked = *address;
    struct em_region region;
    if (!em_enter(MACH_EMULATION_REGION_RECURSE, target, &result)) {
        return result;
    }
    if (!em_region_at(asked, &region)) {
        return em_leave(KERN_INVALID_ADDRESS);
    }
    if (count == VM_REGION_SUBMAP_INFO_COUNT_64) {
        submap_long(&region, &answer.full);
    } else {
        submap_short(&region, &answer.brief);
    }
    em_leave(KERN_SUCCESS);
    memcpy(info, &answer, count * sizeof(int));
    *info_count = count;
    *address = region.start;
    *size = region.end - region.start;
    *nesting_depth = 0;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_page_info(vm_map_read_t target, mach_vm_address_t address, vm_page_info_flavor_t flavor,
                                vm_page_info_t info, mach_msg_type_number_t *info_count)
{
    kern_return_t result = KERN_SUCCESS;
    struct em_page_look look;
    if (flavor != VM_PAGE_INFO_BASIC || *info_count < VM_PAGE_INFO_BASIC_COUNT) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_PAGE_INFO, target, &result)) {
        return result;
    }
    em_page_look(address, &look);
    em_leave(KERN_SUCCESS);
    struct vm_page_info_basic basic = { .disposition = look.disposition,
                                        .ref_count = (int)look.references,
                                        .object_id = look.object_id,
                                        .offset = look.offset,
                                        .depth = look.depth };
    memcpy(info, &basic, sizeof basic);
    *info_count = VM_PAGE_INFO_BASIC_COUNT;
    return KERN_SUCCESS;
}

kern_return_t
mach_vm_page_query(vm_map_read_t target, mach_vm_offset_t offset, integer_t *disposition, integer_t *ref_count)
{
    kern_return_t result = KERN_SUCCESS;
    struct em_page_look look;
    if (!em_enter(MACH_EMULATION_PAGE_QUERY, target, &result)) {
        return result;
    }
    em_page_look(offset, &look);
    em_leave(KERN_SUCCESS);
    *disposition = look.disposition;
    *ref_count = (integer_t)look.references;
    return KERN_SUCCESS;
}

/* Looks at up to QUERY_PAGES pages and leaves the kernel with what it saw. */
static size_t look_at_some(uint64_t address, size_t count, int *dispositions)
{
    count = count < QUERY_PAGES ? count : QUERY_PAGES;
    em_lock();
    for (size_t i = 0; i < count; i++) {
        struct em_page_look look;
        em_page_look(address + i * state.map_page, &look);
        dispositions[i] = look.disposition;
    }
    em_unlock();
    return count;
}

kern_return_t mach_vm_page_range_query(vm_map_read_t target, mach_vm_offset_t address, mach_vm_size_t size,
                                       mach_vm_address_t dispositions, mach_vm_size_t *dispositions_count)
{
    kern_return_t result = KERN_SUCCESS;
    int seen[QUERY_PAGES];
    if (!em_enter(MACH_EMULATION_PAGE_RANGE_QUERY, target, &result)) {
        return result;
    }
    em_leave(KERN_SUCCESS);
    uint64_t start = em_trunc(address);
    uint64_t pages = (em_round(address + size) - start) / state.map_page;
    size_t count = pages < *dispositions_count ? (size_t)pages : (size_t)*dispositions_count;
    for (size_t done = 0; done < count;) {
        size_t some = look_at_some(start + done * state.map_page, count - done, seen);
        memcpy((int *)(uintptr_t)dispositions + done, seen, some * sizeof seen[0]);
        done += some;
    }
    *dispositions_count = count;
    return KERN_SUCCESS;
}

static char core_bits(int disposition)
{
    static const struct {
        int disposition;
        unsigned char bit;
    } bits[] = { { VM_PAGE_QUERY_PAGE_PRESENT, MINCORE_INCORE },
                 { VM_PAGE_QUERY_PAGE_REF, MINCORE_REFERENCED },
                 { VM_PAGE_QUERY_PAGE_DIRTY, MINCORE_MODIFIED },
                 { VM_PAGE_QUERY_PAGE_PAGED_OUT, MINCORE_PAGED_OUT },
                 { VM_PAGE_QUERY_PAGE_COPIED, MINCORE_COPIED } };
    unsigned char core = MINCORE_ANONYMOUS;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        core = (disposition & bits[i].disposition) != 0 ? (unsigned char)(core | bits[i].bit) : core;
    }
    return (char)core;
}

int mach_emulation_mincore(const void *address, size_t bytes, char *vector)
{
    kern_return_t result = KERN_SUCCESS;
    int seen[QUERY_PAGES];
    uint64_t start = em_trunc((uint64_t)(uintptr_t)address);
    uint64_t end = em_round((uint64_t)(uintptr_t)address + bytes);
    bool there = em_enter(MACH_EMULATION_MINCORE, mach_task_self(), &result);
    if (there) {
        there = em_map_covers(&state.self, start, end);
        em_leave(KERN_SUCCESS);
    }
    if (!there) {
        errno = ENOMEM;
        return -1;
    }
    size_t count = (size_t)((end - start) / state.map_page);
    for (size_t done = 0; done < count;) {
        size_t some = look_at_some(start + done * state.map_page, count - done, seen);
        for (size_t i = 0; i < some; i++) {
            vector[done + i] = core_bits(seen[i]);
        }
        done += some;
    }
    return 0;
}
