/* bench_restore.c - what it costs to bring a snapshot back: into fresh memory, in place, page by page, late */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "packed.h"
#include "restore_history.h"
#include "threads.h"

#define LATE_CASE "1% 64B, 2000 to 20"
enum { DELTAS = 20, LATE_DELTAS = 2000, MIB = 1 << 20 };

struct run { /* the archive of one profile, restored as a whole */
    struct bench *bench;
    struct restore_history history;
    struct packed all, back, forth; /* the floors: the newest state, and the differing pages of either */
    char image[BENCH_PATH_BYTES];   /* the floor of the fast profile */
    uint8_t *resident;              /* where the floors in place put pages */
    bool huge;                      /* the library's region lies in huge pages, so the floor's does */
    uint64_t sink;
    struct bench_samples fresh, fresh_floor, in_place[2], in_place_floor[2]; /* [0]: back, [1]: forth */
};

static bool is_fast(const struct run *run)
{
    return run->history.profile == SAVEPOINT_PROFILE_FAST;
}

/* ---- the history and its floors */

static void pack_all(struct run *run)
{
    const uint64_t pages = run->history.workload.shape.pages;
    uint64_t *numbers = calloc((size_t)pages, sizeof *numbers);
    if (numbers == NULL) {
        bench_fail("no memory for a list of pages");
    }
    for (uint64_t page = 0; page < pages; page++) {
        numbers[page] = page;
    }
    packed_make(&run->all, run->history.memory, numbers, pages);
    free(numbers);
}

static void make_history(struct run *run, size_t bytes)
{
    struct restore_history *history = &run->history;
    bench_path(run->bench, history->path, is_fast(run) ? "fast.svp" : "restore.svp");
    restore_history_begin(history, bytes, bytes / WORKLOAD_PAGE_BYTES / 100);
    restore_history_go_on(history, DELTAS);
    run->resident = bench_memory(bytes);
    if (is_fast(run)) {
        bench_path(run->bench, run->image, "fast.raw");
        image_write(run->image, history->memory, bytes);
    } else {
        pack_all(run);
        packed_make(&run->forth, history->memory, history->differing, history->differing_pages);
    }
    restore_history_close(history);
}

static void close_run(struct run *run)
{
    packed_free(&run->all);
    packed_free(&run->back);
    packed_free(&run->forth);
    if (run->resident != NULL) {
        bench_unmap(run->resident, run->history.bytes);
        unlink(run->history.path);
        unlink(run->image);
    }
    restore_history_free(&run->history);
    bench_clear(&run->fresh);
    bench_clear(&run->fresh_floor);
    for (int forth = 0; forth < 2; forth++) {
        bench_clear(&run->in_place[forth]);
        bench_clear(&run->in_place_floor[forth]);
    }
}

/* ---- into fresh memory */

/* Whether most of the memory from `start` on lies in huge pages. */
static bool lies_in_huge_pages(const void *start)
{
    char line[256], wanted[32];
    bool inside = false, huge = false;
    unsigned long kib, resident_kib = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    snprintf(wanted, sizeof wanted, "%lx-", (unsigned long)(uintptr_t)start);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '-') != NULL && strchr(line, '-') < strchr(line, ' ')) {
            inside = strncmp(line, wanted, strlen(wanted)) == 0;
        } else if (inside && sscanf(line, "Rss: %lu", &kib) == 1) {
            resident_kib = kib;
        } else if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1) {
            huge = kib > resident_kib / 2;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return huge;
}

static void restore_fresh(struct run *run)
{
    double wall = bench_wall_ms();
    restore_history_open(&run->history);
    bench_add(&run->fresh, bench_wall_ms() - wall);
    restore_history_check(&run->history, run->history.newest_content);
    if (run->fresh.count == 1) {
        run->huge = lies_in_huge_pages(run->history.memory);
    }
    restore_history_close(&run->history);
}

static void floor_fresh(struct run *run)
{
    const size_t bytes = run->history.bytes;
    double wall = bench_wall_ms();
    uint8_t *memory = bench_fresh(bytes);
    if (run->huge) {
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    }
    if (is_fast(run)) {
        image_read(run->image, memory, bytes, run->history.threads);
    } else {
        run->sink ^= packed_decode(&run->all, memory, NULL, run->history.threads);
    }
    bench_add(&run->fresh_floor, bench_wall_ms() - wall);
    bench_unmap(memory, bytes);
}

static void measure_fresh(struct run *run)
{
    for (int pair = 0; pair < run->bench->pairs; pair++) {
        if (pair % 2 == 0) {
            restore_fresh(run);
            floor_fresh(run);
        } else {
            floor_fresh(run);
            restore_fresh(run);
        }
    }
}

/* ---- in place */

