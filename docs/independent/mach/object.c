/* object.c - memory objects: pages, shadows, copy objects, and what becomes of a chain (knowledge: A.1) */
#include "model.h"

#include <string.h>

static size_t bitmap_bytes(size_t pages)
{
    return (pages + 63) / 64 * sizeof(uint64_t);
}

static void set_bit(uint64_t *bits, size_t index, bool value)
{
    uint64_t mask = (uint64_t)1 << (index % 64);
    bits[index / 64] = value ? bits[index / 64] | mask : bits[index / 64] & ~mask;
}

size_t em_object_host_pages(void)
{
    return (size_t)(state.object_page / HOST_PAGE);
}

uint64_t em_object_frame(const struct object *object, size_t page)
{
    return object->frame + page * em_object_host_pages();
}

struct object *em_object_new(size_t pages)
{
    struct object *object = em_alloc(sizeof *object);
    object->id = ++state.next_object_id;
    object->pages = pages;
    object->frame = em_frames_alloc(pages * em_object_host_pages());
    object->refs = 1;
    object->present = em_alloc(bitmap_bytes(pages));
    object->modified = em_alloc(bitmap_bytes(pages));
    object->next_object = state.objects;
    object->object_link = &state.objects;
    if (state.objects != NULL) {
        state.objects->object_link = &object->next_object;
    }
    state.objects = object;
    state.counters.objects++;
    return object;
}

void em_object_set_shadow(struct object *object, struct object *shadow, size_t shadow_page)
{
    if (object->shadow != NULL) {
        *object->sibling_link = object->next_sibling;
        if (object->next_sibling != NULL) {
            object->next_sibling->sibling_link = object->sibling_link;
        }
    }
    object->shadow = shadow;
    object->shadow_page = shadow_page;
    if (shadow != NULL) {
        object->next_sibling = shadow->children;
        object->sibling_link = &shadow->children;
        if (shadow->children != NULL) {
            shadow->children->sibling_link = &object->next_sibling;
        }
        shadow->children = object;
    }
}

static void free_pages(struct object *object)
{
    em_frames_free(object->frame, object->pages * em_object_host_pages());
    em_free(object->present, bitmap_bytes(object->pages));
    em_free(object->modified, bitmap_bytes(object->pages));
    em_free(object->wired, bitmap_bytes(object->pages));
}

/* The last reference is gone; the caller takes over the one to the shadow. */
static void terminate(struct object *object)
{
    if (object->shadow != NULL && object->shadow->copy == object) {
        object->shadow->copy = NULL;
    }
    em_object_set_shadow(object, NULL, 0);
    *object->object_link = object->next_object;
    if (object->next_object != NULL) {
        object->next_object->object_link = object->object_link;
    }
    free_pages(object);
    em_free(object, sizeof *object);
    state.counters.objects--;
}

void em_object_unref(struct object *object)
{
    while (object != NULL) {
        object->refs--;
        if (object->refs > 0) {
            if (object->refs == 1 && object->shadow != NULL) {
                em_object_collapse(object, false);
            }
            return;
        }
        struct object *below = object->shadow;
        terminate(object);
        object = below;
    }
}

struct object *em_object_find(struct object *object, size_t *page, unsigned *depth)
{
    *depth = 0;
    while (object != NULL) {
        if (*page < object->pages && em_bit(object->present, *page)) {
            return object;
        }
        *page += object->shadow_page;
        object = object->shadow;
        if (object != NULL) {
            ++*depth;
        }
    }
    return NULL;
}

void em_object_add_page(struct object *object, size_t page, const void *bytes)
{
    void *data = em_frame_data(em_object_frame(object, page));
    if (bytes == NULL) {
        memset(data, 0, (size_t)state.object_page);
    } else {
        memcpy(data, bytes, (size_t)state.object_page);
    }
    set_bit(object->present, page, true);
    object->resident++;
}

void em_object_remove_page(struct object *object, size_t page)
{
    if (!em_bit(object->present, page)) {
        return;
    }
    set_bit(object->present, page, false);
    set_bit(object->modified, page, false);
    object->resident--;
    if (em_bit(object->wired, page)) {
        set_bit(object->wired, page, false);
        object->wired_count--;
    }
}

