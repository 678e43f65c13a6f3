/* vm_windows.c - address space on Windows */
#define WIN32_LEAN_AND_MEAN
#include "os/vm.h"

#include <errno.h>
#include <windows.h>

#include "os/windows.h"

#define MAP_BASE UINT64_C(0x110000000000) /* as on Linux: archives travel between the two */

/* What may be watched has to be allocated for it, which costs a bit per page. */
enum { WATCHED = MEM_WRITE_WATCH };

size_t svp_vm_page_bytes(void)
{
    SYSTEM_INFO facts;
    GetSystemInfo(&facts);
    return facts.dwPageSize;
}

static int commit(uintptr_t address, size_t bytes)
{
    return VirtualAlloc((void *)address, bytes, MEM_COMMIT, PAGE_READWRITE) != NULL ? 0 : svp_windows_code();
}

int svp_vm_map(uintptr_t address, size_t bytes, size_t reserve_bytes)
{
    void *got = VirtualAlloc((void *)address, reserve_bytes, MEM_RESERVE | WATCHED, PAGE_READWRITE);
    if (got == NULL) {
        return GetLastError() == ERROR_INVALID_ADDRESS ? EEXIST : svp_windows_code();
    }
    int code = got == (void *)address ? commit(address, bytes) : EEXIST;
    if (code != 0) {
        VirtualFree(got, 0, MEM_RELEASE);
    }
    return code;
}

int svp_vm_extend(uintptr_t address, size_t old_bytes, size_t new_bytes)
{
    return commit(address + old_bytes, new_bytes - old_bytes);
}

void svp_vm_unmap(uintptr_t address, size_t bytes)
{
    (void)bytes; /* a reserve is given back as a whole */
    VirtualFree((void *)address, 0, MEM_RELEASE);
}

/* Windows can do neither for memory that is paged. */
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
