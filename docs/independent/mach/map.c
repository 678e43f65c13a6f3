/* map.c - address spaces: entries, clipping, merging, removing, finding room */
#define _GNU_SOURCE
#include "model.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

uint64_t em_trunc(uint64_t address)
{
    return address & ~(state.map_page - 1);
}

uint64_t em_round(uint64_t address)
{
    return em_trunc(address + state.map_page - 1);
}

/* ---- entries */

static void unlink_object(struct entry *entry)
{
    if (entry->object != NULL) {
        *entry->link_of_object = entry->next_of_object;
        if (entry->next_of_object != NULL) {
            entry->next_of_object->link_of_object = entry->link_of_object;
        }
    }
    entry->object = NULL;
}

struct object *em_entry_set_object(struct entry *entry, struct object *object, uint64_t offset)
{
    struct object *old = entry->object;
    unlink_object(entry);
    entry->object = object;
    entry->offset = offset;
    if (object != NULL) {
        entry->next_of_object = object->entries;
        entry->link_of_object = &object->entries;
        if (object->entries != NULL) {
            object->entries->link_of_object = &entry->next_of_object;
        }
        object->entries = entry;
    }
    return old;
}

struct entry *em_entry_new(const struct entry *like)
{
    struct entry *entry = em_alloc(sizeof *entry);
    *entry = *like;
    entry->object = NULL;
    entry->map = NULL;
    if (like->object != NULL) {
        like->object->refs++;
    }
    em_entry_set_object(entry, like->object, like->offset);
    state.counters.entries++;
    return entry;
}

void em_entry_free(struct entry *entry)
{
    struct object *object = em_entry_set_object(entry, NULL, 0);
    em_free(entry, sizeof *entry);
    state.counters.entries--;
    em_object_unref(object);
}

void em_entry_back(struct entry *entry)
{
    uint64_t frame = NO_FRAME;
    if (entry->map != &state.self) {
        return;
    }
    if (entry->object != NULL) {
        frame = entry->object->frame + entry->offset / HOST_PAGE;
    }
    em_pmap_back(entry->start, entry->end - entry->start, frame);
}

void em_entry_allocate(struct entry *entry)
{
    if (entry->object == NULL) {
        uint64_t bytes = entry->end - entry->start + state.object_page - 1;
        em_entry_set_object(entry, em_object_new((size_t)(bytes / state.object_page)), 0);
        em_entry_back(entry);
    }
}

size_t em_entry_page(const struct entry *entry, uint64_t address)
{
    return (size_t)((entry->offset + (address - entry->start)) / state.object_page);
}

const unsigned char *em_entry_bytes(const struct entry *entry, uint64_t address, uint64_t *count)
{
    static const unsigned char zeros[16384];
    uint64_t offset = entry->offset + (address - entry->start);
    size_t page = (size_t)(offset / state.object_page);
    uint64_t inside = offset % state.object_page;
    unsigned depth = 0;
    uint64_t left = state.object_page - inside;
    *count = left < entry->end - address ? left : entry->end - address;
    struct object *found = em_object_find(entry->object, &page, &depth);
    return found == NULL ? zeros : (const unsigned char *)em_frame_data(em_object_frame(found, page)) + inside;
}

/* ---- maps */

size_t em_map_above(const struct map *map, uint64_t address)
{
    size_t low = 0;
    size_t high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->entries[middle]->end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

struct entry *em_map_lookup(const struct map *map, uint64_t address)
{
    size_t index = em_map_above(map, address);
    return index < map->count && map->entries[index]->start <= address ? map->entries[index] : NULL;
}

void em_map_insert(struct map *map, struct entry *entry)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity == 0 ? 64 : map->capacity * 2;
        struct entry **grown = em_alloc(capacity * sizeof(struct entry *));
        if (map->count > 0) {
            memcpy(grown, map->entries, map->count * sizeof(struct entry *));
        }
        em_free(map->entries, map->capacity * sizeof(struct entry *));
        map->entries = grown;
        map->capacity = capacity;
    }
    size_t index = em_map_above(map, entry->start);
    memmove(map->entries + index + 1, map->entries + index, (map->count - index) * sizeof(struct entry *));
    map->entries[index] = entry;
    map->count++;
    entry->map = map;
}

static void delete_at(struct map *map, size_t index)
{
    map->count--;
    memmove(map->entries + index, map->entries + index + 1, (map->count - index) * sizeof(struct entry *));
}

void em_map_clip(struct map *map, uint64_t address)
{
    struct entry *entry = em_map_lookup(map, address);
    if (entry == NULL || entry->start == address) {
        return;
    }
    struct entry *upper = em_entry_new(entry);
    upper->start = address;
    upper->offset = entry->offset + (address - entry->start);
    entry->end = address;
    em_map_insert(map, upper);
}

