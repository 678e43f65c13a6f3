/* test_bitflip.c - every bit of a small archive flipped, blocks overwritten: always seen, never wrong contents */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "small_archive.h"

enum { PAGES = 2, SNAPSHOTS = 2 };

struct tally {
    uint64_t flips, refused, damaged, torn, lost_snapshots;
};

/* Seen in some way? Contents that are wrong have failed the test inside view_archive. */
static bool seen(const struct view *view, const struct small_archive *small)
{
    return view->opened != SAVEPOINT_OK || view->findings > 0 || view->info.damage_offset != UINT64_MAX ||
           view->info.torn_bytes > 0 || view->walk_broken || view->unreadable > 0 ||
           view->snapshots < small->world.history.count;
}

/* `from`, `bytes`: what was changed. Only the last SEAL may be taken for an unfinished end. */
static void judge(const struct small_archive *small, const char *path, size_t from, size_t bytes, struct tally *tally)
{
    struct view view;
    char what[64];
    size_t last = small->world.history.count - 1;
    bool only_seal = from >= small->ends[last];
    snprintf(what, sizeof what, "%zu bytes at %zu", bytes, from);
    view_archive(&view, path, &small->world.history, what);
    CHECK_MSG(seen(&view, small), "%s: nobody sees it", what);
    size_t older = small_archive_whole(small, from); /* what rests on nothing that was changed */
    CHECK_MSG(view.opened == SAVEPOINT_OK ? view.snapshots - view.unreadable >= older : older == 0,
              "%s: %zu snapshots are older, %llu can be read: %s", what, older,
              (unsigned long long)(view.snapshots - view.unreadable), view.error.message);
    tally->flips++;
    tally->refused += view.opened != SAVEPOINT_OK ? 1 : 0;
    tally->damaged += view.findings > 0 ? 1 : 0;
    tally->lost_snapshots += small->world.history.count - view.snapshots;
    if (view.opened != SAVEPOINT_OK) {
        CHECK_MSG(view.opened == SAVEPOINT_CORRUPT || view.opened == SAVEPOINT_NOT_AN_ARCHIVE, "%s: %s", what,
                  savepoint_status_name(view.opened));
        CHECK_MSG(!only_seal, "%s: %s", what, view.error.message);
        return;
    }
    if (only_seal) {
        CHECK_MSG(view.snapshots == small->world.history.count && view.unreadable == 0, "%s: a snapshot is lost", what);
        tally->torn += view.info.torn_bytes > 0 ? 1 : 0;
        return;
    }
    CHECK_MSG(view.info.damage_offset != UINT64_MAX || view.findings > 0, "%s: not called damage (%llu torn bytes)",
              what, (unsigned long long)view.info.torn_bytes);
}

static void poke(int descriptor, size_t at, const uint8_t *bytes, size_t count)
{
    CHECK(pwrite(descriptor, bytes, count, (off_t)at) == (ssize_t)count);
}

/* A writer refuses, or opens and changes nothing; whatever is still told to be good comes back right. */
static void
judge_writer(const struct small_archive *small, const char *path, struct bytes flipped, size_t at, uint64_t *refused)
{
    struct world world = { .history = small->world.history };
    struct savepoint_error error = { 0 };
    enum savepoint_status status = world_try_open(&world, path, "compare", small->world.pages, &error);
    size_t last = small->world.history.count - 1;
    bool only_seal = at >= small->ends[last];
    if (status != SAVEPOINT_OK) {
        CHECK_MSG(!only_seal && (status == SAVEPOINT_CORRUPT || status == SAVEPOINT_NOT_AN_ARCHIVE),
                  "flip at %zu: %s: %s", at, savepoint_status_name(status), error.message);
        (*refused)++;
        check_file(path, flipped, "refused");
    } else {
        struct savepoint_statistics statistics = { .size = sizeof statistics };
        CHECK_OK(savepoint_read_statistics(world.session, &statistics, NULL));
        CHECK_MSG(only_seal || (statistics.flags & SAVEPOINT_SESSION_TORN_CUT) == 0, "flip at %zu: cut as torn", at);
        struct savepoint_snapshot head;
        status = savepoint_resume(world.session, &head, &error);
        CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_CORRUPT, "flip at %zu: resume: %s", at,
                  savepoint_status_name(status));
        CHECK(status != SAVEPOINT_OK ||
              memcmp(world.memory, small->world.history.moments[last].memory, PAGES * PAGE_BYTES) == 0);
        CHECK_OK(savepoint_close(world.session, NULL));
        if (!only_seal) {
            check_file(path, flipped, "opened and closed");
        }
    }
    world.history = (struct history){ 0 };
    world_free(&world);
}

