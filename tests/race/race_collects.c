/* race_collects.c - threads collect parts of one watch at once, while others write and ranges come and go
 *
 * usage: race_collects [BACKEND|all] [REARMED_PAGES]
 * A plain program, so that it also runs under ThreadSanitizer. Exit status 0: passed, 1: failed, 77: the backend
 * cannot work here. Fails when it did not get to re-arm as many pages as asked for: then nothing was proved. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "race.h"
#include "savepoint/watch.h"

/* Collector i owns the 64 pages of word i of the bitmap that all of them share. */
enum {
    WRITERS = 2,
    COLLECTORS = 3,
    OWNED = 64,
    PAGES = COLLECTORS * OWNED,
    CHURNED = 8,
    CHURNS = 50,
    DEADLINE_S = 120
};

struct race {
    struct savepoint_write_watch *watch;
    const char *name;
    unsigned char *memory;
    size_t page_bytes;
    uint64_t wanted; /* pages that each collector re-arms at least */
    atomic_bool stop;
    _Atomic uint64_t finished[WRITERS][PAGES]; /* versions stored: raised after the store */
    uint64_t copied[WRITERS][PAGES];           /* as of the last time the page was reported */
    uint64_t bitmap[COLLECTORS];
    uint64_t rearmed_pages[COLLECTORS];
    _Atomic uint64_t churns;
};

struct worker {
    struct race *race;
    unsigned index;
    pthread_t thread;
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *page_at(const struct race *race, size_t page)
{
    return race->memory + page * race->page_bytes;
}

static _Atomic uint64_t *slot(const struct race *race, unsigned writer, size_t page)
{
    _Atomic uint64_t *base = page_at(race, page);
    return &base[(page * 37 + writer * 101) % (race->page_bytes / sizeof(uint64_t))];
}

static void *write_for_ever(void *argument)
{
    const struct worker *worker = argument;
    struct race *race = worker->race;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (worker->index + 1);
    uint64_t version[PAGES] = { 0 };
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        uint64_t random = next_random(&state);
        size_t page = (random >> 8) % PAGES;
        atomic_store_explicit(slot(race, worker->index, page), ++version[page], memory_order_relaxed);
        atomic_store_explicit(&race->finished[worker->index][page], version[page], memory_order_release);
    }
    return NULL;
}

/* ---- collecting, in all shapes */

static void copy_page(struct race *race, unsigned collector, const void *address)
{
    size_t page = (size_t)((const unsigned char *)address - race->memory) / race->page_bytes;
    if (page / OWNED != collector) {
        fail("%s: collector %u was given page %zu", race->name, collector, page);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        race->copied[writer][page] = atomic_load_explicit(slot(race, writer, page), memory_order_relaxed);
    }
    race->rearmed_pages[collector]++;
}

static void collect_ranges(struct race *race, unsigned collector, struct savepoint_watch_span *span, uint64_t random)
{
    struct savepoint_watch_range ranges[16];
    struct savepoint_error error;
    size_t count = 0;
    require(savepoint_watch_collect_ranges(race->watch, ranges, 1 + (random >> 8) % 16, &count, span,
                                           (random >> 16) % 8, 0, &error),
            &error);
    for (size_t i = 0; i < count; i++) {
        for (size_t done = 0; done < ranges[i].bytes; done += race->page_bytes) {
            copy_page(race, collector, (unsigned char *)ranges[i].start + done);
        }
    }
}

static void collect_addresses(struct race *race, unsigned collector, struct savepoint_watch_span *span, uint64_t random)
{
    void *addresses[24];
    struct savepoint_error error;
    size_t count = 0;
    require(savepoint_watch_collect_addresses(race->watch, addresses, 1 + (random >> 8) % 24, &count, span, 0, &error),
            &error);
    for (size_t i = 0; i < count; i++) {
        copy_page(race, collector, addresses[i]);
    }
}

static void collect_bits(struct race *race, unsigned collector, struct savepoint_watch_span *span, uint64_t random)
{
    struct savepoint_error error;
    size_t count = 0;
    race->bitmap[collector] = 0;
    require(savepoint_watch_collect_bitmap(race->watch, race->bitmap, race->memory, &count, span, (random >> 8) % 24, 0,
                                           &error),
            &error);
    for (size_t bit = 0; bit < OWNED; bit++) {
        if ((race->bitmap[collector] >> bit & 1) != 0) {
            copy_page(race, collector, page_at(race, collector * OWNED + bit));
        }
    }
}

/* Law 1, taken strictly: what was stored when the walk began is in the copies when it has ended. */
static void collect_and_check(struct race *race, unsigned collector, uint64_t *random)
{
    uint64_t before[WRITERS][OWNED];
    size_t first = (size_t)collector * OWNED;
    struct savepoint_watch_span span = { page_at(race, first), page_at(race, first + OWNED) };
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t i = 0; i < OWNED; i++) {
            before[writer][i] = atomic_load_explicit(&race->finished[writer][first + i], memory_order_acquire);
        }
    }
    while (span.next != span.end) {
        void (*const shapes[])(struct race *, unsigned, struct savepoint_watch_span *,
                               uint64_t) = { collect_ranges, collect_addresses, collect_bits };
        uint64_t drawn = next_random(random);
        shapes[drawn % 3](race, collector, &span, drawn);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t i = 0; i < OWNED; i++) {
            if (race->copied[writer][first + i] < before[writer][i]) {
                fail("%s lost a store: page %zu, writer %u: version %llu was stored, %llu reported", race->name,
                     first + i, writer, (unsigned long long)before[writer][i],
                     (unsigned long long)race->copied[writer][first + i]);
            }
        }
    }
}

