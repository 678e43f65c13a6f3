/* mach.c - the write-watch of macOS: pages that the kernel copies on write, by epochs or one by one */
#define _GNU_SOURCE
#include "mach.h"

#include <inttypes.h>
#include <mach/mach.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"
#include "format/memory.h"
#include "mach_region.h"
#include "mach_threads.h"
#include "mapping.h"
#include "os/host.h"
#include "probe.h"
#include "status.h"

struct svp_watch {
    const struct svp_mach_strategy *strategy;
    pid_t owner;
    struct svp_mach_range *ranges;
};

/* ---- all ranges of the process: two watches of one range would take each other's pages */

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct svp_mach_range *all_ranges;

/* In a forked child no watch of the parent's lives on. */
static void begin_child(void *unused)
{
    (void)unused;
    pthread_mutex_init(&registry, NULL);
    all_ranges = NULL;
    svp_mach_threads_begin_child();
}

static int fork_code;

static void watch_forks(void)
{
    fork_code = svp_host_at_fork(begin_child, &all_ranges);
}

static enum savepoint_status enlist(struct svp_mach_range *range, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    pthread_mutex_lock(&registry);
    for (const struct svp_mach_range *at = all_ranges; at != NULL && status == SAVEPOINT_OK; at = at->next_of_process) {
        if (range->start < at->end && at->start < range->end) {
            status = svp_status_fail(error, SAVEPOINT_OVERLAP, "watch",
                                     "memory at 0x%" PRIxPTR " is under a mach write-watch of this process already",
                                     at->start);
        }
    }
    if (status == SAVEPOINT_OK) {
        range->next_of_process = all_ranges;
        all_ranges = range;
    }
    pthread_mutex_unlock(&registry);
    return status;
}

static void delist(const struct svp_mach_range *range)
{
    pthread_mutex_lock(&registry);
    struct svp_mach_range **link = &all_ranges;
    while (*link != NULL && *link != range) {
        link = &(*link)->next_of_process;
    }
    if (*link != NULL) {
        *link = range->next_of_process;
    }
    pthread_mutex_unlock(&registry);
}

/* ---- open */

static bool in_child(const struct svp_watch *watch)
{
    return getpid() != watch->owner;
}

static enum savepoint_status refuse_child(struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_FORKED, "watch", "this write-watch belongs to the parent process");
}

static enum savepoint_status
open_with(struct svp_watch **watch, const struct svp_mach_strategy *strategy, struct savepoint_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    if (fork_code != 0) {
        return svp_status_os(error, fork_code, "watch", "no hook for forks can be installed");
    }
    struct svp_watch *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->strategy = strategy;
    opened->owner = getpid();
    *watch = opened;
    return SAVEPOINT_OK;
}

/* ---- add and remove */

/* Remapped, shared memory would no longer be shared, and other mappings of it are beyond this watch. A private mapping
 * of a file is the application's own memory. */
static enum savepoint_status check_private(uintptr_t start, uintptr_t end, struct savepoint_error *error)
{
    struct svp_mach_region region;
    for (uintptr_t at = start; at < end && svp_mach_region_find(&region, at); at = region.end) {
        bool own = !region.submap && !region.inherited_shared && region.share_mode != SM_LARGE_PAGE &&
                   (!region.external || region.share_mode == SM_COW);
        if (!own) {
            return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                                   "memory at 0x%" PRIxPTR
                                   " is not private to this process, which the mach write-watch "
                                   "needs; SAVEPOINT_WATCH=signal or compare takes it",
                                   at);
        }
    }
    return SAVEPOINT_OK;
}

static void free_range(struct svp_mach_range *range)
{
    pthread_mutex_destroy(&range->lock);
    svp_pageset_close(&range->written);
    svp_memory_free(range);
}

static enum savepoint_status
new_range(struct svp_mach_range **made, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct svp_mach_range *range = svp_memory_zalloc(1, sizeof *range);
    if (range == NULL || !svp_pageset_open(&range->written, bytes / vm_page_size)) {
        svp_memory_free(range);
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory to watch %zu bytes", bytes);
    }
    range->start = start;
    range->end = start + bytes;
    range->page_bytes = vm_page_size;
    pthread_mutex_init(&range->lock, NULL);
    *made = range;
    return SAVEPOINT_OK;
}

