/* helper.c - what all tests of the emulation need */
#include "helper.h"

const char *broken_or_fine(void)
{
    const char *broken = mach_emulation_check();
    if (broken != NULL) {
        mach_emulation_print(stderr);
    }
    return broken == NULL ? "fine" : broken;
}

void fresh(const struct mach_emulation_options *options)
{
    mach_emulation_reset(options);
    CHECK_EQ(counters().objects, 0);
    CHECK_EQ(counters().entries, 0);
}

void fresh_kernel(enum mach_emulation_kernel kernel)
{
    struct mach_emulation_options options = { .kernel = kernel };
    fresh(&options);
}

byte *allocate(size_t pages)
{
    mach_vm_address_t address = 0;
    CHECK_MACH(mach_vm_allocate(mach_task_self(), &address, pages * vm_page_size, VM_FLAGS_ANYWHERE));
    return (byte *)(uintptr_t)address;
}

byte *page_of(byte *memory, size_t page)
{
    return memory + page * vm_page_size;
}

mach_vm_address_t address_of(const volatile void *memory)
{
    return (mach_vm_address_t)(uintptr_t)memory;
}

struct vm_region_extended_info extended_info(const volatile void *memory)
{
    struct vm_region_extended_info info;
    mach_vm_address_t address = address_of(memory);
    mach_vm_size_t size = 0;
    mach_msg_type_number_t count = VM_REGION_EXTENDED_INFO_COUNT;
    mach_port_t name = MACH_PORT_NULL;
    CHECK_MACH(mach_vm_region(mach_task_self(), &address, &size, VM_REGION_EXTENDED_INFO, (vm_region_info_t)&info,
                              &count, &name));
    CHECK(address <= address_of(memory) && address + size > address_of(memory));
    return info;
}

int share_mode(const volatile void *memory)
{
    return extended_info(memory).share_mode;
}

int top_share_mode(const volatile void *memory)
{
    struct vm_region_top_info info;
    mach_vm_address_t address = address_of(memory);
    mach_vm_size_t size = 0;
    mach_msg_type_number_t count = VM_REGION_TOP_INFO_COUNT;
    CHECK_MACH(
        mach_vm_region(mach_task_self(), &address, &size, VM_REGION_TOP_INFO, (vm_region_info_t)&info, &count, NULL));
    return info.share_mode;
}

static struct vm_region_submap_short_info_64 recurse(const volatile void *memory, mach_vm_size_t *size)
{
    struct vm_region_submap_short_info_64 info;
    mach_vm_address_t address = address_of(memory);
    mach_msg_type_number_t count = VM_REGION_SUBMAP_SHORT_INFO_COUNT_64;
    natural_t depth = 1;
    CHECK_MACH(
        mach_vm_region_recurse(mach_task_self(), &address, size, &depth, (vm_region_recurse_info_t)&info, &count));
    return info;
}

int recurse_share_mode(const volatile void *memory)
{
    mach_vm_size_t size = 0;
    return recurse(memory, &size).share_mode;
}

unsigned chain_length(const volatile void *memory)
{
    mach_vm_size_t size = 0;
    return recurse(memory, &size).shadow_depth;
}

size_t region_bytes(const volatile void *memory)
{
    mach_vm_size_t size = 0;
    recurse(memory, &size);
    return (size_t)size;
}

void seed_reset(byte *page)
{
    CHECK_MACH(mach_vm_protect(mach_task_self(), address_of(page), vm_page_size, FALSE,
                               VM_PROT_READ | VM_PROT_WRITE | VM_PROT_COPY));
}

void seed_watch(byte *page)
{
    memory_object_size_t size = vm_page_size;
    mach_port_t port = MACH_PORT_NULL;
    seed_reset(page);
    CHECK_MACH(mach_make_memory_entry_64(mach_task_self(), &size, address_of(page), VM_PROT_READ | VM_PROT_WRITE, &port,
                                         MACH_PORT_NULL));
    CHECK_MACH(mach_port_deallocate(mach_task_self(), port));
}

static byte *remap(byte *memory, size_t pages, boolean_t copy)
{
    mach_vm_address_t address = 0;
    vm_prot_t current = VM_PROT_NONE;
    vm_prot_t maximum = VM_PROT_NONE;
    CHECK_MACH(mach_vm_remap(mach_task_self(), &address, pages * vm_page_size, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                             address_of(memory), copy, &current, &maximum, VM_INHERIT_NONE));
    return (byte *)(uintptr_t)address;
}

byte *snapshot(byte *memory, size_t pages)
{
    return remap(memory, pages, TRUE);
}

void share_once(byte *memory, size_t pages)
{
    give_back(remap(memory, pages, FALSE), pages);
}

void query(byte *memory, size_t pages, int *dispositions)
{
    mach_vm_size_t count = pages;
    CHECK_MACH(mach_vm_page_range_query(mach_task_self(), address_of(memory), pages * vm_page_size,
                                        address_of(dispositions), &count));
    CHECK_EQ(count, pages);
}

void give_back(byte *memory, size_t pages)
{
    CHECK_MACH(mach_vm_deallocate(mach_task_self(), address_of(memory), pages * vm_page_size));
}

struct mach_emulation_counters counters(void)
{
    struct mach_emulation_counters now;
    mach_emulation_read_counters(&now);
    return now;
}
