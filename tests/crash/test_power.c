/* test_power.c - power cuts: every state that the disk may be in, rebuilt from a record of the writer's system calls
 *
 * In each of them the history must be a prefix that holds all durable snapshots. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "power_disk.h"

static size_t kept_after[64]; /* that many snapshots: so many of them are not dropped */

/* ---- judging a state */

struct tally {
    uint64_t states, cuts, sampled_cuts, continued, refused_births;
};

static void judge_writer(const char *path, const struct history *history, const struct view *view, struct tally *tally)
{
    struct world world = { .history = *history };
    struct savepoint_error error = { 0 };
    struct bytes before = file_read(path);
    enum savepoint_status status = world_try_open(&world, path, "compare", history->memory_bytes / PAGE_BYTES, &error);
    if (status != SAVEPOINT_OK) { /* a size without contents: not ours to touch, and nothing was promised */
        CHECK_MSG(status == SAVEPOINT_NOT_AN_ARCHIVE && view->opened == status, "a writer: %s: %s",
                  savepoint_status_name(status), error.message);
        check_file(path, before, "a refused file");
        tally->refused_births++;
    } else {
        char name[300];
        struct savepoint_statistics statistics = { .size = sizeof statistics };
        CHECK_OK(savepoint_read_statistics(world.session, &statistics, NULL));
        snprintf(name, sizeof name, "%s.torn-%llu", path, (unsigned long long)statistics.torn_offset);
        file_remove(name);
        world.history.count = view->snapshots;
        world_resume(&world);
        memset(world.memory, 'p', PAGE_BYTES);
        world_take(&world, SAVEPOINT_SYNC);
        world_close(&world);
        check_archive(path, &world.history, view->snapshots + 1, "continued after a power cut");
        free(world.history.moments[view->snapshots].memory);
        tally->continued++;
    }
    bytes_free(&before);
    world.history = (struct history){ 0 };
    world_free(&world);
}

static void
judge(const struct image *image, const struct history *history, size_t durable, const char *what, struct tally *tally)
{
    const char *path = scratch_path("power.svp");
    struct view view;
    file_write(path, image->bytes, image->size);
    view_archive(&view, path, history, what);
    tally->states++;
    if (view.opened != SAVEPOINT_OK) {
        CHECK_MSG(durable == 0 && view.opened == SAVEPOINT_NOT_AN_ARCHIVE, "%s: %s: %s", what,
                  savepoint_status_name(view.opened), view.error.message);
    } else {
        CHECK_MSG(view.snapshots >= durable, "%s: %zu snapshots, %zu were durable", what, view.snapshots, durable);
        CHECK_MSG(!view.walk_broken && view.unreadable == 0, "%s: %s", what, view.error.message);
        CHECK_MSG(view.kept == kept_after[view.snapshots] && view.kept == view.info.snapshot_count,
                  "%s: %zu of %zu snapshots are kept, not %zu", what, view.kept, view.snapshots,
                  kept_after[view.snapshots]);
        CHECK_MSG(view.info.damage_offset == UINT64_MAX && view.findings == 0, "%s: called corruption at %llu", what,
                  (unsigned long long)view.info.damage_offset);
    }
    if (tally->states % 64 == 0) {
        judge_writer(path, history, &view, tally);
    }
}

static void try_every_state(const struct window *window, const struct image *durable, const struct history *history,
                            const char *what, struct tally *tally)
{
    static struct image image;
    size_t choice[BLOCKS_MAX] = { 0 };
    for (;;) {
        for (size_t i = 0; i < window->size_count; i++) {
            build_state(&image, durable, window, choice, NULL, window->sizes[i]);
            judge(&image, history, window->durable, what, tally);
        }
        size_t digit = 0;
        while (digit < window->block_count && ++choice[digit] == window->blocks[digit].version_count) {
            choice[digit++] = 0;
        }
        if (digit == window->block_count) {
            return;
        }
    }
}

static void try_some_states(const struct window *window, const struct image *durable, const struct history *history,
                            const char *what, size_t count, uint64_t *seed, struct tally *tally)
{
    static struct image image;
    size_t choice[BLOCKS_MAX] = { 0 };
    size_t tear[BLOCKS_MAX] = { 0 };
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < window->block_count; i++) {
            choice[i] = random_next(seed) % window->blocks[i].version_count;
            tear[i] = random_next(seed) % (BLOCK / SECTOR + 1);
        }
        build_state(&image, durable, window, choice, tear, window->sizes[random_next(seed) % window->size_count]);
        judge(&image, history, window->durable, what, tally);
    }
}

