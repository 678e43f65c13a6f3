/* bench_restore.c - what it costs to bring a snapshot back: into fresh memory, and in place */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "packed.h"
#include "raw.h"
#include "workload.h"

enum { DELTAS = 20, MIB = 1 << 20 };

struct run {
    struct bench *bench;
    struct workload workload;
    size_t bytes;
    char path[BENCH_PATH_BYTES];
    struct savepoint_id oldest, newest;
    uint64_t oldest_content, newest_content; /* what the state hashes to then */
    uint64_t *differing;                     /* numbers of the pages that differ between the two */
    uint64_t differing_pages;
    struct packed all, back, forth; /* the floors: the newest state, and the differing pages of either */
    struct savepoint *session;
    uint8_t *memory;
    bool huge; /* the library's region lies in huge pages, so the floor's does */
    uint64_t sink;
    struct bench_samples fresh, fresh_floor, in_place[2], in_place_floor[2]; /* [0]: back, [1]: forth */
};

/* ---- the history */

static enum savepoint_status open_session(struct run *run)
{
    struct savepoint_error error;
    void *memory;
    bench_need(savepoint_open(&run->session, run->path, NULL, &error), &error);
    bench_need(savepoint_map(run->session, &memory, "state", run->bytes, NULL, &error), &error);
    enum savepoint_status status = savepoint_resume(run->session, NULL, &error);
    bench_need(status == SAVEPOINT_EMPTY ? SAVEPOINT_OK : status, &error);
    run->memory = memory;
    return status;
}

static void close_session(struct run *run)
{
    struct savepoint_error error;
    bench_need(savepoint_close(run->session, &error), &error);
}

static struct savepoint_id take(struct run *run)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    bench_need(savepoint_take(run->session, NULL, NULL, &error), &error);
    bench_need(savepoint_wait(run->session, 0, &snapshot, &error), &error);
    return snapshot.id;
}

static uint64_t hash_content(const struct run *run)
{
    uint64_t hash = 0;
    for (size_t at = 0; at < run->bytes; at += WORKLOAD_PAGE_BYTES) {
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + raw_hash_page(run->memory + at);
    }
    return hash;
}

/* Takes the deltas, and lists the pages that they change. */
static void take_deltas(struct run *run)
{
    const uint64_t pages = run->workload.shape.pages;
    bool *changed = calloc((size_t)pages, sizeof *changed);
    run->differing = calloc((size_t)pages, sizeof *run->differing);
    if (changed == NULL || run->differing == NULL) {
        bench_fail("no memory for a list of pages");
    }
    for (int i = 0; i < DELTAS; i++) {
        workload_next(&run->workload);
        workload_apply(&run->workload, run->memory);
        run->newest = take(run);
        for (uint64_t k = 0; k < run->workload.shape.changed_pages; k++) {
            changed[run->workload.changed[k]] = true;
        }
    }
    for (uint64_t page = 0; page < pages; page++) {
        if (changed[page]) {
            run->differing[run->differing_pages++] = page;
        }
    }
    free(changed);
}

static void pack_all(struct run *run)
{
    const uint64_t pages = run->workload.shape.pages;
    uint64_t *numbers = calloc((size_t)pages, sizeof *numbers);
    if (numbers == NULL) {
        bench_fail("no memory for a list of pages");
    }
    for (uint64_t page = 0; page < pages; page++) {
        numbers[page] = page;
    }
    packed_make(&run->all, run->memory, numbers, pages);
    free(numbers);
}

static void make_history(struct run *run)
{
    const struct workload_shape *shape = &run->workload.shape;
    if (open_session(run) != SAVEPOINT_EMPTY) {
        bench_fail("%s is not new", run->path);
    }
    workload_fill(run->memory, shape, 0, shape->pages);
    run->oldest = take(run);
    run->oldest_content = hash_content(run);
    take_deltas(run);
    run->newest_content = hash_content(run);
    pack_all(run);
    packed_make(&run->forth, run->memory, run->differing, run->differing_pages);
    close_session(run);
}

