/* test_twins.c - pages that become copies of others are stored as references, and come back whatever happens */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "twins_world.h"

CHECK_TEST(twins, a_thousand_copies_take_little)
{
    enum { COPIES = 1000 };
    struct world world;
    twins_make(&world, "thousand.svp", 2 * COPIES);
    twins_copy(&world, COPIES, 0, COPIES);
    const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(snapshot.changed_pages, COPIES);
    CHECK(twins_of(&world, &snapshot) > COPIES * 98 / 100);
    CHECK(snapshot.stored_bytes < 100 * COPIES);
    twins_check(&world);
}

CHECK_TEST(twins, small_changes_and_cheap_pages_do_not_refer)
{
    struct world world;
    twins_make(&world, "cheap.svp", 40);
    memset(world_page(&world, 20), 7, PAGE_BYTES);
    world_page(&world, 21)[9] = 1;
    world_take(&world, SAVEPOINT_SYNC);
    twins_copy(&world, 30, 20, 2);
    twins_copy(&world, 33, 39, 1);
    world_page(&world, 3)[17]++;
    twins_copy(&world, 36, 3, 1); /* of a page as it is stored now: a delta */
    struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 0);
    for (size_t i = 0; i < PAGE_BYTES; i += 9) {
        world_page(&world, 4)[i] ^= (unsigned char)(1 + i / 9); /* a large delta */
    }
    world_take(&world, SAVEPOINT_SYNC);
    twins_copy(&world, 38, 4, 1);
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 0);
    twins_copy(&world, 37, 5, 1); /* and one that does */
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 1);
    twins_check(&world);
}

CHECK_TEST(twins, targets_change_and_copies_change)
{
    struct world world;
    twins_make(&world, "change.svp", 64);
    twins_copy(&world, 40, 3, 8);
    world_take(&world, SAVEPOINT_SYNC);
    twins_fill(&world, 3, 4); /* the targets go */
    world_take(&world, SAVEPOINT_SYNC);
    for (unsigned i = 0; i < 40; i++) { /* deltas on references, until chains end */
        world_page(&world, 40 + i % 8)[i * 5]++;
        world_page(&world, 41)[i * 7]++;
        const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
        CHECK_EQ(twins_of(&world, &snapshot), 0);
        CHECK(snapshot.stored_bytes <= 4 * PAGE_BYTES);
    }
    twins_copy(&world, 50, 3, 4); /* what the targets are now */
    twins_copy(&world, 54, 40, 1);
    struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 4);
    twins_copy(&world, 60, 50, 2); /* copies of copies refer to the first */
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 2);
    twins_check(&world);
}

CHECK_TEST(twins, pages_that_change_places_in_one_take)
{
    static uint8_t kept[PAGE_BYTES];
    struct world world;
    twins_make(&world, "swap.svp", 16);
    for (unsigned i = 0; i < 12; i++) {
        memcpy(kept, world_page(&world, i % 4), PAGE_BYTES);
        twins_copy(&world, i % 4, 4 + i % 3, 1);
        memcpy(world_page(&world, 4 + i % 3), kept, PAGE_BYTES);
        world_take(&world, SAVEPOINT_SYNC);
    }
    twins_check(&world);
}

CHECK_TEST(twins, a_fast_profile_refers_too)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct world world;
    options.profile = SAVEPOINT_PROFILE_FAST;
    twins_make_with(&world, "fast.svp", &options);
    twins_fill(&world, 0, 8);
    world_take(&world, SAVEPOINT_SYNC);
    twins_copy(&world, 20, 0, 8);
    const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 8);
    twins_check(&world);
}

CHECK_TEST(twins, beside_a_ring_there_are_none)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct world world;
    options.ring_bytes = 1 << 20;
    twins_make_with(&world, "ring.svp", &options);
    for (unsigned i = 0; i < 6; i++) {
        twins_fill(&world, i, 1);
        twins_copy(&world, 8 + i, i > 0 ? i - 1 : 0, 1);
        const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
        CHECK_EQ(twins_of(&world, &snapshot), 0);
    }
    twins_check(&world);
}

/* ---- what becomes of targets */