static void
explore(const char *name, const struct history *history, size_t samples, uint64_t *seed, struct tally *tally)
{
    static struct window window;
    static struct image durable;
    bool in_folder = false;
    for (size_t cut = 0; cut <= recorded()->count; cut++) {
        char what[64];
        enum { NONE = -1 };
        int last = cut > 0 ? (int)recorded()->steps[cut - 1].kind : NONE;
        in_folder = in_folder || last == STEP_FOLDER;
        CHECK_MSG(last != STEP_DURABLE || in_folder, "%s: a snapshot was promised before the file's name was synced",
                  name);
        snprintf(what, sizeof what, "%s, cut after call %zu", name, cut);
        open_window(&window, &durable, 0, cut);
        bool exhaustive = count_states(&window) <= (deep() ? EXHAUSTIVE : EXHAUSTIVE / 8);
        if (exhaustive) {
            try_every_state(&window, &durable, history, what, tally);
        } else {
            tally->sampled_cuts++;
        }
        if (window.block_count > 0) {
            try_some_states(&window, &durable, history, what, exhaustive ? samples / 8 : samples, seed, tally);
        }
        free_window(&window);
        tally->cuts++;
    }
}

/* ---- what the writer does */

struct scenario {
    const char *name;
    size_t pages, noise_pages;
    const char *takes; /* s: SYNC, o: ORDERED, n: NONE, f: a SYNC that fails and is taken again, r: a new session,
                          a: an autosave that keeps two, b: ORDERED and keeps one */
};

static uint64_t dropped_by(const struct world *world)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(world->session, &statistics, NULL));
    return statistics.autosaves_dropped;
}

static void autosave(struct world *world, uint32_t keep_last, enum savepoint_durability durability)
{
    struct savepoint_snapshot snapshot;
    uint64_t dropped = dropped_by(world);
    CHECK_OK(savepoint_wait(world->session, world_autosave(world, keep_last, durability), &snapshot, NULL));
    history_add(&world->history, &snapshot, world->memory);
    dropped = dropped_by(world) - dropped;
    kept_after[world->history.count] = kept_after[world->history.count - 1] + 1 - (size_t)dropped;
}

static void take_with_failure(struct world *world)
{
    uint64_t ticket = 0;
    fault_tear_writes(true);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    CHECK_OK(world_start(world, SAVEPOINT_SYNC, &ticket));
    CHECK_STATUS(savepoint_wait(world->session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    fault_disarm();
    world_take(world, SAVEPOINT_SYNC);
}

static void one_take(struct world *world, char step)
{
    if (step == 'a' || step == 'b') {
        autosave(world, step == 'a' ? 2 : 1, step == 'a' ? SAVEPOINT_SYNC : SAVEPOINT_ORDERED);
        return;
    }
    if (step == 'f') {
        take_with_failure(world);
    } else {
        world_take(world, step == 's' ? SAVEPOINT_SYNC : step == 'o' ? SAVEPOINT_ORDERED : SAVEPOINT_NONE);
    }
    kept_after[world->history.count] = kept_after[world->history.count - 1] + 1;
}

static void run_scenario(const struct scenario *scenario, struct world *world, uint64_t *seed)
{
    const char *path = scratch_path("recorded.svp");
    file_remove(path);
    record_calls(true);
    world_open(world, path, "compare", scenario->pages);
    for (const char *step = scenario->takes; *step != '\0'; step++) {
        if (*step == 'r') {
            world_close(world);
            record_durable(world->history.count);
            world_open(world, path, "compare", scenario->pages);
            world_resume(world);
            continue;
        }
        random_fill(world->memory, scenario->noise_pages * PAGE_BYTES, seed);
        memset(world_page(world, random_next(seed) % scenario->pages), (int)(random_next(seed) % 255), 64);
        one_take(world, *step);
        if (strchr("sfa", *step) != NULL) {
            record_durable(world->history.count);
        }
    }
    world_close(world);
    record_durable(world->history.count);
    record_calls(false);
    check_archive(path, &world->history, world->history.count, scenario->name);
}

CHECK_TEST(power, every_state_after_a_cut)
{
    static const struct scenario scenarios[] = {
        { "synced", 4, 0, "sssss" },
        { "synced, large", 8, 5, "ssss" },
        { "mixed", 4, 1, "sonosonns" },
        { "never synced", 4, 0, "ononono" },
        { "unsynced, large", 8, 3, "sooosoo" },
        { "reopened", 4, 1, "soorsornrs" },
        { "failed", 6, 3, "sfsofns" },
        { "failed first", 4, 2, "ffrf" },
        { "large and many", 14, 9, "soosf" },
        { "autosaves", 4, 1, "aasaabbaraa" },
        { "autosaves, unsynced", 6, 2, "bobbsnbfrbb" },
    };
    struct tally tally = { 0 };
    const char *chosen = getenv("SAVEPOINT_TEST_SEED");
    uint64_t seed = chosen != NULL ? strtoull(chosen, NULL, 0) : 20240229;
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        struct world world = { 0 };
        run_scenario(&scenarios[i], &world, &seed);
        explore(scenarios[i].name, &world.history, deep() ? 8000 : 1200, &seed, &tally);
        forget_record();
        world_free(&world);
    }
    printf(
        "%llu states after %llu cuts (%llu of them sampled), %llu continued by a writer, %llu sizes without contents\n",
        (unsigned long long)tally.states, (unsigned long long)tally.cuts, (unsigned long long)tally.sampled_cuts,
        (unsigned long long)tally.continued, (unsigned long long)tally.refused_births);
    CHECK_MSG(tally.states >= 20000, "only %llu states", (unsigned long long)tally.states);
    CHECK(tally.continued > 100);
}
