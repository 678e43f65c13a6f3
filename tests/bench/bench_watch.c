/* bench_watch.c - what a write-watch costs: the stores that fault, and the query */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "watch_subjects.h"

enum { MIB = 1 << 20, ROW_MS = 100, FIRST_PAGES = 16384, QUERY_PAGES = 2048, QUERY_ROUNDS = 16 };

enum subject { UFFD, RAW, SIGNAL, RAW_MPROTECT, COMPARE, WINE, SUBJECTS };

static const struct {
    const char *name;
    const struct watch_subject *native; /* NULL: in a process of its own */
    int floor;                          /* the subject that is its floor; SUBJECTS: none */
    bool signals;                       /* each page costs a signal */
} subjects[SUBJECTS] = {
    { "uffd", &watch_uffd, RAW, false },
    { "raw", &watch_raw, SUBJECTS, false },
    { "signal", &watch_signal, RAW_MPROTECT, true },
    { "raw_mprotect", &watch_raw_mprotect, SUBJECTS, true },
    { "compare", &watch_compare, SUBJECTS, false },
    { "wine", NULL, SUBJECTS, true },
};

struct run { /* one case being measured */
    struct bench *bench;
    char name[BENCH_NAME_BYTES];
    struct watch_stage stage;
    struct bench_samples samples[SUBJECTS][WATCH_FIGURES];
    char why_not[SUBJECTS][256]; /* why a subject cannot be measured; empty: it can */
};

/* ---- samples */

static void close_stage(struct run *run)
{
    if (run->stage.count > 0) {
        bench_unmap(run->stage.pages, run->stage.count * sizeof *run->stage.pages);
        watch_stage_close(&run->stage);
    }
}

static void open_stage(struct run *run, size_t pages)
{
    close_stage(run);
    if (!watch_stage_open(&run->stage, bench_memory(pages * sizeof *run->stage.pages), pages)) {
        bench_fail("no memory for %zu pages", pages);
    }
}

static void sample(struct run *run, enum subject subject, const struct watch_job *job, bool measured)
{
    double figures[WATCH_FIGURES];
    const char *why = "";
    if (run->why_not[subject][0] != '\0') {
        return;
    }
    bool done = subjects[subject].native != NULL ? watch_run(subjects[subject].native, &run->stage, job, figures, &why)
                                                 : wine_run(job, figures, &why);
    if (!done) {
        snprintf(run->why_not[subject], sizeof run->why_not[subject], "%s", why);
        return;
    }
    for (int i = 0; measured && i < WATCH_FIGURES; i++) {
        bench_add(&run->samples[subject][i], figures[i]);
    }
}

/* Whether Wine has its turn in this pair: its samples are spread over the loop. */
static bool wine_is_due(const struct bench *bench, int pair)
{
    return pair < 0 || pair * bench->peers / bench->pairs != (pair + 1) * bench->peers / bench->pairs;
}

/* All subjects in turn, so that they see the same moments of the machine; who comes first changes. */
static void sample_all(struct run *run, const struct watch_job *job, int pairs)
{
    for (int pair = -1; pair < pairs; pair++) {
        for (int i = 0; i < SUBJECTS; i++) {
            enum subject subject = (enum subject)(pair % 2 == 0 ? i : SUBJECTS - 1 - i);
            if (subject != WINE || wine_is_due(run->bench, pair)) {
                sample(run, subject, job, pair >= 0);
            }
        }
    }
}

static bool begin_case(struct run *run, struct bench *bench)
{
    run->bench = bench;
    if (bench->peers == 0) {
        snprintf(run->why_not[WINE], sizeof run->why_not[WINE], "--peers 0");
    }
    return bench_wants(bench, run->name);
}

static void end_case(struct run *run)
{
    close_stage(run);
    for (int i = 0; i < SUBJECTS * WATCH_FIGURES; i++) {
        bench_clear(&run->samples[i / WATCH_FIGURES][i % WATCH_FIGURES]);
    }
}

/* ---- rows */

struct metric {
    const char *name, *unit;
};

