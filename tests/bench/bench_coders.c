/* bench_coders.c - what stored pages take: bytes beside programs that make patches, CPU beside zstd alone */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "packed.h"
#include "patch.h"
#include "raw.h"
#include "workload.h"

enum { WARM_UP = 2, MIB = 1 << 20 };

struct coder_case {
    const char *what;       /* behind the size in the name */
    uint64_t changed_pages; /* of STATE_BYTES */
    enum workload_change change;
    const char *bytes_metric;
    enum patch_tool patch; /* whose bytes are the floor */
    double bytes_wanted, cpu_wanted;
};

#define STATE_BYTES (UINT64_C(1024) * MIB)

static const struct coder_case cases[] = {
    { "1% 64B", 2621, WORKLOAD_CHANGE_64_BYTES, "delta_bytes", PATCH_XDELTA3, 1.0, 3.5 },
    { "10% 64B", 26214, WORKLOAD_CHANGE_64_BYTES, "delta_bytes", PATCH_XDELTA3, 1.0, 2.6 },
    { "1% whole", 2621, WORKLOAD_CHANGE_PAGE, "rewrite_bytes", PATCH_ZSTD, 1.05, 1.2 },
    { "10% whole", 26214, WORKLOAD_CHANGE_PAGE, "rewrite_bytes", PATCH_ZSTD, 1.05, 1.2 },
    { "1% copied", 2621, WORKLOAD_CHANGE_COPY, "rewrite_bytes", PATCH_ZSTD, 0, 0 },
};

struct run { /* one case being measured */
    struct bench *bench;
    const struct coder_case *from;
    char name[BENCH_NAME_BYTES];
    struct workload workload;
    struct bench_samples bytes, cpu; /* of the subject */
    struct bench_samples raw_cpu;    /* of the floor */
    struct bench_samples patch_bytes[PATCH_TOOL_COUNT], patch_cpu[PATCH_TOOL_COUNT];
    const char *patch_missing[PATCH_TOOL_COUNT];
    struct savepoint *session;
    uint8_t *memory;
    uint64_t stored_bytes; /* payload so far */
    char path[BENCH_PATH_BYTES], before_path[BENCH_PATH_BYTES], after_path[BENCH_PATH_BYTES],
        patch_path[BENCH_PATH_BYTES];
    struct raw raw;
    const char *raw_missing;
};

static size_t state_bytes(const struct run *run)
{
    return (size_t)run->workload.shape.pages * WORKLOAD_PAGE_BYTES;
}

/* ---- the subject */

static uint64_t payload_bytes(const struct run *run)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_error error;
    bench_need(savepoint_read_statistics(run->session, &statistics, &error), &error);
    return statistics.delta_bytes + statistics.key_bytes;
}

/* `last`: the interval that the peers make their patches of. */
static void take(struct run *run, bool measured, bool last)
{
    struct savepoint_error error;
    uint64_t ticket;
    double cpu = bench_cpu_ms();
    bench_need(savepoint_take(run->session, &ticket, NULL, &error), &error);
    bench_need(savepoint_wait(run->session, ticket, NULL, &error), &error);
    double spent = bench_cpu_ms() - cpu;
    uint64_t stored = payload_bytes(run);
    if (measured) {
        bench_add(&run->cpu, spent);
    }
    if (last) {
        bench_add(&run->bytes, (double)(stored - run->stored_bytes));
    }
    run->stored_bytes = stored;
}

static void open_subject(struct run *run)
{
    const struct workload_shape *shape = &run->workload.shape;
    struct savepoint_error error;
    run->memory = bench_fresh(state_bytes(run));
    workload_fill(run->memory, shape, 0, shape->pages);
    bench_path(run->bench, run->path, "coders.svp");
    bench_need(savepoint_open(&run->session, run->path, NULL, &error), &error);
    bench_need(savepoint_watch(run->session, "state", run->memory, state_bytes(run), &error), &error);
    take(run, false, false);
}

static void close_subject(struct run *run)
{
    struct savepoint_error error;
    bench_need(savepoint_close(run->session, &error), &error);
    bench_unmap(run->memory, state_bytes(run));
    unlink(run->path);
}

/* ---- the floor: finding the pages, copying and hashing them, and for pages rewritten zstd */

static void open_floor(struct run *run)
{
    if (raw_open(&run->raw, state_bytes(run), run->workload.shape.pages, &run->raw_missing)) {
        run->raw_missing = NULL;
        memcpy(run->raw.memory, run->memory, state_bytes(run));
        raw_capture(&run->raw);
    }
}

static void capture_raw(struct run *run, bool measured)
{
    if (run->raw_missing != NULL) {
        return;
    }
    workload_apply(&run->workload, run->raw.memory);
    double cpu = bench_thread_ms();
    uint64_t pages = raw_capture(&run->raw);
    raw_hash(&run->raw, pages);
    if (run->from->change != WORKLOAD_CHANGE_64_BYTES) {
        packed_size(run->raw.gathered, pages);
    }
    if (measured) {
        bench_add(&run->raw_cpu, bench_thread_ms() - cpu);
    }
}

