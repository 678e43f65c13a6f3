/* arena.h - an allocator whose whole state stands in the memory it hands out */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <stdint.h>

/* The memory begins with the arena; behind it stand blocks without a gap, up to `end_bytes`. A block is as large as its
 * size class says and never changes its size; a freed one waits in the list of its class. The same calls leave the
 * same bytes, whenever and by whichever process they are made: no clock, no random number, nothing uninitialised. */
enum { ARENA_CLASSES = 128 };
struct arena {
    uint64_t magic;
    struct arena *self; /* where it was made: all the pointers are good there and nowhere else */
    uint64_t bytes;     /* of the memory */
    uint64_t end_bytes; /* behind the last block */
    void *root;         /* of the user's: how everything is found again */
    struct arena_block *free[ARENA_CLASSES];
};

/* Makes the memory `bytes` long, where it is. Returns 0 when that is done. */
typedef int arena_grow(void *user, size_t bytes);

/* What goes with an arena and cannot live in it: functions have another address in every process. */
struct heap {
    struct arena *arena;
    arena_grow *grow;
    void *user;
};

/* Makes an empty arena of zero-filled memory, aligned to 16 bytes and at least a page long. */
struct arena *arena_begin(void *memory, size_t bytes);

/* The arena that stands in memory which was brought back; NULL where none does, or one from another address. */
struct arena *arena_find(void *memory, size_t bytes);

/* Zero-filled memory, aligned to 16 bytes; NULL when the arena is full and cannot grow. */
void *arena_alloc(struct heap *heap, size_t bytes);
void arena_free(struct heap *heap, void *memory); /* NULL does nothing */

/* Is this a pointer that arena_alloc returned for at least so many bytes, and that was not freed? */
int arena_holds(const struct arena *arena, const void *memory, size_t bytes);

struct arena_totals {
    uint64_t used_count, used_bytes, free_count, free_bytes; /* of blocks */
};

/* Looks at every block and every free list. Returns NULL when all is sound, else what is wrong. */
const char *arena_walk(const struct arena *arena, struct arena_totals *totals);

#endif
