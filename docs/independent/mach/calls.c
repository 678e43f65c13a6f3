/* calls.c - the calls that make, change and copy memory */
#define _GNU_SOURCE
#include "model.h"

#include <string.h>

bool em_enter(enum mach_emulation_call call, vm_map_t target, kern_return_t *result)
{
    if (target != mach_task_self()) {
        *result = target == MACH_PORT_NULL ? MACH_SEND_INVALID_DEST : KERN_INVALID_ARGUMENT;
        return false;
    }
    em_lock();
    em_map_reap();
    state.counters.calls[call]++;
    if (state.injected[call].times > 0) {
        if (state.injected[call].after > 1) {
            state.injected[call].after--;
        } else {
            state.injected[call].times--;
            *result = state.injected[call].result;
            em_unlock();
            return false;
        }
    }
    return true;
}

kern_return_t em_leave(kern_return_t result)
{
    em_unlock();
    return result;
}

bool em_overflows(uint64_t address, uint64_t size)
{
    return em_round(address + size) < address;
}

static void insert_anonymous(uint64_t start, uint64_t size, int flags, vm_prot_t protection, vm_prot_t maximum,
                             vm_inherit_t inheritance)
{
    uint64_t chunk = (flags & VM_FLAGS_4GB_CHUNK) != 0 ? (uint64_t)4 << 30 : ANON_CHUNK_BYTES;
    for (uint64_t at = 0; at < size; at += chunk) {
        struct entry like = { .start = start + at,
                              .end = start + (size - at < chunk ? size : at + chunk),
                              .protection = protection,
                              .max_protection = maximum,
                              .inheritance = inheritance,
                              .tag = (unsigned)flags >> 24,
                              .permanent = (flags & VM_FLAGS_PERMANENT) != 0 };
        em_map_insert(&state.self, em_entry_new(&like));
    }
    state.self.timestamp++;
}

kern_return_t em_allocate(mach_vm_address_t *address, mach_vm_size_t size, uint64_t mask, int flags,
                          vm_prot_t protection, vm_prot_t maximum, vm_inherit_t inheritance)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t at = *address;
    size = em_round(size);
    if (!em_map_find_space(&at, size, mask, flags, &result)) {
        return em_leave(result);
    }
    insert_anonymous(at, size, flags, protection, maximum, inheritance);
    em_leave(KERN_SUCCESS);
    *address = at;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_allocate(vm_map_t target, mach_vm_address_t *address, mach_vm_size_t size, int flags)
{
    kern_return_t result = KERN_SUCCESS;
    if (size == 0) {
        *address = 0;
        return KERN_SUCCESS;
    }
    if (!em_enter(MACH_EMULATION_ALLOCATE, target, &result)) {
        return result;
    }
    return em_allocate(address, size, 0, flags, VM_PROT_DEFAULT, VM_PROT_ALL, VM_INHERIT_DEFAULT);
}

kern_return_t mach_vm_deallocate(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size)
{
    kern_return_t result = KERN_SUCCESS;
    if (size > 0 && em_overflows(address, size)) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_DEALLOCATE, target, &result)) {
        return result;
    }
    if (size > 0) {
        em_map_remove(&state.self, em_trunc(address), em_round(address + size), true);
    }
    return em_leave(KERN_SUCCESS);
}

/* ---- protect */

/* 27 refuses to copy a part of an entry that is writable already. */
static bool refused(uint64_t start, uint64_t end)
{
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        const struct entry *entry = state.self.entries[i];
        if (entry->start >= end) {
            break;
        }
        if ((entry->protection & VM_PROT_WRITE) != 0 && (entry->start != start || entry->end != end)) {
            return true;
        }
    }
    return false;
}

static bool any_permanent(uint64_t start, uint64_t end)
{
    bool found = false;
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        found = found || (state.self.entries[i]->start < end && state.self.entries[i]->permanent);
    }
    return found;
}

