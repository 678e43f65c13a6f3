/* test_twins_fails.c - failures, want of memory and colliding hashes: no page ever refers to what is not the same */
#include <errno.h>
#include <string.h>

#include "fault.h"
#include "format/digest.h"
#include "twins_world.h"

/* A take whose records were written, or only laid out, fails: others stand there in the end, and nothing may refer to
 * what was there. */
static void fail_between(bool held)
{
    struct world world;
    uint64_t tickets[2];
    twins_make(&world, "fails.svp", 64);
    for (unsigned round = 0; round < 3; round++) {
        twins_fill(&world, 5, 3);
        fault_hold_writer(held);
        if (held) {
            CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[0]));
            fault_wait_encoded(1);
            twins_copy(&world, 50, 5, 2); /* refers to what is laid out, and fails with it */
            CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[1]));
            fault_wait_encoded(2);
        }
        fault_arm(FAULT_WRITE, 1, false, EIO);
        fault_hold_writer(false);
        if (!held) {
            CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[0]));
        }
        struct savepoint_error error;
        bool failed = savepoint_wait(world.session, tickets[0], NULL, &error) != SAVEPOINT_OK;
        if (held) {
            CHECK(failed && savepoint_wait(world.session, tickets[1], NULL, &error) != SAVEPOINT_OK);
        }
        fault_disarm();
        CHECK(failed);
        memset(world_page(&world, 2 + round), 0, PAGE_BYTES); /* so that records stand elsewhere than before */
        twins_copy(&world, 40, 5, 3);
        const struct savepoint_snapshot snapshot = world_take(&world, SAVEPOINT_SYNC);
        CHECK_EQ(twins_of(&world, &snapshot), 0);
    }
    twins_check(&world);
}

CHECK_TEST(twins_fails, a_take_fails_in_between)
{
    fail_between(false);
    fail_between(true);
}

/* A take that may fail for want of memory; when it was committed the moment joins the history. */
static bool try_take(struct world *world, struct savepoint_snapshot *snapshot)
{
    uint64_t ticket = 0;
    enum savepoint_status status = world_start(world, SAVEPOINT_SYNC, &ticket);
    status = status == SAVEPOINT_OK ? savepoint_wait(world->session, ticket, snapshot, NULL) : status;
    if (status != SAVEPOINT_OK) {
        CHECK_STATUS(status, SAVEPOINT_NO_MEMORY);
        return false;
    }
    history_add(&world->history, snapshot, world->memory);
    return true;
}

CHECK_TEST(twins_fails, without_memory_there_are_none)
{
    unsigned failed = 0;
    unsigned without = 0;
    uint64_t hits = 1;
    for (uint64_t number = 1; hits > 0; number++) {
        struct savepoint_snapshot snapshot;
        struct world world = { 0 };
        file_remove(scratch_path("memory.svp"));
        world_open(&world, scratch_path("memory.svp"), "compare", 64);
        twins_fill(&world, 0, 20);
        fault_arm(FAULT_MEMORY, number, false, ENOMEM);
        bool taken = try_take(&world, &snapshot);
        twins_copy(&world, 30, 0, 8);
        bool copied = try_take(&world, &snapshot);
        hits = fault_hits(FAULT_MEMORY);
        fault_disarm();
        failed += !taken || !copied ? 1 : 0;
        without += taken && copied && twins_of(&world, &snapshot) == 0 ? 1 : 0;
        twins_copy(&world, 40, 0, 8);
        world_take(&world, SAVEPOINT_SYNC);
        world_close(&world);
        check_archive(world.path, &world.history, world.history.count, "no memory");
        world_free(&world);
    }
    CHECK(failed > 0);
    CHECK_EQ(without, 1); /* the table */
}

CHECK_TEST(twins_fails, a_restore_without_memory_changes_nothing)
{
    struct world world;
    uint64_t hits = 1;
    unsigned failed = 0;
    twins_make(&world, "restores.svp", 64);
    twins_copy(&world, 40, 0, 8);
    world_take(&world, SAVEPOINT_SYNC);
    for (uint64_t number = 1; hits > 0; number++) {
        const struct moment *from = &world.history.moments[0];
        const struct moment *to = &world.history.moments[1];
        CHECK_OK(savepoint_restore(world.session, &from->id, NULL, NULL));
        fault_arm(FAULT_MEMORY, number, false, ENOMEM);
        enum savepoint_status status = savepoint_restore(world.session, &to->id, NULL, NULL);
        hits = fault_hits(FAULT_MEMORY);
        fault_disarm();
        CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY);
        CHECK_MEM(world.memory, status == SAVEPOINT_OK ? to->memory : from->memory, 64 * PAGE_BYTES);
        failed += status != SAVEPOINT_OK ? 1 : 0;
    }
    CHECK(failed > 5);
    twins_check(&world);
}

static bool collide; /* the first half of every page's hash is the same */

struct svp_hash __real_svp_digest128(uint64_t seed, const void *bytes, size_t count);
struct svp_hash __wrap_svp_digest128(uint64_t seed, const void *bytes, size_t count);
struct svp_hash __wrap_svp_digest128(uint64_t hash_seed, const void *bytes, size_t count)
{
    struct svp_hash hash = __real_svp_digest128(hash_seed, bytes, count);
    if (collide && count == PAGE_BYTES) {
        memset(hash.bytes, 1, sizeof hash.bytes / 2);
    }
    return hash;
}

CHECK_TEST(twins_fails, hashes_are_not_believed)
{
    static uint8_t kept[PAGE_BYTES];
    struct world world;
    collide = true;
    twins_make(&world, "collide.svp", 16);
    for (unsigned i = 0; i < 6; i++) {
        twins_fill(&world, i, 1);
        twins_copy(&world, 8 + i, i + 1, 1);
        world_take(&world, SAVEPOINT_SYNC);
    }
    memcpy(kept, world_page(&world, 2), PAGE_BYTES);
    twins_fill(&world, 2, 1);
    world_take(&world, SAVEPOINT_SYNC);
    memcpy(world_page(&world, 2), kept, PAGE_BYTES); /* the shadow has it, and no record yet, when the copy comes */
    memcpy(world_page(&world, 9), kept, PAGE_BYTES);
    world_take(&world, SAVEPOINT_SYNC);
    twins_check(&world);
    collide = false;
}
