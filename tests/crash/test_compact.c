/* test_compact.c - every call fails in turn while an archive is compacted, and SIGKILL at every call: the file is the
 * old one to the byte, or the new one whole */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 300, SNAPSHOTS = 6, KEEP = 2, CALLS_MAX = 5000 };

struct outcome {
    uint64_t cases, failed, replaced;
};

static struct bytes original;
static struct history kept; /* the newest KEEP */
static const char *path, *new_path;

/* More than one write per transaction; the world stays for its history. */
static void make(struct world *world)
{
    uint64_t seed = 5;
    path = scratch_path("compact.svp");
    new_path = scratch_path("compact.svp.compact");
    file_remove(path);
    world_open(world, path, "compare", PAGES);
    for (int i = 0; i < SNAPSHOTS; i++) {
        random_fill(world_page(world, 0), (i == 0 ? PAGES : 3) * PAGE_BYTES, &seed);
        world_take(world, SAVEPOINT_SYNC);
    }
    world_close(world);
    original = file_read(path);
    kept.memory_bytes = world->history.memory_bytes;
    kept.count = KEEP;
    for (int i = 0; i < KEEP; i++) {
        kept.moments[i] = world->history.moments[SNAPSHOTS - KEEP + i];
    }
}

static enum savepoint_status compact(struct savepoint_error *error)
{
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    options.keep_last = KEEP;
    return savepoint_archive_compact(path, NULL, &options, error);
}

static bool is_original(void)
{
    struct bytes there = file_read(path);
    bool same = there.count == original.count && memcmp(there.at, original.at, original.count) == 0;
    bytes_free(&there);
    return same;
}

/* Old or new, and the next compaction works and leaves nothing beside the archive. Returns true for new. */
static bool check_outcome(const char *what)
{
    struct view view;
    struct savepoint_error error;
    bool replaced = !is_original();
    if (replaced) {
        view_archive(&view, path, &kept, what);
        CHECK_MSG(view.opened == SAVEPOINT_OK && view.findings == 0 && view.kept == KEEP, "%s: %s", what,
                  view.error.message);
    }
    CHECK_MSG(compact(&error) == SAVEPOINT_OK, "%s: then: %s", what, error.message);
    view_archive(&view, path, &kept, what);
    CHECK(view.findings == 0 && view.kept == KEEP && !file_exists(new_path));
    return replaced;
}

static bool fail_at(enum fault_kind kind, uint64_t number, bool sticky, int os_code, struct outcome *outcome)
{
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    char what[100];
    snprintf(what, sizeof what, "kind %d, call %llu, code %d", kind, (unsigned long long)number, os_code);
    file_write(path, original.at, original.count);
    fault_arm(kind, number, sticky, os_code);
    enum savepoint_status status = compact(&error);
    bool met = fault_hits(kind) > 0;
    fault_disarm();
    CHECK_MSG(status == SAVEPOINT_OK || error.status == status, "%s: %s", what, savepoint_status_name(status));
    CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_UNCERTAIN || is_original(), "%s: %s, and it changed", what,
              savepoint_status_name(status));
    CHECK_MSG(status == SAVEPOINT_OK || !file_exists(new_path), "%s: a part is left behind", what);
    outcome->cases++;
    outcome->failed += status != SAVEPOINT_OK ? 1 : 0;
    outcome->replaced += check_outcome(what) ? 1 : 0;
    return met;
}

CHECK_TEST(compact, every_call_fails)
{
    static const struct {
        enum fault_kind kind;
        bool sticky;
        int os_code;
    } ways[] = {
        { FAULT_WRITE, false, ENOSPC },  { FAULT_WRITE, true, ENOSPC },     { FAULT_WRITE, true, EIO },
        { FAULT_SYNC, false, EIO },      { FAULT_SYNC_FOLDER, false, EIO }, { FAULT_READ, false, EIO },
        { FAULT_MEMORY, false, ENOMEM },
    };
    struct outcome outcome = { 0 };
    struct world world = { 0 };
    make(&world);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        bool met = true;
        uint64_t step = 1;
        for (uint64_t number = 1; met && number < CALLS_MAX; number += step) {
            met = fail_at(ways[i].kind, number, ways[i].sticky, ways[i].os_code, &outcome);
            step = deep() || number < 40 ? 1 : 1 + number / 8;
        }
        CHECK(!met);
    }
    printf("%llu cases: %llu compactions failed, %llu replaced the file\n", (unsigned long long)outcome.cases,
           (unsigned long long)outcome.failed, (unsigned long long)outcome.replaced);
    CHECK(outcome.failed >= 40 && outcome.replaced >= 7);
    world_free(&world);
    bytes_free(&original);
}

/* ---- SIGKILL at every call */

static uint64_t calls_left;

static void die_in_time(enum fault_kind kind)
{
    if (kind != FAULT_MEMORY && kind != FAULT_READ && --calls_left == 0) {
        raise(SIGKILL);
    }
}

/* Returns true when the child was killed. */
static bool kill_at(uint64_t number, struct outcome *outcome)
{
    int status = 0;
    char what[60];
    snprintf(what, sizeof what, "killed at call %llu", (unsigned long long)number);
    file_write(path, original.at, original.count);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        calls_left = number;
        fault_watch(die_in_time);
        _exit(compact(NULL) == SAVEPOINT_OK ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    bool killed = WIFSIGNALED(status);
    CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    outcome->cases++;
    outcome->failed += killed ? 1 : 0;
    outcome->replaced += check_outcome(what) ? 1 : 0;
    return killed;
}

CHECK_TEST(compact, killed_at_every_call)
{
    struct outcome outcome = { 0 };
    struct world world = { 0 };
    make(&world);
    for (uint64_t number = 1; kill_at(number, &outcome); number++) {
        CHECK(number < CALLS_MAX);
    }
    printf("%llu kills: the new file was in place after %llu\n", (unsigned long long)outcome.failed,
           (unsigned long long)outcome.replaced);
    CHECK(outcome.failed >= 8 && outcome.replaced >= 2);
    world_free(&world);
    bytes_free(&original);
}

/* ---- who else has the archive open */

CHECK_TEST(compact, a_writer_is_refused_and_a_reader_stays)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct world world = { 0 };
    uint8_t *memory = malloc(PAGES * PAGE_BYTES);
    make(&world);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &snapshot, NULL));
    world_open(&world, path, "compare", PAGES);
    CHECK_STATUS(compact(NULL), SAVEPOINT_LOCKED);
    CHECK(!file_exists(new_path));
    world_close(&world);
    CHECK_OK(compact(NULL));
    for (size_t i = SNAPSHOTS; i-- > 0;) { /* also those that are gone from the new file */
        CHECK_OK(savepoint_archive_read(archive, memory, &snapshot, "heap", 0, PAGES * PAGE_BYTES, NULL));
        CHECK_MEM(memory, world.history.moments[i].memory, PAGES * PAGE_BYTES);
        CHECK_STATUS(savepoint_archive_previous(archive, &snapshot, NULL), i > 0 ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
    }
    savepoint_archive_close(archive);

    /* A program goes on with the new one. */
    world_open(&world, path, "compare", PAGES);
    world_resume(&world);
    world_page(&world, 7)[1]++;
    CHECK_EQ(world_take(&world, SAVEPOINT_SYNC).sequence, SNAPSHOTS + 1);
    world_close(&world);
    kept.moments[KEEP] = world.history.moments[SNAPSHOTS];
    kept.count = KEEP + 1;
    check_archive(path, &kept, KEEP + 1, "goes on");
    free(memory);
    world_free(&world);
    bytes_free(&original);
}
