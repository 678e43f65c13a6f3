/* bench_collector.c - what a garbage collector gains by the write-watch: end-to-end time and pauses */
#include <stdio.h>
#include <string.h>

#include "gc/mutator.h"
#include "harness.h"

enum { MIB = 1 << 20, STEPS_PER_CELL = 6 };

enum subject { UFFD, SIGNAL, STOPPED, SUBJECTS };
enum figure { TOTAL, PAUSE, PAUSE_MAX, FIGURES };

static const struct {
    const char *name;
    enum gc_mode mode;
    const char *backend;
} subjects[SUBJECTS] = {
    { "uffd", GC_CONCURRENT, "uffd" },
    { "signal", GC_CONCURRENT, "signal" },
    { "stop_the_world", GC_STOPPED, NULL },
};

static const char *const metrics[FIGURES] = { "total", "pause", "pause_max" };

struct run {
    struct bench *bench;
    char name[BENCH_NAME_BYTES];
    struct bench_samples samples[SUBJECTS][FIGURES];
    char why_not[SUBJECTS][256];
};

static void sample(struct run *run, enum subject subject, size_t heap_bytes, unsigned mutators, bool measured)
{
    static struct gc gc;
    const char *why = "";
    if (run->why_not[subject][0] != '\0') {
        return;
    }
    if (!gc_open(&gc, subjects[subject].mode, subjects[subject].backend, heap_bytes, mutators, &why)) {
        snprintf(run->why_not[subject], sizeof run->why_not[subject], "%s", why);
        return;
    }
    double start = bench_wall_ms();
    if (!mutators_run(&gc, gc.count / mutators * STEPS_PER_CELL)) {
        bench_fail("threads cannot be started");
    }
    double total = bench_wall_ms() - start;
    if (atomic_load(&gc.damaged) != 0) {
        bench_fail("%s: live objects were freed", subjects[subject].name);
    }
    double longest = 0;
    for (size_t i = 0; i < gc.pause_count; i++) {
        longest = gc.pauses_ms[i] > longest ? gc.pauses_ms[i] : longest;
        if (measured) {
            bench_add(&run->samples[subject][PAUSE], gc.pauses_ms[i]);
        }
    }
    if (measured) {
        bench_add(&run->samples[subject][TOTAL], total);
        bench_add(&run->samples[subject][PAUSE_MAX], longest);
    }
    gc_close(&gc);
}

static void print_rows(const struct run *run)
{
    for (enum subject subject = 0; subject < SUBJECTS; subject++) {
        for (int i = 0; i < FIGURES; i++) {
            const struct bench_samples *values = &run->samples[subject][i];
            const struct bench_row row = { run->name,  subjects[subject].name,
                                           metrics[i], "ms",
                                           values,     subject == STOPPED ? NULL : &run->samples[STOPPED][i],
                                           0 };
            if (values->count > 0) {
                bench_print(run->bench, &row);
            } else {
                bench_skip(run->bench, run->name, subjects[subject].name, metrics[i],
                           run->why_not[subject][0] != '\0' ? run->why_not[subject] : "there was no pause");
            }
        }
    }
}

static void run_case(struct bench *bench, uint64_t mib, unsigned mutators)
{
    struct run run = { .bench = bench };
    const uint64_t bytes = bench_bytes(bench, mib * MIB);
    char what[32];
    snprintf(what, sizeof what, "%u mutator%s", mutators, mutators == 1 ? "" : "s");
    bench_name_case(run.name, bytes, what);
    if (!bench_wants(bench, run.name)) {
        return;
    }
    for (int pair = -1; pair < bench->pairs; pair++) {
        for (int i = 0; i < SUBJECTS; i++) {
            sample(&run, (enum subject)(pair % 2 == 0 ? i : SUBJECTS - 1 - i), (size_t)bytes, mutators, pair >= 0);
        }
    }
    print_rows(&run);
    for (int i = 0; i < SUBJECTS * FIGURES; i++) {
        bench_clear(&run.samples[i / FIGURES][i % FIGURES]);
    }
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "collector",
        .summary = "what a garbage collector gains by the write-watch: end-to-end time and pauses",
        .pairs = 10,
        .peers = 0,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    run_case(&bench, 64, 1);
    run_case(&bench, 64, 2);
    bench_end(&bench);
    return 0;
}
