/* test_live_fails.c - LIVE snapshots without the memory or the room that they want: nothing is lost */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fault.h"
#include "live_world.h"
#include "session/staging.h"

enum { PAGES = 256, LATER = 40 };

/* A store that is full, and a stop that does not fit the budget either. */
CHECK_TEST(live_fails, a_small_budget_of_memory)
{
    const uint64_t budgets[] = { 1, 64 * PAGE_BYTES, 300 * PAGE_BYTES };
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        struct world world;
        const struct live_options options = { .staging_bytes = budgets[i] };
        live_open(&world, "small.svp", PAGES, &options);
        for (size_t turn = 0; turn < 3; turn++) {
            live_fill(&world, 0, PAGES);
            CHECK_OK(live_begin(&world, 1, SAVEPOINT_LIVE_ACCEPT));
            live_wait_wanted(&world);
            live_fill(&world, turn, LATER);
            live_end(&world);
        }
        CHECK(live_statistics(&world).live_pages_precopied <= budgets[i] / PAGE_BYTES * 3 * 3 || i == 2);
        live_close(&world);
    }
}

enum { ROOM = 2048 }; /* pages of the budget */
enum { AT_REST, WANTED, PLACING, STAGED };
/* WANTED: the worker is to wait where it has found room for its copies, and not counted them. */
static atomic_int moment;

void __real_svp_vm_prefer_large_pages(uintptr_t address, size_t bytes);
void __wrap_svp_vm_prefer_large_pages(uintptr_t address, size_t bytes);
void __wrap_svp_vm_prefer_large_pages(uintptr_t address, size_t bytes)
{
    int wanted = WANTED;
    if (atomic_compare_exchange_strong(&moment, &wanted, PLACING)) {
        while (atomic_load(&moment) == PLACING) {
            usleep(100);
        }
    }
    __real_svp_vm_prefer_large_pages(address, bytes);
}

/* A third of the budget is staged, and what is next has not asked for room: now the copies are counted. */
struct svp_chunk *__real_svp_staging_chunk(struct savepoint *session, struct svp_take *take);
struct svp_chunk *__wrap_svp_staging_chunk(struct savepoint *session, struct svp_take *take);
struct svp_chunk *__wrap_svp_staging_chunk(struct savepoint *session, struct svp_take *take)
{
    static unsigned chunks;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    chunks = atomic_load(&moment) == PLACING ? chunks + 1 : 0;
    if (chunks > ROOM / 3 / SVP_CHUNK_PAGES) {
        atomic_store(&moment, STAGED);
        while (statistics.staging_bytes_max < ROOM * (uint64_t)PAGE_BYTES) {
            usleep(100);
            CHECK_OK(savepoint_read_statistics(session, &statistics, NULL));
        }
    }
    return __real_svp_staging_chunk(session, take);
}

/* The room that a take counted on is gone in the middle of it: the encoder, asleep until then, has to make some. */
CHECK_TEST(live_fails, copies_take_the_room_of_a_take)
{
    struct world world;
    struct savepoint_take_options ring = SAVEPOINT_TAKE_OPTIONS_INIT;
    const struct live_options options = { .staging_bytes = ROOM * PAGE_BYTES, .ring_bytes = 64 << 20 };
    live_open(&world, "room.svp", 2 * ROOM, &options);
    world_take(&world, SAVEPOINT_SYNC);
    live_fill(&world, 0, 2 * ROOM);
    ring.history = SAVEPOINT_RING;
    atomic_store(&moment, live_copies(&world) ? WANTED : AT_REST);
    CHECK_OK(live_begin(&world, 1, SAVEPOINT_LIVE_ACCEPT));
    while (atomic_load(&moment) == WANTED) {
        usleep(100);
    }
    CHECK_OK(savepoint_take(world.session, NULL, &ring, NULL));
    CHECK_EQ(atomic_load(&moment), live_copies(&world) ? STAGED : AT_REST);
    CHECK_OK(savepoint_wait(world.session, 0, NULL, NULL));
    live_wait_wanted(&world);
    live_end(&world);
    live_close(&world);
}

/* What a long stop could copy is more than there is. */
CHECK_TEST(live_fails, a_long_pause_budget_makes_no_more_ready_than_there_is)
{
    struct world world;
    live_open(&world, "long.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    fault_arm(FAULT_MEMORY, 0, false, 0);
    CHECK_OK(live_begin(&world, UINT64_C(60000000000), SAVEPOINT_LIVE_ACCEPT));
    live_wait_wanted(&world);
    const uint64_t calls = fault_calls(FAULT_MEMORY);
    CHECK_MSG(calls < PAGES / 4, "%llu", (unsigned long long)calls);
    fault_disarm();
    live_end(&world);
    live_close(&world);
}

/* Asked for anew, but in vain: nobody waits for a stop. */
CHECK_TEST(live_fails, begun_again_without_memory)
{
    struct world world;
    bool failed = true;
    live_open(&world, "again.svp", PAGES, NULL);
    for (uint64_t number = 1; failed; number++) {
        live_fill(&world, 0, PAGES);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        CHECK_OK(savepoint_exclude(world.session, "heap", 0, PAGE_BYTES, NULL));
        CHECK_OK(savepoint_include(world.session, "heap", 0, PAGE_BYTES, NULL));
        fault_arm(FAULT_MEMORY, number, false, ENOMEM);
        const enum savepoint_status status = live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT);
        failed = status == SAVEPOINT_NO_MEMORY;
        fault_disarm();
        if (failed) {
            const enum savepoint_status told = savepoint_tick(world.session, NULL, NULL);
            CHECK(told == SAVEPOINT_OK || told == SAVEPOINT_CANCELLED);
            CHECK_EQ(savepoint_stop_wanted(world.session), 0);
        }
    }
    live_end(&world);
    live_close(&world);
}

/* The Nth allocation fails, and with it all later ones or only that one: what comes of it is an error or a snapshot. */
CHECK_TEST(live_fails, no_memory)
{
    struct world world;
    size_t failed = 0;
    live_open(&world, "memory.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    for (uint64_t number = 1; number < 400; number++) {
        struct savepoint_snapshot snapshot;
        uint64_t ticket = 0;
        live_fill(&world, number % 100, LATER);
        fault_arm(FAULT_MEMORY, (number + 1) / 2, number % 2 == 0, ENOMEM);
        enum savepoint_status status = live_begin(&world, 1, SAVEPOINT_LIVE_ACCEPT);
        if (status == SAVEPOINT_OK) {
            live_wait_wanted(&world);
            status = savepoint_tick(world.session, &ticket, NULL);
        }
        if (status == SAVEPOINT_OK) {
            status = savepoint_wait(world.session, ticket, &snapshot, NULL);
        }
        const uint64_t hits = fault_hits(FAULT_MEMORY);
        fault_disarm();
        CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY, "%s", savepoint_status_name(status));
        failed += status != SAVEPOINT_OK;
        if (status == SAVEPOINT_OK) {
            history_add(&world.history, &snapshot, world.memory);
        }
        if (hits == 0) {
            break;
        }
        CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    }
    CHECK_MSG(failed > 5, "%zu", failed);
    world_take(&world, SAVEPOINT_SYNC);
    live_close(&world);
}

CHECK_TEST(live_fails, the_disk_is_full)
{
    struct world world;
    uint64_t ticket = 0;
    live_open(&world, "full.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_wait_copied(&world, PAGES);
    live_wait_wanted(&world);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    CHECK_OK(savepoint_tick(world.session, &ticket, NULL));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    fault_disarm();
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_EQ(live_end(&world).changed_pages, PAGES);
    live_close(&world);
}