static void remove_torn(const struct small_archive *small, const char *path)
{
    char name[300];
    snprintf(name, sizeof name, "%s.torn-%zu", path, small->ends[small->world.history.count - 1]);
    file_remove(name);
}

static void
flip_bits(const struct small_archive *small, const char *path, size_t from, size_t bit_step, struct tally *tally)
{
    int descriptor = open(path, O_RDWR);
    CHECK(descriptor >= 0);
    for (size_t bit = from * 8; bit < small->file.count * 8; bit += bit_step) {
        size_t at = bit / 8;
        uint8_t flipped = (uint8_t)(small->file.at[at] ^ (1u << bit % 8));
        poke(descriptor, at, &flipped, 1);
        judge(small, path, at, 1, tally);
        poke(descriptor, at, &small->file.at[at], 1);
    }
    close(descriptor);
    printf(
        "%llu flips of %zu bytes: %llu not opened, %llu with findings, %llu torn (the last seal), %llu snapshots not "
        "reached\n",
        (unsigned long long)tally->flips, small->file.count, (unsigned long long)tally->refused,
        (unsigned long long)tally->damaged, (unsigned long long)tally->torn, (unsigned long long)tally->lost_snapshots);
}

CHECK_TEST(bitflip, every_bit)
{
    struct small_archive small;
    struct tally tally = { 0 };
    const char *path = scratch_path("flip.svp");
    small_archive_make(&small, path, PAGES, deep() ? 2 : 0, deep() ? 5 : SNAPSHOTS);
    CHECK(small.file.count <= 32 << 10);
    flip_bits(&small, path, 0, 1, &tally);
    CHECK_EQ(tally.flips, small.file.count * 8);
    CHECK_EQ(tally.torn, SEAL_BYTES * 8);
    small_archive_free(&small);
}

/* A bit of each byte that is not padding, for a writer. */
CHECK_TEST(bitflip, a_writer_leaves_damage_alone)
{
    struct small_archive small;
    const char *path = scratch_path("flip-writer.svp");
    uint64_t refused = 0;
    uint64_t opens = 0;
    small_archive_make(&small, path, PAGES, 0, SNAPSHOTS);
    for (size_t at = 0; at < small.file.count; at++) {
        if (small.file.at[at] == 0 && at % 64 != 0 && !deep()) {
            continue;
        }
        struct bytes flipped = { small.file.at, small.file.count };
        flipped.at[at] ^= (uint8_t)(1u << at % 8);
        file_write(path, flipped.at, flipped.count);
        judge_writer(&small, path, flipped, at, &refused);
        flipped.at[at] ^= (uint8_t)(1u << at % 8);
        remove_torn(&small, path);
        opens++;
    }
    printf("%llu writers: %llu refused, the others opened and changed nothing\n", (unsigned long long)opens,
           (unsigned long long)refused);
    CHECK(opens > 1000 && refused > 100);
    small_archive_free(&small);
}

static uint64_t record_offset(const char *path, const struct savepoint_id *id)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot found;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(id, text);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &found, text, NULL));
    savepoint_archive_close(archive);
    return found.file_offset;
}

static void take_some(struct world *world, int count, int letter)
{
    for (int i = 0; i < count; i++) {
        memset(world_page(world, (size_t)i % world->pages), letter + i, PAGE_BYTES / 2);
        world_take(world, SAVEPOINT_ORDERED);
    }
}

/* All that rest on it are whole, and a program goes on, in its session (that goes back some snapshots) or in a new one:
 * across the depths where indexes span 8 and 64 snapshots. The watch is one that knows which pages were written: going
 * back then leaves the others as they are, with what is known of them. */
CHECK_TEST(bitflip, a_damaged_snapshot_record_costs_one_snapshot)
{
    enum { WIDE = 40, TAKEN = 30, BACK_TO = 20, VICTIM_STEP = 3, MORE = 60, BODY = 64 + 16 };
    const char *path = scratch_path("record.svp");
    for (size_t victim = 0; victim < BACK_TO; victim += VICTIM_STEP) {
        struct world world = { .path = NULL };
        struct view view;
        file_remove(path);
        world_open(&world, path, "signal", WIDE);
        take_some(&world, TAKEN, 'a');
        struct bytes file = file_read(path);
        size_t at = record_offset(path, &world.history.moments[victim].id) + BODY;
        int descriptor = open(path, O_RDWR);
        file.at[at] ^= 1;
        poke(descriptor, at, &file.at[at], 1);
        close(descriptor);
        if (victim % 2 == 0) {
            CHECK_OK(savepoint_restore(world.session, &world.history.moments[BACK_TO].id, NULL, NULL));
        } else {
            world_close(&world);
            world_open(&world, path, "signal", WIDE);
            world_resume(&world);
        }
        take_some(&world, MORE, 'A');
        world_close(&world);
        view_archive(&view, path, &world.history, "a damaged record");
        CHECK_EQ(view.snapshots, TAKEN + MORE - 1);
        CHECK_EQ(view.unreadable, 0);
        CHECK(view.findings > 0);
        bytes_free(&file);
        world_free(&world);
    }
}

