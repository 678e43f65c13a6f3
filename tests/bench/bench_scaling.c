/* bench_scaling.c - what grows with what: a take by size, by share changed, by writers; restores by workers, by history
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "raw.h"
#include "scaling.h"
#include "threads.h"
#include "workload.h"

enum { WARM_UP = 2, MIB = 1 << 20 };

#define GIB (UINT64_C(1024) * MIB)

struct run { /* takes of one state being measured */
    struct bench *bench;
    char name[BENCH_NAME_BYTES];
    struct workload workload;
    unsigned writers; /* threads that make the changes */
    struct savepoint *session;
    uint8_t *memory;
    char path[BENCH_PATH_BYTES];
    struct bench_samples pause, cpu, write;
    struct raw raw;
    const char *raw_missing; /* why there is no floor; NULL: there is one */
    struct bench_samples raw_pause, raw_cpu, raw_write;
};

/* ---- memory */

static uint64_t free_bytes(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            kib = strtoull(line + 13, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

/* So many states of this size, and something for others. */
static bool fits(uint64_t bytes, uint64_t states)
{
    return free_bytes() >= states * bytes + 4 * GIB;
}

/* ---- changes: made by some threads at once, while nothing else runs */

struct writing {
    const struct workload *workload;
    uint8_t *memory;
    unsigned writers;
    double spent_ms[THREADS_MAX];
};

static void write_part(void *context, unsigned index)
{
    struct writing *writing = context;
    double cpu = bench_thread_ms();
    workload_apply_part(writing->workload, writing->memory, index, writing->writers);
    writing->spent_ms[index] = bench_thread_ms() - cpu;
}

/* What the stores of a page cost, faults included, in ns. */
static double write_changes(const struct run *run, uint8_t *memory)
{
    struct writing writing = { .workload = &run->workload, .memory = memory, .writers = run->writers };
    double spent_ms = 0;
    threads_run(run->writers, write_part, &writing);
    for (unsigned i = 0; i < run->writers; i++) {
        spent_ms += writing.spent_ms[i];
    }
    return spent_ms * 1e6 / (double)run->workload.shape.changed_pages;
}

/* ---- the subject */

void scaling_take(struct savepoint *session, struct bench_samples *pause, struct bench_samples *cpu)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    uint64_t ticket;
    options.durability = SAVEPOINT_ORDERED;
    double wall = bench_wall_ms(), spent = bench_cpu_ms();
    bench_need(savepoint_take(session, &ticket, &options, &error), &error);
    double held = bench_wall_ms() - wall;
    bench_need(savepoint_wait(session, ticket, NULL, &error), &error);
    if (pause != NULL) {
        bench_add(pause, held);
        bench_add(cpu, bench_cpu_ms() - spent);
    }
}

static void open_subject(struct run *run)
{
    const struct workload_shape *shape = &run->workload.shape;
    const size_t bytes = (size_t)shape->pages * WORKLOAD_PAGE_BYTES;
    struct savepoint_error error;
    bench_path(run->bench, run->path, "scaling.svp");
    run->memory = bench_fresh(bytes);
    workload_fill(run->memory, shape, 0, shape->pages);
    bench_need(savepoint_open(&run->session, run->path, NULL, &error), &error);
    bench_need(savepoint_watch(run->session, "state", run->memory, bytes, &error), &error);
    scaling_take(run->session, NULL, NULL);
}

static void run_subject(struct run *run, bool measured)
{
    const double write_ns = write_changes(run, run->memory);
    scaling_take(run->session, measured ? &run->pause : NULL, measured ? &run->cpu : NULL);
    if (measured) {
        bench_add(&run->write, write_ns);
    }
}

/* ---- the floor */

static void run_floor(struct run *run, bool measured)
{
    if (run->raw_missing != NULL) {
        return;
    }
    const double write_ns = write_changes(run, run->raw.memory);
    double wall = bench_wall_ms(), cpu = bench_thread_ms();
    const uint64_t pages = raw_capture(&run->raw);
    double held = bench_wall_ms() - wall;
    raw_hash(&run->raw, pages);
    if (measured) {
        bench_add(&run->raw_cpu, bench_thread_ms() - cpu);
        bench_add(&run->raw_pause, held);
        bench_add(&run->raw_write, write_ns);
    }
}

/* ---- takes of one state */

static void print_row(const struct run *run, const char *metric, const char *unit, const struct bench_samples *values,
                      const struct bench_samples *floors)
{
    const struct bench_row row = { run->name, "savepoint", metric,
                                   unit,      values,      run->raw_missing == NULL ? floors : NULL,
                                   0 };
    bench_print(run->bench, &row);
}

static void close_run(struct run *run)
{
    struct bench_samples *own[] = {
        &run->pause, &run->cpu, &run->write, &run->raw_pause, &run->raw_cpu, &run->raw_write
    };
    struct savepoint_error error;
    bench_need(savepoint_close(run->session, &error), &error);
    bench_unmap(run->memory, (size_t)run->workload.shape.pages * WORKLOAD_PAGE_BYTES);
    unlink(run->path);
    if (run->raw_missing == NULL) {
        raw_close(&run->raw);
    }
    workload_close(&run->workload);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bench_clear(own[i]);
    }
}

