/* bench_take.c - what a snapshot costs: pause, CPU, bytes, and time until it is durable */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "live.h"
#include "peers.h"
#include "raw.h"
#include "tracking.h"

enum { WARM_UP = 2, MIB = 1 << 20 };

struct take_case {
    const char *what; /* behind the size in the name */
    uint64_t bytes;
    uint64_t changed_pages; /* of that many bytes; a state shrunk by --bytes has fewer in proportion */
    uint64_t repeated_percent;
    enum workload_change change;
    double pause, cpu, durable; /* wanted: so many times the floor; 0: none */
};

static const struct take_case cases[] = {
    { "1% 64B", UINT64_C(1024) * MIB, 2621, 0, WORKLOAD_CHANGE_64_BYTES, 1.15, 3.5, 2.5 },
    { "10% 64B", UINT64_C(1024) * MIB, 26214, 0, WORKLOAD_CHANGE_64_BYTES, 1.15, 2.6, 2.5 },
    { "1% whole", UINT64_C(1024) * MIB, 2621, 0, WORKLOAD_CHANGE_PAGE, 1.15, 0, 0 },
    { "10% whole", UINT64_C(1024) * MIB, 26214, 0, WORKLOAD_CHANGE_PAGE, 1.15, 0, 0 },
    { "frame 85% repeat", UINT64_C(170) * MIB, 1500, 85, WORKLOAD_CHANGE_64_BYTES, 1.5, 0, 2.5 },
    { "frame uniform", UINT64_C(170) * MIB, 1500, 0, WORKLOAD_CHANGE_64_BYTES, 1.5, 0, 2.5 },
};

struct run { /* one case being measured */
    struct bench *bench;
    const struct take_case *from;
    char name[BENCH_NAME_BYTES];
    struct workload workload;
    struct bench_samples pause, cpu, durable;             /* of the subject */
    struct bench_samples raw_pause, raw_cpu, raw_durable; /* of the floor */
    struct bench_samples peers[PEER_WHOLE_COUNT][3];      /* pause, cpu, durable */
    struct peer_result last_peer[PEER_WHOLE_COUNT];
    struct peers small, huge; /* pages */
    struct savepoint *session;
    uint8_t *memory;
    char path[BENCH_PATH_BYTES];
    char raw_path[BENCH_PATH_BYTES];
    int raw_file;
    struct raw raw;
    const char *raw_missing; /* why there is no floor; NULL: there is one */
};

/* ---- the subject */

static void take(struct run *run, bool measured)
{
    struct savepoint_error error;
    uint64_t ticket;
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    bench_need(savepoint_take(run->session, &ticket, NULL, &error), &error);
    double pause = bench_wall_ms() - wall;
    bench_need(savepoint_wait(run->session, ticket, NULL, &error), &error);
    if (measured) {
        bench_add(&run->pause, pause);
        bench_add(&run->durable, bench_wall_ms() - wall);
        bench_add(&run->cpu, bench_cpu_ms() - cpu);
    }
}

static void take_changes(struct run *run, bool measured)
{
    workload_apply(&run->workload, run->memory);
    take(run, measured);
}

static void open_subject(struct run *run)
{
    const struct workload_shape *shape = &run->workload.shape;
    size_t bytes = (size_t)shape->pages * WORKLOAD_PAGE_BYTES;
    struct savepoint_error error;
    run->memory = bench_fresh(bytes);
    workload_fill(run->memory, shape, 0, shape->pages);
    bench_path(run->bench, run->path, "take.svp");
    bench_need(savepoint_open(&run->session, run->path, NULL, &error), &error);
    bench_need(savepoint_watch(run->session, "state", run->memory, bytes, &error), &error);
    take(run, false);
}

static void close_subject(struct run *run)
{
    struct savepoint_error error;
    bench_need(savepoint_close(run->session, &error), &error);
    bench_unmap(run->memory, (size_t)run->workload.shape.pages * WORKLOAD_PAGE_BYTES);
    unlink(run->path);
}

static uint64_t file_bytes(const struct run *run)
{
    struct stat about;
    if (stat(run->path, &about) != 0) {
        bench_fail("%s has vanished", run->path);
    }
    return (uint64_t)about.st_size;
}

static struct savepoint_statistics read_statistics(const struct run *run)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_error error;
    bench_need(savepoint_read_statistics(run->session, &statistics, &error), &error);
    return statistics;
}

/* ---- the floor */

