/* torture_stores.c - stores whose bytes tell their age, and the judgement of copies by them */
#include "torture.h"

#include <inttypes.h>
#include <string.h>

enum { JUDGED_VERSIONS = 100, HOT_PAGES = 12 };

static void publish(struct torture_arena *arena, unsigned slot, size_t page, size_t offset, size_t length)
{
    atomic_store_explicit(&arena->finished[slot][page], TORTURE_RECORD(arena->version[slot][page], offset, length),
                          memory_order_release);
}

/* Within a page: in the slot's part of what lies between the borders. */
static void
store_inside(const struct torture *torture, struct torture_arena *arena, unsigned slot, size_t page, uint64_t random)
{
    size_t part = (torture->page_bytes - 2 * STORE_BYTES) / SLOTS;
    size_t length = 1 + random % STORE_BYTES;
    size_t offset = STORE_BYTES + slot * part + (random >> 8) % (part - length);
    uint32_t version = ++arena->version[slot][page];
    memset(arena->memory + page * torture->page_bytes + offset, (int)(version & 255), length);
    publish(arena, slot, page, offset, length);
}

/* Across the border below a page: one copy that touches both. */
static void
store_across(const struct torture *torture, struct torture_arena *arena, unsigned slot, size_t page, uint64_t random)
{
    unsigned char bytes[STORE_BYTES];
    size_t length = 2 + random % (STORE_BYTES - 1);
    size_t below = 1 + (random >> 8) % (length - 1);
    memset(bytes, (int)(++arena->version[slot][page - 1] & 255), below);
    memset(bytes + below, (int)(++arena->version[slot][page] & 255), length - below);
    memcpy(arena->memory + page * torture->page_bytes - below, bytes, length);
    publish(arena, slot, page - 1, torture->page_bytes - below, below);
    publish(arena, slot, page, 0, length - below);
}

void torture_store(struct torture *torture, unsigned slot, uint64_t random)
{
    struct torture_arena *arena = &torture->arenas[random % ARENAS];
    size_t pages = (random >> 4) % 4 == 0 ? HOT_PAGES : WRITTEN; /* where threads meet in the same fault */
    size_t page = (random >> 8) % pages;
    if ((random >> 6) % 4 == 0) {
        page = page / SLOTS * SLOTS + slot; /* the borders that are the slot's own */
        if (page > 0 && page < WRITTEN) {
            store_across(torture, arena, slot, page, random >> 24);
        }
    } else {
        store_inside(torture, arena, slot, page, random >> 24);
    }
}

void torture_remember(struct torture_arena *arena)
{
    for (unsigned slot = 0; slot < ALL_SLOTS; slot++) {
        for (size_t page = 0; page < PAGES; page++) {
            arena->before[slot][page] = atomic_load_explicit(&arena->finished[slot][page], memory_order_acquire);
        }
    }
}

/* Every byte of that store is in the copy, or one of a later store. Versions are told apart by their low byte, so
 * only while few have passed. A page that is discarded at times may have been so since. */
static void judge(const struct torture *torture, struct torture_arena *arena, unsigned slot, size_t page)
{
    uint64_t record = arena->before[slot][page];
    uint32_t version = (uint32_t)(record >> 32);
    uint32_t now = (uint32_t)(atomic_load_explicit(&arena->finished[slot][page], memory_order_acquire) >> 32);
    if (version == 0) {
        return;
    }
    if (now - version > JUDGED_VERSIONS) {
        arena->unjudged++;
        return;
    }
    bool discarded = (record & 255) == TORTURE_DISCARD;
    size_t offset = (record >> 8) & 0xffffff;
    size_t length = discarded ? torture->page_bytes : record & 255;
    const unsigned char *copy = arena->copies + page * torture->page_bytes + offset;
    for (size_t i = 0; i < length; i++) {
        unsigned char age = (unsigned char)(copy[i] - (unsigned char)version);
        if (age >= 128 && !(copy[i] == 0 && (discarded || (slot == DISCARD_SLOT && now != version)))) {
            torture_fail("%s lost a store: page %zu, slot %u, version %" PRIu32 ", byte %zu of %zu at %zu is 0x%02x "
                         "(collect %" PRIu64 ")",
                         torture->backend->name, page, slot, version, i, length, offset, copy[i], arena->collects);
        }
    }
    arena->judged++;
}

void torture_judge(const struct torture *torture, struct torture_arena *arena)
{
    for (unsigned slot = 0; slot < ALL_SLOTS; slot++) {
        for (size_t page = 0; page < PAGES; page++) {
            judge(torture, arena, slot, page);
        }
    }
}
