/* torture_watch.c - no store is missed: stores of any size and place, collectors that re-arm, and a hostile host
 *
 * usage: torture_watch BACKEND|all [CHANGED_PAGES [STORES]]
 * Runs until so many pages were reported, re-armed and found changed, and so many stores made. Three threads store 1
 * to 64 bytes at random places, across pages too; two collect, whole ranges and parts, each a watch of its own; one
 * opens and closes watches; one disturbs as its system allows. Exit status 0: passed, 1: failed, 77: the backend
 * cannot work here. */
#define _GNU_SOURCE
#include "torture.h"

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "os/vm.h"

enum { RUNS = 48, ARENA_ALIGNMENT = 2 << 20 };

void torture_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("torture_watch: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _Exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void nap(long microseconds)
{
    const struct timespec pause = { .tv_nsec = microseconds * 1000 };
    nanosleep(&pause, NULL);
}

/* ---- writers */

static void park(struct torture *torture)
{
    atomic_fetch_add(&torture->parked, 1);
    while (atomic_load(&torture->pause)) {
        sched_yield();
    }
    atomic_fetch_sub(&torture->parked, 1);
}

struct role {
    struct torture *torture;
    unsigned index;
};

static void *write_for_ever(void *argument)
{
    const struct role *role = argument;
    struct torture *torture = role->torture;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) * (role->index + 1);
    while (!atomic_load_explicit(&torture->stop, memory_order_relaxed)) {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&torture->pause, memory_order_relaxed)) {
                park(torture);
            }
            torture_store(torture, role->index, next_random(&state));
        }
        atomic_fetch_add_explicit(&torture->stores, 64, memory_order_relaxed);
    }
    return NULL;
}

/* ---- collects */

static pthread_mutex_t holding = PTHREAD_MUTEX_INITIALIZER;

static void hold_writers(struct torture *torture)
{
    pthread_mutex_lock(&holding);
    atomic_store(&torture->pause, true);
    while (atomic_load(&torture->parked) < WRITERS && !atomic_load(&torture->stop)) {
        sched_yield();
    }
}

/* All of them have gone on when this returns. */
static void release_writers(struct torture *torture)
{
    atomic_store(&torture->pause, false);
    while (atomic_load(&torture->parked) != 0) {
        sched_yield();
    }
    pthread_mutex_unlock(&holding);
}

/* Compared is what was read once: memcmp reads bytes that differ again, and if writers have gone on till they are as in
 * the copy once more (versions show modulo 256), it calls the pages equal. */
static void copy_pages(const struct torture *torture, struct torture_arena *arena, const struct svp_watch_run *run)
{
    uint64_t changed = 0;
    for (size_t done = 0; done < run->bytes; done += torture->page_bytes) {
        const unsigned char *live = (const unsigned char *)run->start + done;
        unsigned char *copy = arena->copies + (live - arena->memory);
        arena->reported++;
        memcpy(arena->seen, live, torture->page_bytes);
        if (memcmp(copy, arena->seen, torture->page_bytes) != 0) {
            memcpy(copy, arena->seen, torture->page_bytes);
            changed++;
        }
    }
    atomic_fetch_add_explicit(&arena->changed, changed, memory_order_relaxed);
}

/* One collect with re-arming, complete or not; returns the page where it stopped. */
static size_t collect(struct torture *torture, struct torture_arena *arena, size_t first, size_t end, size_t max_pages,
                      size_t capacity)
{
    struct svp_watch_run runs[RUNS] = { { 0, 0 } };
    struct savepoint_error error;
    size_t count = 0;
    uintptr_t start = (uintptr_t)arena->memory + first * torture->page_bytes;
    uintptr_t resume = 0;
    bool held = !torture->caps.concurrent_writers_safe;
    if (held) {
        hold_writers(torture);
    }
    torture_require(torture->backend->collect(arena->watch, start, (end - first) * torture->page_bytes, SVP_WATCH_REARM,
                                              max_pages, runs, capacity, &count, &resume, &error),
                    &error);
    if (held) {
        release_writers(torture);
    }
    for (size_t i = 0; i < count; i++) {
        copy_pages(torture, arena, &runs[i]);
    }
    arena->collects++;
    return (resume - (uintptr_t)arena->memory) / torture->page_bytes;
}

