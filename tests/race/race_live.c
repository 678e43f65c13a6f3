/* race_live.c - LIVE snapshots while threads write, stopped by the documented way: each is exact, and takes beside them
 * too
 *
 * usage: race_live [BACKEND|all] [ROUNDS]
 * A plain program, so that it also runs under ThreadSanitizer. The writers move amounts between pages, so that the sum
 * stays; others ask, wait and cancel. Exit status 0: passed, 1: failed, 77: the backend cannot work here. */
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

enum { WRITERS = 2, PAGES = 512, PAGE = 4096, WORDS = PAGES * PAGE / 8, BATCH = 50, CANCEL_EVERY = 9 };

static struct {
    char path[64];
    struct savepoint *session;
    _Atomic uint64_t *words;
    pthread_rwlock_t gate; /* writers hold it shared while they write */
    atomic_bool stop, cancel;
    _Atomic uint64_t moves, asked;
    uint64_t ended, given_up, beside;
} world;

/* A writer has words of its own, on every page. */
static void move(uint64_t *state, size_t writer)
{
    const size_t from = next_random(state) % (WORDS / WRITERS) * WRITERS + writer;
    const size_t to = next_random(state) % (WORDS / WRITERS) * WRITERS + writer;
    const uint64_t amount = next_random(state) % 1000;
    atomic_store_explicit(&world.words[from], world.words[from] - amount, memory_order_relaxed);
    atomic_store_explicit(&world.words[to], world.words[to] + amount, memory_order_relaxed);
}

static void *write_for_ever(void *argument)
{
    const size_t writer = (size_t)(uintptr_t)argument;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (writer + 1);
    while (!atomic_load(&world.stop)) {
        pthread_rwlock_rdlock(&world.gate);
        for (unsigned i = 0; i < BATCH; i++) {
            move(&state, writer);
        }
        pthread_rwlock_unlock(&world.gate);
        atomic_fetch_add(&world.moves, BATCH);
        usleep(50); /* the gate would starve the one who stops */
    }
    return NULL;
}

/* Any thread may ask, wait and cancel. */
static void *ask_for_ever(void *argument)
{
    (void)argument;
    while (!atomic_load(&world.stop)) {
        atomic_fetch_add(&world.asked, (uint64_t)savepoint_stop_wanted(world.session) + 1);
        enum savepoint_status status = savepoint_wait(world.session, 0, NULL, NULL);
        if (status != SAVEPOINT_OK && status != SAVEPOINT_NOT_FOUND && status != SAVEPOINT_CANCELLED) {
            fail("wait: %s", savepoint_status_name(status));
        }
        if (atomic_load(&world.cancel)) {
            struct savepoint_error error;
            require(savepoint_cancel(world.session, 0, &error), &error);
            atomic_store(&world.cancel, false);
        }
        usleep(100);
    }
    return NULL;
}

/* What moves from word to word stays the same in sum. */
static uint64_t sum(const uint64_t *words)
{
    uint64_t total = 0;
    for (size_t i = 0; i < WORDS; i++) {
        total += words[i];
    }
    return total;
}

/* The snapshot of this ticket holds what was copied. False: it was cancelled. */
static bool compare(uint64_t ticket, const uint64_t *copy, const char *what)
{
    static uint64_t contents[WORDS];
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    enum savepoint_status status = savepoint_wait(world.session, ticket, &snapshot, &error);
    if (status == SAVEPOINT_CANCELLED) {
        return false;
    }
    require(status, &error);
    require(savepoint_archive_open(&archive, world.path, &error), &error);
    require(savepoint_archive_read(archive, contents, &snapshot, "words", 0, sizeof contents, &error), &error);
    savepoint_archive_close(archive);
    if (memcmp(copy, contents, sizeof contents) != 0) {
        fail("%s differs from memory as it was", what);
    }
    if (sum(contents) != 0) {
        fail("%s holds a moment that never was", what);
    }
    return true;
}

static void copy_words(uint64_t *copy)
{
    for (size_t i = 0; i < WORDS; i++) {
        copy[i] = atomic_load_explicit(&world.words[i], memory_order_relaxed);
    }
}