static void *collect_for_a_while(void *argument)
{
    const struct worker *worker = argument;
    struct race *race = worker->race;
    uint64_t random = 88172645463325252u + worker->index;
    double deadline = seconds() + DEADLINE_S;
    while (race->rearmed_pages[worker->index] < race->wanted || atomic_load(&race->churns) < CHURNS) {
        if (seconds() > deadline) {
            fail("%s: %llu of %llu pages re-armed, ranges came and went %llu times of %d in %d s", race->name,
                 (unsigned long long)race->rearmed_pages[worker->index], (unsigned long long)race->wanted,
                 (unsigned long long)atomic_load(&race->churns), CHURNS, DEADLINE_S);
        }
        collect_and_check(race, worker->index, &random);
    }
    return NULL;
}

/* Ranges of other memory come and go in the same watch: they wait for collects, but not for ever. */
static void *churn(void *argument)
{
    const struct worker *worker = argument;
    struct race *race = worker->race;
    struct savepoint_error error;
    size_t bytes = CHURNED * race->page_bytes;
    unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("no memory");
    }
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        struct savepoint_watch_span span = { memory, memory + bytes };
        void *addresses[CHURNED];
        size_t count = 0;
        require(savepoint_watch_add(race->watch, memory, bytes, &error), &error);
        memory[3 * race->page_bytes] = 1;
        require(savepoint_watch_mark(race->watch, memory, race->page_bytes, &error), &error);
        require(savepoint_watch_collect_addresses(race->watch, addresses, CHURNED, &count, &span, 0, &error), &error);
        if (count < 2 || addresses[0] != memory) {
            fail("%s: a new range reported %zu pages", race->name, count);
        }
        require(savepoint_watch_remove(race->watch, memory, bytes, &error), &error);
        atomic_fetch_add(&race->churns, 1);
    }
    munmap(memory, bytes);
    return NULL;
}

/* ---- the process's watch: threads that want it first at once get the same */

static void *open_default(void *argument)
{
    struct worker *worker = argument;
    struct savepoint_write_watch *watch = NULL;
    struct savepoint_error error;
    require(savepoint_watch_default(&watch, &error), &error);
    worker->race = (struct race *)(void *)watch; /* only to be compared */
    return NULL;
}

/* ---- the run */

static void start(struct worker *worker, struct race *race, unsigned index, void *(*run)(void *))
{
    worker->race = race;
    worker->index = index;
    if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
        fail("no thread");
    }
}

static void check_default(void)
{
    struct worker workers[4];
    for (unsigned i = 0; i < 4; i++) {
        start(&workers[i], NULL, i, open_default);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].race != workers[0].race) {
            fail("threads got different watches of the process");
        }
    }
}

static void run_workers(struct race *race)
{
    struct worker writers[WRITERS];
    struct worker collectors[COLLECTORS];
    struct worker churner;
    for (unsigned i = 0; i < WRITERS; i++) {
        start(&writers[i], race, i, write_for_ever);
    }
    start(&churner, race, 0, churn);
    for (unsigned i = 0; i < COLLECTORS; i++) {
        start(&collectors[i], race, i, collect_for_a_while);
    }
    for (unsigned i = 0; i < COLLECTORS; i++) {
        pthread_join(collectors[i].thread, NULL);
    }
    atomic_store(&race->stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    pthread_join(churner.thread, NULL);
}

static void check_end(struct race *race)
{
    uint64_t random = 7;
    for (unsigned collector = 0; collector < COLLECTORS; collector++) {
        collect_and_check(race, collector, &random);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = 0; page < PAGES; page++) {
            if (race->copied[writer][page] != atomic_load(slot(race, writer, page))) {
                fail("%s: page %zu differs from its copy after the end", race->name, page);
            }
        }
    }
}

static void run_backend(const struct savepoint_watch_backend *backend, uint64_t rearmed_pages)
{
    static struct race race;
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    struct savepoint_error error;
    memset(&race, 0, sizeof race);
    race.name = backend->name;
    race.page_bytes = backend->capabilities.page_bytes;
    race.wanted = rearmed_pages / COLLECTORS;
    size_t bytes = PAGES * race.page_bytes;
    race.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (race.memory == MAP_FAILED) {
        fail("no memory");
    }
    options.backend = backend->name;
    require(savepoint_watch_open(&race.watch, &options, &error), &error);
    require(savepoint_watch_add(race.watch, race.memory, bytes, &error), &error);
    double begin = seconds();
    run_workers(&race);
    check_end(&race);
    savepoint_watch_close(race.watch);
    munmap(race.memory, bytes);
    printf(
        "race_collects: %s: %llu pages re-armed by %d collectors in %.1f s; ranges came and went %llu times; 0 lost\n",
        race.name, (unsigned long long)(race.rearmed_pages[0] + race.rearmed_pages[1] + race.rearmed_pages[2]),
        COLLECTORS, seconds() - begin, (unsigned long long)atomic_load(&race.churns));
}

int main(int argument_count, char **arguments)
{
    const char *name = argument_count > 1 ? arguments[1] : "all";
    uint64_t rearmed_pages = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 15000;
    struct savepoint_watch_backend backend;
    size_t ran = 0;
    if (strcmp(name, "all") != 0) {
        setenv("SAVEPOINT_WATCH", name, 1);
    }
    for (size_t i = 0; savepoint_watch_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        if (strcmp(name, "all") != 0 && strcmp(name, backend.name) != 0) {
            continue;
        }
        if (backend.available == 0) {
            printf("race_collects: [SKIP] %s: %s\n", backend.name, backend.problem);
            continue;
        }
        if (ran++ == 0) {
            check_default();
        }
        run_backend(&backend, rearmed_pages);
    }
    return ran > 0 ? 0 : 77;
}
