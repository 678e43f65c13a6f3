/* reaction.h - the Gray-Scott reaction: two substances that diffuse and react on a torus */
#ifndef REACTION_H
#define REACTION_H

#include <stddef.h>
#include <stdint.h>

/* The whole state of the simulation stands in one block of memory: this header on a page of its own, then
 * the two grids. Pointers to the grids are part of the state: they stay good because a mapped region comes
 * back at the address where it was. */
struct reaction {
    uint64_t step;
    uint64_t size; /* cells along each side */
    double *u;     /* the food: 1 where nothing happens */
    double *v;     /* the eater: 0 where nothing happens */
    double diffusion_u, diffusion_v;
    double feed, kill;
};

/* Bytes of the block for a grid of `size` by `size` cells. */
size_t reaction_bytes(uint64_t size);

/* Fills a block with the start of the story: food everywhere, and small squares of eaters. */
void reaction_begin(struct reaction *reaction, uint64_t size);

/* Doubles of scratch space that reaction_step needs; it is no part of the state. */
size_t reaction_scratch_count(uint64_t size);

/* One step forward, in place. The same state gives the same bits, always. */
void reaction_step(struct reaction *reaction, double *scratch);

/* FNV-1a over the step and both grids. */
uint64_t reaction_digest(const struct reaction *reaction);

#endif