static void
print_figure(const struct run *run, enum subject subject, const struct metric *metric, int figure, double wanted)
{
    const struct bench_samples *values = &run->samples[subject][figure];
    const int floor = subjects[subject].floor;
    const struct bench_row row = { run->name,    subjects[subject].name,
                                   metric->name, metric->unit,
                                   values,       floor < SUBJECTS ? &run->samples[floor][figure] : NULL,
                                   wanted };
    if (values->count > 0) {
        bench_print(run->bench, &row);
    } else {
        bench_skip(run->bench, run->name, subjects[subject].name, metric->name, run->why_not[subject]);
    }
}

/* One figure, without a floor. */
static void print_single(const struct run *run, const char *case_name, const char *subject, const struct metric *metric,
                         double value, double wanted)
{
    struct bench_samples sample = { .values = NULL };
    bench_add(&sample, value);
    const struct bench_row row = { case_name, subject, metric->name, metric->unit, &sample, NULL, wanted };
    bench_print(run->bench, &row);
    bench_clear(&sample);
}

/* A subject by the side of another one: in a case of its own, with the other as floor. */
static void print_against(const struct run *run, enum subject subject, enum subject other, const struct metric *metric,
                          int figure, double wanted)
{
    char name[BENCH_NAME_BYTES + 16];
    const struct bench_row row = { name,         subjects[subject].name,         metric->name,
                                   metric->unit, &run->samples[subject][figure], &run->samples[other][figure],
                                   wanted };
    snprintf(name, sizeof name, "%s, to %s", run->name, subjects[other].name);
    if (row.values->count > 0 && row.floors->count > 0) {
        bench_print(run->bench, &row);
    } else {
        bench_skip(run->bench, name, subjects[subject].name, metric->name,
                   run->why_not[row.values->count > 0 ? other : subject]);
    }
}

/* ---- the seed's table */

static const struct seed_row {
    int threads, pages, delay_ms, random, reset_inside;
    double windows[2], mach[2], fallback[2]; /* published, of other machines: write ns, query us */
} seed_rows[] = {
    { 6, 1080, 3, 1, 1, { 897, 80 }, { 371, 12634 }, { 66202, 186 } },
    { 6, 1080, 3, 1, 0, { 855, 87 }, { 369, 12637 }, { 66766, 187 } },
    { 8, 8192, 3, 1, 1, { 6526, 268 }, { 627, 113263 }, { 111053, 485 } },
    { 8, 8192, 3, 1, 0, { 1197, 509 }, { 623, 113810 }, { 122921, 489 } },
    { 8, 8192, 1, 1, 1, { 1227, 412 }, { 636, 118930 }, { 150628, 388 } },
    { 8, 8192, 1, 1, 0, { 5721, 144 }, { 631, 120538 }, { 146392, 384 } },
    { 8, 64, 1, 1, 1, { 572, 7 }, { 490, 1078 }, { 1000, 89 } },
    { 8, 64, 1, 1, 0, { 530, 13 }, { 500, 1075 }, { 1167, 77 } },
};

static const struct metric row_metrics[WATCH_FIGURES] = {
    [WATCH_WRITE_NS] = { "write_to_page_ns", "ns" },       [WATCH_QUERY_US] = { "query_us", "us" },
    [WATCH_STORES_PER_S] = { "stores_per_s", "/s" },       [WATCH_FAULTS_PER_S] = { "faults_per_s", "/s" },
    [WATCH_DIRTY_PAGE_NS] = { "ns_per_dirty_page", "ns" }, [WATCH_LOST] = { "lost_stores", "st" },
};

static double sum(const struct bench_samples *samples)
{
    double all = 0;
    for (size_t i = 0; i < samples->count; i++) {
        all += samples->values[i];
    }
    return all;
}

static void print_subject(const struct run *run, enum subject subject)
{
    const struct bench_samples *lost = &run->samples[subject][WATCH_LOST];
    for (int i = WATCH_WRITE_NS; i < WATCH_LOST; i++) {
        print_figure(run, subject, &row_metrics[i], i, 0);
    }
    if (lost->count > 0) {
        print_single(run, run->name, subjects[subject].name, &row_metrics[WATCH_LOST], sum(lost), BENCH_WANT_ZERO);
    } else {
        bench_skip(run->bench, run->name, subjects[subject].name, row_metrics[WATCH_LOST].name, run->why_not[subject]);
    }
}

