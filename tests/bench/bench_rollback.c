/* bench_rollback.c - what a ring costs: the pause of a frame, going back seven, the bytes kept, an archive beside it */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "raw.h"
#include "workload.h"

enum { BACK = 7, RING15 = 15, PLAY_FRAMES = 60, MIB = 1 << 20, RING_BYTES = 8 * MIB, FOUND_MAX = 512 };

struct rollback_case {
    const char *what; /* behind the size in the name */
    uint64_t bytes;
    uint64_t changed_pages; /* of that many bytes; a state shrunk by --bytes has fewer in proportion */
    uint64_t repeated_percent;
};

static const struct rollback_case cases[] = {
    { "frame 85% repeat", UINT64_C(170) * MIB, 1500, 85 },
    { "frame uniform", UINT64_C(170) * MIB, 1500, 0 },
};

struct player { /* a session, and the state it watches */
    struct savepoint *session;
    uint8_t *memory;
    struct savepoint_id ids[BACK + 1]; /* of the newest frames, oldest first */
};

struct run { /* one case being measured */
    struct bench *bench;
    char name[BENCH_NAME_BYTES];
    char path[BENCH_PATH_BYTES];
    struct workload workload;
    size_t bytes;    /* of the state */
    uint64_t *pages; /* those changed in the frames gone back over, each once */
    uint64_t page_count;
    bool *listed;                               /* by page */
    struct bench_samples pause, back;           /* of the subject */
    struct bench_samples raw_pause, raw_back;   /* of the floor */
    struct bench_samples full_pause, full_back; /* of the peer */
    struct bench_samples frame_bytes, page_bytes, ring_cpu, both_cpu;
    uint8_t *saved; /* the state to which they go back */
    struct raw raw;
    const char *raw_missing; /* why there is no floor; NULL: there is one */
};

/* ---- sessions */

static void open_player(struct run *run, struct player *player, const char *path)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    options.ring_bytes = RING_BYTES;
    player->memory = bench_fresh(run->bytes);
    memcpy(player->memory, run->saved, run->bytes);
    bench_need(savepoint_open(&player->session, path, &options, &error), &error);
    bench_need(savepoint_watch(player->session, "state", player->memory, run->bytes, &error), &error);
}

static void close_player(struct run *run, struct player *player)
{
    struct savepoint_error error;
    bench_need(savepoint_close(player->session, &error), &error);
    bench_unmap(player->memory, run->bytes);
}

static void take_into(struct player *player, enum savepoint_history history, uint64_t *ticket)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    options.history = (uint32_t)history;
    bench_need(savepoint_take(player->session, ticket, &options, &error), &error);
}

static struct savepoint_snapshot wait_for(struct player *player, uint64_t ticket)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    bench_need(savepoint_wait(player->session, ticket, &snapshot, &error), &error);
    return snapshot;
}

/* ---- frames */

static void take_frame(struct run *run, struct player *player, int frame, bool measured)
{
    uint64_t ticket;
    workload_apply(&run->workload, player->memory);
    double wall = bench_wall_ms();
    take_into(player, SAVEPOINT_RING, &ticket);
    double pause = bench_wall_ms() - wall;
    struct savepoint_snapshot snapshot = wait_for(player, ticket);
    player->ids[frame] = snapshot.id;
    if (measured) {
        bench_add(&run->pause, pause);
        bench_add(&run->frame_bytes, (double)snapshot.stored_bytes);
        bench_add(&run->page_bytes, (double)snapshot.stored_bytes / (double)run->workload.shape.changed_pages);
    }
}

static void capture_raw(struct run *run, bool measured)
{
    if (run->raw_missing != NULL) {
        return;
    }
    workload_apply(&run->workload, run->raw.memory);
    double wall = bench_wall_ms();
    uint64_t pages = raw_capture(&run->raw);
    if (pages != run->workload.shape.changed_pages) {
        bench_fail("the floor saw other pages than were written");
    }
    if (measured) {
        bench_add(&run->raw_pause, bench_wall_ms() - wall);
    }
}

static void list_pages(struct run *run)
{
    for (uint64_t i = 0; i < run->workload.shape.changed_pages; i++) {
        uint64_t page = run->workload.changed[i];
        if (!run->listed[page]) {
            run->listed[page] = true;
            run->pages[run->page_count++] = page;
        }
    }
}

/* ---- going back */

static void check_state(const struct run *run, const uint8_t *memory)
{
    if (memcmp(memory, run->saved, run->bytes) != 0) {
        bench_fail("what came back is another state");
    }
}