static void restore_in_place(struct run *run, int forth)
{
    struct restore_history *history = &run->history;
    double wall = bench_wall_ms();
    restore_history_restore(history, forth ? &history->newest : &history->oldest);
    bench_add(&run->in_place[forth], bench_wall_ms() - wall);
    restore_history_check(history, forth ? history->newest_content : history->oldest_content);
}

static void floor_in_place(struct run *run, int forth)
{
    double wall = bench_wall_ms();
    if (is_fast(run)) {
        image_read(run->image, run->resident, run->history.bytes, run->history.threads);
    } else {
        run->sink ^= packed_decode(forth ? &run->forth : &run->back, run->resident, run->history.differing,
                                   run->history.threads);
    }
    bench_add(&run->in_place_floor[forth], bench_wall_ms() - wall);
}

static void measure_in_place(struct run *run)
{
    struct restore_history *history = &run->history;
    restore_history_open(history);
    restore_history_restore(history, &history->oldest);
    if (!is_fast(run)) {
        packed_make(&run->back, history->memory, history->differing, history->differing_pages);
    }
    restore_history_restore(history, &history->newest);
    for (int pair = 0; pair < run->bench->pairs; pair++) {
        for (int forth = 0; forth < 2; forth++) {
            if (pair % 2 == 0) {
                restore_in_place(run, forth);
                floor_in_place(run, forth);
            } else {
                floor_in_place(run, forth);
                restore_in_place(run, forth);
            }
        }
    }
    restore_history_close(history);
}

/* ---- one page of one snapshot */

static void list_snapshots(const struct run *run, struct savepoint_snapshot snapshots[DELTAS + 1])
{
    struct savepoint_archive *archive;
    struct savepoint_error error;
    bench_need(savepoint_archive_open(&archive, run->history.path, &error), &error);
    bench_need(savepoint_archive_newest(archive, &snapshots[0], &error), &error);
    for (int i = 1; i <= DELTAS; i++) {
        snapshots[i] = snapshots[i - 1];
        bench_need(savepoint_archive_previous(archive, &snapshots[i], &error), &error);
    }
    savepoint_archive_close(archive);
}

static void measure_lazy_read(struct run *run, struct bench_samples *values)
{
    struct savepoint_snapshot snapshots[DELTAS + 1];
    uint64_t random = 1;
    list_snapshots(run, snapshots);
    for (int i = 0; i < 10 * run->bench->pairs; i++) {
        struct savepoint_archive *archive;
        struct savepoint_error error;
        char page[WORKLOAD_PAGE_BYTES];
        const struct savepoint_snapshot *snapshot = &snapshots[workload_random(&random) % (DELTAS + 1)];
        uint64_t number = workload_random(&random) % run->history.workload.shape.pages;
        double wall = bench_wall_ms();
        bench_need(savepoint_archive_open(&archive, run->history.path, &error), &error);
        bench_need(
            savepoint_archive_read(archive, page, snapshot, "state", number * WORKLOAD_PAGE_BYTES, sizeof page, &error),
            &error);
        savepoint_archive_close(archive);
        bench_add(values, bench_wall_ms() - wall);
    }
}

/* ---- after many snapshots */

static void measure_resume(struct restore_history *history, struct bench_samples *values)
{
    double wall = bench_wall_ms();
    restore_history_open(history);
    bench_add(values, bench_wall_ms() - wall);
    restore_history_check(history, history->newest_content);
    restore_history_close(history);
}

/* A history that begins as any does, or with the state that `as` ends with. */
static void make_resumed(struct bench *bench, struct restore_history *history, const char *name, unsigned snapshots,
                         struct restore_history *as)
{
    const size_t bytes = (size_t)bench_bytes(bench, UINT64_C(64) * MIB);
    history->threads = threads_default();
    bench_path(bench, history->path, name);
    if (as == NULL) {
        restore_history_begin(history, bytes, bytes / WORKLOAD_PAGE_BYTES / 100);
    } else {
        restore_history_begin_as(history, as);
    }
    restore_history_go_on(history, snapshots);
    restore_history_close(history);
}

static void compare_resumes(struct bench *bench, struct restore_history *late, struct restore_history *early,
                            const char *metric, double wanted)
{
    char name[BENCH_NAME_BYTES];
    struct bench_samples values = { .count = 0 }, floors = { .count = 0 };
    for (int pair = 0; pair < bench->pairs; pair++) {
        measure_resume(pair % 2 == 0 ? late : early, pair % 2 == 0 ? &values : &floors);
        measure_resume(pair % 2 == 0 ? early : late, pair % 2 == 0 ? &floors : &values);
    }
    bench_name_case(name, late->bytes, LATE_CASE);
    const struct bench_row row = { name, "savepoint", metric, "ms", &values, &floors, wanted };
    bench_print(bench, &row);
    bench_clear(&values);
    bench_clear(&floors);
}

