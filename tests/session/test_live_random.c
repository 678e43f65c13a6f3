/* test_live_random.c - random programs of LIVE snapshots, takes beside them, failures and restores, against copies */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "live_world.h"

enum { PAGES = 96, STEPS = 120, PROGRAMS = 12, MOMENTS_MAX = 400 };

static struct {
    struct world world;
    uint64_t random;
    bool has_ring;
    bool prepared; /* a LIVE snapshot is, for all that the program knows */
    struct savepoint_snapshot marks[STEPS];
    uint8_t *marked[STEPS];
    size_t mark_count;
} run;

static size_t below(size_t limit)
{
    return (size_t)(random_next(&run.random) >> 20) % limit;
}

static void write_some(void)
{
    const size_t count = 1 + below(PAGES / 2);
    live_fill(&run.world, below(PAGES - count + 1), count);
}

/* A take, whatever comes of it; a LIVE one that is prepared stays so. */
static void take(bool fails)
{
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    if (fails) {
        fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    }
    CHECK_OK(world_start(&run.world, SAVEPOINT_ORDERED, &ticket));
    enum savepoint_status status = savepoint_wait(run.world.session, ticket, &snapshot, NULL);
    fault_disarm();
    CHECK_STATUS(status, fails ? SAVEPOINT_NO_SPACE : SAVEPOINT_OK);
    if (!fails) {
        history_add(&run.world.history, &snapshot, run.world.memory);
    }
}

static void mark(void)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.history = SAVEPOINT_RING;
    CHECK_OK(savepoint_take(run.world.session, &ticket, &options, NULL));
    CHECK_OK(savepoint_wait(run.world.session, ticket, &run.marks[run.mark_count], NULL));
    run.marked[run.mark_count] = malloc(PAGES * PAGE_BYTES);
    CHECK(run.marked[run.mark_count] != NULL);
    memcpy(run.marked[run.mark_count++], run.world.memory, PAGES * PAGE_BYTES);
}

static void begin(void)
{
    const uint64_t budgets[] = { 1, 10000, 0 };
    enum savepoint_status status = live_begin(&run.world, budgets[below(3)], (enum savepoint_live_policy)below(2));
    CHECK(status == SAVEPOINT_OK || (status == SAVEPOINT_BUSY && run.prepared)); /* it may have been given up */
    run.prepared = true;
}

/* A tick, when it is wanted or at any time. */
static void tick(bool wanted, bool fails)
{
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    if (wanted && run.prepared) {
        live_wait_wanted(&run.world);
    }
    if (fails) {
        fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    }
    enum savepoint_status status = savepoint_tick(run.world.session, &ticket, NULL);
    CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_LIMIT || status == SAVEPOINT_CANCELLED);
    CHECK(run.prepared || (status == SAVEPOINT_OK && ticket == 0));
    if (ticket != 0) {
        status = savepoint_wait(run.world.session, ticket, &snapshot, NULL);
        CHECK_STATUS(status, fails ? SAVEPOINT_NO_SPACE : SAVEPOINT_OK);
        if (status == SAVEPOINT_OK) {
            history_add(&run.world.history, &snapshot, run.world.memory);
        }
    }
    fault_disarm();
    run.prepared = run.prepared && status == SAVEPOINT_OK && ticket == 0;
}

static void restore(void)
{
    if (run.has_ring && run.mark_count > 0 && below(2) == 0) {
        const size_t index = run.mark_count - 1; /* the older ones may have been dropped */
        CHECK_OK(savepoint_restore(run.world.session, &run.marks[index].id, NULL, NULL));
        CHECK_MEM(run.world.memory, run.marked[index], PAGES * PAGE_BYTES);
    } else if (run.world.history.count > 0) {
        const struct moment *moment = &run.world.history.moments[below(run.world.history.count)];
        CHECK_OK(savepoint_restore(run.world.session, &moment->id, NULL, NULL));
        CHECK_MEM(run.world.memory, moment->memory, PAGES * PAGE_BYTES);
    }
}

static void step(void)
{
    switch (below(16)) {
    case 0:
    case 1:
        take(below(4) == 0);
        break;
    case 2:
        (run.has_ring ? mark : write_some)();
        break;
    case 3:
    case 4:
    case 5:
        begin();
        break;
    case 6:
    case 7:
    case 8:
        tick(below(4) > 0, below(6) == 0);
        break;
    case 9:
        CHECK_OK(savepoint_cancel(run.world.session, 0, NULL));
        break;
    case 10:
        restore();
        break;
    case 11:
        usleep((useconds_t)below(3000));
        break;
    default:
        write_some();
    }
}

CHECK_TEST(live_random, programs)
{
    const size_t programs = PROGRAMS * (deep() ? 20 : 1);
    for (size_t program = 0; program < programs; program++) {
        const struct live_options options = { .staging_bytes = program % 3 == 0 ? 40 * PAGE_BYTES : 0,
                                              .ring_bytes = program % 2 == 0 ? 4 << 20 : 0 };
        memset(&run, 0, sizeof run);
        run.random = 77 + program;
        run.has_ring = options.ring_bytes > 0;
        live_open(&run.world, "random.svp", PAGES, &options);
        for (int i = 0; i < STEPS && run.world.history.count < MOMENTS_MAX; i++) {
            step();
        }
        take(false);
        const struct savepoint_statistics statistics = live_statistics(&run.world);
        CHECK_MSG(statistics.live_rounds > 3, "program %zu", program);
        live_close(&run.world);
        for (size_t i = 0; i < run.mark_count; i++) {
            free(run.marked[i]);
        }
    }
}
