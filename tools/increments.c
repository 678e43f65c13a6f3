/* increments.c - the self-test's second check: threads count up in memory, and no count may be missing
 *
 * Each thread has a counter of its own in every page, and all share another one, which they count up atomically. What
 * they have counted they also note elsewhere. Again and again they are held: memory must hold what was noted; then a
 * snapshot is taken, and while they go on, a reader must find in it what memory held. Now and then memory goes back
 * to an older snapshot. A round ends in another session, with memory elsewhere. */
#include "increments.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "team.h"
#include "terminal.h"

enum {
    UNITS = 256,
    THREADS = 4,
    BATCH = 64,
    SPRINT_LEAST = 8,
    SPRINT_MOST = 512, /* batches of a thread between two takes */
    SHARED_EVERY = 8,
    ROUND_TAKES = 64,
    KEPT = 8,
    RESTORE_EVERY = 8,
    UNIT_LEAST = 4096
};

/* Less than this proves nothing. */
enum { TAKES_LEAST = 40, RESTORES_LEAST = 4, INCREMENTS_LEAST = 50000, BETWEEN_TAKES = 500 };

struct lane { /* what one thread has noted */
    uint64_t random;
    size_t left; /* batches until the next take; set while the thread is held */
    uint64_t counted[UNITS], shared[UNITS];
    _Atomic uint64_t increments;
};

struct kept {
    struct savepoint_id id;
    unsigned char *copy;
};

struct increments {
    struct check *check;
    size_t unit;
    unsigned char *memory;
    size_t window_first, window_count; /* units to write to; changed while the threads are held */
    struct lane lanes[THREADS];
    struct team *team;
    unsigned char *copy, *found;
    struct kept kept[KEPT]; /* of this round, the newest at takes % KEPT */
    size_t takes;           /* in this round */
    uint64_t random;
    bool touched[UNITS];
};

/* ---- counting */

/* A thread's place in a unit; that of index THREADS is shared. */
static size_t counter_offset(const struct increments *run, size_t unit_index, size_t index)
{
    size_t slots = run->unit / sizeof(uint64_t);
    return unit_index * run->unit + (unit_index * 37 + index * 101) % slots * sizeof(uint64_t);
}

static void *counter_at(const struct increments *run, size_t unit_index, size_t index)
{
    return run->memory + counter_offset(run, unit_index, index);
}

static void count_up(void *user, size_t index)
{
    struct increments *run = user;
    struct lane *lane = &run->lanes[index];
    if (lane->left == 0) {
        machine_nap();
        return;
    }
    lane->left--;
    for (size_t i = 0; i < BATCH; i++) {
        size_t unit_index = (run->window_first + check_random(&lane->random) % run->window_count) % UNITS;
        if (i % SHARED_EVERY == 0) {
            _Atomic uint64_t *shared = counter_at(run, unit_index, THREADS);
            atomic_fetch_add(shared, 1);
            lane->shared[unit_index]++;
        } else {
            volatile uint64_t *own = counter_at(run, unit_index, index);
            *own += 1;
            lane->counted[unit_index]++;
        }
    }
    atomic_fetch_add(&lane->increments, BATCH);
}

static uint64_t increments_so_far(struct increments *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < THREADS; i++) {
        sum += atomic_load(&run->lanes[i].increments);
    }
    return sum;
}

static void compare_counter(struct increments *run, size_t unit_index, size_t index, uint64_t expected)
{
    const uint64_t *place = counter_at(run, unit_index, index);
    if (*place != expected) {
        run->check->lost_stores += *place < expected ? expected - *place : 0;
        check_fail(run->check, "%" PRIu64 " increments were made at offset 0x%zx, and memory holds %" PRIu64, expected,
                   (size_t)((const unsigned char *)place - run->memory), *place);
    }
}

/* Memory holds what the threads have noted. They are held. */
static void compare_counters(struct increments *run)
{
    for (size_t unit_index = 0; unit_index < UNITS; unit_index++) {
        uint64_t shared = 0;
        for (size_t i = 0; i < THREADS; i++) {
            compare_counter(run, unit_index, i, run->lanes[i].counted[unit_index]);
            shared += run->lanes[i].shared[unit_index];
        }
        compare_counter(run, unit_index, THREADS, shared);
        run->touched[unit_index] = run->touched[unit_index] || shared > 0;
    }
}

/* Memory is what counts now. */
static void note_anew(struct increments *run)
{
    for (size_t unit_index = 0; unit_index < UNITS; unit_index++) {
        for (size_t i = 0; i < THREADS; i++) {
            run->lanes[i].counted[unit_index] = *(const uint64_t *)counter_at(run, unit_index, i);
            run->lanes[i].shared[unit_index] = 0;
        }
        run->lanes[0].shared[unit_index] = *(const uint64_t *)counter_at(run, unit_index, THREADS);
    }
}

static void count_missing(struct increments *run, const unsigned char *found, const unsigned char *expected)
{
    for (size_t i = 0; i < UNITS * (THREADS + 1); i++) {
        size_t offset = counter_offset(run, i / (THREADS + 1), i % (THREADS + 1));
        uint64_t has, should;
        memcpy(&has, found + offset, sizeof has);
        memcpy(&should, expected + offset, sizeof should);
        run->check->lost_stores += has < should ? should - has : 0;
    }
}

/* check_same(), and where they differ it is told how many increments are missing. */
static bool
compare_contents(struct increments *run, const unsigned char *found, const unsigned char *expected, const char *what)
{
    if (check_same(run->check, found, expected, what)) {
        return true;
    }
    count_missing(run, found, expected);
    return false;
}

/* ---- one round: a session from its beginning to its end */

