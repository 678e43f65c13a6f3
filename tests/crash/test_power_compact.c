/* test_power_compact.c - power cuts around a session that compacts its own archive: two files, and who has the name
 *
 * In each state of the disk the name leads to the old archive or to the new one, whole, with all that is durable. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "power_disk.h"

enum { ARCHIVE, BESIDE, PAGES = 5, MOMENTS_MAX = 32 };

static const char *const endings[NAMES] = { ".svp", ".svp.compact" };

/* ---- whose name is whose */

static bool recording;

static size_t name_of(const char *path)
{
    for (size_t name = 0; name < NAMES; name++) {
        const size_t bytes = strlen(endings[name]);
        if (strlen(path) > bytes && strcmp(path + strlen(path) - bytes, endings[name]) == 0) {
            return name;
        }
    }
    check_fail(__FILE__, "a file is called %s", path);
}

int __real_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created);
int __wrap_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created);
int __wrap_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created)
{
    bool made = false;
    const int code = __real_svp_file_open(file, path, mode, &made);
    if (recording && code == 0 && made) {
        record_created(name_of(path), file);
    }
    if (code == 0 && created != NULL) {
        *created = made;
    }
    return code;
}

int __real_svp_file_rename(const char *from, const char *to);
int __wrap_svp_file_rename(const char *from, const char *to);
int __wrap_svp_file_rename(const char *from, const char *to)
{
    const int code = __real_svp_file_rename(from, to);
    if (recording && code == 0) {
        record_renamed(name_of(from), name_of(to));
    }
    return code;
}

int __real_svp_file_remove(const char *path);
int __wrap_svp_file_remove(const char *path);
int __wrap_svp_file_remove(const char *path)
{
    const int code = __real_svp_file_remove(path);
    if (recording && code == 0) {
        record_removed(name_of(path));
    }
    return code;
}

/* ---- what the session does */

static struct life { /* of one file: what is in it once so many snapshots have been taken */
    size_t first;    /* moments before are not in it */
    size_t kept[MOMENTS_MAX];
} lives[FILES_MAX];

struct scenario {
    const char *name;
    uint32_t keep_last;
    const char
        *steps; /* s: SYNC, o: ORDERED, n: NONE, a: an autosave that keeps two, r: a new session, c: a compaction,
                   C: the same with the next take behind it, f: one that fails, x: one that is cancelled */
};

static struct life *life_now(void)
{
    const int file = recorded()->names.files[ARCHIVE];
    CHECK(file != NO_FILE);
    return &lives[file];
}

static uint64_t begin(const struct world *world, uint32_t keep_last)
{
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.keep_last = keep_last;
    CHECK_OK(savepoint_compact(world->session, &ticket, &options, NULL));
    return ticket;
}

/* It has ended well: all that was taken before is durable, and in another file. */
static void note_compaction(struct life old, size_t count, uint32_t keep_last)
{
    struct life *new = life_now();
    const bool fewer = keep_last != 0 && keep_last < old.kept[count];
    *new = (struct life){ 0 };
    new->kept[count] = fewer ? keep_last : old.kept[count];
    new->first = count - new->kept[count];
}

static void note_take(const struct world *world, size_t dropped)
{
    struct life *life = life_now();
    const size_t count = world->history.count;
    CHECK(count < MOMENTS_MAX);
    life->kept[count] = life->kept[count - 1] + 1 - dropped;
}

static void autosave(struct world *world)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_statistics before = { .size = sizeof before }, after = { .size = sizeof after };
    CHECK_OK(savepoint_read_statistics(world->session, &before, NULL));
    CHECK_OK(savepoint_wait(world->session, world_autosave(world, 2, SAVEPOINT_SYNC), &snapshot, NULL));
    CHECK_OK(savepoint_read_statistics(world->session, &after, NULL));
    history_add(&world->history, &snapshot, world->memory);
    note_take(world, (size_t)(after.autosaves_dropped - before.autosaves_dropped));
}

static void give_up(const struct world *world, bool cancels)
{
    fault_hold_worker(true);
    const uint64_t ticket = begin(world, 1);
    if (cancels) {
        CHECK_OK(savepoint_cancel(world->session, ticket, NULL));
    } else {
        fault_arm(FAULT_WRITE, 2, false, ENOSPC);
    }
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(world->session, ticket, NULL, NULL),
                 cancels ? SAVEPOINT_CANCELLED : SAVEPOINT_NO_SPACE);
    fault_disarm();
}

static void reopen(struct world *world)
{
    world_close(world);
    record_durable(world->history.count);
    world_open(world, world->path, "compare", PAGES);
    world_resume(world);
}

static void take(struct world *world, char step, uint64_t *seed)
{
    const size_t page = random_next(seed) % PAGES;
    random_fill(world_page(world, page), random_next(seed) % 3 == 0 ? PAGE_BYTES : 24, seed);
    if (step == 'a') {
        autosave(world);
        return;
    }
    world_take(world, step == 's' ? SAVEPOINT_SYNC : step == 'o' ? SAVEPOINT_ORDERED : SAVEPOINT_NONE);
    note_take(world, 0);
}

