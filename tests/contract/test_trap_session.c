/* test_trap_session.c - a session over a watch that fails now and then, or tracks by pages of 16 KiB
 *
 * Linked with --wrap: the backend that the session gets is the one under test, with a fault or a coarser grain. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"

enum { PAGE_BYTES = 4096, COARSE_BYTES = 4 * PAGE_BYTES, PAGE_COUNT = 64, SNAPSHOTS = 24 };

static struct {
    struct svp_watch_backend backend; /* as the session sees it */
    const struct svp_watch_backend *real;
    size_t page_bytes;   /* 0: the host's */
    unsigned fail_every; /* collects that re-arm; 0: none fails */
    unsigned collects, failures;
} world;

static uintptr_t round_up(uintptr_t value)
{
    return (value + COARSE_BYTES - 1) / COARSE_BYTES * COARSE_BYTES;
}

/* Widens runs to whole coarse pages, and joins those that meet. */
static void widen(struct svp_watch_run *runs, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        uintptr_t start = runs[i].start / COARSE_BYTES * COARSE_BYTES;
        uintptr_t end = round_up(runs[i].start + runs[i].bytes);
        if (kept > 0 && start <= runs[kept - 1].start + runs[kept - 1].bytes) {
            runs[kept - 1].bytes = end - runs[kept - 1].start;
        } else {
            runs[kept++] = (struct svp_watch_run){ start, end - start };
        }
    }
    *count = kept;
}

static enum savepoint_status collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode,
                                     size_t max_pages, struct svp_watch_run *runs, size_t run_capacity,
                                     size_t *run_count, uintptr_t *resume, struct savepoint_error *error)
{
    size_t count = *run_count;
    uintptr_t reached = *resume;
    enum savepoint_status status =
        world.real->collect(watch, start, bytes, mode, max_pages, runs, run_capacity, &count, &reached, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (mode == SVP_WATCH_REARM && world.fail_every != 0 && ++world.collects % world.fail_every == 0) {
        world.failures++; /* pages are re-armed, and nobody knows which */
        return SAVEPOINT_IO;
    }
    if (world.page_bytes == COARSE_BYTES) {
        widen(runs, &count);
        reached = round_up(reached);
    }
    *run_count = count;
    *resume = reached;
    return SAVEPOINT_OK;
}

enum savepoint_status __wrap_svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                              size_t compare_max_bytes, struct savepoint_error *error);
enum savepoint_status __wrap_svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                              size_t compare_max_bytes, struct savepoint_error *error)
{
    (void)forced;
    (void)bytes;
    (void)compare_max_bytes;
    (void)error;
    world.backend = *world.real;
    world.backend.collect = collect;
    *choice = (struct svp_watch_choice){ .backend = &world.backend };
    return SAVEPOINT_OK;
}

size_t __real_svp_vm_page_bytes(void);
size_t __wrap_svp_vm_page_bytes(void);
size_t __wrap_svp_vm_page_bytes(void)
{
    return world.page_bytes != 0 ? world.page_bytes : __real_svp_vm_page_bytes();
}

/* ---- a session, and what each of its snapshots must be */

struct history {
    char folder[64], path[96];
    struct savepoint *session;
    unsigned char *mapping, *memory;
    struct savepoint_snapshot snapshots[SNAPSHOTS];
    unsigned char *states[SNAPSHOTS];
};

static void open_history(struct history *history)
{
    memset(history, 0, sizeof *history);
    strcpy(history->folder, "/tmp/savepoint-trap-XXXXXX");
    CHECK(mkdtemp(history->folder) != NULL);
    snprintf(history->path, sizeof history->path, "%s/a.svp", history->folder);
    history->mapping = map_pages((PAGE_COUNT * PAGE_BYTES + COARSE_BYTES) / host_page_bytes());
    history->memory = (unsigned char *)round_up((uintptr_t)history->mapping);
    CHECK_OK(savepoint_open(&history->session, history->path, NULL, NULL));
    CHECK_OK(savepoint_watch(history->session, "memory", history->memory, PAGE_COUNT * PAGE_BYTES, NULL));
}