/* Law 1, taken strictly: what was stored when the collect began is in the copies when it has ended. */
static void collect_whole_and_judge(struct torture *torture, struct torture_arena *arena, size_t capacity)
{
    torture_remember(arena);
    for (size_t page = 0; page < PAGES;) {
        page = collect(torture, arena, page, PAGES, 0, capacity);
    }
    torture_judge(torture, arena);
}

/* Whether as many pages have changed as belong to the stores made: else the collectors must not rest. */
static bool is_ahead(struct torture *torture)
{
    double changed = 0;
    for (size_t i = 0; i < ARENAS; i++) {
        changed += (double)atomic_load_explicit(&torture->arenas[i].changed, memory_order_relaxed);
    }
    double stores = (double)atomic_load_explicit(&torture->stores, memory_order_relaxed);
    return changed * (double)torture->stores_wanted > stores * (double)torture->changed_wanted;
}

static void *collect_for_ever(void *argument)
{
    const struct role *role = argument;
    struct torture *torture = role->torture;
    struct torture_arena *arena = &torture->arenas[role->index];
    uint64_t state = 88172645463325252u + role->index;
    while (!atomic_load(&torture->stop)) {
        uint64_t random = next_random(&state);
        size_t first = (random >> 8) % PAGES;
        size_t end = first + 1 + (random >> 24) % (PAGES - first);
        switch (random % 4) {
        case 0:
            collect(torture, arena, first, end, 1 + (random >> 40) % 99, RUNS);
            break;
        case 1:
            collect(torture, arena, first, end, 0, 1 + (random >> 40) % RUNS);
            break;
        default:
            collect_whole_and_judge(torture, arena, RUNS);
        }
        if (is_ahead(torture)) {
            nap(500);
        }
    }
    return NULL;
}

/* ---- watches that come and go beside, and disturbances */

static void *churn_for_ever(void *argument)
{
    struct torture *torture = ((const struct role *)argument)->torture;
    for (size_t turn = 0; !atomic_load(&torture->stop); turn++) {
        torture_churn(torture, turn);
        atomic_fetch_add(&torture->churns, 1);
        nap(300);
    }
    return NULL;
}

static void *disturb_for_ever(void *argument)
{
    struct torture *torture = ((const struct role *)argument)->torture;
    uint64_t state = 362436069;
    while (!atomic_load(&torture->stop)) {
        torture_disturb(torture, next_random(&state));
        atomic_fetch_add(&torture->disturbances, 1);
        nap(100);
    }
    return NULL;
}

/* ---- one backend */

static uint64_t sum_changed(struct torture *torture)
{
    uint64_t changed = 0;
    for (size_t i = 0; i < ARENAS; i++) {
        changed += atomic_load(&torture->arenas[i].changed);
    }
    return changed;
}

static void wait_for_floors(struct torture *torture)
{
    double deadline =
        seconds() + 120 + (double)torture->changed_wanted / 2000 + (double)torture->stores_wanted / 200000;
    while (sum_changed(torture) < torture->changed_wanted || atomic_load(&torture->stores) < torture->stores_wanted) {
        nap(50000);
        if (seconds() > deadline) {
            torture_fail("%s: only %" PRIu64 " of %" PRIu64 " pages and %" PRIu64 " of %" PRIu64 " stores",
                         torture->backend->name, sum_changed(torture), torture->changed_wanted,
                         atomic_load(&torture->stores), torture->stores_wanted);
        }
    }
}

static void map_arenas(struct torture *torture)
{
    size_t bytes = PAGES * torture->page_bytes;
    uintptr_t base = svp_vm_map_base();
    int failure = svp_vm_map(base, CHURNED * torture->page_bytes, CHURNED * torture->page_bytes); /* for the churning */
    for (size_t i = 0; i < ARENAS && failure == 0; i++) {
        struct torture_arena *arena = &torture->arenas[i];
        uintptr_t start = base + (i + 1) * (bytes + ARENA_ALIGNMENT);
        start -= start % ARENA_ALIGNMENT;
        failure = svp_vm_map(start, bytes, bytes);
        arena->memory = (unsigned char *)start;
        arena->copies = calloc(PAGES, torture->page_bytes);
        arena->seen = malloc(torture->page_bytes);
        if (arena->copies == NULL || arena->seen == NULL) {
            failure = -1;
        }
    }
    if (failure != 0) {
        torture_fail("no memory (%d)", failure);
    }
}

static void unmap_arenas(struct torture *torture)
{
    svp_vm_unmap(svp_vm_map_base(), CHURNED * torture->page_bytes);
    for (size_t i = 0; i < ARENAS; i++) {
        svp_vm_unmap((uintptr_t)torture->arenas[i].memory, PAGES * torture->page_bytes);
        free(torture->arenas[i].copies);
        free(torture->arenas[i].seen);
    }
}

