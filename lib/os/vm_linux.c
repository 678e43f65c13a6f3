/* vm_linux.c - address space on Linux */
#define _GNU_SOURCE
#include "os/vm.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17; older kernels take it as a hint, which is checked */
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Free on x86-64 and 48-bit arm64 under plain, PIE, ASan and UBSan processes; ThreadSanitizer kills a process that
 * maps there, and MemorySanitizer moves the mapping: each has a window of its own. */
#if defined(__SANITIZE_THREAD__)
#define MAP_BASE UINT64_C(0x100000000)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAP_BASE UINT64_C(0x100000000)
#elif __has_feature(memory_sanitizer)
#define MAP_BASE UINT64_C(0x510000000000)
#endif
#endif
#ifndef MAP_BASE
#define MAP_BASE UINT64_C(0x110000000000)
#endif

size_t svp_vm_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int svp_vm_map(uintptr_t address, size_t bytes, size_t reserve_bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *wanted = (void *)address;
    void *got = mmap(wanted, reserve_bytes, PROT_NONE, flags, -1, 0);
    if (got == MAP_FAILED) {
        return errno;
    }
    if (got != wanted) {
        munmap(got, reserve_bytes);
        return EEXIST;
    }
    if (mprotect(wanted, bytes, PROT_READ | PROT_WRITE) != 0) {
        int code = errno;
        munmap(wanted, reserve_bytes);
        return code;
    }
    return 0;
}

int svp_vm_extend(uintptr_t address, size_t old_bytes, size_t new_bytes)
{
    return mprotect((void *)(address + old_bytes), new_bytes - old_bytes, PROT_READ | PROT_WRITE) != 0 ? errno : 0;
}

void svp_vm_unmap(uintptr_t address, size_t bytes)
{
    munmap((void *)address, bytes);
}

void svp_vm_populate(uintptr_t address, size_t bytes)
{
    madvise((void *)address, bytes, MADV_POPULATE_WRITE); /* Linux 5.14; older ones refuse and fault page by page */
}

void svp_vm_prefer_large_pages(uintptr_t address, size_t bytes)
{
    madvise((void *)address, bytes, MADV_HUGEPAGE); /* a kernel without them refuses, and gives small ones */
}

uintptr_t svp_vm_usual_base(void)
{
    return (uintptr_t)MAP_BASE;
}
