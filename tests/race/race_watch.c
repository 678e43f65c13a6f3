/* race_watch.c - no store is missed: threads write version counters while pages are collected and re-armed
 *
 * usage: race_watch [BACKEND|all] [REARMED_PAGES]
 * A plain program, so that it also runs under ThreadSanitizer. Exit status 0: passed, 1: failed, 77: the backend
 * cannot work here. Fails when it did not get to re-arm as many pages as asked for: then nothing was proved. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "race.h"
#include "watch/watch.h"

enum { WRITERS = 3, PAGES = 192, RUNS = 24, DEADLINE_S = 120 };

struct race {
    const struct svp_watch_backend *backend;
    struct svp_watch *watch;
    unsigned char *memory;
    size_t page_bytes;
    atomic_bool stop;
    /* Versions that writer w has finished storing into page p: raised after the store. */
    _Atomic uint64_t finished[WRITERS][PAGES];
    uint64_t copied[WRITERS][PAGES]; /* as of the last time the page was reported */
    uint64_t stores[WRITERS];
    uint64_t collects, rearmed_pages, churns;
};

struct writer {
    struct race *race;
    unsigned index;
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Writer w's counter in page p; at another place in every page. */
static _Atomic uint64_t *slot(const struct race *race, unsigned writer, size_t page)
{
    size_t words = race->page_bytes / sizeof(uint64_t);
    _Atomic uint64_t *base = (void *)(race->memory + page * race->page_bytes);
    return &base[(page * 37 + writer * 101) % words];
}

static void *write_for_ever(void *argument)
{
    struct writer *writer = argument;
    struct race *race = writer->race;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (writer->index + 1);
    uint64_t version[PAGES] = { 0 };
    uint64_t stores = 0;
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        /* Half of the stores go to few pages, so that threads meet in the same fault. */
        uint64_t random = next_random(&state);
        size_t page = (random & 1) != 0 ? (random >> 8) % 8 : (random >> 8) % PAGES;
        atomic_store_explicit(slot(race, writer->index, page), ++version[page], memory_order_relaxed);
        atomic_store_explicit(&race->finished[writer->index][page], version[page], memory_order_release);
        stores++;
    }
    race->stores[writer->index] = stores;
    return NULL;
}

static void copy_pages(struct race *race, const struct svp_watch_run *run)
{
    size_t first = (run->start - (uintptr_t)race->memory) / race->page_bytes;
    size_t end = first + run->bytes / race->page_bytes;
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = first; page < end; page++) {
            race->copied[writer][page] = atomic_load_explicit(slot(race, writer, page), memory_order_relaxed);
        }
    }
    race->rearmed_pages += end - first;
}

/* One collect with re-arming, complete or not; returns where it stopped. */
static size_t collect(struct race *race, size_t first, size_t end, size_t max_pages, size_t run_capacity)
{
    struct svp_watch_run runs[RUNS] = { { 0, 0 } };
    struct savepoint_error error;
    size_t count = 0;
    uintptr_t start = (uintptr_t)race->memory + first * race->page_bytes;
    uintptr_t resume = 0;
    require(race->backend->collect(race->watch, start, (end - first) * race->page_bytes, SVP_WATCH_REARM, max_pages,
                                   runs, run_capacity, &count, &resume, &error),
            &error);
    for (size_t i = 0; i < count; i++) {
        copy_pages(race, &runs[i]);
    }
    race->collects++;
    return (resume - (uintptr_t)race->memory) / race->page_bytes;
}

/* Law 1, taken strictly: what was stored when the collect began is in the copies when it has ended. */
static void collect_whole_and_check(struct race *race, size_t run_capacity)
{
    static uint64_t before[WRITERS][PAGES];
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = 0; page < PAGES; page++) {
            before[writer][page] = atomic_load_explicit(&race->finished[writer][page], memory_order_acquire);
        }
    }
    for (size_t page = 0; page < PAGES;) {
        page = collect(race, page, PAGES, 0, run_capacity);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = 0; page < PAGES; page++) {
            if (race->copied[writer][page] < before[writer][page]) {
                fail("%s lost a store: page %zu, writer %u: version %llu was stored, %llu reported (collect %llu)",
                     race->backend->name, page, writer, (unsigned long long)before[writer][page],
                     (unsigned long long)race->copied[writer][page], (unsigned long long)race->collects);
            }
        }
    }
}

