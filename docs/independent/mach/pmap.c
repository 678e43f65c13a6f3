/* pmap.c - page tables: which frame the processor sees at each address, and with which rights
 *
 * A table entry keeps its frame when its rights are taken away, so that giving them back costs one mprotect. */
#define _GNU_SOURCE
#include "model.h"

#include <sys/mman.h>
#include <sys/syscall.h>

enum { LEAF_BITS = 18, ROOT_BITS = 47 - 12 - LEAF_BITS, RIGHTS = 7 };

/* An entry is (frame + 1) << 3 | rights; 0: this address is not ours. Rights are VM_PROT bits. */
static uint64_t *root[1 << ROOT_BITS];

static uint64_t *slot_of(uint64_t address)
{
    uint64_t page = address / HOST_PAGE;
    uint64_t **leaf = &root[page >> LEAF_BITS & ((1 << ROOT_BITS) - 1)];
    if (*leaf == NULL) {
        *leaf = em_alloc(sizeof(uint64_t) << LEAF_BITS);
    }
    return &(*leaf)[page & ((1 << LEAF_BITS) - 1)];
}

static int host_protection(uint64_t rights)
{
    return ((rights & VM_PROT_READ) != 0 ? PROT_READ : 0) |
           ((rights & VM_PROT_WRITE) != 0 ? PROT_READ | PROT_WRITE : 0) |
           ((rights & VM_PROT_EXECUTE) != 0 ? PROT_READ | PROT_EXEC : 0);
}

static void map_frames(uint64_t address, uint64_t bytes, uint64_t frame, uint64_t rights)
{
    void *mapped = em_mmap(address, bytes, host_protection(rights), MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                           em_frame_descriptor(), frame * HOST_PAGE);
    if (mapped == MAP_FAILED) {
        em_panic("page frames cannot be mapped");
    }
}

bool em_pmap_reserve(uint64_t *address, uint64_t bytes, uint64_t align, bool anywhere)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (!anywhere) {
        return em_mmap(*address, bytes, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED;
    }
    unsigned char *mapped = em_mmap(0, bytes + align, PROT_NONE, flags, -1, 0);
    if (mapped == MAP_FAILED) {
        return false;
    }
    uint64_t start = (uint64_t)(uintptr_t)mapped;
    uint64_t aligned = (start + align - 1) & ~(align - 1);
    if (aligned > start) {
        em_syscall(SYS_munmap, (long)start, (long)(aligned - start), 0, 0, 0, 0);
    }
    if (start + align > aligned) {
        em_syscall(SYS_munmap, (long)(aligned + bytes), (long)(start + align - aligned), 0, 0, 0, 0);
    }
    *address = aligned;
    return true;
}

void em_pmap_back(uint64_t address, uint64_t bytes, uint64_t frame)
{
    if (frame == NO_FRAME) {
        em_mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    } else {
        map_frames(address, bytes, frame, 0);
    }
    for (uint64_t at = 0; at < bytes; at += HOST_PAGE) {
        *slot_of(address + at) = frame == NO_FRAME ? 0 : (frame + at / HOST_PAGE + 1) << 3;
    }
}

void em_pmap_enter(uint64_t address, uint64_t bytes, uint64_t frame, vm_prot_t protection)
{
    uint64_t rights = (uint64_t)protection & RIGHTS;
    bool same_frames = true;
    bool same_rights = true;
    for (uint64_t at = 0; at < bytes; at += HOST_PAGE) {
        uint64_t *slot = slot_of(address + at);
        uint64_t wanted = (frame + at / HOST_PAGE + 1) << 3 | rights;
        same_frames = same_frames && *slot >> 3 == wanted >> 3;
        same_rights = same_rights && *slot == wanted;
        *slot = wanted;
    }
    if (!same_frames) {
        map_frames(address, bytes, frame, rights);
    } else if (!same_rights) {
        em_mprotect(address, bytes, host_protection(rights));
    }
}

/* Clears the rights in `taken` over the range, one system call for each run that had any of them. */
static void take_rights(uint64_t address, uint64_t bytes, uint64_t taken)
{
    uint64_t at = 0;
    while (at < bytes) {
        uint64_t old = *slot_of(address + at) & RIGHTS;
        uint64_t first = at;
        if ((old & taken) == 0) {
            at += HOST_PAGE;
            continue;
        }
        while (at < bytes && (*slot_of(address + at) & RIGHTS) == old) {
            *slot_of(address + at) &= ~taken;
            at += HOST_PAGE;
        }
        em_mprotect(address + first, at - first, host_protection(old & ~taken));
    }
}

void em_pmap_write_protect(uint64_t address, uint64_t bytes)
{
    take_rights(address, bytes, VM_PROT_WRITE);
}

void em_pmap_limit(uint64_t address, uint64_t bytes, vm_prot_t protection)
{
    take_rights(address, bytes, (uint64_t)RIGHTS & ~(uint64_t)protection);
}

void em_pmap_invalidate(uint64_t address, uint64_t bytes, uint64_t frame, uint64_t frame_count)
{
    for (uint64_t at = 0; at < bytes; at += HOST_PAGE) {
        uint64_t *slot = slot_of(address + at);
        if ((*slot & RIGHTS) != 0 && (*slot >> 3) - 1 - frame < frame_count) {
            *slot &= ~(uint64_t)RIGHTS;
            em_mprotect(address + at, HOST_PAGE, PROT_NONE);
        }
    }
}

void em_pmap_remove(uint64_t address, uint64_t bytes, bool unmap)
{
    for (uint64_t at = 0; at < bytes; at += HOST_PAGE) {
        *slot_of(address + at) = 0;
    }
    if (unmap) {
        em_syscall(SYS_munmap, (long)address, (long)bytes, 0, 0, 0, 0);
    }
}

bool em_pmap_allows(uint64_t address, vm_prot_t access)
{
    return (*slot_of(address) & (uint64_t)access) == (uint64_t)access;
}

uint64_t em_pmap_frame(uint64_t address)
{
    uint64_t slot = *slot_of(address);
    return slot == 0 ? NO_FRAME : (slot >> 3) - 1;
}

void em_pmap_rebuild(uint64_t address, uint64_t bytes)
{
    uint64_t at = 0;
    while (at < bytes) {
        uint64_t slot = *slot_of(address + at);
        uint64_t first = at;
        do {
            at += HOST_PAGE;
        } while (at < bytes && *slot_of(address + at) == (slot == 0 ? 0 : slot + ((at - first) / HOST_PAGE << 3)));
        if (slot == 0) {
            em_pmap_back(address + first, at - first, NO_FRAME);
        } else {
            map_frames(address + first, at - first, (slot >> 3) - 1, slot & RIGHTS);
        }
    }
}