static void go_back(struct run *run, struct player *player, bool measured)
{
    struct savepoint_error error;
    double wall = bench_wall_ms();
    bench_need(savepoint_restore(player->session, &player->ids[0], NULL, &error), &error);
    if (measured) {
        bench_add(&run->back, bench_wall_ms() - wall);
    }
    check_state(run, player->memory);
}

/* The floor: the pages copied back from a full copy, and re-armed. */
static void copy_back(struct run *run, bool measured)
{
    if (run->raw_missing != NULL) {
        return;
    }
    struct raw *raw = &run->raw;
    double wall = bench_wall_ms();
    for (uint64_t i = 0; i < run->page_count; i++) {
        size_t at = (size_t)run->pages[i] * WORKLOAD_PAGE_BYTES;
        memcpy(raw->memory + at, run->saved + at, WORKLOAD_PAGE_BYTES);
    }
    struct uffd_abi_scan scan = raw_watch_scan(raw->memory, raw->bytes, true, raw->found, FOUND_MAX);
    while (scan.start < scan.end) {
        (void)raw_watch_next(&raw->watch, &scan);
    }
    if (measured) {
        bench_add(&run->raw_back, bench_wall_ms() - wall);
    }
    check_state(run, raw->memory);
}

/* Frame 0, the seven behind it, and back to frame 0. */
static void run_pair(struct run *run, struct player *player, int pair)
{
    const bool measured = pair >= 0;
    memset(run->listed, 0, (size_t)run->workload.shape.pages * sizeof *run->listed);
    run->page_count = 0;
    for (int frame = 0; frame <= BACK; frame++) {
        workload_next(&run->workload);
        if (frame == 0) {
            workload_apply(&run->workload, run->saved);
        } else {
            list_pages(run);
        }
        /* Who comes first changes, as the second may find the caches as the first left them. */
        if (frame % 2 == 0) {
            take_frame(run, player, frame, measured);
            capture_raw(run, measured);
        } else {
            capture_raw(run, measured);
            take_frame(run, player, frame, measured);
        }
    }
    if (pair % 2 == 0) {
        go_back(run, player, measured);
        copy_back(run, measured);
    } else {
        copy_back(run, measured);
        go_back(run, player, measured);
    }
}

/* ---- the peer: a full copy of the state each frame */

static void run_full_copy(struct run *run)
{
    uint8_t *memory = bench_memory(run->bytes);
    uint8_t *copy = bench_memory(run->bytes);
    for (int i = 0; i < run->bench->peers; i++) {
        double wall = bench_wall_ms();
        memcpy(copy, memory, run->bytes);
        bench_add(&run->full_pause, bench_wall_ms() - wall);
        memset(memory, i, run->bytes);
        wall = bench_wall_ms();
        memcpy(memory, copy, run->bytes);
        bench_add(&run->full_back, bench_wall_ms() - wall);
    }
    bench_unmap(memory, run->bytes);
    bench_unmap(copy, run->bytes);
}

/* ---- a second of play: 60 frames into the ring, and at the end of it one snapshot into the archive */

static double play_second(struct run *run, struct player *player, bool archive)
{
    uint64_t ticket;
    double spent = 0;
    for (int frame = 0; frame < PLAY_FRAMES; frame++) {
        workload_next(&run->workload);
        workload_apply(&run->workload, player->memory);
        double cpu = bench_cpu_ms();
        take_into(player, SAVEPOINT_RING, &ticket);
        (void)wait_for(player, ticket);
        spent += bench_cpu_ms() - cpu;
    }
    if (archive) {
        double cpu = bench_cpu_ms();
        take_into(player, SAVEPOINT_ARCHIVE, &ticket);
        (void)wait_for(player, ticket);
        spent += bench_cpu_ms() - cpu;
    }
    return spent;
}

static void play(struct run *run)
{
    struct player ring, both;
    uint64_t ticket;
    open_player(run, &ring, NULL);
    bench_path(run->bench, run->path, "rollback.svp");
    open_player(run, &both, run->path);
    take_into(&both, SAVEPOINT_ARCHIVE, &ticket);
    (void)wait_for(&both, ticket);
    for (int pair = -1; pair < run->bench->pairs; pair++) {
        double ring_ms = play_second(run, &ring, false);
        double both_ms = play_second(run, &both, true);
        if (pair >= 0) {
            bench_add(&run->ring_cpu, ring_ms);
            bench_add(&run->both_cpu, both_ms);
        }
    }
    close_player(run, &ring);
    close_player(run, &both);
    unlink(run->path);
}

/* ---- rows */

static void print_or_skip(struct run *run, const struct bench_row *row, const char *why_not)
{
    if (row->values->count == 0) {
        bench_skip(run->bench, row->case_name, row->subject, row->metric, why_not);
    } else {
        bench_print(run->bench, row);
    }
}