static kern_return_t replace_by_copy(uint64_t start, uint64_t end, vm_prot_t protection)
{
    bool strict = state.options.kernel == MACH_EMULATION_KERNEL_27;
    struct extract extract = {
        .start = start, .size = end - start, .copy = true, .prot_copy = true, .allowed = protection & VM_PROT_ALL
    };
    if ((protection & VM_PROT_EXECUTE) != 0 || (strict && refused(start, end))) {
        return KERN_PROTECTION_FAILURE;
    }
    kern_return_t result = em_extract(&extract);
    if (result != KERN_SUCCESS) {
        return result;
    }
    em_gap(MACH_EMULATION_GAP_REPLACE, start, end - start);
    bool permanent = any_permanent(start, end);
    em_map_remove(&state.self, start, end, false);
    if (permanent) { /* and what was there is without rights now */
        em_extract_drop(&extract);
        return KERN_NO_SPACE;
    }
    em_extract_place(&extract, start);
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        struct entry *entry = state.self.entries[i];
        if (entry->start >= end) {
            break;
        }
        entry->max_protection |= VM_PROT_WRITE;
        entry->permanent = strict;
    }
    return KERN_SUCCESS;
}

kern_return_t em_set_protection(uint64_t start, uint64_t end, bool maximum, vm_prot_t protection)
{
    if (!em_map_covers(&state.self, start, end)) {
        return KERN_INVALID_ADDRESS;
    }
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        const struct entry *entry = state.self.entries[i];
        if (entry->start < end && (protection & entry->max_protection) != protection) {
            return KERN_PROTECTION_FAILURE;
        }
    }
    em_map_clip(&state.self, start);
    em_map_clip(&state.self, end);
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        struct entry *entry = state.self.entries[i];
        if (entry->start >= end) {
            break;
        }
        entry->max_protection = maximum ? protection : entry->max_protection;
        entry->protection = maximum ? entry->protection & protection : protection;
        em_pmap_limit(entry->start, entry->end - entry->start, entry->protection);
    }
    em_map_simplify(&state.self, start, end);
    state.self.timestamp++;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_protect(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size, boolean_t set_maximum,
                              vm_prot_t new_protection)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t start = em_trunc(address);
    uint64_t end = em_round(address + size);
    if (size == 0) {
        return KERN_SUCCESS;
    }
    if (em_overflows(address, size) || (new_protection & ~(VM_PROT_ALL | VM_PROT_COPY)) != 0) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_PROTECT, target, &result)) {
        return result;
    }
    result = em_prepare(start, end);
    if (result == KERN_SUCCESS && (new_protection & VM_PROT_COPY) != 0) {
        result = replace_by_copy(start, end, new_protection);
    }
    if (result == KERN_SUCCESS) {
        result = em_set_protection(start, end, set_maximum != FALSE, new_protection & VM_PROT_ALL);
    }
    if (result == KERN_SUCCESS && (new_protection & VM_PROT_COPY) != 0 && state.options.late_failure) {
        result = KERN_PROTECTION_FAILURE;
    }
    return em_leave(result);
}

kern_return_t
mach_vm_inherit(vm_map_t target, mach_vm_address_t address, mach_vm_size_t size, vm_inherit_t new_inheritance)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t start = em_trunc(address);
    uint64_t end = em_round(address + size);
    if (new_inheritance > VM_INHERIT_NONE || em_overflows(address, size)) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_INHERIT, target, &result)) {
        return result;
    }
    result = em_prepare(start, end);
    if (result == KERN_SUCCESS) {
        em_map_clip(&state.self, start);
        em_map_clip(&state.self, end);
        for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
            struct entry *entry = state.self.entries[i];
            entry->inheritance = entry->start < end ? new_inheritance : entry->inheritance;
        }
        em_map_simplify(&state.self, start, end);
        state.self.timestamp++;
    }
    return em_leave(result);
}

kern_return_t vm_allocate(vm_map_t target, vm_address_t *address, vm_size_t size, int flags)
{
    mach_vm_address_t at = *address;
    kern_return_t result = mach_vm_allocate(target, &at, size, flags);
    *address = (vm_address_t)at;
    return result;
}

kern_return_t vm_deallocate(vm_map_t target, vm_address_t address, vm_size_t size)
{
    return mach_vm_deallocate(target, address, size);
}

kern_return_t
vm_protect(vm_map_t target, vm_address_t address, vm_size_t size, boolean_t set_maximum, vm_prot_t new_protection)
{
    return mach_vm_protect(target, address, size, set_maximum, new_protection);
}