static void open_floor(struct run *run)
{
    const struct workload_shape *shape = &run->workload.shape;
    size_t bytes = (size_t)shape->pages * WORKLOAD_PAGE_BYTES;
    /* All of the state is copied in, and captured, once. */
    if (raw_open(&run->raw, bytes, shape->pages, &run->raw_missing)) {
        run->raw_missing = NULL;
        memcpy(run->raw.memory, run->memory, bytes);
        raw_capture(&run->raw);
        bench_path(run->bench, run->raw_path, "take.raw");
        run->raw_file = open(run->raw_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        if (run->raw_file < 0) {
            bench_fail("cannot create %s", run->raw_path);
        }
    }
}

static void close_floor(struct run *run)
{
    if (run->raw_missing == NULL) {
        raw_close(&run->raw);
        close(run->raw_file);
        unlink(run->raw_path);
    }
}

/* As many bytes as were changed, made durable at the end of a file. */
static void sync_raw(const struct run *run, uint64_t pages)
{
    size_t bytes = (size_t)pages * (run->from->change == WORKLOAD_CHANGE_PAGE ? WORKLOAD_PAGE_BYTES : 64);
    if (write(run->raw_file, run->raw.gathered, bytes) != (ssize_t)bytes || fdatasync(run->raw_file) != 0) {
        bench_fail("cannot write %s", run->raw_path);
    }
}

static void capture_raw(struct run *run, bool measured)
{
    if (run->raw_missing != NULL) {
        return;
    }
    workload_apply(&run->workload, run->raw.memory);
    double wall = bench_wall_ms(), cpu = bench_thread_ms();
    uint64_t pages = raw_capture(&run->raw);
    double pause = bench_wall_ms() - wall;
    raw_hash(&run->raw, pages);
    double spent = bench_thread_ms() - cpu;
    sync_raw(run, pages);
    double durable = bench_wall_ms() - wall;
    if (pages != run->workload.shape.changed_pages) {
        bench_fail("the floor saw other pages than were written");
    }
    if (measured) {
        bench_add(&run->raw_pause, pause);
        bench_add(&run->raw_cpu, spent);
        bench_add(&run->raw_durable, durable);
    }
}

/* ---- the peers */

static void run_peers(struct run *run, bool measured)
{
    for (int i = 0; i < PEER_WHOLE_COUNT; i++) {
        struct peer_result *result = &run->last_peer[i];
        enum peer peer = (enum peer)i;
        if (peer == PEER_FORK_THP_STEADY && run->last_peer[PEER_FORK_THP_FRESH].failed) {
            *result = run->last_peer[PEER_FORK_THP_FRESH];
            continue;
        }
        peers_run(peer < PEER_FORK_THP_FRESH ? &run->small : &run->huge, peer, result);
        if (measured && !result->failed) {
            bench_add(&run->peers[i][0], result->pause_ms);
            bench_add(&run->peers[i][1], result->cpu_ms);
            bench_add(&run->peers[i][2], result->wall_ms);
        }
    }
}

/* ---- rows */

static void print_times(struct run *run)
{
    const struct bench_row rows[] = {
        { run->name, "savepoint", "pause", "ms", &run->pause, &run->raw_pause, run->from->pause },
        { run->name, "savepoint", "cpu", "ms", &run->cpu, &run->raw_cpu, run->from->cpu },
        { run->name, "savepoint", "durable_wall", "ms", &run->durable, &run->raw_durable, run->from->durable },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench_print(run->bench, &rows[i]);
    }
}

/* One figure of all takes behind the first: bytes by pages. */
static void print_bytes(const struct run *run, const char *metric, double bytes, uint64_t pages, double wanted)
{
    struct bench_samples sample = { .values = NULL };
    if (pages == 0) {
        bench_skip(run->bench, run->name, "savepoint", metric, "no page was stored so");
        return;
    }
    bench_add(&sample, bytes / (double)pages);
    const struct bench_row row = { run->name, "savepoint", metric, "B", &sample, NULL, wanted };
    bench_print(run->bench, &row);
    bench_clear(&sample);
}

static void print_sizes(const struct run *run, const struct savepoint_statistics *before, uint64_t bytes_before)
{
    const struct savepoint_statistics after = read_statistics(run);
    const struct workload_shape *shape = &run->workload.shape;
    const uint64_t changed = shape->changed_pages * run->workload.interval;
    const double delta = (double)(after.delta_bytes - before->delta_bytes);
    const double key = (double)(after.key_bytes - before->key_bytes);
    const uint64_t key_pages = after.pages_zero + after.pages_whole - before->pages_zero - before->pages_whole;
    const double grown = (double)(file_bytes(run) - bytes_before);
    print_bytes(run, "delta_bytes_per_page", delta, after.pages_delta - before->pages_delta,
                shape->change == WORKLOAD_CHANGE_64_BYTES ? 70 : 0);
    print_bytes(run, "key_bytes_per_page", key, key_pages, 0);
    print_bytes(run, "overhead_bytes_per_page", grown - delta - key, changed, 20);
}

static void print_other(const struct run *run, const char *subject, const char *metric,
                        const struct bench_samples *samples, const char *why_not)
{
    const struct bench_row row = { run->name, subject, metric, "ms", samples, NULL, 0 };
    if (samples->count == 0) {
        bench_skip(run->bench, run->name, subject, metric, why_not);
    } else {
        bench_print(run->bench, &row);
    }
}

static void print_others(const struct run *run)
{
    static const char *const metrics[] = { "pause", "cpu", "durable_wall" };
    print_other(run, "raw", "pause", &run->raw_pause, run->raw_missing);
    print_other(run, "raw", "cpu", &run->raw_cpu, run->raw_missing);
    print_other(run, "raw", "durable_wall", &run->raw_durable, run->raw_missing);
    for (int peer = 0; peer < PEER_WHOLE_COUNT; peer++) {
        const char *why_not = run->bench->peers == 0 ? "--peers 0" : run->last_peer[peer].why;
        for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
            print_other(run, peer_name((enum peer)peer), metrics[i], &run->peers[peer][i], why_not);
        }
    }
}

