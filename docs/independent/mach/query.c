/* query.c - what region and page queries answer (knowledge: A.4, A.8) */
#include "query.h"

#include <string.h>

/* An entry for memory of the program that is not in the model: only what the system's list of mappings says. */
static bool foreign(uint64_t address, uint64_t limit, struct em_region *region)
{
    struct em_mapping mapping;
    if (!em_mapping_at(address, &mapping) || mapping.start >= limit) {
        return false;
    }
    size_t index = em_map_above(&state.self, address);
    uint64_t below = index > 0 ? state.self.entries[index - 1]->end : 0;
    *region = (struct em_region){ .start = mapping.start > below ? mapping.start : below,
                                  .end = mapping.end < limit ? mapping.end : limit,
                                  .mapping = mapping };
    return true;
}

bool em_region_at(uint64_t address, struct em_region *region)
{
    size_t index = em_map_above(&state.self, address);
    const struct entry *entry = index < state.self.count ? state.self.entries[index] : NULL;
    bool inside = entry != NULL && entry->start <= address;
    if (!inside && foreign(address, entry == NULL ? UINT64_MAX : entry->start, region)) {
        return true;
    }
    if (entry == NULL) {
        return false;
    }
    *region = (struct em_region){ .start = entry->start, .end = entry->end, .entry = entry };
    return true;
}

static unsigned references_in_chain(const struct entry *entry, const struct object *object)
{
    unsigned count = 0;
    for (const struct object *at = entry->object; at != NULL; at = at->shadow) {
        count += at == object;
    }
    return count;
}

/* SM_SHARED is looked at more closely: are all references this task's? */
static unsigned char aliased(const struct object *object, unsigned references)
{
    unsigned mine = 0;
    if (state.options.kernel != MACH_EMULATION_KERNEL_15) {
        return object->shared_for_good ? SM_SHARED : SM_PRIVATE_ALIASED;
    }
    for (size_t i = 0; i < state.self.count; i++) {
        mine += references_in_chain(state.self.entries[i], object);
    }
    if (mine == references) {
        return SM_PRIVATE_ALIASED;
    }
    return mine > 1 ? SM_SHARED_ALIASED : SM_SHARED;
}

/* One page, down the chain; a page that is nowhere still counts the whole chain. */
static void look_for_page(const struct object *object, size_t page, unsigned most, struct em_walk *walk)
{
    unsigned depth = 0;
    for (;;) {
        if (page < object->pages && em_bit(object->present, page)) {
            walk->private_now += object->shadow != NULL && most == 1;
            walk->dirtied += em_bit(object->modified, page);
            walk->resident++;
            return;
        }
        if (object->shadow == NULL) {
            return;
        }
        page += object->shadow_page;
        object = object->shadow;
        depth++;
        walk->depth = depth > walk->depth ? depth : walk->depth;
        most = object->refs > most ? object->refs : most;
    }
}

void em_region_walk(const struct em_region *region, bool pages, struct em_walk *walk)
{
    const struct entry *entry = region->entry;
    *walk = (struct em_walk){ .share_mode = SM_EMPTY };
    if (entry == NULL) {
        const struct em_mapping *mapping = &region->mapping;
        walk->external = mapping->inode != 0;
        walk->share_mode = !mapping->private ? SM_SHARED : mapping->inode != 0 ? SM_COW : SM_PRIVATE;
        walk->references = mapping->private ? 1 : 2;
        return;
    }
    const struct object *object = entry->object;
    if (object == NULL) {
        return;
    }
    for (uint64_t at = entry->start; pages && at < entry->end; at += state.map_page) {
        look_for_page(object, em_entry_page(entry, at), object->refs, walk);
    }
    if (!pages) {
        walk->depth = (unsigned)em_object_chain(object);
    }
    if (walk->depth > 0 || entry->needs_copy) {
        walk->share_mode = SM_COW;
    } else if (object->refs == 1) {
        walk->share_mode = SM_PRIVATE;
    } else {
        walk->share_mode = object->true_share ? SM_TRUESHARED : aliased(object, object->refs);
    }
    walk->references = object->refs - walk->depth;
    const struct object *below = object;
    for (unsigned i = 0; i < walk->depth && below->shadow != NULL; i++) {
        below = below->shadow;
        walk->references += below->refs;
    }
}

void em_page_look(uint64_t address, struct em_page_look *look)
{
    memset(look, 0, sizeof *look);
    const struct entry *entry = em_map_lookup(&state.self, address);
    if (entry == NULL || entry->object == NULL) {
        return;
    }
    const struct object *object = entry->object;
    uint64_t offset = entry->offset + (em_trunc(address) - entry->start);
    bool found = false;
    look->references = object->refs;
    for (;;) {
        size_t page = (size_t)(offset / state.object_page);
        found = page < object->pages && em_bit(object->present, page);
        if (found || object->shadow == NULL) {
            break;
        }
        offset += object->shadow_page * state.object_page;
        object = object->shadow;
        look->depth++;
    }
    look->object_id = object->id;
    look->offset = offset;
    if (found) {
        look->disposition |= VM_PAGE_QUERY_PAGE_PRESENT | VM_PAGE_QUERY_PAGE_REF;
        look->disposition |=
            em_bit(object->modified, (size_t)(offset / state.object_page)) ? VM_PAGE_QUERY_PAGE_DIRTY : 0;
    }
    if (look->depth == 0 && object->shadow != NULL) {
        look->disposition |= VM_PAGE_QUERY_PAGE_COPIED;
    }
}
