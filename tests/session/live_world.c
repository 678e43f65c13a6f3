/* live_world.c - a session of LIVE snapshots, and the moments at which its worker could lose a write */
#define _DEFAULT_SOURCE
#include "live_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/thread.h"
#include "session/copy.h"
#include "session/live.h"

/* ---- moments */

static _Thread_local bool works;     /* this thread is the worker, in its rounds */
static _Thread_local bool collected; /* and has just collected */
static struct world *watched;
static size_t hooked_page;
static live_hook *_Atomic on_copied, *_Atomic on_collected;
static pthread_mutex_t any_mutex = PTHREAD_MUTEX_INITIALIZER; /* of the hook that any page calls, also while it runs */
static void (*on_any)(struct world *world, size_t page);

void __real_svp_precopy(struct savepoint *session, struct svp_store *store);
void __wrap_svp_precopy(struct savepoint *session, struct svp_store *store);
void __wrap_svp_precopy(struct savepoint *session, struct svp_store *store)
{
    works = true;
    __real_svp_precopy(session, store);
    works = false;
}

void __real_svp_copy_live(void *to, const void *live, size_t bytes);
void __wrap_svp_copy_live(void *to, const void *live, size_t bytes);
void __wrap_svp_copy_live(void *to, const void *live, size_t bytes)
{
    __real_svp_copy_live(to, live, bytes);
    if (!works) {
        return;
    }
    works = false; /* what the hook does is not the worker's */
    const size_t page = (size_t)((const uint8_t *)live - watched->memory) / PAGE_BYTES;
    pthread_mutex_lock(&any_mutex);
    if (on_any != NULL) {
        on_any(watched, page);
    }
    pthread_mutex_unlock(&any_mutex);
    if (page == hooked_page) {
        live_hook *hook = atomic_exchange(&on_copied, NULL);
        if (hook != NULL) {
            hook(watched);
        }
    }
    works = true;
}

enum savepoint_status __real_svp_rearm_all(struct svp_region *region, struct svp_pageset *written,
                                           struct svp_watch_run *runs, struct savepoint_error *error);
enum savepoint_status __wrap_svp_rearm_all(struct svp_region *region, struct svp_pageset *written,
                                           struct svp_watch_run *runs, struct savepoint_error *error);
enum savepoint_status __wrap_svp_rearm_all(struct svp_region *region, struct svp_pageset *written,
                                           struct svp_watch_run *runs, struct savepoint_error *error)
{
    enum savepoint_status status = __real_svp_rearm_all(region, written, runs, error);
    collected = works;
    return status;
}

void __real_svp_mutex_lock(struct svp_mutex *mutex);
void __wrap_svp_mutex_lock(struct svp_mutex *mutex);
void __wrap_svp_mutex_lock(struct svp_mutex *mutex)
{
    if (collected) {
        collected = false;
        live_hook *hook = atomic_exchange(&on_collected, NULL);
        if (hook != NULL) {
            hook(watched);
        }
    }
    __real_svp_mutex_lock(mutex);
}

void live_when_copied(struct world *world, size_t page, live_hook *hook)
{
    watched = world;
    hooked_page = page;
    atomic_store(&on_copied, hook);
}

void live_when_any_copied(struct world *world, void (*hook)(struct world *world, size_t page))
{
    pthread_mutex_lock(&any_mutex);
    watched = world;
    on_any = hook;
    pthread_mutex_unlock(&any_mutex);
}

void live_when_collected(struct world *world, live_hook *hook)
{
    watched = world;
    atomic_store(&on_collected, hook);
}

/* ---- the world */

void live_open(struct world *world, const char *name, size_t pages, const struct live_options *more)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    const char *backend = getenv("SAVEPOINT_TEST_BACKEND");
    *world = (struct world){ 0 };
    watched = world;
    hooked_page = SIZE_MAX;
    world->path = scratch_path(name);
    world->backend = backend != NULL ? backend : "uffd";
    world->pages = pages;
    world->history.memory_bytes = pages * PAGE_BYTES;
    options.watch = world->backend;
    options.staging_bytes = more != NULL ? more->staging_bytes : 0;
    options.ring_bytes = more != NULL ? more->ring_bytes : 0;
    world->memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(world->memory != MAP_FAILED);
    file_remove(world->path);
    CHECK_OK(savepoint_open(&world->session, world->path, &options, NULL));
    CHECK_OK(savepoint_watch(world->session, "heap", world->memory, pages * PAGE_BYTES, NULL));
}

void live_close(struct world *world)
{
    world_close(world);
    check_archive(world->path, &world->history, world->history.count, "at the end");
    world_free(world);
}

bool live_copies(const struct world *world)
{
    return strcmp(world->backend, "compare") != 0;
}

void live_fill(const struct world *world, size_t first, size_t count)
{
    static uint64_t state = 1;
    for (size_t page = first; page < first + count; page++) {
        random_fill(world_page(world, page), 64, &state);
    }
}

enum savepoint_status live_begin(const struct world *world, uint64_t budget_ns, enum savepoint_live_policy policy)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket = 77;
    options.mode = SAVEPOINT_LIVE;
    options.pause_budget_ns = budget_ns;
    options.live_policy = policy;
    enum savepoint_status status = savepoint_take(world->session, &ticket, &options, NULL);
    CHECK_EQ(ticket, status == SAVEPOINT_OK ? 0 : 77);
    return status;
}

void live_wait_wanted(const struct world *world)
{
    while (savepoint_stop_wanted(world->session) == 0) {
        usleep(100);
    }
}

void live_wait_copied(const struct world *world, uint64_t pages)
{
    while (live_copies(world) && live_statistics(world).live_pages_precopied < pages) {
        usleep(100);
    }
}

struct savepoint_snapshot live_end(struct world *world)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { 0 };
    uint64_t ticket = 0;
    live_wait_wanted(world);
    enum savepoint_status status = savepoint_tick(world->session, &ticket, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "tick: %s: %s", savepoint_status_name(status), error.message);
    CHECK(ticket != 0);
    status = savepoint_wait(world->session, ticket, &snapshot, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "wait: %s: %s", savepoint_status_name(status), error.message);
    history_add(&world->history, &snapshot, world->memory);
    return snapshot;
}

struct savepoint_statistics live_statistics(const struct world *world)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(world->session, &statistics, NULL));
    return statistics;
}
