/* calls_copy.c - read, write, copy, memory entries and ports */
#include "model.h"

#include <string.h>

enum { SMALL_COPY = 32768 }; /* not more than this is copied byte by byte, without a trace on the source */

/* Copies from `list`, whose addresses begin at 0, into memory that may itself be emulated: in steps, so that the
 * stores can fault. */
static void copy_out(const struct map *list, uint64_t size, uint64_t target)
{
    unsigned char step[HOST_PAGE];
    for (uint64_t at = 0; at < size;) {
        uint64_t count = 0;
        em_lock();
        const unsigned char *bytes = em_entry_bytes(em_map_lookup(list, at), at, &count);
        count = count > sizeof step ? sizeof step : count;
        count = count > size - at ? size - at : count;
        memcpy(step, bytes, (size_t)count);
        em_unlock();
        memcpy((void *)(uintptr_t)(target + at), step, (size_t)count);
        at += count;
    }
}

static void drop_list(struct map *list)
{
    struct extract extract = { .list = *list };
    em_extract_drop(&extract);
}

kern_return_t mach_vm_read(vm_map_read_t target, mach_vm_address_t address, mach_vm_size_t size, vm_offset_t *data,
                           mach_msg_type_number_t *data_count)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t start = em_trunc(address);
    struct extract extract = { .size = em_round(address + size) - start };
    uint64_t at = 0;
    if (size == 0 || size > UINT32_MAX) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_READ, target, &result)) {
        return result;
    }
    result = em_prepare(start, start + extract.size);
    if (result == KERN_SUCCESS) {
        result = em_copyin(start, extract.size, &extract.list);
    }
    if (result != KERN_SUCCESS || !em_map_find_space(&at, extract.size, 0, VM_FLAGS_ANYWHERE, &result)) {
        em_extract_drop(&extract);
        return em_leave(result);
    }
    for (size_t i = 0; i < extract.list.count; i++) {
        extract.list.entries[i]->protection = VM_PROT_DEFAULT;
        extract.list.entries[i]->inheritance = VM_INHERIT_DEFAULT;
    }
    em_extract_place(&extract, at);
    em_leave(KERN_SUCCESS);
    *data = (vm_offset_t)(at + (address - start));
    *data_count = (mach_msg_type_number_t)size;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_read_overwrite(vm_map_read_t target, mach_vm_address_t address, mach_vm_size_t size,
                                     mach_vm_address_t data, mach_vm_size_t *out_size)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t start = em_trunc(address);
    uint64_t whole = em_round(address + size) - start;
    struct map list = { .life = -1 };
    if (!em_enter(MACH_EMULATION_READ_OVERWRITE, target, &result)) {
        return result;
    }
    bool virtual_copy = size > SMALL_COPY && address == start;
    result = em_prepare(start, start + whole);
    if (result == KERN_SUCCESS && virtual_copy) {
        result = em_copyin(start, whole, &list);
    } else if (result == KERN_SUCCESS) {
        result = em_fault_range(address, address + size, false);
    }
    em_leave(KERN_SUCCESS);
    if (result == KERN_SUCCESS && virtual_copy) {
        copy_out(&list, size, data);
    } else if (result == KERN_SUCCESS) {
        memmove((void *)(uintptr_t)data, (const void *)(uintptr_t)address, (size_t)size);
    }
    em_lock();
    drop_list(&list);
    em_unlock();
    if (result == KERN_SUCCESS) {
        *out_size = size;
    }
    return result;
}

kern_return_t
mach_vm_write(vm_map_t target, mach_vm_address_t address, vm_offset_t data, mach_msg_type_number_t data_count)
{
    kern_return_t result = KERN_SUCCESS;
    if (!em_enter(MACH_EMULATION_WRITE, target, &result)) {
        return result;
    }
    result = em_prepare(em_trunc(address), em_round(address + data_count));
    if (result == KERN_SUCCESS) {
        result = em_fault_range(address, address + data_count, true);
    }
    em_leave(result);
    if (result == KERN_SUCCESS) {
        memmove((void *)(uintptr_t)address, (const void *)data, data_count);
    }
    return result;
}

/* [at, end) of the target gets the object that `source` shows there, copy-on-write; or, where the target is shared
 * with others or wired, the bytes. Returns how far it came. */
static uint64_t overwrite_some(const struct map *list, uint64_t at, uint64_t target, uint64_t end)
{
    struct entry *source = em_map_lookup(list, at);
    uint64_t stop = source->end < end ? source->end : end;
    struct entry *old = em_map_lookup(&state.self, target + at);
    stop = old->end - target < stop ? old->end - target : stop;
    uint64_t offset = source->offset + (at - source->start);
    if (old->wired > 0 || old->is_shared || (old->object != NULL && old->object->true_share)) {
        uint64_t count = 0;
        em_fault_range(target + at, target + at + state.map_page, true);
        size_t page = em_entry_page(old, target + at);
        uint64_t inside = (old->offset + (target + at - old->start)) % state.object_page;
        unsigned char *to = em_frame_data(em_object_frame(old->object, page));
        const unsigned char *from = em_entry_bytes(source, at, &count);
        memmove(to + inside, from, (size_t)state.map_page);
        return at + state.map_page;
    }
    em_map_clip(&state.self, target + at);
    em_map_clip(&state.self, target + stop);
    struct entry *entry = em_map_lookup(&state.self, target + at);
    if (source->object != NULL) {
        source->object->refs++;
    }
    struct object *former = em_entry_set_object(entry, source->object, offset);
    entry->needs_copy = source->needs_copy;
    em_entry_back(entry);
    em_object_unref(former);
    return stop;
}