/* ---- a case */

static void shape_of(struct workload_shape *shape, const struct take_case *from, uint64_t bytes)
{
    const uint64_t changed = from->changed_pages * bytes / from->bytes;
    *shape = (struct workload_shape){
        .seed = 1,
        .pages = bytes / WORKLOAD_PAGE_BYTES,
        .changed_pages = changed > 0 ? changed : 1,
        .change = from->change,
    };
    shape->repeated_pages = shape->changed_pages * from->repeated_percent / 100;
}

static void open_run(struct run *run)
{
    if (run->bench->peers > 0) {
        peers_start(&run->small, &run->workload.shape, run->bench->folder, PEERS_SMALL);
        peers_start(&run->huge, &run->workload.shape, run->bench->folder, PEERS_HUGE);
    }
    open_subject(run);
    open_floor(run);
}

static void close_run(struct run *run)
{
    if (run->bench->peers > 0) {
        peers_stop(&run->small);
        peers_stop(&run->huge);
    }
    close_floor(run);
    close_subject(run);
    workload_close(&run->workload);
    struct bench_samples *own[] = { &run->pause,     &run->cpu,     &run->durable,
                                    &run->raw_pause, &run->raw_cpu, &run->raw_durable };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bench_clear(own[i]);
    }
    for (int i = 0; i < 3 * PEER_WHOLE_COUNT; i++) {
        bench_clear(&run->peers[i / 3][i % 3]);
    }
}

/* Whether a round of the peers, which take seconds, follows this pair: they are spread over the loop. */
static bool peers_are_due(const struct bench *bench, int pair)
{
    return pair * bench->peers / bench->pairs != (pair + 1) * bench->peers / bench->pairs;
}

static void run_case(struct bench *bench, const struct take_case *from)
{
    const uint64_t bytes = bench_bytes(bench, from->bytes);
    struct workload_shape shape;
    struct run run = { .bench = bench, .from = from };
    bench_name_case(run.name, bytes, from->what);
    if (!bench_wants(bench, run.name)) {
        return;
    }
    shape_of(&shape, from, bytes);
    if (!workload_open(&run.workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    open_run(&run);
    const struct savepoint_statistics statistics = read_statistics(&run);
    const uint64_t bytes_before = file_bytes(&run);
    for (int pair = -WARM_UP; pair < bench->pairs; pair++) {
        workload_next(&run.workload);
        /* Who comes first changes, as the second may find the caches as the first left them. */
        if (pair % 2 == 0) {
            take_changes(&run, pair >= 0);
            capture_raw(&run, pair >= 0);
        } else {
            capture_raw(&run, pair >= 0);
            take_changes(&run, pair >= 0);
        }
        if (bench->peers > 0 && (pair == -1 || (pair >= 0 && peers_are_due(bench, pair)))) {
            run_peers(&run, pair >= 0);
        }
    }
    print_times(&run);
    print_sizes(&run, &statistics, bytes_before);
    print_others(&run);
    close_run(&run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "take",
        .summary = "what a snapshot costs: pause, CPU, bytes, and time until it is durable",
        .pairs = 30,
        .peers = 5,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(&bench, &cases[i]);
    }
    live_run(&bench);
    tracking_run(&bench);
    bench_end(&bench);
    return 0;
}
