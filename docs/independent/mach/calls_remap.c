/* calls_remap.c - mach_vm_remap, its newer form, and mach_vm_map */
#include "model.h"

struct remap {
    uint64_t source, size, mask;
    int flags;
    bool copy, strict; /* strict: mach_vm_remap_new */
    vm_inherit_t inheritance;
};

static kern_return_t check_rights(const struct remap *remap, vm_prot_t current, vm_prot_t maximum)
{
    for (size_t i = em_map_above(&state.self, remap->source); i < state.self.count; i++) {
        const struct entry *entry = state.self.entries[i];
        if (entry->start >= remap->source + remap->size) {
            break;
        }
        if (remap->copy ? (entry->max_protection & VM_PROT_READ) == 0
                        : (current & ~entry->protection) != 0 || (maximum & ~entry->max_protection) != 0) {
            return KERN_PROTECTION_FAILURE;
        }
    }
    return KERN_SUCCESS;
}

static kern_return_t remap_locked(const struct remap *remap, uint64_t *target, vm_prot_t *current, vm_prot_t *maximum)
{
    struct extract extract = {
        .start = remap->source, .size = remap->size, .copy = remap->copy, .inheritance = remap->inheritance
    };
    kern_return_t result = em_prepare(remap->source, remap->source + remap->size);
    if (result == KERN_SUCCESS && remap->strict) {
        result = check_rights(remap, *current, *maximum);
    }
    if (result == KERN_SUCCESS) {
        result = em_extract(&extract);
    }
    if (result != KERN_SUCCESS) {
        return result;
    }
    em_gap(MACH_EMULATION_GAP_REPLACE, remap->source, remap->size);
    if (!em_map_find_space(target, remap->size, remap->mask, remap->flags, &result)) {
        em_extract_drop(&extract);
        return result;
    }
    for (size_t i = 0; remap->strict && i < extract.list.count; i++) {
        extract.list.entries[i]->protection = *current;
        extract.list.entries[i]->max_protection = *maximum;
    }
    *current = remap->strict ? *current : extract.current;
    *maximum = remap->strict ? *maximum : extract.maximum;
    em_extract_place(&extract, *target);
    return KERN_SUCCESS;
}

static kern_return_t remap_call(vm_map_t target_task, vm_map_t source_task, struct remap *remap,
                                mach_vm_address_t *target, vm_prot_t *current, vm_prot_t *maximum)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t inside = remap->source - em_trunc(remap->source);
    uint64_t at = *target;
    vm_prot_t seen_current = *current;
    vm_prot_t seen_maximum = *maximum;
    if (remap->size == 0 || em_overflows(remap->source, remap->size) || remap->inheritance > VM_INHERIT_NONE ||
        source_task != mach_task_self()) {
        return KERN_INVALID_ARGUMENT;
    }
    remap->size = em_round(remap->source + remap->size) - em_trunc(remap->source);
    remap->source = em_trunc(remap->source);
    if (!em_enter(MACH_EMULATION_REMAP, target_task, &result)) {
        return result;
    }
    result = em_leave(remap_locked(remap, &at, &seen_current, &seen_maximum));
    if (result == KERN_SUCCESS) {
        *target = at + ((remap->flags & VM_FLAGS_RETURN_DATA_ADDR) != 0 ? inside : 0);
        *current = seen_current;
        *maximum = seen_maximum;
    }
    return result;
}

kern_return_t
mach_vm_remap(vm_map_t target, mach_vm_address_t *target_address, mach_vm_size_t size, mach_vm_offset_t mask, int flags,
              vm_map_t source, mach_vm_address_t source_address, boolean_t copy, vm_prot_t *cur_protection,
              vm_prot_t *max_protection, vm_inherit_t inheritance)
{
    struct remap remap = { source_address, size, mask, flags, copy != FALSE, false, inheritance };
    return remap_call(target, source, &remap, target_address, cur_protection, max_protection);
}

kern_return_t
mach_vm_remap_new(vm_map_t target, mach_vm_address_t *target_address, mach_vm_size_t size, mach_vm_offset_t mask,
                  int flags, vm_map_read_t source, mach_vm_address_t source_address, boolean_t copy,
                  vm_prot_t *cur_protection, vm_prot_t *max_protection, vm_inherit_t inheritance)
{
    struct remap remap = { source_address, size, mask, flags, copy != FALSE, true, inheritance };
    if ((*cur_protection & ~*max_protection) != 0 || (*max_protection & ~VM_PROT_ALL) != 0 ||
        (*cur_protection & VM_PROT_ALL) == (VM_PROT_WRITE | VM_PROT_EXECUTE)) {
        return KERN_INVALID_ARGUMENT;
    }
    return remap_call(target, source, &remap, target_address, cur_protection, max_protection);
}

/* A mapping of a memory entry, or of a copy of it. */
static kern_return_t map_named(const struct named_entry *named, struct entry *like, uint64_t offset, bool copy,
                               mach_vm_address_t *address, uint64_t mask, int flags)
{
    kern_return_t result = KERN_SUCCESS;
    uint64_t size = like->end;
    struct object *object = named->object;
    uint64_t at = *address;
    if (offset + size > em_round(named->size) || (!copy && (like->protection & ~named->protection) != 0)) {
        return offset + size > em_round(named->size) ? KERN_INVALID_ARGUMENT : KERN_INVALID_RIGHT;
    }
    if (!em_map_find_space(&at, size, mask, flags, &result)) {
        return result;
    }
    offset += named->offset;
    if (copy) {
        object = em_object_copy_delayed(named->object, offset, size);
        like->needs_copy = object != NULL;
        object = object == NULL ? em_object_copy_slowly(named->object, offset, size) : object;
        offset = like->needs_copy ? offset : offset % state.object_page;
    } else {
        object->refs++;
    }
    like->start = at;
    like->end = at + size;
    like->is_shared = !copy;
    struct entry *entry = em_entry_new(like);
    em_entry_set_object(entry, object, offset);
    em_map_insert(&state.self, entry);
    em_entry_back(entry);
    *address = at;
    return KERN_SUCCESS;
}

kern_return_t mach_vm_map(vm_map_t target, mach_vm_address_t *address, mach_vm_size_t size, mach_vm_offset_t mask,
                          int flags, mem_entry_name_port_t object, memory_object_offset_t offset, boolean_t copy,
                          vm_prot_t cur_protection, vm_prot_t max_protection, vm_inherit_t inheritance)
{
    kern_return_t result = KERN_SUCCESS;
    mach_vm_address_t at = *address;
    if (size == 0 || inheritance > VM_INHERIT_NONE || (cur_protection & ~max_protection) != 0) {
        return KERN_INVALID_ARGUMENT;
    }
    if (!em_enter(MACH_EMULATION_MAP, target, &result)) {
        return result;
    }
    if (object == MACH_PORT_NULL) {
        return em_allocate(address, size, mask, flags, cur_protection, max_protection, inheritance);
    }
    struct entry like = { .end = em_round(size),
                          .protection = cur_protection,
                          .max_protection = max_protection,
                          .inheritance = inheritance,
                          .tag = (unsigned)flags >> 24 };
    result = KERN_INVALID_ARGUMENT;
    for (const struct named_entry *named = state.named; named != NULL; named = named->next) {
        if (named->port == object) {
            result = map_named(named, &like, em_trunc(offset), copy != FALSE, &at, mask, flags);
            break;
        }
    }
    em_leave(result);
    *address = result == KERN_SUCCESS ? at : *address;
    return result;
}