kern_return_t
mach_vm_copy(vm_map_t target, mach_vm_address_t source_address, mach_vm_size_t size, mach_vm_address_t dest_address)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t source = em_trunc(source_address);
    uint64_t dest = em_trunc(dest_address);
    uint64_t whole = em_round(source_address + size) - source;
    struct map list = { .life = -1 };
    if (!em_enter(MACH_EMULATION_COPY, target, &result)) {
        return result;
    }
    result = em_prepare(source, source + whole);
    result = result == KERN_SUCCESS ? em_prepare(dest, dest + whole) : result;
    for (size_t i = em_map_above(&state.self, dest); result == KERN_SUCCESS && i < state.self.count; i++) {
        const struct entry *entry = state.self.entries[i];
        if (entry->start < dest + whole && (entry->protection & VM_PROT_WRITE) == 0) {
            result = KERN_PROTECTION_FAILURE;
        }
    }
    result = result == KERN_SUCCESS ? em_copyin(source, whole, &list) : result;
    for (uint64_t at = 0; result == KERN_SUCCESS && at < whole;) {
        at = overwrite_some(&list, at, dest, whole);
    }
    state.self.timestamp++;
    drop_list(&list);
    return em_leave(result);
}

/* ---- memory entries and ports */

static struct named_entry *find_named(mach_port_t port)
{
    struct named_entry *named = state.named;
    while (named != NULL && named->port != port) {
        named = named->next;
    }
    return named;
}

/* The entry's object becomes fit for sharing; a right to write first resolves a pending copy (knowledge: A.3). */
static kern_return_t
name_entry(struct entry *entry, uint64_t offset, uint64_t *size, vm_prot_t permission, struct named_entry **made)
{
    vm_prot_t rights = permission & VM_PROT_ALL;
    if ((rights & ~entry->protection) != 0 || (rights & ~entry->max_protection) != 0) {
        return KERN_PROTECTION_FAILURE;
    }
    if (entry->needs_copy && (rights & VM_PROT_WRITE) != 0 && (permission & MAP_MEM_VM_SHARE) == 0) {
        em_object_shadow(entry);
        entry->needs_copy = false;
    }
    em_entry_allocate(entry);
    em_make_shareable(entry, true);
    entry->object->true_share = true;
    entry->object->shared_for_good = true;
    entry->is_shared = true;
    *size = *size < entry->end - offset ? *size : entry->end - offset;
    struct named_entry *named = em_alloc(sizeof *named);
    *named = (struct named_entry){ .refs = 1,
                                   .object = entry->object,
                                   .offset = entry->offset + (offset - entry->start),
                                   .size = *size,
                                   .protection = rights,
                                   .next = state.named };
    entry->object->refs++;
    state.next_port += 4;
    named->port = state.next_port;
    state.named = named;
    *made = named;
    return KERN_SUCCESS;
}

kern_return_t
mach_make_memory_entry_64(vm_map_t target, memory_object_size_t *size, memory_object_offset_t offset,
                          vm_prot_t permission, mach_port_t *object_handle, mem_entry_name_port_t parent_entry)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t start = em_trunc(offset);
    uint64_t bytes = em_round(offset + *size) - start;
    struct named_entry *named = NULL;
    if (*size == 0 || parent_entry != MACH_PORT_NULL ||
        (permission & (MAP_MEM_VM_COPY | MAP_MEM_NAMED_CREATE | MAP_MEM_ONLY)) != 0) {
        result = *size == 0 ? KERN_INVALID_ARGUMENT : KERN_NOT_SUPPORTED;
    } else if (em_enter(MACH_EMULATION_MAKE_MEMORY_ENTRY, target, &result)) {
        result = em_prepare(start, start + bytes);
        struct entry *entry = result == KERN_SUCCESS ? em_map_lookup(&state.self, start) : NULL;
        if (result == KERN_SUCCESS) {
            result = name_entry(entry, start, &bytes, permission, &named);
        }
        em_leave(result);
    }
    *size = result == KERN_SUCCESS ? bytes : 0;
    *object_handle = result == KERN_SUCCESS ? named->port : MACH_PORT_NULL;
    return result;
}

void em_named_drop(struct named_entry *named)
{
    struct named_entry **link = &state.named;
    named->refs--;
    if (named->refs > 0) {
        return;
    }
    while (*link != named) {
        link = &(*link)->next;
    }
    *link = named->next;
    em_object_unref(named->object);
    em_free(named, sizeof *named);
}

kern_return_t mach_port_deallocate(task_t task, mach_port_name_t name)
{
    kern_return_t result = KERN_SUCCESS;
    if (!em_enter(MACH_EMULATION_PORT_DEALLOCATE, task, &result)) {
        return result;
    }
    struct named_entry *named = find_named(name);
    if (named != NULL) {
        em_named_drop(named);
    } else if (name == MACH_PORT_NULL) {
        result = KERN_INVALID_NAME;
    }
    return em_leave(result);
}
