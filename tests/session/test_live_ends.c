/* test_live_ends.c - how LIVE snapshots end: by the interval, by stopping threads, given up, or not at all */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "live_world.h"
#include "session/hot.h"

enum { PAGES = 64, HOT_TURNS = 10 };

/* ---- given up */

static void *more_memory;

static void watch_more(struct world *world)
{
    CHECK_OK(savepoint_watch(world->session, "more", more_memory, PAGE_BYTES, NULL));
}

static void remove_more(struct world *world)
{
    CHECK_OK(savepoint_remove(world->session, "more", NULL));
}

static void map_more(struct world *world)
{
    void *base = NULL;
    CHECK_OK(savepoint_map(world->session, &base, "more", PAGE_BYTES, NULL, NULL));
}

static void grow_more(struct world *world)
{
    CHECK_OK(savepoint_grow(world->session, "more", 1 << 20, NULL));
}

static void exclude_page(struct world *world)
{
    CHECK_OK(savepoint_exclude(world->session, "heap", 0, PAGE_BYTES, NULL));
}

static void include_page(struct world *world)
{
    CHECK_OK(savepoint_include(world->session, "heap", 0, PAGE_BYTES, NULL));
}

static void cancel_all(struct world *world)
{
    CHECK_OK(savepoint_cancel(world->session, 0, NULL));
    CHECK_OK(savepoint_cancel(world->session, 0, NULL));
}

static void restore_first(struct world *world)
{
    CHECK_OK(savepoint_restore(world->session, &world->history.moments[0].id, NULL, NULL));
    CHECK_MEM(world->memory, world->history.moments[0].memory, world->pages * PAGE_BYTES);
}

static void resume_newest(struct world *world)
{
    CHECK_OK(savepoint_resume(world->session, NULL, NULL));
}

/* Gives up one that is prepared, at once or when it is ready. */
static void give_up(struct world *world, live_hook *call, bool ready)
{
    struct savepoint_error error = { 0 };
    uint64_t ticket = 77;
    live_fill(world, 0, PAGES);
    CHECK_OK(live_begin(world, 0, SAVEPOINT_LIVE_ACCEPT));
    if (ready) {
        live_wait_wanted(world);
    }
    call(world);
    CHECK_EQ(savepoint_stop_wanted(world->session), 1);
    CHECK_STATUS(savepoint_tick(world->session, &ticket, &error), SAVEPOINT_CANCELLED);
    CHECK_EQ(ticket, 77);
    CHECK(error.status == SAVEPOINT_CANCELLED && error.message[0] != '\0');
    CHECK_EQ(savepoint_stop_wanted(world->session), 0);
    CHECK_OK(savepoint_tick(world->session, NULL, NULL));
}

CHECK_TEST(live_ends, what_changes_regions_or_memory_gives_it_up)
{
    static const struct {
        live_hook *before, *call, *after;
    } cases[] = { { NULL, watch_more, remove_more },    { watch_more, remove_more, NULL },
                  { NULL, map_more, remove_more },      { map_more, grow_more, remove_more },
                  { NULL, exclude_page, include_page }, { exclude_page, include_page, NULL },
                  { NULL, cancel_all, NULL },           { NULL, restore_first, NULL },
                  { NULL, resume_newest, NULL } };
    struct world world;
    more_memory = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    live_open(&world, "given-up.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof cases[0]); i++) {
        if (cases[i / 2].before != NULL) {
            cases[i / 2].before(&world);
        }
        give_up(&world, cases[i / 2].call, i % 2 == 0);
        if (cases[i / 2].after != NULL) {
            cases[i / 2].after(&world);
        }
        world_take(&world, SAVEPOINT_SYNC);
    }
    live_close(&world);
    munmap(more_memory, PAGE_BYTES);
}