/* Whoever is killed leaves the seal of the newest durable snapshot: damage under it is no torn tail. */
CHECK_TEST(bitflip, after_a_kill)
{
    struct small_archive small;
    struct tally tally = { 0 };
    const char *path = scratch_path("killed.svp");
    uint64_t refused = 0;
    small_archive_make(&small, path, PAGES, 0, SNAPSHOTS);
    struct bytes whole = small.file;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct world world = { .history = small.world.history };
        world_open(&world, path, "compare", PAGES);
        world_resume(&world);
        memset(world_page(&world, 1), 'k', 100);
        world_take(&world, SAVEPOINT_SYNC);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot newest;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &newest, NULL));
    memcpy(small.world.memory, small.world.history.moments[SNAPSHOTS - 1].memory, PAGES * PAGE_BYTES);
    memset(world_page(&small.world, 1), 'k', 100);
    history_add(&small.world.history, &newest, small.world.memory);
    savepoint_archive_close(archive);
    small.file = file_read(path);
    small.ends[SNAPSHOTS] = small.file.count - SEAL_BYTES;
    check_archive(path, &small.world.history, SNAPSHOTS + 1, "after the kill");
    flip_bits(&small, path, deep() ? 0 : small.ends[SNAPSHOTS - 1], deep() ? 1 : 5, &tally);
    for (size_t at = small.ends[SNAPSHOTS - 1]; at < small.ends[SNAPSHOTS]; at += 7) {
        small.file.at[at] ^= 4;
        file_write(path, small.file.at, small.file.count);
        judge_writer(&small, path, small.file, at, &refused);
        small.file.at[at] ^= 4;
    }
    CHECK(refused > 0);
    bytes_free(&whole);
    small_archive_free(&small);
}

static size_t overwrite(const struct small_archive *small, const char *path, size_t run, size_t step, bool garbage,
                        struct tally *tally)
{
    static uint8_t filling[64 << 10];
    uint64_t seed = run;
    size_t changed = 0;
    int descriptor = open(path, O_RDWR);
    CHECK(descriptor >= 0);
    memset(filling, 0, sizeof filling);
    for (size_t at = 0; at < small->file.count; at += step) {
        size_t bytes = small->file.count - at < run ? small->file.count - at : run;
        if (garbage) {
            random_fill(filling, bytes, &seed);
        }
        if (memcmp(small->file.at + at, filling, bytes) == 0) {
            continue;
        }
        poke(descriptor, at, filling, bytes);
        size_t first = at;
        while (small->file.at[first] == filling[first - at]) {
            first++;
        }
        judge(small, path, first, bytes, tally);
        poke(descriptor, at, small->file.at + at, bytes);
        changed++;
    }
    close(descriptor);
    return changed;
}

/* Runs of 512 bytes to 64 KiB, zeroed and overwritten. The last seal stays: a run that takes the newest transactions
 * and every seal behind them leaves no proof that they were durable, and is the same as a torn tail. */
CHECK_TEST(bitflip, overwritten_runs)
{
    struct small_archive small;
    struct tally tally = { 0 };
    const char *path = scratch_path("runs.svp");
    size_t runs = 0;
    small_archive_make(&small, path, 24, 20, SNAPSHOTS);
    for (size_t run = 512; run <= 64 << 10; run *= 2) {
        for (int garbage = 0; garbage < 2; garbage++) {
            size_t end = small.file.count;
            small.file.count = end - SEAL_BYTES; /* the last seal stays */
            runs += overwrite(&small, path, run, deep() ? 64 : 1024, garbage != 0, &tally);
            small.file.count = end;
        }
    }
    printf("%zu runs overwritten in %zu bytes: %llu not opened, %llu with findings\n", runs, small.file.count,
           (unsigned long long)tally.refused, (unsigned long long)tally.damaged);
    CHECK(runs > 500);
    small_archive_free(&small);
}
