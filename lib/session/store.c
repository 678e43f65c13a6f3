/* store.c - pages copied while the program runs: one place for each */
#include "session/store.h"

#include "format/memory.h"
#include "os/vm.h"

/* A slab is address space until it is used; a quarter of the budget stays for the chunks of the stop. */
enum { SLAB_PAGES = 4096, BUDGET_SHARE = 4 };

static bool open_part(struct svp_stored *part, struct svp_region *region)
{
    part->region = region;
    part->slots = svp_memory_zalloc((size_t)region->pages, sizeof *part->slots);
    return part->slots != NULL && svp_pageset_open(&part->written, region->pages) &&
           svp_pageset_open(&part->todo, region->pages);
}

struct svp_store *svp_store_open(const struct savepoint *session)
{
    struct svp_store *store = svp_memory_zalloc(1, sizeof *store);
    if (store == NULL) {
        return NULL;
    }
    atomic_init(&store->leave, false);
    atomic_init(&store->position, SVP_STORE_REST);
    store->parts = svp_memory_zalloc(session->region_count, sizeof *store->parts);
    store->chunk = svp_memory_alloc(sizeof *store->chunk);
    bool enough = store->parts != NULL && store->chunk != NULL;
    for (size_t i = 0; enough && i < session->region_count; i++) {
        store->part_count = i + 1;
        enough = open_part(&store->parts[i], session->regions[i]);
    }
    if (!enough) {
        svp_store_close(NULL, store);
        return NULL;
    }
    return store;
}

void svp_store_close(struct savepoint *session, struct svp_store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->used_slots > 0) {
        svp_mutex_lock(session->mutex);
        session->staging.stored_bytes -= (uint64_t)store->used_slots * SVP_PAGE_BYTES;
        svp_condition_wake_all(session->changed);
        svp_mutex_unlock(session->mutex);
    }
    for (size_t i = 0; i < store->part_count; i++) {
        svp_memory_free(store->parts[i].slots);
        svp_pageset_close(&store->parts[i].written);
        svp_pageset_close(&store->parts[i].todo);
    }
    for (size_t i = 0; i < store->slab_count; i++) {
        svp_memory_free(store->slabs[i]);
    }
    svp_memory_free(store->slabs);
    svp_memory_free(store->parts);
    svp_memory_free(store->chunk);
    svp_memory_free(store);
}

uint8_t *svp_store_page(const struct svp_store *store, const struct svp_stored *part, uint64_t page)
{
    uint32_t slot = part->slots[page] - 1;
    return store->slabs[slot / SLAB_PAGES] + (size_t)(slot % SLAB_PAGES) * SVP_PAGE_BYTES;
}

static bool add_slab(struct svp_store *store)
{
    void *grown = svp_memory_resize(store->slabs, store->slab_count + 1, sizeof *store->slabs);
    if (grown == NULL) {
        return false;
    }
    store->slabs = grown;
    uint8_t *slab = svp_memory_alloc((size_t)SLAB_PAGES * SVP_PAGE_BYTES);
    if (slab == NULL) {
        return false;
    }
    svp_vm_prefer_large_pages((uintptr_t)slab, (size_t)SLAB_PAGES * SVP_PAGE_BYTES);
    store->slabs[store->slab_count++] = slab;
    return true;
}

/* With the mutex held: pages that the budget has room for. */
static uint64_t count_room(const struct savepoint *session)
{
    uint64_t budget = session->options.staging_bytes - session->options.staging_bytes / BUDGET_SHARE;
    uint64_t used = session->staging.used_bytes + session->staging.stored_bytes;
    return used < budget ? (budget - used) / SVP_PAGE_BYTES : 0;
}

/* One more slot for the page, touched, as that costs more than the copy; false: there is none. */
static bool give_slot(struct svp_store *store, struct svp_stored *part, uint64_t page)
{
    bool enough = store->used_slots < store->slab_count * SLAB_PAGES || add_slab(store);
    if (enough) {
        part->slots[page] = ++store->used_slots;
        *svp_store_page(store, part, page) = 0;
    }
    return enough;
}

bool svp_store_place(struct savepoint *session, struct svp_store *store)
{
    uint32_t before = store->used_slots;
    bool all = true;
    svp_mutex_lock(session->mutex);
    uint64_t room = count_room(session);
    svp_mutex_unlock(session->mutex);
    for (size_t i = 0; i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        uint64_t page = svp_pageset_next(&part->todo, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->todo, page + 1)) {
            bool new = part->slots[page] == 0;
            if (new && (!all || store->used_slots - before >= room || !give_slot(store, part, page))) {
                svp_pageset_remove(&part->todo, page, 1);
                all = false;
            }
        }
    }
    svp_mutex_lock(session->mutex);
    struct svp_staging *staging = &session->staging;
    staging->stored_bytes += (uint64_t)(store->used_slots - before) * SVP_PAGE_BYTES;
    if (staging->used_bytes + staging->stored_bytes > session->statistics.staging_bytes_max) {
        session->statistics.staging_bytes_max = staging->used_bytes + staging->stored_bytes;
    }
    svp_mutex_unlock(session->mutex);
    return all;
}

void svp_store_end(struct svp_store *store)
{
    atomic_store(&store->leave, true);
    uint64_t position = atomic_load_explicit(&store->position, memory_order_acquire);
    if (position == SVP_STORE_REST) {
        return;
    }
    for (size_t i = (size_t)(position >> 40); i < store->part_count; i++) {
        struct svp_stored *part = &store->parts[i];
        uint64_t first = i == (size_t)(position >> 40) ? position - svp_store_position(i, 0) : 0;
        uint64_t page = svp_pageset_next(&part->todo, first);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->todo, page + 1)) {
            svp_pageset_remove(&part->region->precopied, page, 1);
        }
    }
}

void svp_store_settle(struct savepoint *session, const struct svp_store *store)
{
    svp_mutex_lock(session->mutex);
    while (store->at_work) {
        svp_condition_wait(session->changed, session->mutex);
    }
    svp_mutex_unlock(session->mutex);
}