static void check_content(const struct run *run, uint64_t wanted)
{
    if (hash_content(run) != wanted) {
        bench_fail("what was restored is not what was taken");
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
    open_session(run);
    bench_add(&run->fresh, bench_wall_ms() - wall);
    check_content(run, run->newest_content);
    if (run->fresh.count == 1) {
        run->huge = lies_in_huge_pages(run->memory);
    }
    close_session(run);
}

static void decode_fresh(struct run *run)
{
    double wall = bench_wall_ms();
    uint8_t *memory = bench_fresh(run->bytes);
    if (run->huge) {
        (void)madvise(memory, run->bytes, MADV_HUGEPAGE);
    }
    run->sink ^= packed_decode(&run->all, memory);
    bench_add(&run->fresh_floor, bench_wall_ms() - wall);
    bench_unmap(memory, run->bytes);
}

static void measure_fresh(struct run *run)
{
    for (int pair = 0; pair < run->bench->pairs; pair++) {
        if (pair % 2 == 0) {
            restore_fresh(run);
            decode_fresh(run);
        } else {
            decode_fresh(run);
            restore_fresh(run);
        }
    }
}

/* ---- in place */

static void restore_in_place(struct run *run, int forth)
{
    struct savepoint_error error;
    double wall = bench_wall_ms();
    bench_need(savepoint_restore(run->session, forth ? &run->newest : &run->oldest, NULL, &error), &error);
    bench_add(&run->in_place[forth], bench_wall_ms() - wall);
    check_content(run, forth ? run->newest_content : run->oldest_content);
}

static void decode_in_place(struct run *run, int forth)
{
    double wall = bench_wall_ms();
    run->sink ^= packed_decode(forth ? &run->forth : &run->back, NULL);
    bench_add(&run->in_place_floor[forth], bench_wall_ms() - wall);
}

static void measure_in_place(struct run *run)
{
    struct savepoint_error error;
    open_session(run);
    bench_need(savepoint_restore(run->session, &run->oldest, NULL, &error), &error);
    packed_make(&run->back, run->memory, run->differing, run->differing_pages);
    bench_need(savepoint_restore(run->session, &run->newest, NULL, &error), &error);
    for (int pair = 0; pair < run->bench->pairs; pair++) {
        for (int forth = 0; forth < 2; forth++) {
            if (pair % 2 == 0) {
                restore_in_place(run, forth);
                decode_in_place(run, forth);
            } else {
                decode_in_place(run, forth);
                restore_in_place(run, forth);
            }
        }
    }
    close_session(run);
}

/* ---- rows */

static void print_pair(const struct run *run, const char *case_name, const char *metric,
                       const struct bench_samples *values, const struct bench_samples *floors)
{
    const struct bench_row row = { case_name, "savepoint", metric, "ms", values, floors, 2.0 };
    const struct bench_row floor_row = { case_name, "raw", metric, "ms", floors, NULL, 0 };
    if (bench_wants(run->bench, case_name)) {
        bench_print(run->bench, &row);
        bench_print(run->bench, &floor_row);
    }
}

static void run_cases(struct run *run)
{
    char fresh[BENCH_NAME_BYTES], in_place[2][BENCH_NAME_BYTES];
    bench_name_case(fresh, run->bytes, "1% 64B, 20 deltas");
    bench_name_case(in_place[0], run->bytes, "1% 64B, 20 back");
    bench_name_case(in_place[1], run->bytes, "1% 64B, 20 forth");
    const bool wants_fresh = bench_wants(run->bench, fresh);
    const bool wants_in_place = bench_wants(run->bench, in_place[0]) || bench_wants(run->bench, in_place[1]);
    if (wants_fresh || wants_in_place) {
        make_history(run);
    }
    if (wants_fresh) {
        measure_fresh(run);
        print_pair(run, fresh, "fresh", &run->fresh, &run->fresh_floor);
    }
    if (wants_in_place) {
        measure_in_place(run);
        print_pair(run, in_place[0], "in_place", &run->in_place[0], &run->in_place_floor[0]);
        print_pair(run, in_place[1], "in_place", &run->in_place[1], &run->in_place_floor[1]);
    }
}

static void close_run(struct run *run)
{
    packed_free(&run->all);
    packed_free(&run->back);
    packed_free(&run->forth);
    free(run->differing);
    workload_close(&run->workload);
    bench_clear(&run->fresh);
    bench_clear(&run->fresh_floor);
    for (int forth = 0; forth < 2; forth++) {
        bench_clear(&run->in_place[forth]);
        bench_clear(&run->in_place_floor[forth]);
    }
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "restore",
        .summary = "what it costs to bring a snapshot back: into fresh memory, and in place",
        .pairs = 30,
    };
    struct bench bench;
    struct run run = { .bench = &bench };
    bench_begin(&bench, &setup, argc, argv);
    run.bytes = (size_t)bench_bytes(&bench, UINT64_C(1024) * MIB);
    const uint64_t pages = run.bytes / WORKLOAD_PAGE_BYTES;
    const struct workload_shape shape = { .seed = 1, .pages = pages, .changed_pages = pages / 100 };
    if (!workload_open(&run.workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    bench_path(&bench, run.path, "restore.svp");
    run_cases(&run);
    close_run(&run);
    bench_end(&bench);
    return 0;
}
