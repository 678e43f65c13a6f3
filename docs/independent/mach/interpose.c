/* interpose.c - the program's mmap, munmap, mprotect, madvise and mlock: on memory of the model, the model answers
 *
 * Only calls that the linker can see come here; those inside the C library (free, of a large block) do not. */
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static bool in_model(uint64_t start, uint64_t end)
{
    size_t index = em_map_above(&state.self, start);
    return !state.options.interpose_off && index < state.self.count && state.self.entries[index]->start < end;
}

/* Locks if the range touches the model. */
static bool enter(const void *address, size_t bytes, uint64_t *start, uint64_t *end)
{
    *start = em_trunc((uint64_t)(uintptr_t)address);
    *end = em_round((uint64_t)(uintptr_t)address + bytes);
    em_lock();
    if (bytes > 0 && in_model(*start, *end)) {
        return true;
    }
    em_unlock();
    return false;
}

/* All but what is permanent: that stays in its place, without rights. */
static void unmap_around(uint64_t start, uint64_t end)
{
    for (size_t i = em_map_above(&state.self, start); i < state.self.count && start < end; i++) {
        const struct entry *entry = state.self.entries[i];
        uint64_t before = entry->start < end ? entry->start : end;
        if (start < before) {
            em_syscall(SYS_munmap, (long)start, (long)(before - start), 0, 0, 0, 0);
        }
        start = entry->end;
    }
    if (start < end) {
        em_syscall(SYS_munmap, (long)start, (long)(end - start), 0, 0, 0, 0);
    }
}

int munmap(void *address, size_t bytes)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if (enter(address, bytes, &start, &end)) {
        em_map_remove(&state.self, start, end, false);
        unmap_around(start, end);
        em_unlock();
        return 0;
    }
    return (int)em_syscall(SYS_munmap, (long)address, (long)bytes, 0, 0, 0, 0);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if ((flags & MAP_FIXED) != 0 && enter(address, bytes, &start, &end)) {
        em_map_remove(&state.self, start, end, false);
        em_unlock();
    }
    return (void *)em_syscall(SYS_mmap, (long)address, (long)bytes, protection, flags, descriptor, (long)offset);
}

static int fail_with(kern_return_t result)
{
    if (result == KERN_SUCCESS) {
        return 0;
    }
    errno = result == KERN_PROTECTION_FAILURE ? EACCES : ENOMEM;
    return -1;
}

int mprotect(void *address, size_t bytes, int protection)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if (!enter(address, bytes, &start, &end)) {
        return (int)em_syscall(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0, 0);
    }
    kern_return_t result = em_prepare(start, end);
    if (result == KERN_SUCCESS) {
        result = em_set_protection(start, end, false,
                                   ((protection & PROT_READ) != 0 ? VM_PROT_READ : 0) |
                                       ((protection & PROT_WRITE) != 0 ? VM_PROT_WRITE : 0) |
                                       ((protection & PROT_EXEC) != 0 ? VM_PROT_EXECUTE : 0));
    }
    em_unlock();
    return fail_with(result);
}

/* On Darwin no advice changes contents at once. */
int madvise(void *address, size_t bytes, int advice)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if (!enter(address, bytes, &start, &end)) {
        return (int)em_syscall(SYS_madvise, (long)address, (long)bytes, advice, 0, 0, 0);
    }
    em_unlock();
    return 0;
}

static int wire(const void *address, size_t bytes, bool wired, long number)
{
    uint64_t start = 0;
    uint64_t end = 0;
    if (!enter(address, bytes, &start, &end)) {
        return (int)em_syscall(number, (long)address, (long)bytes, 0, 0, 0, 0);
    }
    kern_return_t result = em_wire(start, end, wired);
    em_unlock();
    return fail_with(result);
}

int mlock(const void *address, size_t bytes)
{
    return wire(address, bytes, true, SYS_mlock);
}

int munlock(const void *address, size_t bytes)
{
    return wire(address, bytes, false, SYS_munlock);
}