/* The part of an entry that shows pages [first, end) of its object; false: none. */
static bool visible(const struct entry *entry, size_t first, size_t end, uint64_t *start, uint64_t *stop)
{
    uint64_t from = first * state.object_page;
    uint64_t to = end * state.object_page;
    uint64_t entry_bytes = entry->end - entry->start;
    from = from > entry->offset ? from - entry->offset : 0;
    to = to > entry->offset ? to - entry->offset : 0;
    to = to > entry_bytes ? entry_bytes : to;
    *start = entry->start + from;
    *stop = entry->start + to;
    return from < to && entry->map == &state.self;
}

/* Wherever `page` of the object (or of one above it that lacks the page) is shown by these frames: no longer. */
static void
disconnect(struct object *object, size_t first, size_t end, uint64_t frame, uint64_t frame_count, bool own_entries)
{
    uint64_t start = 0;
    uint64_t stop = 0;
    for (struct entry *entry = own_entries ? object->entries : NULL; entry != NULL; entry = entry->next_of_object) {
        if (visible(entry, first, end, &start, &stop)) {
            em_pmap_invalidate(start, stop - start, frame, frame_count);
        }
    }
    for (struct object *child = object->children; child != NULL; child = child->next_sibling) {
        size_t low = first > child->shadow_page ? first - child->shadow_page : 0;
        size_t high = end > child->shadow_page ? end - child->shadow_page : 0;
        high = high > child->pages ? child->pages : high;
        if (low < high && !(end - first == 1 && em_bit(child->present, low))) {
            disconnect(child, low, high, frame, frame_count, true);
        }
    }
}

void em_object_disconnect(struct object *object, size_t page, uint64_t frame)
{
    disconnect(object, page, page + 1, frame, em_object_host_pages(), true);
}

void em_object_write_protect(struct object *object, size_t first, size_t end)
{
    uint64_t start = 0;
    uint64_t stop = 0;
    for (struct entry *entry = object->entries; entry != NULL; entry = entry->next_of_object) {
        if (visible(entry, first, end, &start, &stop)) {
            em_pmap_write_protect(start, stop - start);
        }
    }
}

void em_object_push(struct object *object, size_t page)
{
    struct object *copy = object->copy;
    if (copy == NULL || page >= copy->pages || em_bit(copy->present, page)) {
        return;
    }
    uint64_t frame = em_object_frame(object, page);
    disconnect(object, page, page + 1, frame, em_object_host_pages(), false);
    em_object_add_page(copy, page, em_frame_data(frame));
    state.counters.pushes++;
}

void em_object_shadow(struct entry *entry)
{
    struct object *below = entry->object;
    uint64_t base = entry->offset / state.object_page;
    uint64_t rest = entry->offset % state.object_page;
    size_t pages = (size_t)((rest + (entry->end - entry->start) + state.object_page - 1) / state.object_page);
    if (below->pages == pages && below->refs == 1 && (below->shadow == NULL || below->shadow->copy == NULL)) {
        below->shadowed = false;
        return;
    }
    struct object *object = em_object_new(pages);
    em_entry_set_object(entry, object, rest);
    em_object_set_shadow(object, below, (size_t)base); /* with the entry's reference */
    state.counters.shadows++;
}

bool em_object_wired_in(const struct object *object, size_t first, size_t end)
{
    for (size_t page = first; object->wired_count > 0 && page < end && page < object->pages; page++) {
        if (em_bit(object->wired, page)) {
            return true;
        }
    }
    return false;
}

void em_object_wire(struct object *object, size_t page, bool wire)
{
    if (object->wired == NULL) {
        object->wired = em_alloc(bitmap_bytes(object->pages));
    }
    if (em_bit(object->wired, page) != wire) {
        set_bit(object->wired, page, wire);
        object->wired_count = wire ? object->wired_count + 1 : object->wired_count - 1;
    }
}

void em_object_mark_modified(struct object *object, size_t page)
{
    set_bit(object->modified, page, true);
}

static void grow(struct object *object, size_t pages)
{
    free_pages(object);
    object->pages = pages;
    object->frame = em_frames_alloc(pages * em_object_host_pages());
    object->present = em_alloc(bitmap_bytes(pages));
    object->modified = em_alloc(bitmap_bytes(pages));
    object->wired = NULL;
}