/* The most that any 15 frames in a row take. */
static double most_of_15(const struct bench_samples *frames)
{
    double most = 0;
    for (size_t first = 0; first + RING15 <= frames->count; first++) {
        double bytes = 0;
        for (size_t i = first; i < first + RING15; i++) {
            bytes += frames->values[i];
        }
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void print_rows(struct run *run)
{
    const double scale = (double)run->workload.shape.changed_pages / 1500;
    struct bench_samples ring15 = { .values = NULL };
    if (run->frame_bytes.count >= RING15) {
        bench_add(&ring15, most_of_15(&run->frame_bytes));
    }
    const struct bench_row rows[] = {
        { run->name, "savepoint", "pause", "ms", &run->pause, &run->raw_pause, 1.25 },
        { run->name, "savepoint", "back7", "ms", &run->back, &run->raw_back, 2 },
        { run->name, "savepoint", "bytes_per_page", "B", &run->page_bytes, NULL, 80 },
        { run->name, "savepoint", "ring15_bytes", "B", &ring15, NULL, 1.8e6 * scale },
        { run->name, "savepoint", "ring_and_archive", "ms", &run->both_cpu, &run->ring_cpu, 1.3 },
        { run->name, "raw", "pause", "ms", &run->raw_pause, NULL, 0 },
        { run->name, "raw", "back7", "ms", &run->raw_back, NULL, 0 },
        { run->name, "full_copy", "pause", "ms", &run->full_pause, NULL, 0 },
        { run->name, "full_copy", "back7", "ms", &run->full_back, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_or_skip(run, &rows[i],
                      rows[i].subject[0] == 'r'   ? run->raw_missing
                      : rows[i].subject[0] == 'f' ? "--peers 0"
                                                  : "--pairs 1: too few frames");
    }
    bench_clear(&ring15);
}

/* ---- a case */

static void open_run(struct run *run, const struct rollback_case *from)
{
    const uint64_t changed = from->changed_pages * run->bytes / from->bytes;
    struct workload_shape shape = {
        .seed = 1,
        .pages = run->bytes / WORKLOAD_PAGE_BYTES,
        .changed_pages = changed > 0 ? changed : 1,
        .change = WORKLOAD_CHANGE_64_BYTES,
    };
    shape.repeated_pages = shape.changed_pages * from->repeated_percent / 100;
    run->pages = calloc((size_t)shape.pages, sizeof *run->pages);
    run->listed = calloc((size_t)shape.pages, sizeof *run->listed);
    if (!workload_open(&run->workload, &shape) || run->pages == NULL || run->listed == NULL) {
        bench_fail("no memory for a workload");
    }
    run->saved = bench_fresh(run->bytes);
    workload_fill(run->saved, &shape, 0, shape.pages);
    if (raw_open(&run->raw, run->bytes, shape.pages, &run->raw_missing)) {
        run->raw_missing = NULL;
        memcpy(run->raw.memory, run->saved, run->bytes);
        raw_capture(&run->raw);
    }
}

static void close_run(struct run *run)
{
    if (run->raw_missing == NULL) {
        raw_close(&run->raw);
    }
    bench_unmap(run->saved, run->bytes);
    workload_close(&run->workload);
    free(run->pages);
    free(run->listed);
    struct bench_samples *own[] = { &run->pause,      &run->back,      &run->raw_pause,   &run->raw_back,
                                    &run->full_pause, &run->full_back, &run->frame_bytes, &run->page_bytes,
                                    &run->ring_cpu,   &run->both_cpu };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bench_clear(own[i]);
    }
}

static void run_case(struct bench *bench, const struct rollback_case *from)
{
    struct run run = { .bench = bench, .bytes = (size_t)bench_bytes(bench, from->bytes) };
    struct player player;
    bench_name_case(run.name, run.bytes, from->what);
    if (!bench_wants(bench, run.name)) {
        return;
    }
    open_run(&run, from);
    open_player(&run, &player, NULL);
    uint64_t ticket;
    take_into(&player, SAVEPOINT_RING, &ticket);
    (void)wait_for(&player, ticket);
    for (int pair = -1; pair < bench->pairs; pair++) {
        run_pair(&run, &player, pair);
    }
    close_player(&run, &player);
    play(&run);
    run_full_copy(&run);
    print_rows(&run);
    close_run(&run);
}

int main(int argc, char **argv)
{
    static const struct bench_setup setup = {
        .name = "rollback",
        .summary = "what a ring costs: the pause of a frame, going back seven, the bytes kept, an archive beside it",
        .pairs = 30,
        .peers = 5,
    };
    struct bench bench;
    bench_begin(&bench, &setup, argc, argv);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(&bench, &cases[i]);
    }
    bench_end(&bench);
    return 0;
}
