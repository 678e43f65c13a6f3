/* extract.c - copies of ranges: what remap and VM_PROT_COPY take (A.2), and what other tasks take (A.7) */
#include "model.h"

static bool symmetric_copies(void)
{
    return state.options.kernel != MACH_EMULATION_KERNEL_15;
}

/* Both entries show the same object; whoever stores first leaves it. */
static void set_needs_copy(struct entry *entry)
{
    em_pmap_write_protect(entry->start, entry->end - entry->start);
    entry->needs_copy = true;
    entry->object->shadowed = true;
}

/* The entry gets an object of its own if it might share one, and that is DELAY for good. */
void em_make_shareable(struct entry *entry, bool true_share)
{
    struct object *object = entry->object;
    uint64_t entry_bytes = entry->end - entry->start;
    if (object->delay) {
        return;
    }
    if (entry->wired == 0 && (entry->needs_copy || object->shadowed ||
                              (!object->true_share && !entry->is_shared &&
                               object->pages > (size_t)((entry_bytes + state.object_page - 1) / state.object_page)))) {
        em_object_shadow(entry);
        em_pmap_write_protect(entry->start, entry_bytes);
        entry->needs_copy = false;
        object = entry->object;
    }
    object->delay = true;
    object->true_share = object->true_share || true_share;
}

void em_gap(enum mach_emulation_gap gap, uint64_t start, uint64_t size)
{
    mach_emulation_gap_hook *hook = state.options.gap_hook;
    void *context = state.options.gap_context;
    em_unlock();
    if (hook != NULL) {
        hook(gap, start, size, context);
    }
    em_lock();
}

/* The new entry for [from, to) of the source, before it has its object. */
static struct entry *start_entry(const struct extract *extract, const struct entry *source, uint64_t from, uint64_t to)
{
    struct entry like = *source;
    like.object = NULL;
    struct entry *entry = em_entry_new(&like);
    entry->start = from - extract->start;
    entry->end = to - extract->start;
    entry->wired = 0;
    entry->is_shared = false;
    entry->needs_copy = false;
    if (extract->prot_copy) {
        entry->protection &= extract->allowed;
    } else {
        entry->adopted = false;
        entry->permanent = false;
        entry->inheritance = extract->inheritance;
    }
    return entry;
}

/* The copy of [from, to) of a DELAY object, made with the map unlocked. False: the map has changed meanwhile. */
static bool copy_object(struct entry *source, uint64_t from, uint64_t to, struct entry *entry)
{
    struct object *object = source->object;
    uint64_t offset = source->offset + (from - source->start);
    uint64_t timestamp = state.self.timestamp;
    struct object *copy = source->wired > 0 ? NULL : em_object_copy_delayed(object, offset, to - from);
    entry->needs_copy = copy != NULL;
    if (copy == NULL) {
        copy = em_object_copy_slowly(object, offset, to - from);
        offset %= state.object_page;
    }
    em_entry_set_object(entry, copy, offset);
    object->refs++;
    em_gap(MACH_EMULATION_GAP_COPY, from, to - from);
    em_object_unref(object);
    return state.self.timestamp == timestamp;
}

/* One source entry; false: start over with it. */
static bool extract_one(struct extract *extract, struct entry *source, uint64_t from, uint64_t to)
{
    bool settled = true;
    if (source->object == NULL && source->max_protection != VM_PROT_NONE) {
        em_entry_allocate(source);
    }
    struct entry *entry = start_entry(extract, source, from, to);
    struct object *object = source->object;
    uint64_t offset = source->offset + (from - source->start);
    if (object == NULL) {
        entry->offset = 0;
    } else if (extract->copy && symmetric_copies() && !object->delay) {
        if (!source->needs_copy) {
            set_needs_copy(source);
        }
        object->refs++;
        em_entry_set_object(entry, object, offset);
        entry->needs_copy = true;
    } else {
        em_make_shareable(source, !state.options.never_true_share);
        object = source->object;
        offset = source->offset + (from - source->start);
        if (extract->copy) {
            settled = copy_object(source, from, to, entry);
        } else {
            source->is_shared = true;
            entry->is_shared = true;
            object->shared_for_good = true;
            object->refs++;
            em_entry_set_object(entry, object, offset);
        }
    }
    if (!settled) {
        em_entry_free(entry);
        return false;
    }
    extract->current &= entry->protection;
    extract->maximum &= entry->max_protection;
    em_map_insert(&extract->list, entry);
    state.counters.remaps++;
    return true;
}

kern_return_t em_extract(struct extract *extract)
{
    uint64_t at = extract->start;
    uint64_t end = at + extract->size;
    extract->current = VM_PROT_ALL;
    extract->maximum = VM_PROT_ALL;
    while (at < end) {
        struct entry *source = em_map_lookup(&state.self, at);
        if (source == NULL) {
            em_extract_drop(extract);
            return KERN_INVALID_ADDRESS;
        }
        uint64_t to = source->end < end ? source->end : end;
        if (extract_one(extract, source, at, to)) {
            at = to;
            if (extract->single) {
                extract->size = to - extract->start;
                break;
            }
        }
    }
    return KERN_SUCCESS;
}

void em_extract_place(struct extract *extract, uint64_t target)
{
    for (size_t i = 0; i < extract->list.count; i++) {
        struct entry *entry = extract->list.entries[i];
        entry->start += target;
        entry->end += target;
        em_map_insert(&state.self, entry);
        em_entry_back(entry);
    }
    extract->list.count = 0;
    em_extract_drop(extract);
    state.self.timestamp++;
}

void em_extract_drop(struct extract *extract)
{
    while (extract->list.count > 0) {
        em_entry_free(extract->list.entries[--extract->list.count]);
    }
    em_free(extract->list.entries, extract->list.capacity * sizeof(struct entry *));
    extract->list = (struct map){ .life = -1 };
}

/* ---- what another task, or a child, takes of a whole entry */

struct entry *em_copy_quickly(struct entry *source)
{
    struct entry *entry = em_entry_new(source);
    entry->wired = 0;
    entry->is_shared = false;
    entry->adopted = false;
    if (source->object == NULL) {
        return entry;
    }
    if (source->wired == 0 && !source->object->delay) {
        if (!source->needs_copy) {
            set_needs_copy(source);
        }
        entry->needs_copy = true;
        return entry;
    }
    struct object *old = entry->object;
    uint64_t bytes = source->end - source->start;
    struct object *copy = source->wired > 0 ? NULL : em_object_copy_delayed(old, source->offset, bytes);
    entry->needs_copy = copy != NULL;
    if (copy == NULL) {
        copy = em_object_copy_slowly(old, source->offset, bytes);
        entry->offset = source->offset % state.object_page;
    }
    em_entry_set_object(entry, copy, entry->offset);
    em_object_unref(old);
    return entry;
}

kern_return_t em_copyin(uint64_t start, uint64_t size, struct map *list)
{
    if (!em_map_covers(&state.self, start, start + size)) {
        return KERN_INVALID_ADDRESS;
    }
    em_map_clip(&state.self, start);
    em_map_clip(&state.self, start + size);
    for (size_t i = em_map_above(&state.self, start); i < state.self.count; i++) {
        struct entry *source = state.self.entries[i];
        if (source->start >= start + size) {
            break;
        }
        if ((source->protection & VM_PROT_READ) == 0) {
            return KERN_PROTECTION_FAILURE;
        }
        struct entry *entry = em_copy_quickly(source);
        entry->start -= start;
        entry->end -= start;
        entry->permanent = false;
        em_map_insert(list, entry);
    }
    return KERN_SUCCESS;
}