static void print_seed(const struct run *run, const struct seed_row *row)
{
    for (int i = WATCH_WRITE_NS; i <= WATCH_QUERY_US; i++) {
        print_single(run, run->name, "seed_windows", &row_metrics[i], row->windows[i], 0);
        print_single(run, run->name, "seed_mach", &row_metrics[i], row->mach[i], 0);
        print_single(run, run->name, "seed_fallback", &row_metrics[i], row->fallback[i], 0);
    }
}

static void print_gates(const struct run *run, const struct seed_row *row)
{
    static const struct metric under_writers = { "query_under_writers", "us" };
    const bool first_of_all = row->delay_ms == 3 && row->reset_inside == 1;
    const double seed_ns = row->mach[WATCH_QUERY_US] * 1e3 / row->pages;
    const struct bench_samples *samples = &run->samples[UFFD][WATCH_DIRTY_PAGE_NS];
    char name[BENCH_NAME_BYTES + 16];
    snprintf(name, sizeof name, "%s, to seed", run->name);
    if (samples->count > 0) {
        print_single(run, name, "uffd", &row_metrics[WATCH_DIRTY_PAGE_NS], bench_quantile(samples, 0.5), seed_ns);
    }
    print_against(run, UFFD, WINE, &under_writers, WATCH_QUERY_US, 1);
    print_against(run, SIGNAL, WINE, &under_writers, WATCH_QUERY_US, first_of_all ? 1 : 0);
}

static void run_seed_row(struct bench *bench, const struct seed_row *row)
{
    struct run run = { .stage = { .count = 0 } };
    const struct watch_job job = {
        .kind = WATCH_ROW,
        .pages = row->pages,
        .amount = ROW_MS,
        .threads = row->threads,
        .delay_ms = row->delay_ms,
        .random = row->random,
        .reset_inside = row->reset_inside,
    };
    snprintf(run.name, sizeof run.name, "%d %d %d %d %d", row->threads, row->pages, row->delay_ms, row->random,
             row->reset_inside);
    if (begin_case(&run, bench)) {
        open_stage(&run, (size_t)row->pages);
        sample_all(&run, &job, bench->pairs);
        for (enum subject subject = 0; subject < SUBJECTS; subject++) {
            print_subject(&run, subject);
        }
        print_seed(&run, row);
        if (row->pages == 8192) {
            print_gates(&run, row);
        }
    }
    end_case(&run);
}

/* ---- one thread: the cost of a first write and of a query, by themselves */

static const struct metric first_metrics[] = {
    [WATCH_FIRST_WRITE_NS] = { "first_write", "ns" },
    [WATCH_ALL_DIRTY_US] = { "query_all_dirty", "us" },
    [WATCH_NONE_DIRTY_US] = { "query_none_dirty", "us" },
    [WATCH_RESET_US] = { "reset", "us" },
};

static void print_first(const struct run *run, bool gated)
{
    static const double wanted[] = {
        [WATCH_FIRST_WRITE_NS] = 1.05, [WATCH_ALL_DIRTY_US] = 1.1, [WATCH_NONE_DIRTY_US] = 1.1, [WATCH_RESET_US] = 0
    };
    for (enum subject subject = 0; subject < SUBJECTS; subject++) {
        for (int i = 0; i <= WATCH_RESET_US; i++) {
            print_figure(run, subject, &first_metrics[i], i, gated && subject == UFFD ? wanted[i] : 0);
        }
    }
    if (gated) {
        for (int i = 0; i <= WATCH_RESET_US; i++) {
            print_against(run, UFFD, WINE, &first_metrics[i], i, 1);
        }
        print_against(run, SIGNAL, WINE, &first_metrics[WATCH_FIRST_WRITE_NS], WATCH_FIRST_WRITE_NS, 1);
        print_against(run, UFFD, SIGNAL, &first_metrics[WATCH_FIRST_WRITE_NS], WATCH_FIRST_WRITE_NS, 1 / 3.0);
    }
}