static enum savepoint_status
mach_add(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct svp_mach_range *range = NULL;
    if (in_child(watch)) {
        return refuse_child(error);
    }
    enum savepoint_status status = svp_mapping_check(start, bytes, 0, NULL, error);
    if (status == SAVEPOINT_OK) {
        status = check_private(start, start + bytes, error);
    }
    if (status == SAVEPOINT_OK) {
        status = new_range(&range, start, bytes, error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = enlist(range, error);
    if (status == SAVEPOINT_OK) {
        status = watch->strategy->arm(range, error);
        if (status != SAVEPOINT_OK) {
            delist(range);
        }
    }
    if (status != SAVEPOINT_OK) {
        free_range(range);
        return status;
    }
    range->next = watch->ranges;
    watch->ranges = range;
    return SAVEPOINT_OK;
}

/* In a forked child there is nothing to disarm: what the parent has beside the range was not handed down. */
static void end_range(const struct svp_watch *watch, struct svp_mach_range *range)
{
    if (!in_child(watch)) {
        watch->strategy->disarm(range);
        delist(range);
    }
    free_range(range);
}

static void mach_remove(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    for (struct svp_mach_range **link = &watch->ranges; *link != NULL; link = &(*link)->next) {
        struct svp_mach_range *range = *link;
        if (range->start == start && range->end - range->start == bytes) {
            *link = range->next;
            end_range(watch, range);
            return;
        }
    }
}

static void mach_close(struct svp_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    while (watch->ranges != NULL) {
        struct svp_mach_range *range = watch->ranges;
        watch->ranges = range->next;
        end_range(watch, range);
    }
    svp_memory_free(watch);
}

/* ---- collect and mark */

static struct svp_mach_range *range_of(const struct svp_watch *watch, uintptr_t start)
{
    struct svp_mach_range *range = watch->ranges;
    while (range != NULL && (start < range->start || start >= range->end)) {
        range = range->next;
    }
    return range;
}

/* Reports what is known to be written in [from, to), within the limits; returns where it stopped. */
static uintptr_t report(struct svp_mach_range *range, uintptr_t from, uintptr_t to, enum svp_watch_mode mode,
                        size_t max_pages, struct svp_watch_run *runs, size_t run_capacity, size_t *run_count)
{
    uint64_t page = (from - range->start) / range->page_bytes;
    uint64_t end = (to - range->start) / range->page_bytes;
    uint64_t left = max_pages == 0 ? UINT64_MAX : max_pages;
    size_t count = 0;
    while (page < end && count < run_capacity && left > 0) {
        uint64_t first = svp_pageset_next(&range->written, page);
        if (first >= end) {
            page = end;
            break;
        }
        page = first + 1;
        while (page < end && page - first < left && svp_pageset_has(&range->written, page)) {
            page++;
        }
        runs[count++] = (struct svp_watch_run){ range->start + (uintptr_t)first * range->page_bytes,
                                                (size_t)(page - first) * range->page_bytes };
        left -= page - first;
        if (mode == SVP_WATCH_REARM) {
            svp_pageset_remove(&range->written, first, page - first);
        }
    }
    *run_count = count;
    return range->start + (uintptr_t)page * range->page_bytes;
}

/* What was found before and not reported stays, so a look is about what was written since. Where it finds nothing,
 * everything that will be reported is armed already. */
static enum savepoint_status
mach_collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
             struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
             struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    struct svp_mach_range *range = range_of(watch, start);
    enum savepoint_status status = SAVEPOINT_OK;
    bool rearm = mode == SVP_WATCH_REARM;
    pthread_mutex_lock(&range->lock);
    if (watch->strategy->look(range, start, start + bytes, rearm) && rearm) {
        status = watch->strategy->rearm(range, start, start + bytes, error);
    }
    if (status == SAVEPOINT_OK) {
        *resume = report(range, start, start + bytes, mode, max_pages, runs, run_capacity, run_count);
    }
    pthread_mutex_unlock(&range->lock);
    return status;
}

/* Also prepares: system calls are counted. */
static enum savepoint_status
mach_mark(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    struct svp_mach_range *range = range_of(watch, start);
    pthread_mutex_lock(&range->lock);
    svp_mach_found(range, start, start + bytes);
    pthread_mutex_unlock(&range->lock);
    return SAVEPOINT_OK;
}

static bool mach_widened(const struct svp_watch *watch)
{
    const struct svp_mach_range *range = watch->ranges;
    while (range != NULL && !range->widened) {
        range = range->next;
    }
    return range != NULL;
}

/* ---- each strategy by itself, and the choice */

static enum savepoint_status
probe_with(const struct svp_watch_backend *backend, const struct svp_mach_strategy *strategy,
           struct svp_watch_caps *caps, struct savepoint_error *error)
{
    enum savepoint_status status = svp_probe_try(backend, error);
    if (status == SAVEPOINT_OK) {
        *caps = (struct svp_watch_caps){
            .page_bytes = vm_page_size,
            .kernel_writes_counted = true,
            .atomic_rearm = strategy->atomic_rearm,
            .concurrent_writers_safe = strategy->atomic_rearm, /* a system call of a stopped thread goes on */
            .concurrent_collects = true,
            .arms_memory = true,
            .exclusive = true,
            .cost = SAVEPOINT_WATCH_COST_KERNEL_FAULT,
        };
    }
    return status;
}

static enum savepoint_status epochs_open(struct svp_watch **watch, struct savepoint_error *error)
{
    return open_with(watch, &svp_mach_epochs, error);
}

static enum savepoint_status epochs_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    return probe_with(&svp_mach_epochs_backend, &svp_mach_epochs, caps, error);
}

