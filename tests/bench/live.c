/* live.c - the pause of a snapshot that is copied while the program writes on
 *
 * A thread writes to random pages at a given rate. The pause is what it loses: from the moment at which the snapshot
 * asks for a stop, so the wait until it stands is counted, to the moment at which it may go on. Between two samples it
 * writes for as long as it takes to change a good part of the state. */
#define _POSIX_C_SOURCE 200809L
#include "live.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "peers.h"
#include "raw.h"

enum { MIB = 1 << 20, WRITES_PER_SECOND = 100000, BATCH_MOST = 100, WARM_UP = 2, APART_MS = 300 };
enum { BUDGET_US = 250, STOPPED_PERCENT = 10 };

struct run {
    struct bench *bench;
    char name[BENCH_NAME_BYTES];
    uint64_t pages;
    uint8_t *memory;
    char path[BENCH_PATH_BYTES];
    struct savepoint *session;
    pthread_t writer;
    pthread_mutex_t gate; /* the writer holds it while it writes */
    atomic_bool ends;
    struct raw raw;
    const char *raw_missing;
    struct peers small, huge; /* pages */
    struct peer_result last_peer[PEER_COUNT];
    struct bench_samples pause, floor, stopped, residual;
    struct bench_samples peers[PEER_COUNT];
};

static void touch(uint8_t *memory, uint64_t page, uint64_t *random)
{
    uint8_t *at = memory + page * WORKLOAD_PAGE_BYTES + workload_random(random) % (WORKLOAD_PAGE_BYTES / 8) * 8;
    const uint64_t value = workload_random(random);
    memcpy(at, &value, sizeof value);
}

static void rest_ms(long ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Writes as many pages as are due by now, some at a time, and sleeps until more are. */
static void *write_for_ever(void *argument)
{
    struct run *run = argument;
    const struct timespec moment = { 0, 100000 };
    uint64_t random = 7;
    double due = 0, before = bench_wall_ms();
    while (!atomic_load(&run->ends)) {
        pthread_mutex_lock(&run->gate);
        const double now = bench_wall_ms();
        due += (now - before) * WRITES_PER_SECOND / 1000;
        before = now;
        due = due < BATCH_MOST ? due : BATCH_MOST; /* what the stop kept it from is not caught up with */
        for (; due >= 1; due--) {
            touch(run->memory, workload_random(&random) % run->pages, &random);
        }
        pthread_mutex_unlock(&run->gate);
        nanosleep(&moment, NULL);
    }
    return NULL;
}

static uint64_t pages_stopped(const struct run *run)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_error error;
    bench_need(savepoint_read_statistics(run->session, &statistics, &error), &error);
    return statistics.live_pages_stopped;
}

/* ---- the subject; returns the pages that the stop had to copy */

static uint64_t take_live(struct run *run, bool measured)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    uint64_t ticket;
    const struct timespec moment = { 0, 1000000 }; /* the program's loop */
    options.mode = SAVEPOINT_LIVE;
    options.pause_budget_ns = BUDGET_US * 1000;
    const uint64_t before = pages_stopped(run);
    bench_need(savepoint_take(run->session, NULL, &options, &error), &error);
    while (savepoint_stop_wanted(run->session) == 0) {
        nanosleep(&moment, NULL);
    }
    const double wall = bench_wall_ms();
    pthread_mutex_lock(&run->gate);
    bench_need(savepoint_tick(run->session, &ticket, &error), &error);
    pthread_mutex_unlock(&run->gate);
    const double pause = bench_wall_ms() - wall;
    bench_need(savepoint_wait(run->session, ticket, NULL, &error), &error);
    const uint64_t pages = pages_stopped(run) - before;
    if (measured) {
        bench_add(&run->pause, pause);
        bench_add(&run->residual, (double)pages);
    }
    return pages;
}

/* ---- the floor: a scan and the copy of as many pages */

static void capture_raw(struct run *run, uint64_t pages, bool measured)
{
    static uint64_t random = 11;
    if (run->raw_missing != NULL) {
        return;
    }
    pthread_mutex_lock(&run->gate);
    for (uint64_t i = 0; i < pages; i++) {
        touch(run->raw.memory, workload_random(&random) % run->pages, &random);
    }
    const double wall = bench_wall_ms();
    (void)raw_capture(&run->raw);
    const double pause = bench_wall_ms() - wall;
    pthread_mutex_unlock(&run->gate);
    if (measured) {
        bench_add(&run->floor, pause);
    }
}

/* ---- a take of the other mode, of a tenth of the pages */

static double take_stopped(struct run *run)
{
    struct savepoint_error error;
    uint64_t ticket;
    const double wall = bench_wall_ms();
    bench_need(savepoint_take(run->session, &ticket, NULL, &error), &error);
    const double pause = bench_wall_ms() - wall;
    bench_need(savepoint_wait(run->session, ticket, NULL, &error), &error);
    return pause;
}

static void stop_and_take(struct run *run, bool measured)
{
    static uint64_t random = 13;
    pthread_mutex_lock(&run->gate);
    (void)take_stopped(run);
    for (uint64_t page = 0; page < run->pages; page++) {
        if (workload_random(&random) % 100 < STOPPED_PERCENT) {
            touch(run->memory, page, &random);
        }
    }
    const double pause = take_stopped(run);
    pthread_mutex_unlock(&run->gate);
    if (measured) {
        bench_add(&run->stopped, pause);
    }
}