/* `what` names the case behind the size. Without `writers` one thread makes the changes, and what they cost is no row.
 */
static void run_takes(struct bench *bench, uint64_t bytes, uint64_t changed_pages, unsigned writers, const char *what)
{
    struct run run = { .bench = bench, .writers = writers > 0 ? writers : 1 };
    const struct workload_shape shape = {
        .seed = 1,
        .pages = bytes / WORKLOAD_PAGE_BYTES,
        .changed_pages = changed_pages > 0 ? changed_pages : 1,
    };
    bench_name_case(run.name, bytes, what);
    if (!bench_wants(bench, run.name)) {
        return;
    }
    if (!fits(bytes, 2)) {
        bench_skip(bench, run.name, "savepoint", "cpu", "this state and a copy do not fit in free memory");
        return;
    }
    if (!workload_open(&run.workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    run.raw_missing = "a third state does not fit in free memory";
    if (fits(bytes, 3) && raw_open(&run.raw, bytes, shape.changed_pages, &run.raw_missing)) {
        run.raw_missing = NULL;
    }
    open_subject(&run);
    for (int pair = -WARM_UP; pair < bench->pairs; pair++) {
        workload_next(&run.workload);
        (pair % 2 == 0 ? run_subject : run_floor)(&run, pair >= 0);
        (pair % 2 == 0 ? run_floor : run_subject)(&run, pair >= 0);
    }
    print_row(&run, "pause", "ms", &run.pause, &run.raw_pause);
    print_row(&run, "cpu", "ms", &run.cpu, &run.raw_cpu);
    if (writers > 0) {
        print_row(&run, "first_write", "ns", &run.write, &run.raw_write);
    }
    close_run(&run);
}

/* ---- by size, by share, by writers */

static void run_size(struct bench *bench, uint64_t bytes)
{
    const uint64_t half = bytes / WORKLOAD_PAGE_BYTES / 2;
    const uint64_t changed_pages = half < 1500 ? half : 1500;
    char what[32];
    snprintf(what, sizeof what, "%llu pages changed", (unsigned long long)changed_pages);
    run_takes(bench, bytes, changed_pages, 0, what);
}

static void run_sizes(struct bench *bench)
{
    static const uint64_t larger_mib[] = { 256, 1024, 4096, 8192 };
    run_size(bench, bench_bytes(bench, UINT64_C(64) * MIB));
    for (size_t i = 0; i < sizeof larger_mib / sizeof larger_mib[0]; i++) {
        if (bench->bytes_max >= larger_mib[i] * MIB) {
            run_size(bench, larger_mib[i] * MIB);
        }
    }
}

static void run_shares(struct bench *bench)
{
    static const double percents[] = { 0.1, 0.3, 1, 3, 10, 30, 100 };
    const uint64_t bytes = bench_bytes(bench, GIB);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        char what[32];
        snprintf(what, sizeof what, "%g%% changed", percents[i]);
        run_takes(bench, bytes, (uint64_t)((double)(bytes / WORKLOAD_PAGE_BYTES) * percents[i] / 100), 0, what);
    }
}

static void run_writers(struct bench *bench)
{
    static const unsigned writers[] = { 1, 2, 4, 8 };
    const uint64_t bytes = bench_bytes(bench, GIB / 4);
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        char what[32];
        snprintf(what, sizeof what, "10%% changed by %u", writers[i]);
        run_takes(bench, bytes, bytes / WORKLOAD_PAGE_BYTES / 10, writers[i], what);
    }
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "scaling",
        .summary = "what grows with what: a take by size, share and writers; a restore by workers; both by history",
        .pairs = 10,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    run_sizes(&bench);
    run_shares(&bench);
    scaling_histories(&bench);
    run_writers(&bench);
    scaling_workers(&bench);
    bench_end(&bench);
    return 0;
}