static void run_threads(struct torture *torture)
{
    static void *(*const bodies[])(void *) = { write_for_ever,   write_for_ever, write_for_ever,  collect_for_ever,
                                               collect_for_ever, churn_for_ever, disturb_for_ever };
    enum { THREADS = sizeof bodies / sizeof bodies[0] };
    _Static_assert(THREADS == WRITERS + ARENAS + 2, "one thread for each role");
    struct role roles[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        roles[i] = (struct role){ torture, i < WRITERS ? i : (i - WRITERS) % ARENAS };
        if (pthread_create(&threads[i], NULL, bodies[i], &roles[i]) != 0) {
            torture_fail("no thread");
        }
        if (i < WRITERS) {
            torture->writers[i] = threads[i];
        }
    }
    wait_for_floors(torture);
    /* Those who send signals and hold writers end first, the writers last. */
    atomic_store(&torture->stop, true);
    for (unsigned i = THREADS; i > 0; i--) {
        pthread_join(threads[i - 1], NULL);
    }
}

static void report(struct torture *torture, double elapsed)
{
    uint64_t collects = 0;
    uint64_t reported = 0;
    uint64_t judged = 0;
    uint64_t unjudged = 0;
    for (size_t i = 0; i < ARENAS; i++) {
        collects += torture->arenas[i].collects;
        reported += torture->arenas[i].reported;
        judged += torture->arenas[i].judged;
        unjudged += torture->arenas[i].unjudged;
    }
    printf("torture_watch: %s: %" PRIu64 " stores, %" PRIu64 " pages reported and re-armed, %" PRIu64
           " of them changed, %" PRIu64 " collects, %" PRIu64 " stores judged (%" PRIu64 " overtaken), %" PRIu64
           " watches came and went, %" PRIu64 " disturbances in %.1f s; 0 lost\n",
           torture->backend->name, atomic_load(&torture->stores), reported, sum_changed(torture), collects, judged,
           unjudged, atomic_load(&torture->churns), atomic_load(&torture->disturbances), elapsed);
    fflush(stdout);
}

static void
torment(const struct svp_watch_backend *backend, const struct svp_watch_caps *caps, uint64_t changed, uint64_t stores)
{
    static struct torture torture;
    struct savepoint_error error;
    memset(&torture, 0, sizeof torture);
    torture.backend = backend;
    torture.caps = *caps;
    torture.page_bytes = caps->page_bytes;
    torture.changed_wanted = changed;
    torture.stores_wanted = stores;
    map_arenas(&torture);
    size_t bytes = PAGES * torture.page_bytes;
    for (size_t i = 0; i < ARENAS; i++) {
        torture_require(backend->open(&torture.arenas[i].watch, &error), &error);
        torture_require(backend->add(torture.arenas[i].watch, (uintptr_t)torture.arenas[i].memory, bytes, &error),
                        &error);
    }
    torture_disturb_begin(&torture);
    double begin = seconds();
    run_threads(&torture);
    double elapsed = seconds() - begin;
    for (size_t i = 0; i < ARENAS; i++) {
        struct torture_arena *arena = &torture.arenas[i];
        torture.caps.concurrent_writers_safe = true; /* there are none */
        collect_whole_and_judge(&torture, arena, RUNS);
        if (memcmp(arena->memory, arena->copies, bytes) != 0) {
            torture_fail("%s: an arena differs from its copy after the end", backend->name);
        }
        backend->close(arena->watch);
    }
    report(&torture, elapsed);
    unmap_arenas(&torture);
}

int main(int argument_count, char **arguments)
{
    const char *name = argument_count > 1 ? arguments[1] : "all";
    uint64_t changed = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 50000;
    uint64_t stores = argument_count > 3 ? strtoull(arguments[3], NULL, 10) : changed;
    size_t ran = 0;
    const struct svp_watch_backend *backend;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct savepoint_error error;
        if (strcmp(name, "all") != 0 && strcmp(name, backend->name) != 0) {
            continue;
        }
        if (backend->probe(&caps, &error) != SAVEPOINT_OK) {
            printf("torture_watch: [SKIP] %s: %s\n", backend->name, error.message);
            continue;
        }
        torment(backend, &caps, changed, stores);
        ran++;
    }
    return ran > 0 ? 0 : 77;
}