/* ---- fork */

static void run_peers(struct run *run, bool measured)
{
    for (int i = PEER_FORK_4K; i < PEER_COUNT; i++) {
        struct peer_result *result = &run->last_peer[i];
        if (i == PEER_FORK_THP_STEADY && run->last_peer[PEER_FORK_THP_FRESH].failed) {
            *result = run->last_peer[PEER_FORK_THP_FRESH];
            continue;
        }
        peers_run(i < PEER_FORK_THP_FRESH ? &run->small : &run->huge, (enum peer)i, result);
        if (measured && !result->failed) {
            bench_add(&run->peers[i], result->pause_ms);
        }
    }
}

/* ---- rows */

static void
print_bound(struct run *run, const char *than, const struct bench_samples *floors, double wanted, const char *why_not)
{
    char name[2 * BENCH_NAME_BYTES];
    snprintf(name, sizeof name, "%s, %s", run->name, than);
    if (floors->count == 0) {
        bench_skip(run->bench, name, "savepoint", "live_pause", why_not);
        return;
    }
    const struct bench_row row = { name, "savepoint", "live_pause", "ms", &run->pause, floors, wanted };
    bench_print(run->bench, &row);
}

static void print_rows(struct run *run)
{
    const struct bench_row residual = { run->name, "savepoint", "live_pages", "pages", &run->residual, NULL, 0 };
    bench_print(run->bench, &residual);
    print_bound(run, "scan and copy", &run->floor, 1.5, run->raw_missing);
    print_bound(run, "STOPPED, 10%", &run->stopped, 0.2, "");
    for (int i = PEER_FORK_4K; i < PEER_COUNT; i++) {
        print_bound(run, peer_name((enum peer)i), &run->peers[i], 1,
                    run->bench->peers == 0 ? "--peers 0" : run->last_peer[i].why);
    }
}

/* ---- the case */

static void open_run(struct run *run)
{
    const struct workload_shape shape = { .seed = 1,
                                          .pages = run->pages,
                                          .changed_pages = run->pages * STOPPED_PERCENT / 100,
                                          .change = WORKLOAD_CHANGE_64_BYTES };
    const size_t bytes = (size_t)run->pages * WORKLOAD_PAGE_BYTES;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    if (run->bench->peers > 0) {
        peers_start(&run->small, &shape, run->bench->folder, false);
        peers_start(&run->huge, &shape, run->bench->folder, true);
    }
    options.staging_bytes = 2 * (uint64_t)bytes;
    run->memory = bench_fresh(bytes);
    workload_fill(run->memory, &shape, 0, shape.pages);
    bench_path(run->bench, run->path, "live.svp");
    bench_need(savepoint_open(&run->session, run->path, &options, &error), &error);
    bench_need(savepoint_watch(run->session, "state", run->memory, bytes, &error), &error);
    (void)take_stopped(run);
    if (raw_open(&run->raw, bytes, run->pages, &run->raw_missing)) {
        run->raw_missing = NULL;
        (void)raw_capture(&run->raw);
    }
    if (pthread_mutex_init(&run->gate, NULL) != 0 || pthread_create(&run->writer, NULL, write_for_ever, run) != 0) {
        bench_fail("no thread to write");
    }
}

static void close_run(struct run *run)
{
    struct savepoint_error error;
    struct bench_samples *own[] = { &run->pause, &run->floor, &run->stopped, &run->residual };
    atomic_store(&run->ends, true);
    pthread_join(run->writer, NULL);
    pthread_mutex_destroy(&run->gate);
    bench_need(savepoint_close(run->session, &error), &error);
    if (run->bench->peers > 0) {
        peers_stop(&run->small);
        peers_stop(&run->huge);
    }
    if (run->raw_missing == NULL) {
        raw_close(&run->raw);
    }
    bench_unmap(run->memory, (size_t)run->pages * WORKLOAD_PAGE_BYTES);
    unlink(run->path);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bench_clear(own[i]);
    }
    for (int i = 0; i < PEER_COUNT; i++) {
        bench_clear(&run->peers[i]);
    }
}

void live_run(struct bench *bench)
{
    static struct run run;
    const uint64_t bytes = bench_bytes(bench, UINT64_C(1024) * MIB);
    run = (struct run){ .bench = bench, .pages = bytes / WORKLOAD_PAGE_BYTES };
    bench_name_case(run.name, bytes, "100k writes/s");
    if (!bench_wants(bench, run.name)) {
        return;
    }
    open_run(&run);
    for (int pair = -WARM_UP; pair < bench->pairs; pair++) {
        rest_ms(APART_MS);
        const uint64_t pages = take_live(&run, pair >= 0);
        capture_raw(&run, pages, pair >= 0);
        if (pair % 3 == 0) {
            stop_and_take(&run, pair >= 0);
        }
        if (bench->peers > 0 && pair >= 0 &&
            pair * bench->peers / bench->pairs != (pair + 1) * bench->peers / bench->pairs) {
            run_peers(&run, true);
        }
    }
    print_rows(&run);
    close_run(&run);
}
