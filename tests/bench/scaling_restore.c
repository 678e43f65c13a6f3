/* scaling_restore.c - restores by how many threads decode; takes, opens and restores by how many snapshots there are */
#include <stdio.h>
#include <unistd.h>

#include "restore_history.h"
#include "scaling.h"
#include "threads.h"

enum { DELTAS = 20, FEW_PAIRS = 5, MIB = 1 << 20 };

/* ---- by history */

struct history_samples {
    struct bench_samples pause, cpu, open, restore;
};

static void measure_open(const struct restore_history *history, struct bench_samples *values)
{
    struct savepoint_archive *archive;
    struct savepoint_snapshot newest;
    struct savepoint_error error;
    double wall = bench_wall_ms();
    bench_need(savepoint_archive_open(&archive, history->path, &error), &error);
    bench_need(savepoint_archive_newest(archive, &newest, &error), &error);
    savepoint_archive_close(archive);
    bench_add(values, bench_wall_ms() - wall);
}

/* Goes on until there are so many snapshots, the last ones measured; then opens and restores. */
static void
measure_history(struct restore_history *history, struct history_samples *samples, unsigned snapshots, int pairs)
{
    const unsigned measured = snapshots / 2 < (unsigned)pairs ? snapshots / 2 : (unsigned)pairs;
    restore_history_go_on(history, snapshots - history->workload.interval - measured - 2);
    for (unsigned i = 0; i < measured; i++) {
        workload_next(&history->workload);
        workload_apply(&history->workload, history->memory);
        scaling_take(history->session, &samples->pause, &samples->cpu);
    }
    restore_history_go_on(history, 1);
    restore_history_close(history);
    for (int pair = 0; pair < pairs; pair++) {
        measure_open(history, &samples->open);
        double wall = bench_wall_ms();
        restore_history_open(history);
        bench_add(&samples->restore, bench_wall_ms() - wall);
        restore_history_check(history, history->newest_content);
        if (pair + 1 < pairs) {
            restore_history_close(history);
        }
    }
}

static void print_history(struct bench *bench, const char *name, struct history_samples *samples)
{
    const struct bench_row rows[] = {
        { name, "savepoint", "pause", "ms", &samples->pause, NULL, 0 },
        { name, "savepoint", "cpu", "ms", &samples->cpu, NULL, 0 },
        { name, "savepoint", "open", "ms", &samples->open, NULL, 0 },
        { name, "savepoint", "restore", "ms", &samples->restore, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench_print(bench, &rows[i]);
    }
}

static void clear_history(struct history_samples *samples)
{
    bench_clear(&samples->pause);
    bench_clear(&samples->cpu);
    bench_clear(&samples->open);
    bench_clear(&samples->restore);
}

void scaling_histories(struct bench *bench)
{
    static const unsigned snapshots[] = { 20, 100, 500, 2000, 5000 };
    enum { HISTORIES = sizeof snapshots / sizeof snapshots[0] };
    const size_t bytes = (size_t)bench_bytes(bench, UINT64_C(64) * MIB);
    struct restore_history history = { .threads = threads_default() };
    char names[HISTORIES][BENCH_NAME_BYTES], what[32];
    int last = -1; /* that is wanted */
    for (int i = 0; i < HISTORIES; i++) {
        snprintf(what, sizeof what, "after %u snapshots", snapshots[i]);
        bench_name_case(names[i], bytes, what);
        last = bench_wants(bench, names[i]) ? i : last;
    }
    if (last < 0) {
        return;
    }
    bench_path(bench, history.path, "history.svp");
    restore_history_begin(&history, bytes, bytes / WORKLOAD_PAGE_BYTES / 100);
    for (int i = 0; i <= last; i++) {
        struct history_samples samples = { .pause = { .count = 0 } };
        measure_history(&history, &samples, snapshots[i], bench->pairs);
        if (bench_wants(bench, names[i])) {
            print_history(bench, names[i], &samples);
        }
        clear_history(&samples);
    }
    restore_history_close(&history);
    unlink(history.path);
    restore_history_free(&history);
}

/* ---- restores, by workers */

void scaling_workers(struct bench *bench)
{
    static const unsigned workers[] = { 1, 2, 4 };
    enum { WORKERS = sizeof workers / sizeof workers[0] };
    const size_t bytes = (size_t)bench_bytes(bench, UINT64_C(1024) * MIB);
    char names[WORKERS][BENCH_NAME_BYTES], what[32];
    struct bench_samples values[WORKERS] = { { .count = 0 } };
    struct restore_history history = { .threads = threads_default() };
    bool wanted = false;
    for (size_t i = 0; i < WORKERS; i++) {
        snprintf(what, sizeof what, "restored by %u", workers[i]);
        bench_name_case(names[i], bytes, what);
        wanted = wanted || bench_wants(bench, names[i]);
    }
    if (!wanted) {
        return;
    }
    bench_path(bench, history.path, "workers.svp");
    restore_history_begin(&history, bytes, bytes / WORKLOAD_PAGE_BYTES / 100);
    restore_history_go_on(&history, DELTAS);
    restore_history_close(&history);
    for (int pair = 0; pair < bench->pairs && pair < FEW_PAIRS; pair++) {
        for (size_t i = 0; i < WORKERS; i++) {
            history.threads = workers[i];
            double wall = bench_wall_ms();
            restore_history_open(&history);
            bench_add(&values[i], bench_wall_ms() - wall);
            restore_history_check(&history, history.newest_content);
            restore_history_close(&history);
        }
    }
    for (size_t i = 0; i < WORKERS; i++) {
        const struct bench_row row = { names[i], "savepoint", "restore", "ms", &values[i], NULL, 0 };
        if (bench_wants(bench, names[i])) {
            bench_print(bench, &row);
        }
        bench_clear(&values[i]);
    }
    unlink(history.path);
    restore_history_free(&history);
}