static void compact(struct world *world, const struct scenario *scenario, char behind, uint64_t *seed)
{
    const struct life old = *life_now();
    const size_t count = world->history.count;
    const uint64_t ticket = begin(world, scenario->keep_last);
    struct savepoint_snapshot snapshot;
    uint64_t taken = 0;
    if (behind != '\0') {
        random_fill(world_page(world, 1), 24, seed);
        CHECK_OK(world_start(world, behind == 's' ? SAVEPOINT_SYNC : SAVEPOINT_NONE, &taken));
    }
    CHECK_OK(savepoint_wait(world->session, ticket, NULL, NULL));
    record_durable(count);
    note_compaction(old, count, scenario->keep_last);
    if (behind != '\0') {
        CHECK_OK(savepoint_wait(world->session, taken, &snapshot, NULL));
        history_add(&world->history, &snapshot, world->memory);
        note_take(world, 0);
    }
}

static void run_scenario(const struct scenario *scenario, struct world *world, uint64_t *seed)
{
    const char *path = scratch_path("recorded.svp");
    file_remove(path);
    memset(lives, 0, sizeof lives);
    recording = true;
    record_calls(true);
    world_open(world, path, "compare", PAGES);
    random_fill(world->memory, 2 * PAGE_BYTES, seed);
    for (const char *step = scenario->steps; *step != '\0'; step++) {
        char durable = *step;
        if (*step == 'r') {
            reopen(world);
        } else if (*step == 'f' || *step == 'x') {
            give_up(world, *step == 'x');
        } else if (*step == 'c') {
            compact(world, scenario, '\0', seed);
        } else if (*step == 'C') {
            durable = *++step;
            compact(world, scenario, durable, seed);
        } else {
            take(world, *step, seed);
        }
        if (durable == 's' || durable == 'a') {
            record_durable(world->history.count);
        }
    }
    world_close(world);
    record_durable(world->history.count);
    record_calls(false);
    recording = false;
}

/* ---- judging a state */

struct tally {
    uint64_t states, cuts, old, new, left, continued;
};

static struct window windows[NAMES];
static struct image durable_images[NAMES], image;
static const char *paths[NAMES];

/* Only moments from `first` on; they are the history's own. */
static struct history history_from(const struct history *history, size_t first, size_t count)
{
    struct history part = { .count = count - first, .memory_bytes = history->memory_bytes };
    memcpy(part.moments, history->moments + first, part.count * sizeof part.moments[0]);
    return part;
}

static void remove_torn(const struct world *world)
{
    char name[300];
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(world->session, &statistics, NULL));
    snprintf(name, sizeof name, "%s.torn-%llu", world->path, (unsigned long long)statistics.torn_offset);
    file_remove(name);
}

/* A writer goes on, whatever lies beside the archive; its next compaction puts that out of the way. */
static void judge_writer(const struct history *part, const char *what)
{
    struct world world = { .history = *part };
    const size_t count = part->count;
    const bool left = file_exists(paths[BESIDE]);
    struct bytes beside = { 0 };
    if (left) {
        beside = file_read(paths[BESIDE]);
    }
    world_open(&world, paths[ARCHIVE], "compare", PAGES);
    remove_torn(&world);
    world_resume(&world);
    memset(world.memory, 'p', PAGE_BYTES);
    world_take(&world, SAVEPOINT_SYNC);
    check_archive(paths[ARCHIVE], &world.history, count + 1, what);
    if (left) {
        check_file(paths[BESIDE], beside, what);
        bytes_free(&beside);
    }
    memset(world.memory, 'q', PAGE_BYTES);
    world_take(&world, SAVEPOINT_SYNC); /* so that there is something to let go */
    CHECK_OK(savepoint_wait(world.session, begin(&world, 1), NULL, NULL));
    CHECK_MSG(!file_exists(paths[BESIDE]), "%s: what was left lies there for ever", what);
    world_close(&world);
    struct history newest = history_from(&world.history, count + 1, count + 2);
    check_archive(paths[ARCHIVE], &newest, 1, what);
    free(world.history.moments[count].memory);
    history_free(&newest);
    world.history = (struct history){ 0 };
    world_free(&world);
}

static void judge(const struct names *names, const struct history *history, const char *what, struct tally *tally)
{
    const size_t durable = windows[ARCHIVE].durable;
    const struct life *life = &lives[names->files[ARCHIVE]];
    struct history part = history_from(history, life->first, history->count);
    struct view view;
    view_archive(&view, paths[ARCHIVE], &part, what);
    tally->states++;
    if (view.opened != SAVEPOINT_OK) {
        CHECK_MSG(durable == 0 && view.opened == SAVEPOINT_NOT_AN_ARCHIVE && life->first == 0, "%s: %s: %s", what,
                  savepoint_status_name(view.opened), view.error.message);
        return;
    }
    const size_t newest = life->first + view.snapshots;
    CHECK_MSG(newest >= durable, "%s: %zu snapshots, %zu were durable", what, newest, durable);
    CHECK_MSG(!view.walk_broken && view.unreadable == 0 && view.findings == 0 && view.info.damage_offset == UINT64_MAX,
              "%s: %s", what, view.error.message);
    CHECK_MSG(view.kept == life->kept[newest], "%s: %zu snapshots are kept, not %zu", what, view.kept,
              life->kept[newest]);
    tally->old += life->first == 0;
    tally->new += life->first != 0;
    tally->left += names->files[BESIDE] != NO_FILE;
    if (tally->states % 16 == 0) {
        part.count = view.snapshots;
        judge_writer(&part, what);
        tally->continued++;
    }
}