struct object *em_object_copy_delayed(struct object *source, uint64_t offset, uint64_t size)
{
    size_t pages = (size_t)((offset + size + state.object_page - 1) / state.object_page);
    struct object *old = source->copy;
    if (em_object_wired_in(source, 0, pages)) {
        return NULL;
    }
    if (old != NULL && old->resident == 0) {
        if (old->pages < pages) {
            em_object_write_protect(source, old->pages, pages);
            grow(old, pages);
        }
        old->refs++;
        state.counters.reused_copies++;
        return old;
    }
    struct object *copy = em_object_new(old != NULL && old->pages > pages ? old->pages : pages);
    em_object_write_protect(source, 0, copy->pages);
    if (old != NULL) { /* its reference to the source becomes the new copy's */
        em_object_set_shadow(old, NULL, 0);
        em_object_set_shadow(copy, source, 0);
        copy->refs++;
        em_object_set_shadow(old, copy, 0);
    } else {
        source->refs++;
        em_object_set_shadow(copy, source, 0);
    }
    source->copy = copy;
    state.counters.delayed_copies++;
    return copy;
}

struct object *em_object_copy_slowly(struct object *source, uint64_t offset, uint64_t size)
{
    size_t first = (size_t)(offset / state.object_page);
    size_t end = (size_t)((offset + size + state.object_page - 1) / state.object_page);
    struct object *copy = em_object_new(end - first);
    for (size_t page = first; page < end; page++) {
        size_t found_page = page;
        unsigned depth = 0;
        struct object *found = em_object_find(source, &found_page, &depth);
        em_object_add_page(copy, page - first,
                           found == NULL ? NULL : em_frame_data(em_object_frame(found, found_page)));
    }
    state.counters.slow_copies++;
    return copy;
}

/* ---- collapse */

static bool collapse_now(void)
{
    if (state.options.collapse == MACH_EMULATION_COLLAPSE_RANDOM) {
        state.random = state.random * 6364136223846793005u + 1442695040888963407u;
        return (state.random >> 40 & 1) != 0;
    }
    return state.options.collapse == MACH_EMULATION_COLLAPSE_ALWAYS;
}

/* Nobody but `object` refers to its shadow: the pages move up, the shadow goes. */
static void merge(struct object *object)
{
    struct object *below = object->shadow;
    for (size_t page = 0; page < object->pages && page + object->shadow_page < below->pages; page++) {
        size_t from = page + object->shadow_page;
        if (em_bit(below->present, from) && !em_bit(object->present, page)) {
            em_object_add_page(object, page, em_frame_data(em_object_frame(below, from)));
            set_bit(object->modified, page, em_bit(below->modified, from));
        }
    }
    disconnect(object, 0, object->pages, below->frame, below->pages * em_object_host_pages(), true);
    struct object *next = below->shadow;
    size_t next_page = object->shadow_page + below->shadow_page;
    em_object_set_shadow(object, next, next_page); /* with the reference of `below` */
    terminate(below);
    state.counters.collapses++;
}

static bool shows_through(const struct object *object)
{
    const struct object *below = object->shadow;
    for (size_t page = 0; page < object->pages && page + object->shadow_page < below->pages; page++) {
        if (em_bit(below->present, page + object->shadow_page) && !em_bit(object->present, page)) {
            return true;
        }
    }
    return false;
}

static void bypass(struct object *object)
{
    struct object *below = object->shadow;
    struct object *next = below->shadow;
    size_t next_page = object->shadow_page + below->shadow_page;
    if (next != NULL) {
        next->refs++;
    }
    em_object_set_shadow(object, next, next_page);
    state.counters.bypasses++;
    em_object_unref(below);
}

void em_object_collapse(struct object *object, bool may_bypass)
{
    while (object->shadow != NULL) {
        struct object *below = object->shadow;
        bool live_copy = below->shadow != NULL && below->shadow->copy == below;
        bool possible = !live_copy && below->wired_count == 0 &&
                        (below->refs == 1 || (may_bypass && below->copy != object && !shows_through(object)));
        if (!possible || !collapse_now()) {
            object = below;
        } else if (below->refs == 1) {
            merge(object);
        } else {
            bypass(object);
        }
    }
}

size_t em_object_chain(const struct object *object)
{
    size_t length = 0;
    while (object->shadow != NULL) {
        object = object->shadow;
        length++;
    }
    return length;
}