static void close_history(struct history *history)
{
    CHECK_OK(savepoint_close(history->session, NULL));
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        free(history->states[i]);
    }
    munmap(history->mapping, PAGE_COUNT * PAGE_BYTES + COARSE_BYTES);
    CHECK_EQ(unlink(history->path), 0);
    CHECK_EQ(rmdir(history->folder), 0);
}

static void take(struct history *history, size_t index)
{
    CHECK_OK(savepoint_take(history->session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(history->session, 0, &history->snapshots[index], NULL));
    history->states[index] = malloc(PAGE_COUNT * PAGE_BYTES);
    CHECK(history->states[index] != NULL);
    memcpy(history->states[index], history->memory, PAGE_COUNT * PAGE_BYTES);
}

static void check_restored(struct history *history, size_t index)
{
    CHECK_OK(savepoint_restore(history->session, &history->snapshots[index].id, NULL, NULL));
    CHECK_MEM(history->memory, history->states[index], PAGE_COUNT * PAGE_BYTES);
}

/* Few writes between takes, then back and forth; a page that a take has missed differs after a restore. */
static void live(struct history *history)
{
    uint32_t state = 1;
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        for (size_t j = 0; j < i % 5; j++) {
            state = state * 1664525 + 1013904223;
            history->memory[(state >> 8) % (PAGE_COUNT * PAGE_BYTES)]++;
        }
        take(history, i);
        CHECK(i == 0 || history->snapshots[i].changed_pages <= i % 5);
    }
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        history->memory[i * 777]++;
        check_restored(history, i * 7 % SNAPSHOTS);
    }
}

TRAP_TEST(trap_session, a_failed_collect_loses_nothing)
{
    if (is(watched, "signal")) { /* whose collect never fails */
        return;
    }
    for (unsigned fail_every = 1; fail_every < 4; fail_every++) {
        struct history history;
        memset(&world, 0, sizeof world);
        world.real = watched->backend;
        world.fail_every = fail_every;
        open_history(&history);
        live(&history);
        CHECK(world.failures >= SNAPSHOTS / 4);
        close_history(&history);
    }
    check_alive(watched);
}

/* Four pages are reported for each that was written; one is stored. */
TRAP_TEST(trap_session, pages_of_16_kib)
{
    struct history history;
    struct savepoint_error error;
    struct savepoint_statistics before = { .size = sizeof before };
    struct savepoint_statistics after = { .size = sizeof after };
    memset(&world, 0, sizeof world);
    world.real = watched->backend;
    world.page_bytes = COARSE_BYTES;
    open_history(&history);
    live(&history);
    CHECK_OK(savepoint_take(history.session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(history.session, 0, NULL, NULL));
    CHECK_OK(savepoint_read_statistics(history.session, &before, NULL));
    struct savepoint_snapshot snapshot;
    history.memory[5 * PAGE_BYTES + 9]++;
    CHECK_OK(savepoint_take(history.session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(history.session, 0, &snapshot, NULL));
    CHECK_OK(savepoint_read_statistics(history.session, &after, NULL));
    CHECK_EQ(snapshot.changed_pages, 1);
    CHECK_EQ(after.pages_reported - before.pages_reported, watched->caps.arms_memory ? 4 : PAGE_COUNT);
    /* What is aligned to 4 KiB only is refused there, with the reason. */
    unsigned char *fine = history.mapping + (history.mapping == history.memory ? PAGE_COUNT * PAGE_BYTES : 0);
    CHECK_STATUS(savepoint_watch(history.session, "fine", fine, PAGE_BYTES, &error), SAVEPOINT_INVALID);
    CHECK_MSG(strstr(error.message, "16384") != NULL, "message: %s", error.message);
    close_history(&history);
    memset(&world, 0, sizeof world);
}
