/* vm_macos.c - address space on macOS */
#include "os/vm.h"

#include <errno.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_BASE UINT64_C(0x110000000000) /* as on Linux: archives travel between the two */

size_t svp_vm_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int os_code(kern_return_t result)
{
    switch (result) {
    case KERN_SUCCESS:
        return 0;
    case KERN_NO_SPACE:
        return EEXIST; /* the place is taken */
    case KERN_INVALID_ADDRESS:
        return EINVAL;
    default:
        return ENOMEM;
    }
}

/* mmap has no way to ask for exactly one place without throwing out what is there. */
int svp_vm_map(uintptr_t address, size_t bytes, size_t reserve_bytes)
{
    mach_vm_address_t place = address;
    int code = os_code(mach_vm_map(mach_task_self(), &place, reserve_bytes, 0, VM_FLAGS_FIXED, MEMORY_OBJECT_NULL, 0,
                                   FALSE, VM_PROT_NONE, VM_PROT_READ | VM_PROT_WRITE, VM_INHERIT_COPY));
    if (code == 0) {
        code = svp_vm_extend(address, 0, bytes);
        if (code != 0) {
            svp_vm_unmap(address, reserve_bytes);
        }
    }
    return code;
}

int svp_vm_extend(uintptr_t address, size_t old_bytes, size_t new_bytes)
{
    return mprotect((void *)(address + old_bytes), new_bytes - old_bytes, PROT_READ | PROT_WRITE) != 0 ? errno : 0;
}

void svp_vm_unmap(uintptr_t address, size_t bytes)
{
    munmap((void *)address, bytes);
}

/* Programs can ask for neither here. */
void svp_vm_populate(uintptr_t address, size_t bytes)
{
    (void)address;
    (void)bytes;
}

void svp_vm_prefer_large_pages(uintptr_t address, size_t bytes)
{
    (void)address;
    (void)bytes;
}

uintptr_t svp_vm_usual_base(void)
{
    return (uintptr_t)MAP_BASE;
}