/* A few units or many, for a short or a long while: so that some takes find most of memory clean, others none. */
static void plan(struct increments *run)
{
    run->window_first = check_random(&run->random) % UNITS;
    run->window_count = check_random(&run->random) % 3 == 0 ? UNITS : 1 + check_random(&run->random) % 32;
    for (size_t i = 0; i < THREADS; i++) {
        run->lanes[i].left = SPRINT_LEAST + check_random(&run->random) % (SPRINT_MOST - SPRINT_LEAST);
    }
}

static void take_and_compare(struct increments *run)
{
    struct check *check = run->check;
    struct savepoint_snapshot snapshot;
    struct kept *kept = &run->kept[run->takes % KEPT];
    uint64_t ticket = 0;
    uint64_t before = increments_so_far(run);
    memcpy(kept->copy, run->memory, check->trial.bytes);
    bool good = check_status(check, trial_capture(&check->trial, &ticket));
    compare_contents(run, run->memory, kept->copy, "a take has changed memory");
    plan(run);
    team_release(run->team);
    while (good && check_goes_on(check) && increments_so_far(run) - before < BETWEEN_TAKES) {
        machine_nap();
    }
    if (good && check_status(check, trial_wait(&check->trial, &snapshot, ticket)) &&
        check_status(check, trial_read(&check->trial, run->found, &snapshot)) &&
        compare_contents(run, run->found, kept->copy, "a snapshot differs from memory as it was")) {
        kept->id = snapshot.id;
        run->takes++;
        check->takes++;
    }
    team_hold(run->team);
}

static void go_back(struct increments *run)
{
    size_t back = check_random(&run->random) % KEPT;
    const struct kept *kept = &run->kept[(run->takes - 1 - back) % KEPT];
    if (check_status(run->check, trial_restore(&run->check->trial, &kept->id)) &&
        compare_contents(run, run->memory, kept->copy, "memory after a restore differs from the snapshot")) {
        run->check->restores++;
        note_anew(run);
    }
}

static void go_elsewhere(struct increments *run)
{
    struct check *check = run->check;
    memcpy(run->copy, run->memory, check->trial.bytes);
    if (check_status(check, trial_take(&check->trial, NULL)) && check_status(check, trial_move(&check->trial)) &&
        compare_contents(run, check->trial.memory, run->copy, "memory resumed elsewhere differs from the snapshot")) {
        check->restores++;
    }
}

static bool is_enough(const struct increments *run)
{
    const struct check *check = run->check;
    size_t touched = 0;
    for (size_t i = 0; i < UNITS; i++) {
        touched += run->touched[i];
    }
    return check->takes >= TAKES_LEAST && check->restores >= RESTORES_LEAST && check->writes >= INCREMENTS_LEAST &&
           touched == UNITS;
}

static bool has_time(const struct increments *run)
{
    uint64_t now_ns = terminal_clock_ns();
    return now_ns < run->check->until_ns || (now_ns < run->check->latest_ns && !is_enough(run));
}

/* The threads are held outside of take_and_compare(). */
static void count_and_take(struct increments *run)
{
    uint64_t before = increments_so_far(run);
    plan(run);
    note_anew(run);
    for (run->takes = 0; run->takes < ROUND_TAKES && check_goes_on(run->check) && has_time(run);) {
        compare_counters(run);
        take_and_compare(run);
        if (run->takes % RESTORE_EVERY == 0 && run->takes > 0 && check_goes_on(run->check)) {
            go_back(run);
        }
        run->check->writes += increments_so_far(run) - before;
        before = increments_so_far(run);
    }
    if (check_goes_on(run->check)) {
        compare_counters(run);
        go_elsewhere(run);
    }
}

static void run_round(struct increments *run)
{
    struct check *check = run->check;
    if (check_status(check, trial_open(&check->trial, check->folder, check->backend->name, UNITS * run->unit))) {
        run->memory = check->trial.memory;
        count_and_take(run);
    }
    check_status(check, trial_close(&check->trial));
}

/* ---- all rounds */

static void open_run(struct increments *run, struct check *check)
{
    size_t tracked = check->backend->tracking_page_bytes;
    memset(run, 0, sizeof *run);
    run->check = check;
    run->unit = tracked > UNIT_LEAST ? tracked : UNIT_LEAST;
    run->random = UINT64_C(0x2545f4914f6cdd1d);
    run->copy = fail_alloc(UNITS, run->unit);
    run->found = fail_alloc(UNITS, run->unit);
    for (size_t i = 0; i < KEPT; i++) {
        run->kept[i].copy = fail_alloc(UNITS, run->unit);
    }
    for (size_t i = 0; i < THREADS; i++) {
        run->lanes[i].random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
    }
    run->team = team_open(THREADS, count_up, run);
}

static void close_run(struct increments *run)
{
    team_close(run->team);
    for (size_t i = 0; i < KEPT; i++) {
        free(run->kept[i].copy);
    }
    free(run->copy);
    free(run->found);
    free(run);
}

void increments_run(struct check *check)
{
    struct increments *run = fail_alloc(1, sizeof *run);
    open_run(run, check);
    if (run->team == NULL) {
        check_fail(check, "no threads to be had");
        check->result = CHECK_IMPOSSIBLE;
    }
    while (check_goes_on(check) && has_time(run)) {
        run_round(run);
    }
    if (check->result == CHECK_OK && !is_enough(run)) {
        check_fail(check,
                   "at least %d increments, in all pages, %d takes and %d restores are needed; --seconds gives "
                   "them more time",
                   INCREMENTS_LEAST, TAKES_LEAST, RESTORES_LEAST);
        check->result = CHECK_TOO_LITTLE;
    }
    close_run(run);
}
