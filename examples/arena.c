/* arena.c - an allocator whose whole state stands in the memory it hands out */
#include "arena.h"

#include <assert.h>
#include <string.h>

static const uint64_t magic = UINT64_C(0x3130616e65726161);

/* In front of what the user gets. `mark` is a function of the place: a pointer into the middle of a block, or
 * a header that was written over, does not pass for a block. */
struct arena_block {
    uint32_t mark;
    uint16_t kind; /* its size class */
    uint16_t used;
    struct arena_block *next; /* of a free block; the user's memory begins here */
};

enum { HEADER_BYTES = offsetof(struct arena_block, next) };

/* The first block stands 8 bytes behind a multiple of 16, so that the user's memory is at one. */
static const uint64_t first_block = (sizeof(struct arena) + 15) / 16 * 16 + 16 - HEADER_BYTES;

/* 16, 32, 48, 64, then four classes to every doubling: 80, 96, 112, 128, 160, 192, ... */
static uint64_t class_bytes(uint32_t kind)
{
    return kind < 4 ? UINT64_C(16) * (kind + 1) : (UINT64_C(5) + kind % 4) << (kind / 4 + 3);
}

static uint32_t class_of(uint64_t bytes)
{
    uint32_t kind = 0;
    while (kind < ARENA_CLASSES && class_bytes(kind) < bytes) {
        kind++;
    }
    return kind;
}

static uint32_t mark_of(uint64_t offset)
{
    return (uint32_t)(offset / 16 + 1) * UINT32_C(2654435761);
}

static uint64_t offset_of(const struct arena *arena, const struct arena_block *block)
{
    return (uint64_t)((uintptr_t)block - (uintptr_t)arena);
}

static struct arena_block *block_at(const struct arena *arena, uint64_t offset)
{
    return (struct arena_block *)((uintptr_t)arena + offset);
}

static struct arena_block *block_of(const void *memory)
{
    return (struct arena_block *)((uintptr_t)memory - HEADER_BYTES);
}

static int is_block(const struct arena *arena, const struct arena_block *block)
{
    uint64_t offset = offset_of(arena, block);
    return offset >= first_block && offset < arena->end_bytes && (offset - first_block) % 16 == 0 &&
           block->mark == mark_of(offset) && block->kind < ARENA_CLASSES && block->used <= 1 &&
           class_bytes(block->kind) <= arena->end_bytes - offset;
}

struct arena *arena_begin(void *memory, size_t bytes)
{
    struct arena *arena = memory;
    arena->magic = magic;
    arena->self = arena;
    arena->bytes = bytes;
    arena->end_bytes = first_block;
    return arena;
}

struct arena *arena_find(void *memory, size_t bytes)
{
    struct arena *arena = memory;
    int sound = arena->magic == magic && arena->self == arena && arena->bytes <= bytes &&
                arena->end_bytes <= arena->bytes && arena->end_bytes >= first_block;
    return sound ? arena : NULL;
}

static int make_room(struct heap *heap, uint64_t bytes)
{
    struct arena *arena = heap->arena;
    uint64_t wanted = arena->end_bytes + bytes;
    if (wanted <= arena->bytes) {
        return 0;
    }
    wanted = wanted > arena->bytes * 2 ? wanted : arena->bytes * 2;
    if (heap->grow(heap->user, (size_t)wanted) != 0) {
        return -1;
    }
    arena->bytes = wanted;
    return 0;
}

static struct arena_block *new_block(struct heap *heap, uint32_t kind)
{
    struct arena *arena = heap->arena;
    if (make_room(heap, class_bytes(kind)) != 0) {
        return NULL;
    }
    struct arena_block *block = block_at(arena, arena->end_bytes);
    block->mark = mark_of(arena->end_bytes);
    block->kind = (uint16_t)kind;
    arena->end_bytes += class_bytes(kind);
    return block;
}

void *arena_alloc(struct heap *heap, size_t bytes)
{
    struct arena *arena = heap->arena;
    uint32_t kind = bytes < SIZE_MAX / 2 ? class_of((uint64_t)bytes + HEADER_BYTES) : ARENA_CLASSES;
    if (kind == ARENA_CLASSES) {
        return NULL;
    }
    struct arena_block *block = arena->free[kind];
    if (block != NULL) {
        arena->free[kind] = block->next;
    } else {
        block = new_block(heap, kind);
    }
    if (block == NULL) {
        return NULL;
    }
    block->used = 1;
    return memset(&block->next, 0, class_bytes(kind) - HEADER_BYTES);
}

void arena_free(struct heap *heap, void *memory)
{
    struct arena *arena = heap->arena;
    struct arena_block *block = block_of(memory);
    if (memory == NULL) {
        return;
    }
    assert(is_block(arena, block) && block->used);
    block->used = 0;
    block->next = arena->free[block->kind];
    arena->free[block->kind] = block;
}

int arena_holds(const struct arena *arena, const void *memory, size_t bytes)
{
    const struct arena_block *block = block_of(memory);
    return memory != NULL && is_block(arena, block) && block->used && class_bytes(block->kind) - HEADER_BYTES >= bytes;
}

/* One list: every member a free block of its class, and as many of them as there are in the arena. */
static const char *walk_list(const struct arena *arena, uint32_t kind, uint64_t count)
{
    for (const struct arena_block *block = arena->free[kind]; block != NULL; block = block->next) {
        if (!is_block(arena, block)) {
            return "a free list leads out of the blocks";
        }
        if (block->used || block->kind != kind) {
            return "a free list holds a block that is in use, or of another class";
        }
        if (count-- == 0) {
            return "a free list runs in a circle";
        }
    }
    return count == 0 ? NULL : "a free block is in no list";
}

const char *arena_walk(const struct arena *arena, struct arena_totals *totals)
{
    uint64_t free_counts[ARENA_CLASSES] = { 0 };
    memset(totals, 0, sizeof *totals);
    for (uint64_t offset = first_block; offset < arena->end_bytes;) {
        const struct arena_block *block = block_at(arena, offset);
        if (!is_block(arena, block)) {
            return "a block has no valid header";
        }
        free_counts[block->kind] += !block->used;
        *(block->used ? &totals->used_count : &totals->free_count) += 1;
        *(block->used ? &totals->used_bytes : &totals->free_bytes) += class_bytes(block->kind);
        offset += class_bytes(block->kind);
    }
    for (uint32_t kind = 0; kind < ARENA_CLASSES; kind++) {
        const char *problem = walk_list(arena, kind, free_counts[kind]);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}
