/* test_interval.c - savepoint_suggest_interval: Daly's optimum, from what takes have cost */
#include "autosave_world.h"

enum { PAGES = 2 };

#define MINUTE (60 * SECOND)

static uint64_t suggest(struct world *world, uint64_t mtbf_ns)
{
    uint64_t interval_ns = 0;
    CHECK_OK(savepoint_suggest_interval(world->session, &interval_ns, mtbf_ns, NULL));
    return interval_ns;
}

static void check_near(uint64_t got, uint64_t wanted)
{
    uint64_t apart = got > wanted ? got - wanted : wanted - got;
    CHECK_MSG(apart <= wanted / 1000000000 + 1, "%llu instead of %llu", (unsigned long long)got,
              (unsigned long long)wanted);
}

/* The clock moves by `ns` for every look at it. A take looks as it begins and as the pause ends, and the worker as it
 * ends the commit. */
static void take_at(struct world *world, uint64_t ns)
{
    clock_step(ns);
    world_take(world, SAVEPOINT_SYNC);
    clock_step(0);
}

CHECK_TEST(interval, values_computed_by_hand)
{
    struct world world = { 0 };
    uint64_t untouched = 5;
    autosave_open(&world, "interval.svp", PAGES);
    CHECK_STATUS(savepoint_suggest_interval(world.session, &untouched, 60 * MINUTE, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_EQ(untouched, 5);
    take_at(&world, 5 * MINUTE);
    CHECK_EQ(autosave_statistics(world.session).pause_ns_total, 5 * MINUTE);
    CHECK_EQ(autosave_statistics(world.session).commit_ns_total, 10 * MINUTE);
    /* The three of Daly's paper (117, 57 and 9.1 minutes), computed to more digits. The last one is below the mean time
     * to the commit. */
    check_near(suggest(&world, 24 * 60 * MINUTE), UINT64_C(7001388888889));
    check_near(suggest(&world, 6 * 60 * MINUTE), UINT64_C(3402777777778));
    CHECK_EQ(suggest(&world, 15 * MINUTE), 10 * MINUTE);
    CHECK_EQ(suggest(&world, SECOND / 10), 10 * MINUTE); /* a pause of many failures */
    CHECK_EQ(suggest(&world, 1), 10 * MINUTE);
    CHECK_STATUS(savepoint_suggest_interval(world.session, &untouched, 0, NULL), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_suggest_interval(world.session, NULL, MINUTE, NULL), SAVEPOINT_INVALID);
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(interval, means_over_all_takes)
{
    struct world world = { 0 };
    autosave_open(&world, "interval.svp", PAGES);
    take_at(&world, 3 * SECOND);
    take_at(&world, SECOND);
    /* C = 2 s, M = 100 s: 20 (1 + 0.1 / 3 + 0.01 / 9) - 2 */
    check_near(suggest(&world, 100 * SECOND), UINT64_C(18688888889));
    CHECK_EQ(suggest(&world, 3 * SECOND), 4 * SECOND); /* the mean time to the commit */
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(interval, never_zero)
{
    struct world world = { 0 };
    autosave_open(&world, "interval.svp", PAGES);
    world_take(&world, SAVEPOINT_SYNC); /* the clock stands still */
    CHECK_EQ(suggest(&world, 24 * 60 * MINUTE), 1);
    CHECK_EQ(suggest(&world, UINT64_MAX), 1);
    take_at(&world, 2);
    check_near(suggest(&world, UINT64_MAX), UINT64_C(6074000999)); /* sqrt(2 * 1 * 2^64) */
    world_close(&world);
    world_free(&world);
}
