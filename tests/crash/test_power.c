/* test_power.c - power cuts: every state that the disk may be in, rebuilt from a record of the writer's system calls
 *
 * What was synced is on the disk. Of what was written since, each 4096-byte block is there in any of the versions it
 * went through, or not at all, and the file has any of the sizes it went through; a block may also be torn between two
 * versions at a multiple of 512 bytes. In every such state the history must be a prefix that holds all durable
 * snapshots. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_fixture.h"
#include "fault.h"

enum { BLOCK = 4096, SECTOR = 512, STEPS_MAX = 4000, BLOCKS_MAX = 256, VERSIONS_MAX = 40, EXHAUSTIVE = 4096 };

struct step { /* one system call, or a promise given */
    enum { STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_FOLDER, STEP_DURABLE } kind;
    uint8_t *bytes;
    size_t count, offset;
    size_t snapshots; /* STEP_DURABLE: so many have been promised */
};

static struct record {
    size_t count;
    struct step steps[STEPS_MAX];
} record;

static void note(const struct fault_event *event)
{
    CHECK(record.count < STEPS_MAX);
    struct step *step = &record.steps[record.count++];
    *step = (struct step){ .count = event->count, .offset = (size_t)event->offset };
    switch (event->kind) {
    case FAULT_WRITE:
        step->kind = STEP_WRITE;
        step->bytes = malloc(event->count + 1);
        CHECK(step->bytes != NULL);
        memcpy(step->bytes, event->bytes, event->count);
        break;
    case FAULT_TRUNCATE:
        step->kind = STEP_TRUNCATE;
        break;
    case FAULT_SYNC:
        step->kind = STEP_SYNC;
        break;
    default:
        step->kind = STEP_FOLDER;
        break;
    }
}

static void note_durable(size_t snapshots)
{
    CHECK(record.count < STEPS_MAX);
    record.steps[record.count++] = (struct step){ .kind = STEP_DURABLE, .snapshots = snapshots };
}

static void forget_record(void)
{
    while (record.count > 0) {
        free(record.steps[--record.count].bytes);
    }
}

/* ---- the disk */

struct image {
    size_t size;
    uint8_t bytes[BLOCKS_MAX * BLOCK];
};

static void apply(struct image *image, const struct step *step)
{
    if (step->kind == STEP_WRITE) {
        CHECK(step->offset + step->count <= sizeof image->bytes);
        memcpy(image->bytes + step->offset, step->bytes, step->count);
        image->size = step->offset + step->count > image->size ? step->offset + step->count : image->size;
    } else if (step->kind == STEP_TRUNCATE) {
        if (step->offset < image->size) {
            memset(image->bytes + step->offset, 0, image->size - step->offset);
        }
        image->size = step->offset;
    }
}

struct window { /* what happened between the last sync and the cut */
    size_t block_count;
    struct {
        size_t block, version_count;
        uint8_t *versions[VERSIONS_MAX]; /* [0]: what is durable */
    } blocks[BLOCKS_MAX];
    size_t size_count, sizes[STEPS_MAX];
    size_t durable; /* snapshots promised */
};

static void free_window(struct window *window)
{
    for (size_t i = 0; i < window->block_count; i++) {
        for (size_t k = 0; k < window->blocks[i].version_count; k++) {
            free(window->blocks[i].versions[k]);
        }
    }
    window->block_count = 0;
    window->size_count = 0;
}

static void add_version(struct window *window, size_t block, const uint8_t *before, const uint8_t *now)
{
    size_t i = 0;
    while (i < window->block_count && window->blocks[i].block != block) {
        i++;
    }
    if (i == window->block_count) {
        window->block_count++;
        window->blocks[i].block = block;
        window->blocks[i].version_count = 1;
        window->blocks[i].versions[0] = malloc(BLOCK);
        CHECK(window->blocks[i].versions[0] != NULL);
        memcpy(window->blocks[i].versions[0], before, BLOCK);
    }
    size_t version = window->blocks[i].version_count++;
    CHECK(version < VERSIONS_MAX);
    window->blocks[i].versions[version] = malloc(BLOCK);
    CHECK(window->blocks[i].versions[version] != NULL);
    memcpy(window->blocks[i].versions[version], now, BLOCK);
}

