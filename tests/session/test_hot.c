/* test_hot.c - pages written in almost every interval stay unarmed, are unlearned, and nothing of it is ever lost
 *
 * Linked with --wrap: what a fault, a call and a look cost is set by the test, and so what pays. The clock, by which
 * calls are looked at as they are made, stands still; and the archive lies in memory where there is such a file system:
 * neither a busy processor nor a busy disk has a part in it. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "session/hot.h"

enum { PAGE_BYTES = 4096, PAGE_COUNT = 1024, HOT_PAGES = 200, STATES_MAX = 48 };

static struct svp_hot_costs costs;

bool __wrap_svp_hot_measure(struct svp_hot_costs *measured, const struct svp_watch_backend *backend);
bool __wrap_svp_hot_measure(struct svp_hot_costs *measured, const struct svp_watch_backend *backend)
{
    (void)backend;
    *measured = costs;
    return true;
}

uint64_t __wrap_svp_host_monotonic_ns(void);
uint64_t __wrap_svp_host_monotonic_ns(void)
{
    return 1;
}

static struct {
    char folder[64], path[96];
    struct savepoint *session;
    unsigned char *memory;
    uint64_t random;
    size_t count;
    struct savepoint_snapshot snapshots[STATES_MAX];
    unsigned char *states[STATES_MAX];
} world;

static size_t below(size_t limit)
{
    world.random = world.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((world.random >> 33) % limit);
}

static void open_world(void)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    memset(&world, 0, sizeof world);
    world.random = 1;
    options.watch = getenv("SAVEPOINT_TEST_BACKEND");
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(world.folder, sizeof world.folder, "%s/savepoint-hot-XXXXXX", parent);
    CHECK(mkdtemp(world.folder) != NULL);
    snprintf(world.path, sizeof world.path, "%s/hot.svp", world.folder);
    world.memory = mmap(NULL, PAGE_COUNT * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(world.memory != MAP_FAILED);
    CHECK_OK(savepoint_open(&world.session, world.path, &options, NULL));
    CHECK_OK(savepoint_watch(world.session, "memory", world.memory, PAGE_COUNT * PAGE_BYTES, NULL));
}

static void close_world(void)
{
    CHECK_OK(savepoint_close(world.session, NULL));
    munmap(world.memory, PAGE_COUNT * PAGE_BYTES);
    for (size_t i = 0; i < world.count; i++) {
        free(world.states[i]);
    }
    unlink(world.path);
    rmdir(world.folder);
}

static void write_page(size_t page)
{
    world.memory[page * PAGE_BYTES + below(PAGE_BYTES)] ^= (unsigned char)(1 + below(255));
}

/* The hot pages lie apart: every fourth. */
static size_t hot_page(size_t index)
{
    return 4 * index;
}

static void write_hot(size_t pages)
{
    for (size_t i = 0; i < pages; i++) {
        write_page(hot_page(i));
    }
}

static struct savepoint_statistics read_statistics(void)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(world.session, &statistics, NULL));
    return statistics;
}

/* Takes, waits, and returns what the statistics have grown by. */
static struct savepoint_statistics take(void)
{
    struct savepoint_statistics before = read_statistics();
    struct savepoint_snapshot snapshot;
    uint64_t ticket;
    CHECK_OK(savepoint_take(world.session, &ticket, NULL, NULL));
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    CHECK(world.count < STATES_MAX);
    world.snapshots[world.count] = snapshot;
    world.states[world.count] = malloc(PAGE_COUNT * PAGE_BYTES);
    CHECK(world.states[world.count] != NULL);
    memcpy(world.states[world.count++], world.memory, PAGE_COUNT * PAGE_BYTES);
    struct savepoint_statistics after = read_statistics();
    after.faults_avoided -= before.faults_avoided;
    after.compared_in_vain -= before.compared_in_vain;
    after.pages_captured -= before.pages_captured;
    after.pages_unchanged -= before.pages_unchanged;
    return after;
}

static void restore(size_t state)
{
    CHECK_OK(savepoint_restore(world.session, &world.snapshots[state].id, NULL, NULL));
    CHECK_MEM(world.memory, world.states[state], PAGE_COUNT * PAGE_BYTES);
}

static void restore_all(void)
{
    for (size_t i = world.count; i-- > 0;) {
        restore(i);
    }
}

