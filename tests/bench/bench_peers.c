/* bench_peers.c - savepoint beside other ways to save the same state: pause, CPU, bytes, durability, restore */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "image.h"
#include "patch.h"
#include "peers.h"
#include "raw.h"

enum { WARM_UP = 2, MIB = 1 << 20 };

#define STATE_BYTES (UINT64_C(1024) * MIB)

enum metric { PAUSE, CPU, BYTES, DURABLE_WALL, RESTORE, METRIC_COUNT };

static const char *const metric_names[METRIC_COUNT] = { "pause", "cpu", "bytes", "durable_wall", "restore" };
static const char *const metric_units[METRIC_COUNT] = { "ms", "ms", "B", "ms", "ms" };

struct peers_case {
    const char *what;       /* behind the size in the name */
    uint64_t changed_pages; /* of STATE_BYTES; a state shrunk by --bytes has fewer in proportion */
    enum workload_change change;
    enum patch_tool patch; /* the one that makes the smaller patches of such changes; bench_coders runs both */
};

static const struct peers_case cases[] = {
    { "1% 64B", 2621, WORKLOAD_CHANGE_64_BYTES, PATCH_XDELTA3 },
    { "10% 64B", 26214, WORKLOAD_CHANGE_64_BYTES, PATCH_XDELTA3 },
    { "1% whole", 2621, WORKLOAD_CHANGE_PAGE, PATCH_ZSTD },
    { "10% whole", 26214, WORKLOAD_CHANGE_PAGE, PATCH_ZSTD },
};

enum { SUBJECT_PATCH = PEER_COUNT, SUBJECT_COUNT = PEER_COUNT + PATCH_TOOL_COUNT };

struct run { /* all cases, of one state, one after the other */
    struct bench *bench;
    size_t bytes; /* of the state */
    bool is_open; /* the session, and the processes of peers */
    char name[BENCH_NAME_BYTES];
    struct workload workload;
    struct bench_samples own[METRIC_COUNT];
    struct bench_samples others[SUBJECT_COUNT][METRIC_COUNT]; /* peers, then patch tools */
    char missing[SUBJECT_COUNT][64];                          /* why there are none */
    struct peers processes[PEERS_HOME_COUNT];
    struct savepoint *session;
    uint8_t *memory;
    uint64_t saved; /* what the state of the last take hashes to */
    char path[BENCH_PATH_BYTES], before_path[BENCH_PATH_BYTES], after_path[BENCH_PATH_BYTES],
        patch_path[BENCH_PATH_BYTES];
};

/* ---- the subject */

static double file_bytes(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        bench_fail("%s has vanished", path);
    }
    return (double)about.st_size;
}

static void take(struct run *run, bool measured)
{
    struct savepoint_error error;
    uint64_t ticket;
    const double bytes = file_bytes(run->path);
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    bench_need(savepoint_take(run->session, &ticket, NULL, &error), &error);
    double pause = bench_wall_ms() - wall;
    bench_need(savepoint_wait(run->session, ticket, NULL, &error), &error);
    if (measured) {
        bench_add(&run->own[DURABLE_WALL], bench_wall_ms() - wall);
        bench_add(&run->own[CPU], bench_cpu_ms() - cpu);
        bench_add(&run->own[PAUSE], pause);
        bench_add(&run->own[BYTES], file_bytes(run->path) - bytes);
    }
}

static void open_session(struct run *run)
{
    struct savepoint_error error;
    bench_need(savepoint_open(&run->session, run->path, NULL, &error), &error);
    void *memory;
    bench_need(savepoint_map(run->session, &memory, "state", run->bytes, NULL, &error), &error);
    run->memory = memory;
}

static void close_session(struct run *run)
{
    struct savepoint_error error;
    bench_need(savepoint_close(run->session, &error), &error);
    run->session = NULL;
}

/* Into memory that nobody has touched. */
static void restore(struct run *run)
{
    struct savepoint_error error;
    double wall = bench_wall_ms();
    open_session(run);
    bench_need(savepoint_resume(run->session, NULL, &error), &error);
    bench_add(&run->own[RESTORE], bench_wall_ms() - wall);
    if (raw_hash_state(run->memory, run->bytes) != run->saved) {
        bench_fail("what was restored is not what was taken");
    }
}

/* ---- the peers */