static enum savepoint_status pages_open(struct svp_watch **watch, struct savepoint_error *error)
{
    return open_with(watch, &svp_mach_pages, error);
}

static enum savepoint_status pages_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    return probe_with(&svp_mach_pages_backend, &svp_mach_pages, caps, error);
}

static const struct svp_watch_backend *const strategies[] = { &svp_mach_epochs_backend, &svp_mach_pages_backend };
enum { STRATEGIES = sizeof strategies / sizeof strategies[0] };

/* The first that works; else what went wrong with each. */
static enum savepoint_status
choose(const struct svp_watch_backend **chosen, struct svp_watch_caps *caps, struct savepoint_error *error)
{
    struct savepoint_error why[STRATEGIES];
    for (size_t i = 0; i < STRATEGIES; i++) {
        if (strategies[i]->probe(caps, &why[i]) == SAVEPOINT_OK) {
            *chosen = strategies[i];
            return SAVEPOINT_OK;
        }
    }
    return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "probe",
                           "this kernel does not copy memory on write as needed: %.150s; page by page: %.150s",
                           why[0].message, why[1].message);
}

static enum savepoint_status mach_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    const struct svp_watch_backend *chosen = NULL;
    return choose(&chosen, caps, error);
}

static enum savepoint_status mach_open(struct svp_watch **watch, struct savepoint_error *error)
{
    const struct svp_watch_backend *chosen = NULL;
    struct svp_watch_caps caps;
    enum savepoint_status status = choose(&chosen, &caps, error);
    return status == SAVEPOINT_OK ? chosen->open(watch, error) : status;
}

#define MACH_BACKEND(mechanism_text, probe_function, open_function)                                                    \
    {                                                                                                                  \
        .name = "mach", .mechanism = (mechanism_text), .probe = (probe_function), .open = (open_function),             \
        .add = mach_add, .remove = mach_remove, .collect = mach_collect, .mark = mach_mark, .prepare = mach_mark,      \
        .widened = mach_widened, .close = mach_close,                                                                  \
    }

const struct svp_watch_backend svp_mach_epochs_backend =
    MACH_BACKEND("copy-on-write snapshots of each region, an epoch long", epochs_probe, epochs_open);
const struct svp_watch_backend svp_mach_pages_backend =
    MACH_BACKEND("pages remapped copy-on-write, one by one", pages_probe, pages_open);
const struct svp_watch_backend svp_mach_backend =
    MACH_BACKEND("copy-on-write by the kernel, of snapshots or page by page", mach_probe, mach_open);