/* With the writers held: a take of its own, while a LIVE one is prepared. */
static void take_beside(void)
{
    static uint64_t copy[WORDS];
    struct savepoint_error error;
    uint64_t ticket = 0;
    pthread_rwlock_wrlock(&world.gate);
    copy_words(copy);
    enum savepoint_status status = savepoint_take(world.session, &ticket, NULL, &error);
    pthread_rwlock_unlock(&world.gate);
    require(status, &error);
    world.beside += compare(ticket, copy, "a take beside a LIVE one");
}

/* One LIVE snapshot, from its beginning to its stop. */
static void take_live(unsigned round)
{
    static uint64_t copy[WORDS];
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    uint64_t ticket = 0;
    options.mode = SAVEPOINT_LIVE;
    options.pause_budget_ns = round % 3 == 0 ? 1 : 50000;
    require(savepoint_take(world.session, NULL, &options, &error), &error);
    if (round % 2 == 0) {
        take_beside();
    }
    atomic_store(&world.cancel, round % CANCEL_EVERY == 0);
    while (atomic_load(&world.cancel) || savepoint_stop_wanted(world.session) == 0) {
        usleep(50);
    }
    pthread_rwlock_wrlock(&world.gate);
    enum savepoint_status status = savepoint_tick(world.session, &ticket, &error);
    copy_words(copy);
    pthread_rwlock_unlock(&world.gate);
    if (status != SAVEPOINT_CANCELLED) {
        require(status, &error);
    }
    bool ended = status == SAVEPOINT_OK && compare(ticket, copy, "a LIVE snapshot");
    *(ended ? &world.ended : &world.given_up) += 1;
}

static void open_world(const char *backend)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    memset(&world, 0, sizeof world);
    options.watch = backend;
    snprintf(world.path, sizeof world.path, "race-live-%ld.svp", (long)getpid());
    unlink(world.path);
    void *memory = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pthread_rwlock_init(&world.gate, NULL) != 0) {
        fail("no memory");
    }
    world.words = memory;
    require(savepoint_open(&world.session, world.path, &options, &error), &error);
    require(savepoint_watch(world.session, "words", memory, WORDS * 8, &error), &error);
}

static void run_backend(const char *name, unsigned rounds)
{
    pthread_t threads[WRITERS + 1];
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_error error;
    open_world(name);
    for (uintptr_t i = 0; i < WRITERS + 1; i++) {
        if (pthread_create(&threads[i], NULL, i < WRITERS ? write_for_ever : ask_for_ever, (void *)i) != 0) {
            fail("no thread");
        }
    }
    for (unsigned round = 0; round < rounds; round++) {
        take_live(round);
    }
    atomic_store(&world.stop, true);
    for (unsigned i = 0; i < WRITERS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    require(savepoint_read_statistics(world.session, &statistics, &error), &error);
    require(savepoint_close(world.session, &error), &error);
    munmap((void *)world.words, WORDS * 8);
    pthread_rwlock_destroy(&world.gate);
    unlink(world.path);
    printf("race_live: %s: %llu moves, %llu LIVE snapshots and %llu beside them compared, %llu given up; %llu pages "
           "copied before the stops in %llu rounds, %llu in them\n",
           name, (unsigned long long)world.moves, (unsigned long long)world.ended, (unsigned long long)world.beside,
           (unsigned long long)world.given_up, (unsigned long long)statistics.live_pages_precopied,
           (unsigned long long)statistics.live_rounds, (unsigned long long)statistics.live_pages_stopped);
    if (world.ended < rounds / 2 || world.beside < rounds / 4 || world.moves < rounds * 20u || world.given_up == 0 ||
        (strcmp(name, "compare") != 0 && statistics.live_pages_precopied < rounds)) {
        fail("%s: too little happened for this to prove anything", name);
    }
}

int main(int argument_count, char **arguments)
{
    const char *wanted = argument_count > 1 ? arguments[1] : "all";
    unsigned rounds = argument_count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 60;
    struct savepoint_backend backend;
    size_t ran = 0;
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        if (strcmp(wanted, "all") != 0 && strcmp(wanted, backend.name) != 0) {
            continue;
        }
        if (backend.available == 0) {
            printf("race_live: [SKIP] %s: %s\n", backend.name, backend.detail);
            continue;
        }
        run_backend(backend.name, getenv("SAVEPOINT_TEST_DEEP") != NULL ? rounds * 20 : rounds);
        ran++;
    }
    return ran > 0 ? 0 : 77;
}