static void run_first(struct bench *bench, int pages)
{
    struct run run = { .stage = { .count = 0 } };
    const struct watch_job job = { .kind = WATCH_FIRST, .pages = pages, .amount = FIRST_PAGES / pages };
    snprintf(run.name, sizeof run.name, "%d pages", pages);
    if (begin_case(&run, bench)) {
        open_stage(&run, (size_t)pages);
        sample_all(&run, &job, bench->pairs);
        print_first(&run, pages == 8192);
    }
    end_case(&run);
}

/* ---- the query by the size of the memory */

/* Large memory takes seconds to arm and to write: fewer samples. */
static int pairs_for(const struct bench *bench, uint64_t pages, uint64_t dirty)
{
    enum { LEAST = 3, PAGES_IN_ALL = 4 << 20 };
    uint64_t pairs = PAGES_IN_ALL / (dirty + pages / 16 + 1);
    return pairs >= (uint64_t)bench->pairs ? bench->pairs
           : pairs > LEAST                 ? (int)pairs
           : bench->pairs < LEAST          ? bench->pairs
                                           : LEAST;
}

static bool fits(uint64_t bytes)
{
    const uint64_t free_bytes = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return bytes < free_bytes / 4 * 3;
}

static void run_query(struct bench *bench, struct watch_stage *stage, uint64_t bytes, int percent)
{
    static const struct metric metric = { "query_us", "us" };
    enum { SIGNALS_MIB = 256 };
    struct run run = { .stage = *stage };
    const uint64_t pages = bytes / sizeof(struct watch_page);
    const uint64_t dirty = pages * (uint64_t)percent / 100;
    const int rounds = dirty == 0 ? QUERY_ROUNDS : dirty < QUERY_PAGES ? (int)(QUERY_PAGES / dirty) : 1;
    const struct watch_job job = {
        .kind = WATCH_QUERY,
        .pages = (int)pages,
        .amount = rounds < QUERY_ROUNDS ? rounds : QUERY_ROUNDS,
        .dirty_pages = (int)dirty,
    };
    char what[16];
    snprintf(what, sizeof what, "%d%% dirty", percent);
    bench_name_case(run.name, bytes, what);
    if (!begin_case(&run, bench)) {
        return;
    }
    if (stage->count == 0 && fits(bytes)) {
        open_stage(&run, (size_t)pages);
        *stage = run.stage;
    }
    for (enum subject subject = 0; subject < SUBJECTS; subject++) {
        const char *why = !stage->count ? "not enough free memory" : "measured up to 256 MiB: each page costs a signal";
        if (stage->count == 0 || (subjects[subject].signals && bytes > (uint64_t)SIGNALS_MIB * MIB)) {
            snprintf(run.why_not[subject], sizeof run.why_not[subject], "%s", why);
        }
    }
    sample_all(&run, &job, pairs_for(bench, pages, dirty));
    for (enum subject subject = 0; subject < SUBJECTS; subject++) {
        print_figure(&run, subject, &metric, 0, 0);
    }
    run.stage.count = 0; /* for the next one */
    end_case(&run);
}

static void run_queries(struct bench *bench, uint64_t mib)
{
    static const int percents[] = { 0, 1, 10, 100 };
    struct run run = { .stage = { .count = 0 } };
    if (bench_bytes(bench, mib * MIB) == mib * MIB) {
        for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
            run_query(bench, &run.stage, mib * MIB, percents[i]);
        }
    }
    close_stage(&run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "watch",
        .summary = "what a write-watch costs: the stores that fault, and the query",
        .pairs = 30,
        .peers = 30,
    };
    static const int first_pages[] = { 64, 1080, 8192 };
    static const uint64_t sizes_mib[] = { 1, 16, 256, 1024, 8192 };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    for (size_t i = 0; i < sizeof seed_rows / sizeof seed_rows[0]; i++) {
        run_seed_row(&bench, &seed_rows[i]);
    }
    for (size_t i = 0; i < sizeof first_pages / sizeof first_pages[0]; i++) {
        run_first(&bench, first_pages[i]);
    }
    for (size_t i = 0; i < sizeof sizes_mib / sizeof sizes_mib[0]; i++) {
        run_queries(&bench, sizes_mib[i]);
    }
    wine_stop();
    bench_end(&bench);
    return 0;
}
