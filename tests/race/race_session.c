/* race_session.c - no store is missing from the snapshots: threads write while sessions take, and others wait
 *
 * usage: race_session [BACKEND|all] [ROUNDS]
 * A plain program, so that it also runs under ThreadSanitizer. Two sessions at once; in some rounds the writers are
 * held while a snapshot is taken (then it must be exact), in the others they run on (then it must hold every store
 * that was complete before). Exit status 0: passed, 1: failed, 77: the backend cannot work here. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

enum { SESSIONS = 2, WRITERS = 2, WAITERS = 2, PAGES = 64, PAGE = 4096, SLOTS = PAGE / 8, BATCH = 50, CHECK_EVERY = 7 };

struct lane { /* one session, its writers and its waiters */
    const char *backend;
    unsigned index, rounds;
    char path[64];
    struct savepoint *session;
    _Atomic uint64_t *memory;
    pthread_rwlock_t gate; /* writers hold it shared while they store */
    atomic_bool stop;
    _Atomic uint64_t finished[WRITERS][PAGES]; /* newest version each writer has stored into each page */
    _Atomic uint64_t stores, waits;
    uint64_t exact, live, checked;
    struct savepoint_statistics statistics;
};

struct worker {
    struct lane *lane;
    unsigned index;
    pthread_t thread;
};

/* The place of a writer's version in a page. */
static size_t slot(unsigned writer, size_t page)
{
    return page * SLOTS + (page * 37 + writer * 101) % SLOTS;
}

static void *write_for_ever(void *argument)
{
    struct worker *worker = argument;
    struct lane *lane = worker->lane;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (worker->index + 1);
    uint64_t versions[PAGES] = { 0 };
    while (!atomic_load(&lane->stop)) {
        pthread_rwlock_rdlock(&lane->gate);
        for (unsigned i = 0; i < BATCH; i++) {
            size_t page = (next_random(&state) >> 8) % PAGES;
            uint64_t version = ++versions[page];
            atomic_store_explicit(&lane->memory[slot(worker->index, page)], version, memory_order_relaxed);
            atomic_store_explicit(&lane->finished[worker->index][page], version, memory_order_release);
        }
        pthread_rwlock_unlock(&lane->gate);
        atomic_fetch_add(&lane->stores, BATCH);
        usleep(50); /* the gate would starve the one who takes */
    }
    return NULL;
}

static void *wait_for_ever(void *argument)
{
    struct worker *worker = argument;
    struct lane *lane = worker->lane;
    while (!atomic_load(&lane->stop)) {
        struct savepoint_error error;
        enum savepoint_status status = savepoint_wait(lane->session, 0, NULL, &error);
        if (status != SAVEPOINT_OK && status != SAVEPOINT_NOT_FOUND) { /* NOT_FOUND: nothing was taken yet */
            require(status, &error);
        }
        atomic_fetch_add(&lane->waits, 1);
        usleep(200);
    }
    return NULL;
}

static void read_newest(const struct lane *lane, uint64_t *contents, const struct savepoint_id *id)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot newest;
    struct savepoint_error error;
    require(savepoint_archive_open(&archive, lane->path, &error), &error);
    require(savepoint_archive_newest(archive, &newest, &error), &error);
    if (memcmp(&newest.id, id, sizeof newest.id) != 0) {
        fail("%s: the newest snapshot is not the one taken last", lane->backend);
    }
    require(savepoint_archive_read(archive, contents, &newest, "lane", 0, PAGES * PAGE, &error), &error);
    savepoint_archive_close(archive);
}

/* Takes with the writers held and compares with memory as it was then. */
static void take_exact(struct lane *lane, bool check)
{
    static _Thread_local uint64_t copy[PAGES * SLOTS];
    static _Thread_local uint64_t contents[PAGES * SLOTS];
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    uint64_t ticket = 0;
    pthread_rwlock_wrlock(&lane->gate);
    for (size_t i = 0; check && i < PAGES * SLOTS; i++) {
        copy[i] = atomic_load_explicit(&lane->memory[i], memory_order_relaxed);
    }
    require(savepoint_take(lane->session, &ticket, NULL, &error), &error);
    pthread_rwlock_unlock(&lane->gate);
    lane->exact++;
    if (check) {
        require(savepoint_wait(lane->session, ticket, &snapshot, &error), &error);
        read_newest(lane, contents, &snapshot.id);
        if (memcmp(copy, contents, sizeof copy) != 0) {
            fail("%s: a snapshot taken with the writers held differs from memory", lane->backend);
        }
        lane->checked++;
    }
}