/* Faults are dear, calls and looks cheap. */
static void prefer_unarmed(void)
{
    costs = (struct svp_hot_costs){ .fault = 10000, .call = 10, .page = 100 };
}

CHECK_TEST(hot, learned_and_unlearned)
{
    prefer_unarmed();
    open_world();
    (void)take();
    for (int turn = 0; turn < 8; turn++) {
        write_hot(HOT_PAGES);
        (void)take();
    }
    write_hot(HOT_PAGES);
    struct savepoint_statistics grown = take();
    CHECK_EQ(grown.faults_avoided, HOT_PAGES);
    CHECK_EQ(grown.compared_in_vain, 0);
    CHECK_EQ(grown.pages_captured, HOT_PAGES);
    /* Half of them rest: looked at twice in vain (the first look is evaluated behind the next collect), then armed.
     */
    for (int turn = 0; turn < 2; turn++) {
        write_hot(HOT_PAGES / 2);
        grown = take();
        CHECK_EQ(grown.faults_avoided, HOT_PAGES / 2);
        CHECK_EQ(grown.compared_in_vain, HOT_PAGES / 2);
        CHECK_EQ(grown.pages_unchanged, HOT_PAGES / 2);
    }
    write_hot(HOT_PAGES / 2);
    grown = take();
    CHECK_EQ(grown.compared_in_vain, 0);
    CHECK_EQ(grown.pages_captured, HOT_PAGES / 2);
    restore_all();
    close_world();
}

/* Of pages that are never written twice in a row none is left unarmed; nor where a fault costs less than a look. */
CHECK_TEST(hot, what_does_not_pay_is_left_alone)
{
    for (int kind = 0; kind < 2; kind++) {
        prefer_unarmed();
        if (kind == 1) {
            costs.fault = 100;
            costs.page = 100000;
        }
        open_world();
        (void)take();
        for (size_t turn = 0; turn < 12; turn++) {
            for (size_t i = 0; i < HOT_PAGES; i++) {
                write_page(hot_page(i) + (kind == 0 ? turn % 4 : i % 10 == turn % 10));
            }
            struct savepoint_statistics grown = take();
            CHECK_EQ(grown.faults_avoided + grown.compared_in_vain, 0);
            CHECK_EQ(grown.pages_captured, HOT_PAGES);
        }
        close_world();
    }
}

/* Calls as dear as three faults: where a page to arm lies between any two hot ones, all are armed at once. */
CHECK_TEST(hot, the_cheaper_way_to_arm_is_chosen)
{
    prefer_unarmed();
    costs.call = 3 * costs.fault;
    open_world();
    (void)take();
    for (size_t turn = 0; turn < 20; turn++) {
        write_hot(HOT_PAGES);
        for (size_t i = 0; turn >= 8 && i < HOT_PAGES; i++) {
            write_page(hot_page(i) + 1 + turn % 3);
        }
        uint64_t avoided = take().faults_avoided;
        CHECK(turn != 7 || avoided == HOT_PAGES);
        CHECK(turn < 12 || avoided == 0); /* until then the others are unlearned */
    }
    restore_all();
    close_world();
}

/* Random programs: hot pages that come and go, others, restores; every snapshot is what memory was. */
CHECK_TEST(hot, nothing_is_lost)
{
    prefer_unarmed();
    uint64_t avoided = 0, vain = 0;
    open_world();
    (void)take();
    for (size_t turn = 1; turn < STATES_MAX; turn++) {
        size_t hot = turn % 16 < 12 ? HOT_PAGES : HOT_PAGES / 4;
        for (size_t i = 0; i < hot; i++) {
            if (below(10) > 0) {
                write_page(hot_page(i));
            }
        }
        for (size_t i = below(50); i > 0; i--) {
            write_page(below(PAGE_COUNT));
        }
        if (below(8) == 0) {
            restore(below(world.count));
            write_page(below(PAGE_COUNT));
        }
        struct savepoint_statistics grown = take();
        avoided += grown.faults_avoided;
        vain += grown.compared_in_vain;
    }
    CHECK_MSG(avoided > 1000 && vain > 50, "%llu faults avoided, %llu pages looked at in vain",
              (unsigned long long)avoided, (unsigned long long)vain);
    restore_all();
    close_world();
}