/* Asked for anew before a tick could tell: that answers the question. */
CHECK_TEST(live_ends, begun_again)
{
    struct world world;
    live_open(&world, "again.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_STATUS(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT), SAVEPOINT_BUSY);
    CHECK_OK(savepoint_cancel(world.session, 0, NULL));
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_OK(savepoint_exclude(world.session, "heap", 0, PAGE_BYTES, NULL));
    CHECK_OK(savepoint_include(world.session, "heap", 0, PAGE_BYTES, NULL));
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_end(&world);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    live_close(&world);
}

CHECK_TEST(live_ends, closed_while_it_is_prepared)
{
    for (int turn = 0; turn < 20; turn++) {
        struct world world;
        live_open(&world, "closed.svp", PAGES, NULL);
        world_take(&world, SAVEPOINT_SYNC);
        live_fill(&world, 0, PAGES);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        if (turn % 2 == 0) {
            live_wait_wanted(&world);
        }
        live_close(&world);
    }
}

CHECK_TEST(live_ends, what_is_refused)
{
    struct world world;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_autosave_options autosave = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    live_open(&world, "refused.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    options.mode = (enum savepoint_mode)2;
    CHECK_STATUS(savepoint_take(world.session, NULL, &options, NULL), SAVEPOINT_INVALID);
    options.mode = SAVEPOINT_LIVE;
    options.history = SAVEPOINT_RING;
    CHECK_STATUS(savepoint_take(world.session, NULL, &options, NULL), SAVEPOINT_INVALID);
    options.history = 0;
    options.live_policy = (enum savepoint_live_policy)2;
    CHECK_STATUS(savepoint_take(world.session, NULL, &options, NULL), SAVEPOINT_INVALID);
    autosave.live_policy = (enum savepoint_live_policy)2;
    CHECK_STATUS(savepoint_autosave(world.session, &autosave, NULL), SAVEPOINT_INVALID);
    world_close(&world);
    world_open(&world, world.path, world.backend, PAGES);
    CHECK_STATUS(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT), SAVEPOINT_NOT_RESUMED);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    world_resume(&world);
    live_close(&world);
}

/* An older program's options are shorter, and mean STOPPED. */
CHECK_TEST(live_ends, options_without_a_mode)
{
    struct world world;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket = 0;
    struct savepoint_snapshot snapshot;
    live_open(&world, "older.svp", PAGES, NULL);
    options.size = offsetof(struct savepoint_take_options, mode);
    options.mode = (enum savepoint_mode)2;
    CHECK_OK(savepoint_take(world.session, &ticket, &options, NULL));
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    live_close(&world);
}

/* ---- without the worker */

static atomic_bool threads_fail;

struct svp_thread *__real_svp_thread_start(void (*run)(void *), void *argument);
struct svp_thread *__wrap_svp_thread_start(void (*run)(void *), void *argument);
struct svp_thread *__wrap_svp_thread_start(void (*run)(void *), void *argument)
{
    return atomic_load(&threads_fail) ? NULL : __real_svp_thread_start(run, argument);
}

CHECK_TEST(live_ends, no_thread_can_be_started)
{
    struct world world;
    live_open(&world, "thread.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    atomic_store(&threads_fail, true);
    CHECK_STATUS(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT), SAVEPOINT_NO_MEMORY);
    CHECK_STATUS(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT), SAVEPOINT_NO_MEMORY);
    atomic_store(&threads_fail, false);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_EQ(live_end(&world).changed_pages, PAGES);
    live_close(&world);
}

/* The child has no worker, and the flag of its parent means nothing to it. */
CHECK_TEST(live_ends, a_forked_child)
{
    struct world world;
    live_open(&world, "child.svp", PAGES, NULL);
    live_fill(&world, 0, PAGES);
    for (int turn = 0; turn < 6; turn++) {
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        if (turn % 2 == 0) {
            live_wait_wanted(&world);
        }
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            bool inert = savepoint_stop_wanted(world.session) == 0 &&
                         savepoint_tick(world.session, NULL, NULL) == SAVEPOINT_FORKED &&
                         savepoint_cancel(world.session, 0, NULL) == SAVEPOINT_FORKED &&
                         savepoint_close(world.session, NULL) == SAVEPOINT_OK;
            _exit(inert ? 0 : 1);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        live_end(&world);
    }
    live_close(&world);
}

/* ---- by the interval */

CHECK_TEST(live_ends, autosaves)
{
    struct world world;
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    live_open(&world, "autosave.svp", PAGES, NULL);
    options.interval_ns = 1;
    options.mode = SAVEPOINT_LIVE;
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    for (int turn = 0; turn < 10; turn++) {
        struct savepoint_snapshot snapshot;
        uint64_t ticket = 0;
        live_fill(&world, (size_t)turn, PAGES / 2);
        while (ticket == 0) { /* the first one begins it, later ones leave it alone, one ends it */
            live_wait_wanted(&world);
            CHECK_OK(savepoint_tick(world.session, &ticket, NULL));
        }
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_AUTOSAVE) != 0);
        history_add(&world.history, &snapshot, world.memory);
    }
    CHECK_EQ(live_statistics(&world).autosaves, 10);
    CHECK_EQ(live_statistics(&world).autosaves_late, 0);
    /* Given up: told once, and the interval begins anew. */
    live_wait_wanted(&world);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    CHECK_OK(savepoint_exclude(world.session, "heap", 0, PAGE_BYTES, NULL));
    CHECK_OK(savepoint_include(world.session, "heap", 0, PAGE_BYTES, NULL));
    CHECK_STATUS(savepoint_tick(world.session, NULL, NULL), SAVEPOINT_CANCELLED);
    CHECK_OK(savepoint_tick(world.session, NULL, NULL));
    live_end(&world);
    /* One that is asked for comes first, and puts off what is due. */
    CHECK_OK(savepoint_autosave(world.session, NULL, NULL));
    CHECK_EQ(savepoint_stop_wanted(world.session), 0);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_wait_wanted(&world);
    options.mode = SAVEPOINT_STOPPED;
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    CHECK_EQ((live_end(&world).flags & SAVEPOINT_SNAPSHOT_AUTOSAVE), 0);
    CHECK_EQ(savepoint_stop_wanted(world.session), 1);
    CHECK((live_end(&world).flags & SAVEPOINT_SNAPSHOT_AUTOSAVE) != 0);
    live_close(&world);
}