/* ---- every state */

static void write_some_state(size_t name, uint64_t *seed)
{
    const struct window *window = &windows[name];
    size_t choice[BLOCKS_MAX] = { 0 };
    size_t tear[BLOCKS_MAX] = { 0 };
    for (size_t i = 0; i < window->block_count; i++) {
        choice[i] = random_next(seed) % window->blocks[i].version_count;
        tear[i] = random_next(seed) % (BLOCK / SECTOR + 1);
    }
    build_state(&image, &durable_images[name], window, choice, tear,
                window->sizes[random_next(seed) % window->size_count]);
    file_write(paths[name], image.bytes, image.size);
}

/* One state of the names, and some of each file. */
static void try_names(const struct names *names, const struct history *history, size_t cut, const char *name,
                      uint64_t *seed, struct tally *tally)
{
    char what[100];
    snprintf(what, sizeof what, "%s, cut after call %zu, the name is file %d's", name, cut, names->files[ARCHIVE]);
    for (size_t i = 0; i < NAMES; i++) {
        file_remove(paths[i]);
        if (names->files[i] != NO_FILE) {
            open_window(&windows[i], &durable_images[i], names->files[i], cut);
        }
    }
    if (names->files[ARCHIVE] == NO_FILE) {
        open_window(&windows[ARCHIVE], &durable_images[ARCHIVE], NO_FILE, cut);
        CHECK_MSG(windows[ARCHIVE].durable == 0, "%s: a snapshot was promised before the name was durable", what);
    } else {
        const size_t wanted = count_states(&windows[ARCHIVE]) * (deep() ? 40 : 3);
        const size_t most = deep() ? 2000 : 100;
        for (size_t i = 0; i < (wanted < most ? wanted : most); i++) {
            write_some_state(ARCHIVE, seed);
            if (names->files[BESIDE] != NO_FILE) {
                write_some_state(BESIDE, seed);
            }
            judge(names, history, what, tally);
        }
    }
    for (size_t i = 0; i < NAMES; i++) {
        free_window(&windows[i]);
    }
}

/* The names as they were when the folder was synced last, and at every moment since. */
static void explore(const char *name, const struct history *history, size_t cut, uint64_t *seed, struct tally *tally)
{
    struct names names = { { NO_FILE, NO_FILE } };
    struct names durable = names;
    size_t synced = 0;
    for (size_t i = 0; i < cut; i++) {
        const struct step *step = &recorded()->steps[i];
        names = step->kind == STEP_NAMES ? step->names : names;
        durable = step->kind == STEP_FOLDER ? names : durable;
        synced = step->kind == STEP_FOLDER ? i : synced;
    }
    try_names(&durable, history, cut, name, seed, tally);
    for (size_t i = synced; i < cut; i++) {
        if (recorded()->steps[i].kind == STEP_NAMES) {
            try_names(&recorded()->steps[i].names, history, cut, name, seed, tally);
        }
    }
    tally->cuts++;
}

CHECK_TEST(power_compact, every_state_after_a_cut)
{
    static const struct scenario scenarios[] = {
        { "synced", 2, "sssscsscs" },     { "takes behind it", 1, "sssCssCns" }, { "unsynced before it", 2, "sonncs" },
        { "autosaves", 0, "aaaacaaaca" }, { "given up", 2, "sssfsxscs" },        { "new sessions", 1, "sscrssCsrs" },
    };
    struct tally tally = { 0 };
    const char *chosen = getenv("SAVEPOINT_TEST_SEED");
    uint64_t seed = chosen != NULL ? strtoull(chosen, NULL, 0) : 20250111;
    paths[ARCHIVE] = scratch_path("power.svp");
    paths[BESIDE] = scratch_path("power.svp.compact");
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        struct world world = { 0 };
        run_scenario(&scenarios[i], &world, &seed);
        for (size_t cut = 0; cut <= recorded()->count; cut++) {
            explore(scenarios[i].name, &world.history, cut, &seed, &tally);
        }
        forget_record();
        world_free(&world);
    }
    printf("%llu states after %llu cuts: the old archive %llu times, a new one %llu; %llu with a part beside it, %llu "
           "continued by a writer\n",
           (unsigned long long)tally.states, (unsigned long long)tally.cuts, (unsigned long long)tally.old,
           (unsigned long long)tally.new, (unsigned long long)tally.left, (unsigned long long)tally.continued);
    CHECK(tally.old > 500 && tally.new > 500 && tally.left > 200 && tally.continued > 100);
}