bool em_map_covers(const struct map *map, uint64_t start, uint64_t end)
{
    for (size_t index = em_map_above(map, start); start < end; index++) {
        if (index == map->count || map->entries[index]->start > start) {
            return false;
        }
        start = map->entries[index]->end;
    }
    return true;
}

void em_map_remove(struct map *map, uint64_t start, uint64_t end, bool unmap)
{
    em_map_clip(map, start);
    em_map_clip(map, end);
    size_t index = em_map_above(map, start);
    while (index < map->count && map->entries[index]->start < end) {
        struct entry *entry = map->entries[index];
        if (entry->permanent) {
            entry->protection = VM_PROT_NONE;
            entry->max_protection = VM_PROT_NONE;
            em_pmap_limit(entry->start, entry->end - entry->start, VM_PROT_NONE);
            index++;
            continue;
        }
        if (map == &state.self) {
            em_pmap_remove(entry->start, entry->end - entry->start, unmap);
        }
        delete_at(map, index);
        em_entry_free(entry);
    }
    map->timestamp++;
}

static bool mergeable(const struct entry *low, const struct entry *high)
{
    return low->end == high->start && low->object == high->object &&
           low->offset + (low->end - low->start) == high->offset && low->needs_copy == high->needs_copy &&
           low->protection == high->protection && low->max_protection == high->max_protection &&
           low->inheritance == high->inheritance && low->is_shared == high->is_shared && low->tag == high->tag &&
           low->wired == high->wired && low->permanent == high->permanent && low->adopted == high->adopted;
}

/* Merges each entry of the range, and the one behind it, with the one before it. */
void em_map_simplify(struct map *map, uint64_t start, uint64_t end)
{
    size_t index = em_map_above(map, start);
    while (index < map->count && map->entries[index]->start <= end) {
        struct entry *entry = map->entries[index];
        if (index == 0 || !mergeable(map->entries[index - 1], entry)) {
            index++;
            continue;
        }
        map->entries[index - 1]->end = entry->end;
        delete_at(map, index);
        em_entry_free(entry);
        state.counters.simplifications++;
    }
}

bool em_map_find_space(uint64_t *address, uint64_t size, uint64_t mask, int flags, kern_return_t *result)
{
    uint64_t align = state.map_page;
    *result = KERN_NO_SPACE;
    while (align <= mask) {
        align *= 2;
    }
    if (size == 0 || size > (uint64_t)1 << 46) {
        *result = size == 0 ? KERN_INVALID_ARGUMENT : KERN_NO_SPACE;
        return false;
    }
    if ((flags & VM_FLAGS_ANYWHERE) != 0) {
        return em_pmap_reserve(address, size, align, true);
    }
    *address = em_trunc(*address);
    if ((*address & mask) != 0) {
        return false;
    }
    if ((flags & VM_FLAGS_OVERWRITE) != 0) {
        em_map_remove(&state.self, *address, *address + size, true);
    }
    return em_pmap_reserve(address, size, align, false);
}

/* ---- other tasks */

struct map *em_map_other_new(void)
{
    struct map *map = em_alloc(sizeof *map);
    map->id = ++state.next_map_id;
    map->life = -1;
    map->next = state.others;
    state.others = map;
    return map;
}

void em_map_other_free(struct map *map)
{
    struct map **link = &state.others;
    while (*link != map) {
        link = &(*link)->next;
    }
    *link = map->next;
    while (map->count > 0) {
        struct entry *entry = map->entries[--map->count];
        em_entry_free(entry);
    }
    if (map->life >= 0) {
        close(map->life);
    }
    em_free(map->entries, map->capacity * sizeof(struct entry *));
    em_free(map, sizeof *map);
}

/* The maps of child processes that are gone, go. */
void em_map_reap(void)
{
    struct map *next = NULL;
    for (struct map *map = state.others; map != NULL; map = next) {
        struct pollfd life = { .fd = map->life, .events = POLLIN };
        next = map->next;
        if (map->life >= 0 && poll(&life, 1, 0) == 1) {
            em_map_other_free(map);
        }
    }
}

kern_return_t em_prepare(uint64_t start, uint64_t end)
{
    kern_return_t result = KERN_SUCCESS;
    while (start < end && result == KERN_SUCCESS) {
        size_t index = em_map_above(&state.self, start);
        const struct entry *entry = index < state.self.count ? state.self.entries[index] : NULL;
        if (entry != NULL && entry->start <= start) {
            start = entry->end;
            continue;
        }
        uint64_t stop = entry != NULL && entry->start < end ? entry->start : end;
        result = em_adopt(start, stop);
        start = stop;
    }
    return result;
}