/* Takes while the writers run on: what was stored before must be there. */
static void take_live(struct lane *lane, bool check)
{
    static _Thread_local uint64_t contents[PAGES * SLOTS];
    uint64_t before[WRITERS][PAGES];
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    uint64_t ticket = 0;
    for (size_t i = 0; i < WRITERS * PAGES; i++) {
        before[i / PAGES][i % PAGES] =
            atomic_load_explicit(&lane->finished[i / PAGES][i % PAGES], memory_order_acquire);
    }
    require(savepoint_take(lane->session, &ticket, NULL, &error), &error);
    lane->live++;
    if (!check) {
        return;
    }
    require(savepoint_wait(lane->session, ticket, &snapshot, &error), &error);
    read_newest(lane, contents, &snapshot.id);
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = 0; page < PAGES; page++) {
            if (contents[slot(writer, page)] < before[writer][page]) {
                fail("%s: a store is missing: page %zu, writer %u: version %llu was stored, the snapshot has %llu",
                     lane->backend, page, writer, (unsigned long long)before[writer][page],
                     (unsigned long long)contents[slot(writer, page)]);
            }
        }
    }
    lane->checked++;
}

static void open_lane(struct lane *lane)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    options.watch = lane->backend;
    options.staging_bytes = lane->index == 0 ? 0 : 1; /* one of them always waits for the worker */
    snprintf(lane->path, sizeof lane->path, "race-%ld-%u.svp", (long)getpid(), lane->index);
    unlink(lane->path);
    void *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pthread_rwlock_init(&lane->gate, NULL) != 0) {
        fail("no memory");
    }
    lane->memory = memory;
    require(savepoint_open(&lane->session, lane->path, &options, &error), &error);
    require(savepoint_watch(lane->session, "lane", memory, PAGES * PAGE, &error), &error);
}

static void close_lane(struct lane *lane)
{
    struct savepoint_error error;
    lane->statistics.size = sizeof lane->statistics;
    require(savepoint_read_statistics(lane->session, &lane->statistics, &error), &error);
    require(savepoint_close(lane->session, &error), &error);
    munmap((void *)lane->memory, PAGES * PAGE);
    pthread_rwlock_destroy(&lane->gate);
    unlink(lane->path);
}

static void *drive(void *argument)
{
    struct lane *lane = argument;
    struct worker workers[WRITERS + WAITERS];
    open_lane(lane);
    for (unsigned i = 0; i < WRITERS + WAITERS; i++) {
        workers[i].lane = lane;
        workers[i].index = i;
        if (pthread_create(&workers[i].thread, NULL, i < WRITERS ? write_for_ever : wait_for_ever, &workers[i]) != 0) {
            fail("no thread");
        }
    }
    for (unsigned round = 0; round < lane->rounds; round++) {
        (round % 3 == 0 ? take_exact : take_live)(lane, round % CHECK_EVERY == 0);
    }
    atomic_store(&lane->stop, true);
    for (unsigned i = 0; i < WRITERS + WAITERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    take_exact(lane, true); /* the last one equals memory, now that it rests */
    close_lane(lane);
    return NULL;
}

static void run_backend(const char *name, unsigned rounds)
{
    static struct lane lanes[SESSIONS];
    pthread_t drivers[SESSIONS];
    memset(lanes, 0, sizeof lanes);
    for (unsigned i = 0; i < SESSIONS; i++) {
        lanes[i].backend = name;
        lanes[i].index = i;
        lanes[i].rounds = rounds;
        if (pthread_create(&drivers[i], NULL, drive, &lanes[i]) != 0) {
            fail("no thread");
        }
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        const struct lane *lane = &lanes[i];
        pthread_join(drivers[i], NULL);
        uint64_t stores = atomic_load(&lane->stores);
        uint64_t waits = atomic_load(&lane->waits);
        printf("race_session: %s, session %u: %llu stores, %llu exact and %llu live takes, %llu pages captured, "
               "%llu waits, %llu snapshots compared; 0 lost\n",
               name, i, (unsigned long long)stores, (unsigned long long)lane->exact, (unsigned long long)lane->live,
               (unsigned long long)lane->statistics.pages_captured, (unsigned long long)waits,
               (unsigned long long)lane->checked);
        if (lane->statistics.takes_committed != rounds + 1 || stores < rounds * 20u ||
            lane->statistics.pages_captured < rounds * 2u || waits < rounds / 4 ||
            lane->checked < rounds / CHECK_EVERY) {
            fail("%s: too little happened for this to prove anything", name);
        }
    }
}

int main(int argument_count, char **arguments)
{
    const char *wanted = argument_count > 1 ? arguments[1] : "all";
    unsigned rounds = argument_count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 300;
    struct savepoint_backend backend;
    size_t ran = 0;
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        if (strcmp(wanted, "all") != 0 && strcmp(wanted, backend.name) != 0) {
            continue;
        }
        if (backend.available == 0) {
            printf("race_session: [SKIP] %s: %s\n", backend.name, backend.detail);
            continue;
        }
        run_backend(backend.name, getenv("SAVEPOINT_TEST_DEEP") != NULL ? rounds * 20 : rounds);
        ran++;
    }
    return ran > 0 ? 0 : 77;
}
