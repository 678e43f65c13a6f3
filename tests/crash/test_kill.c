/* test_kill.c - SIGKILL at any time, again and again: the history is a prefix with every durable snapshot, and goes on
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"

enum { PAGES = 16, ARCHIVE_LIVES = 25, CHECKED_MOMENTS = 4 };

struct shared {               /* what the child tells before it dies */
    _Atomic uint64_t durable; /* steps of the newest snapshot whose SYNC wait returned OK */
    _Atomic uint64_t written; /* the same for any wait */
    _Atomic uint64_t failures;
};

/* Step n of the program, the same in every life: page 0 counts steps, other pages depend on the step alone. */
static void step(uint8_t *memory)
{
    uint64_t number;
    memcpy(&number, memory, sizeof number);
    number++;
    memcpy(memory, &number, sizeof number);
    uint64_t seed = number;
    for (int i = 0; i < 3; i++) {
        size_t page = 1 + random_next(&seed) % (PAGES - 1);
        size_t offset = random_next(&seed) % (PAGE_BYTES / 8) * 8;
        memcpy(memory + page * PAGE_BYTES + offset, &seed, sizeof seed);
    }
    if (number % 5 == 0) {
        random_fill(memory + (1 + number % (PAGES - 1)) * PAGE_BYTES, PAGE_BYTES, &seed);
    }
}

static void run_to(uint8_t *memory, uint64_t steps)
{
    memset(memory, 0, PAGES * PAGE_BYTES);
    for (uint64_t i = 0; i < steps; i++) {
        step(memory);
    }
}

/* A life: open, resume, step and take until killed. */
static void live(const char *path, const char *backend, struct shared *shared)
{
    struct world world = { 0 };
    world_open(&world, path, backend, PAGES);
    enum savepoint_status status = savepoint_resume(world.session, NULL, NULL);
    CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_EMPTY);
    for (uint64_t number = 0;; number++) {
        step(world.memory);
        uint64_t steps;
        memcpy(&steps, world.memory, sizeof steps);
        enum savepoint_durability durability = steps % 7 < 4   ? SAVEPOINT_SYNC
                                               : steps % 7 < 6 ? SAVEPOINT_ORDERED
                                                               : SAVEPOINT_NONE;
        uint64_t ticket = 0;
        CHECK_OK(world_start(&world, durability, &ticket));
        if (number % 3 == 2) {
            continue; /* the next take joins it in flight */
        }
        CHECK_OK(savepoint_wait(world.session, ticket, NULL, NULL));
        atomic_store(&shared->written, steps);
        if (durability == SAVEPOINT_SYNC) {
            atomic_store(&shared->durable, steps);
        }
    }
}

/* Returns the steps of the newest snapshot, 0 for none. Snapshot n holds n steps: a prefix without gaps. */
static uint64_t check_history(const char *path, const struct shared *shared)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_archive_info info;
    struct savepoint_error error = { 0 };
    static uint8_t memory[PAGES * PAGE_BYTES];
    static uint8_t model[PAGES * PAGE_BYTES];
    uint64_t promised = atomic_load(&shared->written);
    if (!file_exists(path)) {
        CHECK_EQ(promised, 0);
        return 0;
    }
    enum savepoint_status status = savepoint_archive_open(&archive, path, &error);
    if (status != SAVEPOINT_OK) {
        CHECK_MSG(promised == 0 && status == SAVEPOINT_NOT_AN_ARCHIVE, "%s: %s", savepoint_status_name(status),
                  error.message);
        return 0;
    }
    savepoint_archive_describe(archive, &info);
    CHECK_EQ(info.damage_offset, UINT64_MAX);
    CHECK_MSG(info.snapshot_count >= promised, "%llu snapshots, %llu were promised",
              (unsigned long long)info.snapshot_count, (unsigned long long)promised);
    CHECK(atomic_load(&shared->durable) <= promised);
    status = savepoint_archive_newest(archive, &snapshot, &error);
    uint64_t steps = info.snapshot_count;
    for (uint64_t expected = info.snapshot_count; status == SAVEPOINT_OK; expected--) {
        CHECK_EQ(snapshot.sequence, expected);
        bool look = info.snapshot_count - expected < CHECKED_MOMENTS || expected % 16 == 1;
        if (look) {
            run_to(model, expected);
            CHECK_OK(savepoint_archive_read(archive, memory, &snapshot, "heap", 0, sizeof memory, &error));
            CHECK_MEM(memory, model, sizeof memory);
        }
        status = savepoint_archive_previous(archive, &snapshot, &error);
    }
    CHECK(status == SAVEPOINT_NOT_FOUND || (status == SAVEPOINT_EMPTY && steps == 0));
    savepoint_archive_close(archive);
    return steps;
}