/* Turned off, or set anew, while one is prepared: that one is not taken, and nothing is left to be told. */
CHECK_TEST(live_ends, autosaves_turned_off)
{
    struct world world;
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    uint64_t ticket = 0;
    live_open(&world, "off.svp", PAGES, NULL);
    options.mode = SAVEPOINT_LIVE;
    for (int turn = 0; turn < 4; turn++) {
        live_fill(&world, 0, PAGES);
        options.interval_ns = 1;
        CHECK_OK(savepoint_autosave(world.session, &options, NULL));
        live_wait_wanted(&world);
        CHECK_OK(savepoint_tick(world.session, NULL, NULL));
        if (turn % 2 == 0) {
            live_wait_wanted(&world);
        }
        options.interval_ns = UINT64_C(60000000000);
        CHECK_OK(savepoint_autosave(world.session, turn < 2 ? NULL : &options, NULL));
        CHECK_EQ(savepoint_stop_wanted(world.session), 0);
        CHECK_OK(savepoint_tick(world.session, &ticket, NULL));
        CHECK_EQ(ticket, 0);
    }
    /* One that was asked for stays. */
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    CHECK_OK(savepoint_autosave(world.session, NULL, NULL));
    live_end(&world);
    CHECK_EQ(live_statistics(&world).autosaves, 0);
    live_close(&world);
}

/* ---- system calls into memory that is armed */

CHECK_TEST(live_ends, a_prepared_range_stays_so)
{
    struct world world;
    int ends[2];
    uint8_t text[PAGE_BYTES];
    memset(text, 7, sizeof text);
    live_open(&world, "prepared.svp", PAGES, NULL);
    CHECK_EQ(pipe(ends), 0);
    for (int turn = 0; turn < 4; turn++) {
        live_fill(&world, 0, PAGES / 2);
        CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
        CHECK_OK(savepoint_prepare(world.session, world_page(&world, 3), PAGE_BYTES, NULL));
        if (turn % 2 == 0) {
            live_wait_wanted(&world);
            usleep(20000);
        }
        CHECK_EQ(write(ends[1], text, sizeof text), sizeof text);
        CHECK_EQ(read(ends[0], world_page(&world, 3), PAGE_BYTES), PAGE_BYTES);
        live_end(&world);
    }
    close(ends[0]);
    close(ends[1]);
    live_close(&world);
}

/* ---- hot pages */

bool __wrap_svp_hot_measure(struct svp_hot_costs *measured, const struct svp_watch_backend *backend);
bool __wrap_svp_hot_measure(struct svp_hot_costs *measured, const struct svp_watch_backend *backend)
{
    (void)backend;
    *measured = (struct svp_hot_costs){ .fault = 10000, .call = 10, .page = 100 };
    return true;
}

/* Pages that takes leave unarmed are armed when a capture begins: they can be copied before the stop. */
CHECK_TEST(live_ends, hot_pages_are_armed)
{
    struct world world;
    live_open(&world, "hot.svp", PAGES, NULL);
    world_take(&world, SAVEPOINT_SYNC);
    for (int turn = 0; turn < HOT_TURNS; turn++) {
        live_fill(&world, 0, PAGES);
        world_take(&world, SAVEPOINT_SYNC);
    }
    CHECK_EQ(live_statistics(&world).faults_avoided > 0, live_copies(&world));
    live_fill(&world, 0, PAGES);
    CHECK_OK(live_begin(&world, 0, SAVEPOINT_LIVE_ACCEPT));
    live_wait_copied(&world, PAGES);
    usleep(10000);
    live_end(&world);
    CHECK_EQ(live_statistics(&world).live_pages_stopped, live_copies(&world) ? 0 : PAGES);
    CHECK_EQ(live_statistics(&world).live_pages_precopied, live_copies(&world) ? PAGES : 0);
    live_close(&world);
}