static void add(struct run *run, unsigned subject, enum metric metric, double value)
{
    if (value >= 0) {
        bench_add(&run->others[subject][metric], value);
    }
}

static void save_peer(struct run *run, enum peer peer, bool measured)
{
    struct peer_result result;
    if (run->missing[peer][0] != '\0') {
        return;
    }
    peers_run(&run->processes[peer_home(peer)], peer, &result);
    if (result.failed) {
        memcpy(run->missing[peer], result.why, sizeof result.why);
        if (peer == PEER_FORK_THP_FRESH) {
            memcpy(run->missing[PEER_FORK_THP_STEADY], result.why, sizeof result.why);
        }
    } else if (measured) {
        add(run, peer, PAUSE, result.pause_ms);
        add(run, peer, CPU, result.cpu_ms);
        add(run, peer, BYTES, result.bytes);
        add(run, peer, DURABLE_WALL, result.wall_ms);
    }
}

static void save_peers(struct run *run, enum peer first, enum peer end, bool measured)
{
    for (unsigned peer = first; peer < end; peer++) {
        save_peer(run, (enum peer)peer, measured);
    }
}

static void restore_peers(struct run *run)
{
    for (int i = 0; i < PEER_COUNT; i++) {
        const enum peer peer = (enum peer)i;
        struct peer_result result;
        if (run->missing[peer][0] == '\0' && peer_restores(peer)) {
            peers_restore(&run->processes[peer_home(peer)], peer, &result);
            add(run, peer, RESTORE, result.restore_ms);
        }
    }
}

/* The states before and behind one more interval. */
static void write_states(struct run *run)
{
    image_write(run->before_path, run->memory, run->bytes);
    workload_next(&run->workload);
    workload_apply(&run->workload, run->memory);
    image_write(run->after_path, run->memory, run->bytes);
}

static void run_patch(struct run *run, enum patch_tool tool)
{
    const unsigned subject = SUBJECT_PATCH + (unsigned)tool;
    struct patch_result result;
    const char *why;
    write_states(run);
    if (patch_run(&result, tool, run->before_path, run->after_path, run->patch_path, run->bytes, &why)) {
        add(run, subject, BYTES, (double)result.bytes);
        add(run, subject, CPU, result.cpu_ms);
    } else {
        snprintf(run->missing[subject], sizeof run->missing[0], "%s", why);
    }
    unlink(run->before_path);
    unlink(run->after_path);
}

/* ---- rows */

/* The peer whose median is the least: NULL where there is none. */
static const struct bench_samples *strongest(const struct run *run, enum metric metric)
{
    const struct bench_samples *least = NULL;
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        const struct bench_samples *samples = &run->others[i][metric];
        if (samples->count > 0 && (least == NULL || bench_quantile(samples, 0.5) < bench_quantile(least, 0.5))) {
            least = samples;
        }
    }
    return least;
}

static void print_row(const struct run *run, const char *subject, enum metric metric,
                      const struct bench_samples *values, const struct bench_samples *floors)
{
    const struct bench_row row = { run->name, subject, metric_names[metric], metric_units[metric], values, floors, 0 };
    bench_print(run->bench, &row);
}

static const char *why_not(const struct run *run, int subject, enum metric metric)
{
    if (run->missing[subject][0] != '\0') {
        return run->missing[subject];
    }
    if (subject >= SUBJECT_PATCH) {
        return "bench_coders runs it on this case";
    }
    return metric == RESTORE ? "its file is that of memcpy_zstd" : "not known on this system";
}

/* A patch tool works on files that another way has to write first. */
static bool is_asked(int subject, enum metric metric)
{
    return subject < SUBJECT_PATCH || metric == BYTES || metric == CPU;
}

static void print_rows(const struct run *run)
{
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        print_row(run, "savepoint", (enum metric)metric, &run->own[metric], strongest(run, (enum metric)metric));
    }
    for (int i = 0; i < SUBJECT_COUNT; i++) {
        const char *subject =
            i < SUBJECT_PATCH ? peer_name((enum peer)i) : patch_name((enum patch_tool)(i - SUBJECT_PATCH));
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            if (run->others[i][metric].count > 0) {
                print_row(run, subject, (enum metric)metric, &run->others[i][metric], NULL);
            } else if (is_asked(i, (enum metric)metric)) {
                bench_skip(run->bench, run->name, subject, metric_names[metric], why_not(run, i, (enum metric)metric));
            }
        }
    }
}