/* Microseconds from a start to the first snapshot. */
static unsigned measure_birth(const char *path, const char *backend, struct shared *shared)
{
    unsigned waited_us = 0;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        live(path, backend, shared);
    }
    while (atomic_load(&shared->written) == 0 && waited_us < 5000000) {
        usleep(200);
        waited_us += 200;
    }
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    return waited_us;
}

static void start_and_kill(const char *path, const char *backend, struct shared *shared, unsigned delay_us)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        live(path, backend, shared);
    }
    usleep(delay_us);
    CHECK(kill(child, SIGKILL) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: status %d", status);
}

static uint64_t chosen_seed(void)
{
    const char *chosen = getenv("SAVEPOINT_TEST_SEED");
    uint64_t seed = chosen != NULL ? strtoull(chosen, NULL, 0) : (uint64_t)getpid() * 7919;
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

CHECK_TEST(kill, at_any_time)
{
    const char *path = scratch_path("kill.svp");
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    uint64_t seed = chosen_seed();
    uint64_t kills = 0;
    uint64_t snapshots = 0;
    uint64_t births = 0;
    uint64_t most = 0;
    size_t backends = 0;
    while (backend_name(backends) != NULL) {
        backends++;
    }
    uint64_t wanted = deep() ? 10000 : 330;
    unsigned birth_us = measure_birth(path, backend_name(0), shared);
    for (; kills < wanted; kills++) {
        if (kills % ARCHIVE_LIVES == 0) {
            file_remove(path);
            atomic_store(&shared->durable, 0);
            atomic_store(&shared->written, 0);
            snapshots = 0;
        }
        bool at_birth = kills % ARCHIVE_LIVES < 5;
        uint64_t delay_us = random_next(&seed) % (at_birth ? birth_us + 1000 : birth_us + 8000);
        start_and_kill(path, backend_name((size_t)(kills % backends)), shared, (unsigned)delay_us);
        uint64_t now = check_history(path, shared);
        most = now > most ? now : most;
        CHECK_MSG(now >= snapshots, "%llu snapshots, there were %llu", (unsigned long long)now,
                  (unsigned long long)snapshots);
        births += snapshots == 0 && now == 0 ? 1 : 0;
        snapshots = now;
    }
    printf("%llu kills, %llu before the first snapshot, at most %llu snapshots in an archive\n",
           (unsigned long long)kills, (unsigned long long)births, (unsigned long long)most);
    CHECK(kills >= 300 && most >= 10);
    munmap(shared, sizeof *shared);
}

/* The lock dies with the writer although a child of it lives on. */
CHECK_TEST(kill, a_living_child_holds_no_lock)
{
    const char *path = scratch_path("orphan.svp");
    int ready[2];
    CHECK(pipe(ready) == 0);
    fflush(NULL);
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        struct world world = { 0 };
        world_open(&world, path, "compare", PAGES);
        world_take(&world, SAVEPOINT_SYNC);
        pid_t orphan = fork();
        if (orphan == 0) {
            pid_t self = getpid();
            CHECK(write(ready[1], &self, sizeof self) == sizeof self);
            for (;;) {
                pause();
            }
        }
        for (;;) {
            pause();
        }
    }
    pid_t orphan = 0;
    CHECK(read(ready[0], &orphan, sizeof orphan) == sizeof orphan);
    struct savepoint *session = NULL;
    CHECK_STATUS(savepoint_open(&session, path, NULL, NULL), SAVEPOINT_LOCKED);
    CHECK(kill(writer, SIGKILL) == 0 && waitpid(writer, NULL, 0) == writer);
    CHECK(kill(orphan, 0) == 0);
    enum savepoint_status status = savepoint_open(&session, path, NULL, NULL);
    kill(orphan, SIGKILL);
    CHECK_OK(status);
    CHECK_OK(savepoint_close(session, NULL));
    close(ready[0]);
    close(ready[1]);
}