static void run_late(struct bench *bench)
{
    char name[BENCH_NAME_BYTES];
    struct restore_history early = { .bytes = 0 }, late = { .bytes = 0 }, alike = { .bytes = 0 };
    bench_name_case(name, (size_t)bench_bytes(bench, UINT64_C(64) * MIB), LATE_CASE);
    if (!bench_wants(bench, name)) {
        return;
    }
    make_resumed(bench, &early, "early.svp", DELTAS, NULL);
    make_resumed(bench, &late, "late.svp", LATE_DELTAS, NULL);
    make_resumed(bench, &alike, "alike.svp", DELTAS, &late);
    compare_resumes(bench, &late, &early, "after_2000", 1.5);
    compare_resumes(bench, &late, &alike, "after_2000_alike", 0);
    restore_history_free(&early);
    restore_history_free(&late);
    restore_history_free(&alike);
}

/* ---- rows */

static void print_pair(const struct run *run, const char *case_name, const char *metric,
                       const struct bench_samples *values, const struct bench_samples *floors)
{
    const struct bench_row row = { case_name, "savepoint", metric, "ms", values, floors, is_fast(run) ? 1.3 : 1.2 };
    const struct bench_row floor_row = { case_name, "raw", metric, "ms", floors, NULL, 0 };
    if (bench_wants(run->bench, case_name)) {
        bench_print(run->bench, &row);
        bench_print(run->bench, &floor_row);
    }
}

/* What the fast profile pays with: the archive beside the state. */
static void print_size(const struct run *run, const char *case_name)
{
    struct stat about;
    struct bench_samples value = { .count = 0 }, floor = { .count = 0 };
    if (stat(run->history.path, &about) != 0) {
        bench_fail("%s is gone", run->history.path);
    }
    bench_add(&value, (double)about.st_size / MIB);
    bench_add(&floor, (double)run->history.bytes / MIB);
    const struct bench_row row = { case_name, "savepoint", "fast_archive", "MiB", &value, &floor, 0 };
    bench_print(run->bench, &row);
    bench_clear(&value);
    bench_clear(&floor);
}

static void print_lazy_read(struct run *run, const char *case_name)
{
    struct bench_samples values = { .count = 0 };
    const struct bench_row row = { case_name, "savepoint", "lazy_read", "ms", &values, NULL, 0 };
    measure_lazy_read(run, &values);
    bench_print(run->bench, &row);
    bench_clear(&values);
}

static void run_profile(struct bench *bench, enum savepoint_profile profile)
{
    char fresh[BENCH_NAME_BYTES], in_place[2][BENCH_NAME_BYTES], page[BENCH_NAME_BYTES];
    struct run run = { .bench = bench, .history = { .profile = profile, .threads = threads_default() } };
    const bool fast = is_fast(&run);
    const size_t bytes = (size_t)bench_bytes(bench, UINT64_C(1024) * MIB);
    bench_name_case(fresh, bytes, fast ? "fast, 20 deltas" : "1% 64B, 20 deltas");
    bench_name_case(in_place[0], bytes, fast ? "fast, 20 back" : "1% 64B, 20 back");
    bench_name_case(in_place[1], bytes, fast ? "fast, 20 forth" : "1% 64B, 20 forth");
    bench_name_case(page, bytes, "1% 64B, one page");
    const bool wants_fresh = bench_wants(bench, fresh);
    const bool wants_in_place = bench_wants(bench, in_place[0]) || bench_wants(bench, in_place[1]);
    const bool wants_page = !fast && bench_wants(bench, page);
    if (wants_fresh || wants_in_place || wants_page) {
        make_history(&run, bytes);
    }
    if (wants_fresh) {
        measure_fresh(&run);
        print_pair(&run, fresh, fast ? "fast_fresh" : "fresh", &run.fresh, &run.fresh_floor);
    }
    if (wants_fresh && fast) {
        print_size(&run, fresh);
    }
    if (wants_in_place) {
        measure_in_place(&run);
        for (int forth = 0; forth < 2; forth++) {
            print_pair(&run, in_place[forth], fast ? "fast_in_place" : "in_place", &run.in_place[forth],
                       &run.in_place_floor[forth]);
        }
    }
    if (wants_page) {
        print_lazy_read(&run, page);
    }
    close_run(&run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "restore",
        .summary = "what it costs to bring a snapshot back: into fresh memory, in place, page by page, late",
        .pairs = 30,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    run_profile(&bench, SAVEPOINT_PROFILE_SMALL);
    run_profile(&bench, SAVEPOINT_PROFILE_FAST);
    run_late(&bench);
    bench_end(&bench);
    return 0;
}
