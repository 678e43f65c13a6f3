/* test_keep_random.c - random programs of autosaves, takes, restores, names and failures against a model of what is
 * kept
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "autosave_world.h"
#include "fault.h"

enum { PAGES = 4, NAMES = 4, STEPS = 120, MOMENTS = STEPS + 1, NOBODY = -1 };

static const struct {
    enum svp_ref_kind kind;
    const char *name;
} names[NAMES] = { { SVP_REF_LABEL, "one" }, { SVP_REF_LABEL, "two" }, { SVP_REF_PIN, "one" }, { SVP_REF_PIN, "two" } };

static struct program {
    struct world world;
    uint64_t seed;
    uint32_t keep_last;
    struct savepoint_snapshot snapshots[MOMENTS];
    bool autosave[MOMENTS], dropped[MOMENTS];
    int named[NAMES]; /* a moment */
    size_t head;
    uint64_t drops, failures, put_off;
} program;

static size_t below(size_t limit)
{
    return (size_t)(random_next(&program.seed) % limit);
}

static size_t count(void)
{
    return program.world.history.count;
}

static size_t random_kept(void)
{
    size_t moment;
    do {
        moment = below(count());
    } while (program.dropped[moment]);
    return moment;
}

static bool droppable(size_t moment)
{
    bool named = false;
    for (size_t i = 0; i < NAMES; i++) {
        named = named || program.named[i] == (int)moment;
    }
    return program.autosave[moment] && !program.dropped[moment] && !named;
}

/* How many autosaves the model says must go now that the newest moment is there. */
static size_t surplus(void)
{
    size_t left = 0;
    for (size_t i = 0; i < count(); i++) {
        left += droppable(i) ? 1 : 0;
    }
    return program.keep_last > 0 && left > program.keep_last ? left - program.keep_last : 0;
}

static void drop_oldest(size_t gone)
{
    for (size_t i = 0; gone > 0; i++) {
        CHECK(i < count());
        if (droppable(i)) {
            program.dropped[i] = true;
            gone--;
        }
    }
}

static void add(const struct savepoint_snapshot *snapshot, bool autosave)
{
    size_t moment = count();
    CHECK(moment < MOMENTS);
    history_add(&program.world.history, snapshot, program.world.memory);
    program.snapshots[moment] = *snapshot;
    program.autosave[moment] = autosave;
    program.dropped[moment] = false;
    program.head = moment;
}

/* One that may fail. Memory or reads that fail may also only put off the dropping. */
static void autosave(bool may_fail)
{
    static const struct {
        enum fault_kind kind;
        int code;
        size_t calls;
    } faults[] = { { FAULT_WRITE, ENOSPC, 2 }, { FAULT_MEMORY, ENOMEM, 40 }, { FAULT_READ, EIO, 40 } };
    struct world *world = &program.world;
    struct savepoint_snapshot snapshot;
    size_t fault = below(sizeof faults / sizeof faults[0]);
    uint64_t before = autosave_statistics(world->session).autosaves_dropped;
    clock_advance(SECOND);
    fault_hold_worker(true);
    uint64_t ticket = autosave_tick(world->session, SAVEPOINT_OK, NULL);
    if (may_fail) {
        fault_tear_writes(below(2) == 0);
        fault_arm(faults[fault].kind, 1 + below(faults[fault].calls), false, faults[fault].code);
    }
    fault_hold_worker(false);
    enum savepoint_status status = savepoint_wait(world->session, ticket, &snapshot, NULL);
    fault_disarm();
    uint64_t dropped = autosave_statistics(world->session).autosaves_dropped - before;
    if (status != SAVEPOINT_OK) {
        CHECK(may_fail);
        CHECK_EQ(dropped, 0);
        autosave_tick(world->session, status, NULL);
        program.failures++;
        return;
    }
    add(&snapshot, true);
    CHECK_MSG(dropped == surplus() || (may_fail && dropped == 0), "%llu dropped, %zu should be",
              (unsigned long long)dropped, surplus());
    program.put_off += dropped < surplus() ? 1 : 0;
    program.drops += dropped;
    drop_oldest((size_t)dropped);
}

static void take(void)
{
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    CHECK_OK(world_start(&program.world, (enum savepoint_durability)below(3), &ticket));
    CHECK_OK(savepoint_wait(program.world.session, ticket, &snapshot, NULL));
    add(&snapshot, false);
}