/* ---- cases */

static void shape_of(const struct run *run, const struct peers_case *from, struct workload_shape *shape)
{
    const uint64_t changed = from->changed_pages * run->bytes / STATE_BYTES;
    *shape = (struct workload_shape){
        .seed = 1 + (uint64_t)(from - cases), /* the changes of one case are not those of another once more */
        .pages = run->bytes / WORKLOAD_PAGE_BYTES,
        .changed_pages = changed > 0 ? changed : 1,
        .change = from->change,
    };
}

static void open_run(struct run *run, const struct workload_shape *shape)
{
    bench_path(run->bench, run->path, "peers.svp");
    bench_path(run->bench, run->before_path, "before");
    bench_path(run->bench, run->after_path, "after");
    bench_path(run->bench, run->patch_path, "patch");
    for (int home = 0; home < PEERS_HOME_COUNT && run->bench->peers > 0; home++) {
        peers_start(&run->processes[home], shape, run->bench->folder, (enum peers_home)home);
    }
    for (int i = 0; i < SUBJECT_COUNT && run->bench->peers == 0; i++) {
        snprintf(run->missing[i], sizeof run->missing[i], "--peers 0");
    }
    open_session(run);
    workload_fill(run->memory, shape, 0, shape->pages);
    take(run, false);
    run->is_open = true;
}

static void close_run(struct run *run)
{
    if (run->is_open) {
        close_session(run);
        unlink(run->path);
        for (int home = 0; home < PEERS_HOME_COUNT && run->bench->peers > 0; home++) {
            peers_stop(&run->processes[home]);
        }
    }
}

/* All go on from the state that the case before has left. */
static void begin_case(struct run *run, const struct peers_case *from)
{
    struct workload_shape shape;
    shape_of(run, from, &shape);
    if (!workload_open(&run->workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    if (!run->is_open) {
        open_run(run, &shape);
    }
    for (int home = 0; home < PEERS_HOME_COUNT && run->bench->peers > 0; home++) {
        peers_reshape(&run->processes[home], &shape);
    }
}

static void end_case(struct run *run)
{
    workload_close(&run->workload);
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        bench_clear(&run->own[metric]);
        for (int i = 0; i < SUBJECT_COUNT; i++) {
            bench_clear(&run->others[i][metric]);
        }
    }
}

/* Whether a round of the peers that save all of the state, which take seconds, follows this pair. */
static bool whole_are_due(const struct bench *bench, int pair)
{
    return pair >= 0 && pair * bench->peers / bench->pairs != (pair + 1) * bench->peers / bench->pairs;
}

static void measure_takes(struct run *run)
{
    const struct bench *bench = run->bench;
    for (int pair = -WARM_UP; pair < bench->pairs; pair++) {
        workload_next(&run->workload);
        workload_apply(&run->workload, run->memory);
        take(run, pair >= 0);
        save_peers(run, PEER_WHOLE_COUNT, PEER_COUNT, pair >= 0);
        if (whole_are_due(bench, pair)) {
            save_peers(run, PEER_FULL_WRITE, PEER_WHOLE_COUNT, pair >= 0);
        }
    }
}

/* Leaves the session as it was. */
static void measure_restores(struct run *run)
{
    const int rounds = run->bench->peers > 0 ? run->bench->peers : run->bench->pairs;
    run->saved = raw_hash_state(run->memory, run->bytes);
    for (int round = 0; round < rounds; round++) {
        close_session(run);
        restore(run);
        restore_peers(run);
    }
}

static void run_case(struct run *run, const struct peers_case *from)
{
    bench_name_case(run->name, run->bytes, from->what);
    if (!bench_wants(run->bench, run->name)) {
        return;
    }
    begin_case(run, from);
    measure_takes(run);
    measure_restores(run);
    if (run->bench->peers > 0) {
        run_patch(run, from->patch);
    }
    print_rows(run);
    end_case(run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "peers",
        .summary = "savepoint beside other ways to save the same state: pause, CPU, bytes, durability, restore",
        .pairs = 8,
        .peers = 3,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    struct run run = { .bench = &bench, .bytes = (size_t)bench_bytes(&bench, STATE_BYTES) };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(&run, &cases[i]);
    }
    close_run(&run);
    bench_end(&bench);
    return 0;
}