CHECK_TEST(twins, targets_are_excluded_and_come_back)
{
    struct savepoint_snapshot snapshot;
    struct world world;
    twins_make(&world, "excluded.svp", 32);
    twins_copy(&world, 20, 2, 2);
    world_take(&world, SAVEPOINT_SYNC);
    uint8_t *model = malloc(32 * PAGE_BYTES);
    CHECK_OK(savepoint_exclude(world.session, "heap", 2 * PAGE_BYTES, PAGE_BYTES, NULL));
    twins_copy(&world, 22, 2, 2); /* page 2 stands nowhere now */
    CHECK_OK(savepoint_take(world.session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(world.session, 0, &snapshot, NULL));
    memcpy(model, world.memory, 32 * PAGE_BYTES);
    memset(model + 2 * PAGE_BYTES, 0, PAGE_BYTES); /* what it counts as */
    history_add(&world.history, &snapshot, model);
    CHECK_EQ(twins_of(&world, &snapshot), 1);
    CHECK_OK(savepoint_include(world.session, "heap", 2 * PAGE_BYTES, PAGE_BYTES, NULL));
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(snapshot.changed_pages, 1);
    free(model);
    world_close(&world);
    check_archive(world.path, &world.history, world.history.count, "excluded");
    world_free(&world);
}

/* Two buffers, each a region: what was in front goes to the back. Then one goes, and one of its name comes. */
CHECK_TEST(twins, buffers_in_two_regions)
{
    enum { PAGES = 32, MOMENTS = 12 };
    static uint8_t kept[MOMENTS][2][PAGES * PAGE_BYTES];
    struct savepoint_snapshot snapshots[MOMENTS];
    struct world world;
    uint8_t *back = twins_map(PAGES);
    twins_make(&world, "buffers.svp", PAGES);
    CHECK_OK(savepoint_watch(world.session, "back", back, PAGES * PAGE_BYTES, NULL));
    for (unsigned i = 0; i < MOMENTS; i++) {
        if (i % 2 == 0) {
            twins_fill(&world, 0, PAGES);
        } else {
            memcpy(back, world.memory, PAGES * PAGE_BYTES);
        }
        if (i == 8) {
            CHECK_OK(savepoint_remove(world.session, "back", NULL));
            CHECK_OK(savepoint_watch(world.session, "back", back, PAGES * PAGE_BYTES, NULL));
        }
        snapshots[i] = world_take(&world, SAVEPOINT_SYNC);
        CHECK_EQ(twins_of(&world, &snapshots[i]), i % 2 == 0 ? 0 : PAGES);
        memcpy(kept[i][0], world.memory, PAGES * PAGE_BYTES);
        memcpy(kept[i][1], back, PAGES * PAGE_BYTES);
    }
    for (unsigned i = 0; i < MOMENTS; i++) {
        CHECK_OK(savepoint_restore(world.session, &snapshots[i * 5 % MOMENTS].id, NULL, NULL));
        CHECK_MEM(world.memory, kept[i * 5 % MOMENTS][0], PAGES * PAGE_BYTES);
        CHECK_MEM(back, kept[i * 5 % MOMENTS][1], PAGES * PAGE_BYTES);
    }
    world_close(&world);
    munmap(back, PAGES * PAGE_BYTES);
    world_free(&world);
}

/* ---- what else goes through archives */

CHECK_TEST(twins, compaction_in_a_session)
{
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    struct world world;
    twins_make(&world, "compact.svp", 64);
    for (unsigned i = 0; i < 6; i++) {
        twins_copy(&world, 32 + 4 * i, 3 * i, 4);
        twins_fill(&world, 3 * i, 1);
        world_take(&world, SAVEPOINT_SYNC);
    }
    options.keep_last = 3;
    CHECK_OK(savepoint_compact(world.session, &ticket, &options, NULL));
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
    for (size_t i = 0; i < 4; i++) {
        free(world.history.moments[i].memory);
    }
    memmove(world.history.moments, world.history.moments + 4, 3 * sizeof world.history.moments[0]);
    world.history.count = 3;
    twins_copy(&world, 60, 1, 1); /* stands elsewhere now */
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 0);
    twins_fill(&world, 20, 2);
    world_take(&world, SAVEPOINT_SYNC);
    twins_copy(&world, 62, 20, 2);
    snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 2);
    twins_check(&world);
}

CHECK_TEST(twins, a_restore_in_between)
{
    struct world world;
    twins_make(&world, "restore.svp", 64);
    twins_fill(&world, 0, 8);
    world_take(&world, SAVEPOINT_SYNC);
    CHECK_OK(savepoint_restore(world.session, &world.history.moments[0].id, NULL, NULL));
    twins_copy(&world, 40, 0, 4);
    world_take(&world, SAVEPOINT_SYNC);
    CHECK_OK(savepoint_restore(world.session, &world.history.moments[1].id, NULL, NULL));
    twins_copy(&world, 50, 0, 4);
    world_take(&world, SAVEPOINT_SYNC);
    twins_fill(&world, 10, 4);
    world_take(&world, SAVEPOINT_SYNC);
    twins_copy(&world, 20, 10, 4);
    const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
    CHECK_EQ(twins_of(&world, &snapshot), 4);
    twins_check(&world);
}
