/* ring_world.c - a shadow of one or two small regions, and the ring that logs what it goes through */
#include "ring_world.h"

#include <string.h>

#include "check.h"

uint32_t ring_world_id(unsigned region)
{
    return region * 70000 + 3;
}

void ring_world_open(struct ring_world *world, uint64_t budget_bytes)
{
    memset(world, 0, sizeof *world);
    world->random = 1;
    CHECK_OK(svp_ring_open(&world->ring, budget_bytes, NULL));
    for (unsigned region = 0; region < WORLD_REGIONS; region++) {
        CHECK(svp_ring_cover(&world->ring, ring_world_id(region), WORLD_PAGES));
    }
}

void ring_world_close(struct ring_world *world)
{
    svp_ring_close(&world->ring);
}

void ring_world_store(struct ring_world *world, unsigned region, uint64_t page, const uint8_t *now)
{
    uint8_t *old = world->shadow[region][page];
    struct svp_changes changes;
    svp_compare(&changes, old, now);
    if (!changes.same) {
        svp_ring_log(&world->ring, ring_world_id(region), page, old, now, &changes);
        memcpy(old, now, MODEL_PAGE_BYTES);
    }
}

void ring_world_change(struct ring_world *world, unsigned region, uint64_t page, size_t bytes)
{
    uint8_t now[MODEL_PAGE_BYTES];
    memcpy(now, world->shadow[region][page], sizeof now);
    size_t offset = model_below(&world->random, sizeof now - bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        now[offset + i] = (uint8_t)model_random(&world->random);
    }
    ring_world_store(world, region, page, now);
}

bool ring_world_mark(struct ring_world *world, const char *label)
{
    struct savepoint_snapshot snapshot = { .sequence = world->sequence + 1, .time_ns = 7 };
    memcpy(snapshot.id.bytes, &snapshot.sequence, sizeof snapshot.sequence);
    strcpy(snapshot.label, label);
    bool done = svp_ring_mark(&world->ring, &snapshot, label, strlen(label));
    world->sequence += done ? 1 : 0;
    return done;
}

size_t ring_world_go(struct ring_world *world, const struct svp_ring_mark *mark)
{
    struct svp_ring_walk walk;
    struct svp_ring_record records[7];
    size_t count, total = 0;
    svp_ring_walk(&walk, &world->ring, world->ring.cursor, mark->position);
    while ((count = svp_ring_next(&walk, records, 7)) > 0) {
        for (size_t i = 0; i < count; i++) {
            unsigned region = records[i].region == ring_world_id(0) ? 0 : 1;
            CHECK_EQ(records[i].region, ring_world_id(region));
            svp_ring_apply(&records[i], world->shadow[region][records[i].page]);
        }
        total += count;
    }
    svp_ring_move(&world->ring, mark);
    return total;
}
