/* test_arena.c - the examples' allocator against a plain array of blocks, and its walk against damage */
#include <stdlib.h>

#include "check.h"
#include "examples/arena.h"
#include "model.h"

enum { BYTES_BEGIN = 8192, BYTES_MAX = 1 << 22, SLOTS = 200, ROUNDS = 20000 };

static _Alignas(4096) unsigned char memory[BYTES_MAX];

struct slot {
    unsigned char *block;
    size_t bytes;
    unsigned char fill;
};

static int grow(void *user, size_t bytes)
{
    size_t *grown_bytes = user;
    *grown_bytes = bytes;
    return bytes <= sizeof memory ? 0 : -1;
}

static struct heap begin(size_t *grown_bytes)
{
    memset(memory, 0, sizeof memory);
    *grown_bytes = BYTES_BEGIN;
    return (struct heap){ arena_begin(memory, BYTES_BEGIN), grow, grown_bytes };
}

static void check_fill(const struct slot *slot, unsigned char fill)
{
    for (size_t i = 0; i < slot->bytes; i++) {
        CHECK_EQ(slot->block[i], fill);
    }
}

/* Takes, gives back or forgets what stands in a slot; what is taken must be zeros, and stay as it was written. */
static void change(struct heap *heap, struct slot *slot, uint64_t *random)
{
    if (slot->block != NULL) {
        check_fill(slot, slot->fill);
        CHECK(arena_holds(heap->arena, slot->block, slot->bytes));
        arena_free(heap, slot->block);
        CHECK(!arena_holds(heap->arena, slot->block, 0));
        slot->block = NULL;
        return;
    }
    slot->bytes = (size_t)model_below(random, model_below(random, 8) == 0 ? 20000 : 300);
    slot->fill = (unsigned char)(1 + model_below(random, 255));
    slot->block = arena_alloc(heap, slot->bytes);
    CHECK(slot->block != NULL);
    CHECK_EQ((uintptr_t)slot->block % 16, 0);
    check_fill(slot, 0);
    memset(slot->block, slot->fill, slot->bytes);
}

static void check_walk(const struct arena *arena, const struct slot *slots)
{
    struct arena_totals totals;
    uint64_t used_count = 0, wanted_bytes = 0;
    for (int i = 0; i < SLOTS; i++) {
        used_count += slots[i].block != NULL;
        wanted_bytes += slots[i].block != NULL ? slots[i].bytes : 0;
    }
    CHECK(arena_walk(arena, &totals) == NULL);
    CHECK_EQ(totals.used_count, used_count);
    CHECK(totals.used_bytes >= wanted_bytes + 8 * used_count);
    CHECK(totals.used_bytes + totals.free_bytes <= arena->end_bytes);
}

CHECK_TEST(arena, agrees_with_an_array_of_blocks)
{
    struct slot slots[SLOTS] = { { 0 } };
    size_t grown_bytes;
    uint64_t random = 7;
    struct heap heap = begin(&grown_bytes);
    for (int round = 0; round < ROUNDS; round++) {
        change(&heap, &slots[model_below(&random, SLOTS)], &random);
        if (round % 100 == 0) {
            check_walk(heap.arena, slots);
        }
    }
    check_walk(heap.arena, slots);
    CHECK_EQ(heap.arena->bytes, grown_bytes);
    CHECK(grown_bytes > BYTES_BEGIN);
    CHECK(arena_find(memory, grown_bytes) == heap.arena);
    CHECK(arena_find(memory, grown_bytes - 1) == NULL);
}

CHECK_TEST(arena, is_full_when_it_cannot_grow)
{
    size_t grown_bytes;
    struct heap heap = begin(&grown_bytes);
    struct arena_totals totals;
    CHECK(arena_alloc(&heap, sizeof memory) == NULL);
    CHECK(arena_alloc(&heap, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&heap, SIZE_MAX / 2 - 1) == NULL);
    CHECK_EQ(heap.arena->bytes, BYTES_BEGIN);
    while (arena_alloc(&heap, 5000) != NULL) {
    }
    CHECK(arena_walk(heap.arena, &totals) == NULL);
    CHECK(totals.used_count > BYTES_MAX / 2 / 6000);
}

CHECK_TEST(arena, at_another_address_is_not_found)
{
    size_t grown_bytes;
    struct heap heap = begin(&grown_bytes);
    memcpy(memory + BYTES_BEGIN, memory, BYTES_BEGIN);
    CHECK(arena_find(memory, BYTES_BEGIN) == heap.arena);
    CHECK(arena_find(memory + BYTES_BEGIN, BYTES_BEGIN) == NULL);
    CHECK(arena_find(memory + 2 * BYTES_BEGIN, BYTES_BEGIN) == NULL);
}

/* Every byte of a small arena in turn, its free lists included, but not what belongs to the user. */
CHECK_TEST(arena, walk_sees_every_damaged_header_and_link)
{
    size_t grown_bytes;
    struct heap heap = begin(&grown_bytes);
    struct arena_totals totals;
    void *blocks[6];
    for (int i = 0; i < 6; i++) {
        blocks[i] = arena_alloc(&heap, 24);
    }
    arena_free(&heap, blocks[1]);
    arena_free(&heap, blocks[3]);
    arena_free(&heap, blocks[4]);
    CHECK(arena_walk(heap.arena, &totals) == NULL);
    for (int i = 0; i < 6; i++) {
        int is_free = i == 1 || i == 3 || i == 4;
        unsigned char *header = (unsigned char *)blocks[i] - 8;
        for (int byte = 0; byte < (is_free ? 16 : 8); byte++) {
            header[byte] ^= 0x11;
            CHECK_MSG(arena_walk(heap.arena, &totals) != NULL, "block %d, byte %d: not seen", i, byte);
            header[byte] ^= 0x11;
        }
    }
    for (size_t byte = offsetof(struct arena, free); byte < sizeof(struct arena); byte++) {
        memory[byte] ^= 0x11;
        CHECK_MSG(arena_walk(heap.arena, &totals) != NULL, "byte %zu of the arena: not seen", byte);
        memory[byte] ^= 0x11;
    }
    CHECK(arena_walk(heap.arena, &totals) == NULL);
}

/* Links that lead to free blocks, but not to the right ones. The list of this class is: second, first. */
CHECK_TEST(arena, walk_sees_every_misled_link)
{
    size_t grown_bytes;
    struct heap heap = begin(&grown_bytes);
    struct arena_totals totals;
    void **first = arena_alloc(&heap, 24), **second = arena_alloc(&heap, 24), **other = arena_alloc(&heap, 100);
    void *used = arena_alloc(&heap, 24);
    arena_free(&heap, first);
    arena_free(&heap, second);
    arena_free(&heap, other);
    CHECK(arena_walk(heap.arena, &totals) == NULL);
    void *sound = *second;
    *second = NULL;
    CHECK_STR(arena_walk(heap.arena, &totals), "a free block is in no list");
    *second = (unsigned char *)second - 8;
    CHECK_STR(arena_walk(heap.arena, &totals), "a free list runs in a circle");
    *second = (unsigned char *)other - 8;
    CHECK_STR(arena_walk(heap.arena, &totals), "a free list holds a block that is in use, or of another class");
    *second = (unsigned char *)used - 8;
    CHECK_STR(arena_walk(heap.arena, &totals), "a free list holds a block that is in use, or of another class");
    *second = (unsigned char *)first;
    CHECK_STR(arena_walk(heap.arena, &totals), "a free list leads out of the blocks");
    *second = sound;
    CHECK(arena_walk(heap.arena, &totals) == NULL);
}