/* ---- the peers: a patch from the state before the last interval to the one behind it */

static void write_state(const struct run *run, const char *path)
{
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(run->memory, 1, state_bytes(run), file) == state_bytes(run);
    if (file == NULL || fclose(file) != 0 || !written) {
        bench_fail("%s: %s", path, strerror(errno));
    }
}

static void run_patches(struct run *run)
{
    write_state(run, run->after_path);
    for (int i = 0; i < PATCH_TOOL_COUNT; i++) {
        struct patch_result result;
        run->patch_missing[i] = NULL;
        if (patch_run(&result, (enum patch_tool)i, run->before_path, run->after_path, run->patch_path, state_bytes(run),
                      &run->patch_missing[i])) {
            bench_add(&run->patch_bytes[i], (double)result.bytes);
            bench_add(&run->patch_cpu[i], result.cpu_ms);
        }
    }
    unlink(run->before_path);
    unlink(run->after_path);
}

/* ---- rows */

static void print_patch(const struct run *run, enum patch_tool tool)
{
    const char *subject = patch_name(tool);
    const char *metric = run->from->bytes_metric;
    const struct bench_row rows[] = {
        { run->name, subject, metric, "B", &run->patch_bytes[tool], NULL, 0 },
        { run->name, subject, "cpu", "ms", &run->patch_cpu[tool], NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (run->patch_bytes[tool].count == 0) {
            bench_skip(run->bench, run->name, subject, rows[i].metric, run->patch_missing[tool]);
        } else {
            bench_print(run->bench, &rows[i]);
        }
    }
}

static void print_rows(const struct run *run)
{
    const struct coder_case *from = run->from;
    const struct bench_samples *beside = &run->patch_bytes[from->patch];
    const bool has_bytes = beside->count > 0;
    const bool has_cpu = run->raw_missing == NULL;
    const struct bench_row rows[] = {
        { run->name, "savepoint", from->bytes_metric, "B", &run->bytes, has_bytes ? beside : NULL,
          has_bytes ? from->bytes_wanted : 0 },
        { run->name, "savepoint", "cpu", "ms", &run->cpu, has_cpu ? &run->raw_cpu : NULL,
          has_cpu ? from->cpu_wanted : 0 },
    };
    bench_print(run->bench, &rows[0]);
    bench_print(run->bench, &rows[1]);
    for (int i = 0; i < PATCH_TOOL_COUNT; i++) {
        print_patch(run, (enum patch_tool)i);
    }
}

/* ---- a case */

static void open_run(struct run *run, uint64_t bytes)
{
    const uint64_t changed = run->from->changed_pages * bytes / STATE_BYTES;
    const struct workload_shape shape = {
        .seed = 1,
        .pages = bytes / WORKLOAD_PAGE_BYTES,
        .changed_pages = changed > 0 ? changed : 1,
        .change = run->from->change,
    };
    if (!workload_open(&run->workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    bench_path(run->bench, run->before_path, "before");
    bench_path(run->bench, run->after_path, "after");
    bench_path(run->bench, run->patch_path, "patch");
    open_subject(run);
    open_floor(run);
}

static void close_run(struct run *run)
{
    if (run->raw_missing == NULL) {
        raw_close(&run->raw);
    }
    close_subject(run);
    workload_close(&run->workload);
    bench_clear(&run->bytes);
    bench_clear(&run->cpu);
    bench_clear(&run->raw_cpu);
    for (int i = 0; i < PATCH_TOOL_COUNT; i++) {
        bench_clear(&run->patch_bytes[i]);
        bench_clear(&run->patch_cpu[i]);
    }
}

static void run_case(struct bench *bench, const struct coder_case *from)
{
    const uint64_t bytes = bench_bytes(bench, STATE_BYTES);
    struct run run = { .bench = bench, .from = from };
    bench_name_case(run.name, bytes, from->what);
    if (!bench_wants(bench, run.name)) {
        return;
    }
    open_run(&run, bytes);
    for (int pair = -WARM_UP; pair < bench->pairs; pair++) {
        workload_next(&run.workload);
        const bool last = pair == bench->pairs - 1;
        if (last) {
            write_state(&run, run.before_path);
        }
        capture_raw(&run, pair >= 0);
        workload_apply(&run.workload, run.memory);
        take(&run, pair >= 0, last);
    }
    run_patches(&run);
    print_rows(&run);
    close_run(&run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "coders",
        .summary = "what stored pages take: bytes beside programs that make patches, CPU beside zstd alone",
        .pairs = 15,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(&bench, &cases[i]);
    }
    bench_end(&bench);
    return 0;
}
