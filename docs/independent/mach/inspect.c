/* inspect.c - the model printed, and its invariants checked */
#include "model.h"

#include <inttypes.h>

static void print_chain(FILE *stream, const struct object *object)
{
    for (; object != NULL; object = object->shadow) {
        fprintf(stream, " -> #%" PRIu64 "%s%s%s pages %zu/%zu refs %u", object->id, object->delay ? " DELAY" : "",
                object->true_share ? " true_share" : "", object->wired_count > 0 ? " wired" : "", object->resident,
                object->pages, object->refs);
        if (object->copy != NULL) {
            fprintf(stream, " copy #%" PRIu64, object->copy->id);
        }
    }
    fprintf(stream, "\n");
}

void mach_emulation_print(FILE *stream)
{
    em_lock();
    for (size_t i = 0; i < state.self.count; i++) {
        const struct entry *entry = state.self.entries[i];
        fprintf(stream, "%012" PRIx64 "-%012" PRIx64 " %c%c%c%s%s%s%s offset %" PRIx64, entry->start, entry->end,
                (entry->protection & VM_PROT_READ) != 0 ? 'r' : '-',
                (entry->protection & VM_PROT_WRITE) != 0 ? 'w' : '-',
                (entry->protection & VM_PROT_EXECUTE) != 0 ? 'x' : '-', entry->needs_copy ? " needs_copy" : "",
                entry->is_shared ? " shared" : "", entry->wired > 0 ? " wired" : "",
                entry->permanent ? " permanent" : "", entry->offset);
        print_chain(stream, entry->object);
    }
    em_unlock();
}

/* ---- invariants */

static unsigned count_references(const struct object *object)
{
    unsigned count = 0;
    for (const struct entry *entry = object->entries; entry != NULL; entry = entry->next_of_object) {
        count++;
    }
    for (const struct object *child = object->children; child != NULL; child = child->next_sibling) {
        count++;
    }
    for (const struct named_entry *named = state.named; named != NULL; named = named->next) {
        count += named->object == object;
    }
    return count;
}

static const char *check_object(const struct object *object)
{
    size_t resident = 0;
    for (size_t page = 0; page < object->pages; page++) {
        resident += em_bit(object->present, page);
    }
    if (resident != object->resident) {
        return "an object miscounts its pages";
    }
    if (count_references(object) != object->refs) {
        return "an object miscounts its references";
    }
    return object->copy != NULL && object->copy->shadow != object ? "a copy object does not lie over its source" : NULL;
}

/* What the processor is allowed at the address follows from the model. */
static const char *check_address(const struct entry *entry, uint64_t address)
{
    if (!em_pmap_allows(address, VM_PROT_READ)) {
        return NULL;
    }
    bool writable = em_pmap_allows(address, VM_PROT_WRITE);
    uint64_t offset = entry->offset + (address - entry->start);
    size_t page = (size_t)(offset / state.object_page);
    size_t found_page = page;
    unsigned depth = 0;
    const struct object *found = entry->object == NULL ? NULL : em_object_find(entry->object, &found_page, &depth);
    if (found == NULL) {
        return "a page can be read that is nowhere";
    }
    if (em_pmap_frame(address) != em_object_frame(found, found_page) + offset % state.object_page / HOST_PAGE) {
        return "an address shows the wrong page";
    }
    if (writable && (depth > 0 || entry->needs_copy || (entry->protection & VM_PROT_WRITE) == 0)) {
        return "a page can be written that may not be";
    }
    const struct object *copy = entry->object->copy;
    if (writable && copy != NULL && page < copy->pages && !em_bit(copy->present, page)) {
        return "a page can be written whose old contents were not saved";
    }
    return NULL;
}

static const char *check_entry(const struct entry *entry)
{
    const char *broken = entry->start >= entry->end ? "an empty entry" : NULL;
    if (broken == NULL && entry->object != NULL &&
        entry->offset + (entry->end - entry->start) > entry->object->pages * state.object_page) {
        broken = "an entry reaches behind its object";
    }
    for (uint64_t at = entry->start; broken == NULL && at < entry->end; at += HOST_PAGE) {
        broken = check_address(entry, at);
    }
    return broken;
}

const char *mach_emulation_check(void)
{
    const char *broken = NULL;
    size_t objects = 0;
    em_lock();
    for (const struct object *object = state.objects; object != NULL && broken == NULL; object = object->next_object) {
        broken = check_object(object);
        objects++;
    }
    if (broken == NULL && objects != state.counters.objects) {
        broken = "objects are miscounted";
    }
    for (size_t i = 0; i < state.self.count && broken == NULL; i++) {
        broken = check_entry(state.self.entries[i]);
        if (broken == NULL && i > 0 && state.self.entries[i - 1]->end > state.self.entries[i]->start) {
            broken = "entries overlap";
        }
    }
    em_unlock();
    return broken;
}