/* Replays steps [0, cut): `image` ends as what is durable, `window` holds what may be there besides. */
static void open_window(struct window *window, struct image *image, size_t cut)
{
    static struct image before;
    static struct image cache;
    size_t synced = 0;
    image->size = 0;
    memset(image->bytes, 0, sizeof image->bytes);
    window->durable = 0;
    for (size_t i = 0; i < cut; i++) {
        synced = record.steps[i].kind == STEP_SYNC ? i : synced;
        window->durable = record.steps[i].kind == STEP_DURABLE ? record.steps[i].snapshots : window->durable;
    }
    for (size_t i = 0; i < synced; i++) {
        apply(image, &record.steps[i]);
    }
    cache = *image;
    window->sizes[window->size_count++] = cache.size;
    for (size_t i = synced; i < cut; i++) {
        before = cache;
        apply(&cache, &record.steps[i]);
        if (cache.size != before.size) {
            window->sizes[window->size_count++] = cache.size;
        }
        for (size_t block = 0; block < BLOCKS_MAX; block++) {
            if (memcmp(before.bytes + block * BLOCK, cache.bytes + block * BLOCK, BLOCK) != 0) {
                add_version(window, block, before.bytes + block * BLOCK, cache.bytes + block * BLOCK);
            }
        }
    }
}

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
        CHECK_MSG(view.info.damage_offset == UINT64_MAX && view.findings == 0, "%s: called corruption at %llu", what,
                  (unsigned long long)view.info.damage_offset);
    }
    if (tally->states % 64 == 0) {
        judge_writer(path, history, &view, tally);
    }
}

/* Builds the state in which block i stands at version choice[i], torn at sector tear[i] towards the version before. */
static void build(struct image *image, const struct image *durable, const struct window *window, const size_t *choice,
                  const size_t *tear, size_t size)
{
    image->size = size;
    memcpy(image->bytes, durable->bytes, size);
    for (size_t i = 0; i < window->block_count; i++) {
        uint8_t *to = image->bytes + window->blocks[i].block * BLOCK;
        size_t version = choice[i];
        memcpy(to, window->blocks[i].versions[version], BLOCK);
        if (tear != NULL && version > 0) {
            size_t from = tear[i] * SECTOR;
            memcpy(to + from, window->blocks[i].versions[version - 1] + from, BLOCK - from);
        }
    }
}

static size_t count_states(const struct window *window)
{
    size_t states = window->size_count;
    for (size_t i = 0; i < window->block_count && states <= EXHAUSTIVE; i++) {
        states *= window->blocks[i].version_count;
    }
    return states;
}

static void try_every_state(const struct window *window, const struct image *durable, const struct history *history,
                            const char *what, struct tally *tally)
{
    static struct image image;
    size_t choice[BLOCKS_MAX] = { 0 };
    for (;;) {
        for (size_t i = 0; i < window->size_count; i++) {
            build(&image, durable, window, choice, NULL, window->sizes[i]);
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
        build(&image, durable, window, choice, tear, window->sizes[random_next(seed) % window->size_count]);
        judge(&image, history, window->durable, what, tally);
    }
}

static void
explore(const char *name, const struct history *history, size_t samples, uint64_t *seed, struct tally *tally)
{
    static struct window window;
    static struct image durable;
    bool in_folder = false;
    for (size_t cut = 0; cut <= record.count; cut++) {
        char what[64];
        enum { NONE = -1 };
        int last = cut > 0 ? (int)record.steps[cut - 1].kind : NONE;
        in_folder = in_folder || last == STEP_FOLDER;
        CHECK_MSG(last != STEP_DURABLE || in_folder, "%s: a snapshot was promised before the file's name was synced",
                  name);
        snprintf(what, sizeof what, "%s, cut after call %zu", name, cut);
        open_window(&window, &durable, cut);
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
    const char *takes; /* s: SYNC, o: ORDERED, n: NONE, f: a SYNC that fails and is taken again, r: a new session */
};

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

static void run_scenario(const struct scenario *scenario, struct world *world, uint64_t *seed)
{
    const char *path = scratch_path("recorded.svp");
    file_remove(path);
    fault_observe(note);
    world_open(world, path, "compare", scenario->pages);
    for (const char *step = scenario->takes; *step != '\0'; step++) {
        if (*step == 'r') {
            world_close(world);
            note_durable(world->history.count);
            world_open(world, path, "compare", scenario->pages);
            world_resume(world);
            continue;
        }
        random_fill(world->memory, scenario->noise_pages * PAGE_BYTES, seed);
        memset(world_page(world, random_next(seed) % scenario->pages), (int)(random_next(seed) % 255), 64);
        if (*step == 'f') {
            take_with_failure(world);
        } else {
            world_take(world, *step == 's' ? SAVEPOINT_SYNC : *step == 'o' ? SAVEPOINT_ORDERED : SAVEPOINT_NONE);
        }
        if (*step == 's' || *step == 'f') {
            note_durable(world->history.count);
        }
    }
    world_close(world);
    note_durable(world->history.count);
    fault_observe(NULL);
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