static void restore(void)
{
    struct world *world = &program.world;
    size_t moment = below(count());
    enum savepoint_status wanted = program.dropped[moment] ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK;
    CHECK_STATUS(savepoint_restore(world->session, &world->history.moments[moment].id, NULL, NULL), wanted);
    if (wanted == SAVEPOINT_OK) {
        CHECK_MEM(world->memory, world->history.moments[moment].memory, world->history.memory_bytes);
    }
}

static void name_something(void)
{
    size_t name = below(NAMES + 1);
    size_t moment = random_kept();
    if (name == NAMES) {
        ref_write(program.world.path, SVP_REF_HEAD, "", &program.snapshots[moment]);
        program.head = moment;
        return;
    }
    bool away = below(3) == 0;
    program.named[name] = away ? NOBODY : (int)moment;
    ref_write(program.world.path, names[name].kind, names[name].name, away ? NULL : &program.snapshots[moment]);
}

static void check(void)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_archive_info info;
    struct savepoint_snapshot head;
    bool dropped[MOMENTS];
    uint64_t kept = 0;
    check_archive(program.world.path, &program.world.history, count(), "random");
    read_dropped(&program.world, dropped);
    for (size_t i = 0; i < count(); i++) {
        CHECK_MSG(dropped[i] == program.dropped[i], "moment %zu of %zu should be %s", i, count(),
                  program.dropped[i] ? "dropped" : "kept");
        kept += program.dropped[i] ? 0 : 1;
    }
    CHECK_OK(savepoint_archive_open(&archive, program.world.path, NULL));
    savepoint_archive_describe(archive, &info);
    CHECK_EQ(info.snapshot_count, kept);
    CHECK_OK(savepoint_archive_find(archive, &head, "HEAD", NULL));
    CHECK_MEM(head.id.bytes, program.snapshots[program.head].id.bytes, sizeof head.id.bytes);
    savepoint_archive_close(archive);
}

static void reopen(void)
{
    struct world *world = &program.world;
    world_close(world);
    for (size_t i = below(3); i > 0; i--) {
        name_something();
    }
    check();
    world_open(world, world->path, world->backend, PAGES);
    CHECK_OK(savepoint_resume(world->session, NULL, NULL));
    CHECK_MEM(world->memory, world->history.moments[program.head].memory, world->history.memory_bytes);
    autosave_set(world, program.keep_last);
}

static void step(void)
{
    static const uint32_t keeps[] = { 0, 1, 1, 2, 3, 5 };
    size_t dice = below(20);
    random_fill(world_page(&program.world, below(PAGES)) + 64 * below(60), 64, &program.seed);
    if (dice < 10) {
        autosave(dice < 3);
    } else if (dice < 13) {
        take();
    } else if (dice < 16) {
        restore();
    } else if (dice < 18) {
        reopen();
    } else {
        program.keep_last = keeps[below(sizeof keeps / sizeof keeps[0])];
        autosave_set(&program.world, program.keep_last);
    }
}

static void run(const char *backend, uint64_t seed)
{
    const char *path = scratch_path("random.svp");
    uint64_t drops = program.drops, failures = program.failures, put_off = program.put_off;
    program = (struct program){ .seed = seed, .named = { NOBODY, NOBODY, NOBODY, NOBODY } };
    program.drops = drops;
    program.failures = failures;
    program.put_off = put_off;
    file_remove(path);
    world_open(&program.world, path, backend, PAGES);
    autosave_set(&program.world, 0);
    take();
    for (int i = 0; i < STEPS; i++) {
        step();
    }
    world_close(&program.world);
    check();
    world_free(&program.world);
}

CHECK_TEST(keep_random, programs)
{
    const char *chosen = getenv("SAVEPOINT_TEST_SEED");
    uint64_t first = chosen != NULL ? strtoull(chosen, NULL, 0) : 1;
    uint64_t runs = chosen != NULL ? 1 : deep() ? 100 : 5;
    const char *backend;
    uint64_t backends = 0;
    for (; (backend = backend_name((size_t)backends)) != NULL; backends++) {
        for (uint64_t seed = first; seed < first + runs; seed++) {
            printf("%s, seed %llu\n", backend, (unsigned long long)seed);
            run(backend, seed);
        }
    }
    printf("%llu dropped, %llu autosaves failed, %llu did not drop at once\n", (unsigned long long)program.drops,
           (unsigned long long)program.failures, (unsigned long long)program.put_off);
    bool enough = program.drops > 100 * backends && program.failures > 8 * backends && program.put_off > 0;
    CHECK(chosen != NULL || enough);
}
