/* ring_world.h - a shadow of one or two small regions, and the ring that logs what it goes through */
#ifndef RING_WORLD_H
#define RING_WORLD_H

#include "model.h"
#include "ring/ring.h"

enum { WORLD_REGIONS = 2, WORLD_PAGES = 8, WORLD_BYTES = WORLD_REGIONS * WORLD_PAGES * MODEL_PAGE_BYTES };

struct ring_world {
    struct svp_ring ring;
    uint64_t random;
    uint64_t sequence;
    uint8_t shadow[WORLD_REGIONS][WORLD_PAGES][MODEL_PAGE_BYTES];
};

void ring_world_open(struct ring_world *world, uint64_t budget_bytes);
void ring_world_close(struct ring_world *world);

uint32_t ring_world_id(unsigned region); /* what the ring knows a region by */
/* The page becomes `now`; logged unless nothing changes. */
void ring_world_store(struct ring_world *world, unsigned region, uint64_t page, const uint8_t *now);
/* Random bytes at a random place; false: the page has them already. */
void ring_world_change(struct ring_world *world, unsigned region, uint64_t page, size_t bytes);
/* The next snapshot; `label` as its label and body. */
bool ring_world_mark(struct ring_world *world, const char *label);
/* Goes to a mark as a session would; returns how many records that took. */
size_t ring_world_go(struct ring_world *world, const struct svp_ring_mark *mark);

#endif