static void collect_for_a_while(struct race *race, uint64_t rearmed_pages)
{
    uint64_t state = 88172645463325252u;
    double begin = seconds();
    double deadline = begin + DEADLINE_S;
    while (race->rearmed_pages < rearmed_pages || seconds() < begin + 0.5) {
        if (seconds() > deadline) {
            fail("%s re-armed only %llu of %llu pages in %d s", race->backend->name,
                 (unsigned long long)race->rearmed_pages, (unsigned long long)rearmed_pages, DEADLINE_S);
        }
        uint64_t random = next_random(&state);
        size_t first = (random >> 8) % PAGES;
        size_t end = first + 1 + (random >> 24) % (PAGES - first);
        switch (random % 4) {
        case 0:
            collect(race, first, end, 1 + (random >> 40) % 9, RUNS);
            break;
        case 1:
            collect(race, first, end, 0, 1 + (random >> 40) % RUNS);
            break;
        default:
            collect_whole_and_check(race, RUNS);
        }
    }
}

/* Law 4 under fire: watches come and go on memory that is being written. */
static void churn(struct race *race)
{
    size_t bytes = PAGES * race->page_bytes;
    for (int round = 0; round < 200; round++) {
        struct svp_watch *watch = NULL;
        struct savepoint_error error;
        require(race->backend->open(&watch, &error), &error);
        require(race->backend->add(watch, (uintptr_t)race->memory, bytes, &error), &error);
        if (round % 2 == 0) {
            race->backend->remove(watch, (uintptr_t)race->memory, bytes);
        }
        race->backend->close(watch);
        race->churns++;
    }
}

static void start_writers(struct race *race, pthread_t threads[WRITERS], struct writer writers[WRITERS])
{
    atomic_store(&race->stop, false);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ race, i };
        if (pthread_create(&threads[i], NULL, write_for_ever, &writers[i]) != 0) {
            fail("no thread");
        }
    }
}

static void stop_writers(struct race *race, pthread_t threads[WRITERS])
{
    atomic_store(&race->stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void run_backend(const struct svp_watch_backend *backend, uint64_t rearmed_pages)
{
    static struct race race;
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    struct savepoint_error error;
    memset(&race, 0, sizeof race);
    race.backend = backend;
    race.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = PAGES * race.page_bytes;
    race.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (race.memory == MAP_FAILED) {
        fail("no memory");
    }
    require(backend->open(&race.watch, &error), &error);
    require(backend->add(race.watch, (uintptr_t)race.memory, bytes, &error), &error);

    double begin = seconds();
    start_writers(&race, threads, writers);
    collect_for_a_while(&race, rearmed_pages);
    stop_writers(&race, threads);
    collect_whole_and_check(&race, RUNS);
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        for (size_t page = 0; page < PAGES; page++) {
            if (race.copied[writer][page] != atomic_load(slot(&race, writer, page))) {
                fail("%s: page %zu differs from its copy after the end", backend->name, page);
            }
        }
    }
    double elapsed = seconds() - begin;
    uint64_t stores = race.stores[0] + race.stores[1] + race.stores[2];
    backend->close(race.watch);

    start_writers(&race, threads, writers);
    churn(&race);
    stop_writers(&race, threads);
    munmap(race.memory, bytes);
    if (stores < rearmed_pages / 100) {
        fail("%s: only %llu stores", backend->name, (unsigned long long)stores);
    }
    printf("race_watch: %s: %llu stores, %llu pages re-armed, %llu collects in %.1f s; %llu watches came and went; "
           "0 lost\n",
           backend->name, (unsigned long long)stores, (unsigned long long)race.rearmed_pages,
           (unsigned long long)race.collects, elapsed, (unsigned long long)race.churns);
}

int main(int argument_count, char **arguments)
{
    const char *name = argument_count > 1 ? arguments[1] : "all";
    uint64_t rearmed_pages = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 100000;
    size_t ran = 0;
    const struct svp_watch_backend *backend;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct savepoint_error error;
        if (strcmp(name, "all") != 0 && strcmp(name, backend->name) != 0) {
            continue;
        }
        if (backend->probe(&caps, &error) != SAVEPOINT_OK) {
            printf("race_watch: [SKIP] %s: %s\n", backend->name, error.message);
            continue;
        }
        run_backend(backend, rearmed_pages);
        ran++;
    }
    return ran > 0 ? 0 : 77;
}
