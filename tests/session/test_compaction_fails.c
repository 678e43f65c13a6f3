/* test_compaction_fails.c - every call fails in turn, SIGKILL at every call, and programs at random */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compaction_world.h"
#include "fault.h"

enum { PAGES = COMPACTION_PAGES, KEEP = 2, CALLS_MAX = 20000 };

static uint64_t seed = 29;

/* ---- stopped */

struct stop {
    struct savepoint *session;
    bool by_cancelling;
    int calls;
};

static int stop_at_once(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct stop *stop = user;
    (void)done_bytes;
    (void)total_bytes;
    stop->calls++;
    if (stop->by_cancelling) {
        CHECK_OK(savepoint_cancel(stop->session, 0, NULL));
        return 0;
    }
    return 1;
}

CHECK_TEST(compaction_fails, stopped_by_its_progress)
{
    enum { MANY = 3000 };
    struct world world = { 0 };
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    uint64_t ticket = 0;
    autosave_open(&world, "progress.svp", MANY);
    for (int i = 0; i < 3; i++) {
        random_fill(world.memory, MANY * PAGE_BYTES, &seed);
        world_take(&world, SAVEPOINT_SYNC);
    }
    options.keep_last = 2;
    options.progress = stop_at_once;
    for (int way = 0; way < 2; way++) {
        struct stop stop = { world.session, way == 1, 0 };
        options.progress_user = &stop;
        CHECK_OK(savepoint_compact(world.session, &ticket, &options, NULL));
        CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_CANCELLED);
        CHECK_EQ(stop.calls, 1);
        compaction_check(&world, "stopped");
    }
    autosave_end(&world);
}

/* ---- every call fails */

static bool fail_at(struct world *world, enum fault_kind kind, uint64_t number, bool sticky, int code, uint64_t *failed)
{
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    char what[80];
    snprintf(what, sizeof what, "kind %d, call %llu, code %d", kind, (unsigned long long)number, code);
    for (int i = 0; i < 2; i++) {
        compaction_scribble(world);
        world_take(world, SAVEPOINT_SYNC);
    }
    uint64_t ticket = 0;
    fault_hold_worker(true);
    ticket = compaction_begin(world, 2);
    fault_arm(kind, number, sticky, code);
    fault_hold_worker(false);
    enum savepoint_status status = savepoint_wait(world->session, ticket, NULL, &error);
    const bool met = fault_hits(kind) > 0;
    fault_disarm();
    CHECK_MSG(status == SAVEPOINT_OK || error.status == status, "%s: %s", what, savepoint_status_name(status));
    CHECK_MSG(status != SAVEPOINT_OK || error.message[0] == '\0', "%s", what);
    *failed += status != SAVEPOINT_OK ? 1 : 0;
    if (status == SAVEPOINT_OK || status == SAVEPOINT_UNCERTAIN) {
        compaction_forget(&world->history, world->history.count - 2);
    }
    compaction_check(world, what);
    compaction_scribble(world);
    if (status == SAVEPOINT_UNCERTAIN) {
        CHECK_STATUS(world_start(world, SAVEPOINT_SYNC, NULL), SAVEPOINT_POISONED);
        world_close(world);
        world_open(world, world->path, "compare", PAGES);
        world_resume(world);
    } else {
        world_take(world, SAVEPOINT_SYNC);
        compaction_check(world, what);
    }
    return met;
}

CHECK_TEST(compaction_fails, every_call_fails)
{
    static const struct {
        enum fault_kind kind;
        bool sticky;
        int code;
    } ways[] = { { FAULT_WRITE, false, ENOSPC },    { FAULT_WRITE, true, EIO }, { FAULT_SYNC, false, EIO },
                 { FAULT_SYNC_FOLDER, false, EIO }, { FAULT_READ, true, EIO },  { FAULT_MEMORY, false, ENOMEM } };
    struct world world = { 0 };
    compaction_make(&world, "fails.svp", 2);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        uint64_t failed = 0, step = 1, number = 1;
        for (bool met = true; met && number < CALLS_MAX; number += step) {
            met = fail_at(&world, ways[i].kind, number, ways[i].sticky, ways[i].code, &failed);
            step = deep() || number < 20 ? 1 : 1 + number / 4;
        }
        printf("kind %d: %llu failed\n", ways[i].kind, (unsigned long long)failed);
        CHECK(failed >= 1);
        CHECK(number < CALLS_MAX);
    }
    rename_code = EACCES;
    uint64_t ticket = compaction_begin(&world, 1);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_IO);
    rename_code = 0;
    compaction_check(&world, "no rename");
    world_take(&world, SAVEPOINT_SYNC);
    compaction_end(&world);
}

/* ---- SIGKILL at every call */

static uint64_t calls_left;

static void die_in_time(enum fault_kind kind)
{
    if (kind != FAULT_MEMORY && kind != FAULT_READ && --calls_left == 0) {
        raise(SIGKILL);
    }
}

/* In a child: resumes, compacts, takes. */
static void work_and_die(const char *path, uint64_t number)
{
    struct world world = { 0 };
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    world_open(&world, path, "compare", PAGES);
    CHECK_OK(savepoint_resume(world.session, NULL, NULL));
    calls_left = number;
    fault_watch(die_in_time);
    options.keep_last = KEEP;
    CHECK_OK(savepoint_compact(world.session, NULL, &options, NULL));
    world_page(&world, 3)[3] ^= 1;
    world_take(&world, SAVEPOINT_SYNC);
    CHECK_OK(savepoint_close(world.session, NULL));
    _exit(0);
}

/* What a kill left beside the archive stays until the next compaction, which needs the name. Returns whether it did. */
static bool clear_away(struct world *world, const char *what)
{
    char beside[300];
    snprintf(beside, sizeof beside, "%s.compact", world->path);
    const bool left = file_exists(beside);
    world_open(world, world->path, "compare", PAGES);
    CHECK_OK(savepoint_resume(world->session, NULL, NULL));
    compaction_do(world, 1);
    world_close(world);
    CHECK_MSG(!file_exists(beside), "%s: what was left lies there for ever", what);
    CHECK_EQ(check_known(world->path, &world->history, what), 1);
    return left;
}

CHECK_TEST(compaction_fails, killed_at_every_call)
{
    enum { SNAPSHOTS = 5 };
    struct world world = { 0 };
    unsigned kills = 0, replaced = 0, taken = 0, left = 0;
    bool killed = true;
    autosave_open(&world, "killed.svp", PAGES);
    for (int i = 0; i < SNAPSHOTS; i++) {
        random_fill(world_page(&world, 0), PAGES * PAGE_BYTES, &seed);
        world_take(&world, SAVEPOINT_SYNC);
    }
    memcpy(world.memory, world.history.moments[SNAPSHOTS - 1].memory, PAGES * PAGE_BYTES);
    world_close(&world);
    struct bytes original = file_read(world.path);
    for (uint64_t number = 1; killed && number < CALLS_MAX; number++) {
        char what[40];
        int status = 0;
        struct savepoint_snapshot head;
        file_write(world.path, original.at, original.count);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            work_and_die(world.path, number);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        killed = WIFSIGNALED(status);
        CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        snprintf(what, sizeof what, "killed at call %llu", (unsigned long long)number);
        world_open(&world, world.path, "compare", PAGES);
        CHECK_OK(savepoint_resume(world.session, &head, NULL));
        CHECK(head.sequence == SNAPSHOTS || head.sequence == SNAPSHOTS + 1);
        if (head.sequence > SNAPSHOTS) {
            history_add(&world.history, &head, world.memory);
            world.memory[3 * PAGE_BYTES + 3] ^= 1;
        }
        CHECK_MEM(world.memory, world.history.moments[SNAPSHOTS - 1].memory, world.history.memory_bytes);
        world_close(&world);
        const size_t newer = head.sequence - SNAPSHOTS;
        const size_t kept = check_known(world.path, &world.history, what);
        CHECK_MSG((kept == SNAPSHOTS && newer == 0) || kept == KEEP + newer, "%s: %zu snapshots", what, kept);
        kills += killed;
        replaced += kept != SNAPSHOTS;
        taken += newer > 0;
        left += clear_away(&world, what);
        history_cut(&world.history, SNAPSHOTS);
    }
    printf("%u kills, %u left a part, %u after the rename, %u with the take behind it\n", kills, left, replaced, taken);
    CHECK(!killed && kills >= 8 && left >= 3 && replaced >= 3 && taken >= 2);
    bytes_free(&original);
    world_free(&world);
}

/* ---- everything at random, with a ring beside */

struct both {
    struct savepoint *session;
    uint8_t *memory;
    const char *path;
    struct history archive, ring; /* of the ring: the newest one only, its id changes nothing */
};

static void take_both(struct both *both, uint32_t where)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    options.history = where;
    CHECK_OK(savepoint_take(both->session, &ticket, &options, NULL));
    CHECK_OK(savepoint_wait(both->session, ticket, &snapshot, NULL));
    history_add(where == SAVEPOINT_RING ? &both->ring : &both->archive, &snapshot, both->memory);
}

static void compact_both(struct both *both)
{
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.keep_last = (uint32_t)(random_next(&seed) % 6 + 1);
    CHECK_OK(savepoint_compact(both->session, &ticket, &options, NULL));
    if (random_next(&seed) % 2 == 0) { /* takes behind it, and one of the ring */
        both->memory[random_next(&seed) % (PAGES * PAGE_BYTES)] ^= 1;
        take_both(both, SAVEPOINT_ARCHIVE);
        take_both(both, SAVEPOINT_RING);
    }
    CHECK_OK(savepoint_wait(both->session, ticket, NULL, NULL));
}

static void restore_both(struct both *both, struct history *history)
{
    struct savepoint_error error = { 0 };
    const struct moment *moment = &history->moments[random_next(&seed) % history->count];
    enum savepoint_status status = savepoint_restore(both->session, &moment->id, NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_NOT_FOUND, "%s", error.message);
    if (status == SAVEPOINT_OK) {
        CHECK_MEM(both->memory, moment->memory, history->memory_bytes);
    }
}

static void step_both(struct both *both)
{
    const uint64_t roll = random_next(&seed) % 16;
    for (uint64_t i = random_next(&seed) % 5; i > 0; i--) {
        uint8_t *page = both->memory + random_next(&seed) % PAGES * PAGE_BYTES;
        random_fill(page, random_next(&seed) % 4 == 0 ? PAGE_BYTES : 24, &seed);
    }
    if (roll < 7) {
        take_both(both, SAVEPOINT_ARCHIVE);
    } else if (roll < 10) {
        take_both(both, SAVEPOINT_RING);
    } else if (roll < 12) {
        compact_both(both);
    } else if (roll == 12 && both->archive.count > 0) {
        restore_both(both, &both->archive);
    } else if (roll == 13 && both->ring.count > 0) {
        restore_both(both, &both->ring);
    } else if (roll == 14 && both->ring.count > 0) {
        struct savepoint_snapshot snapshot, ring;
        CHECK_OK(savepoint_ring_newest(both->session, &ring, NULL));
        CHECK_OK(savepoint_promote(both->session, &snapshot, &ring.id, NULL, NULL, NULL));
        for (size_t i = 0; i < both->ring.count; i++) {
            if (memcmp(both->ring.moments[i].id.bytes, ring.id.bytes, sizeof ring.id.bytes) == 0) {
                history_add(&both->archive, &snapshot, both->ring.moments[i].memory);
            }
        }
    }
}

CHECK_TEST(compaction_fails, a_random_program)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    const int runs = deep() ? 60 : 6;
    const int steps = 220;
    uint64_t compactions = 0;
    for (int run = 0; run < runs; run++) {
        struct both both = { .path = scratch_path("random.svp") };
        both.archive.memory_bytes = both.ring.memory_bytes = PAGES * PAGE_BYTES;
        both.memory = aligned_alloc(PAGE_BYTES, PAGES * PAGE_BYTES);
        CHECK(both.memory != NULL);
        memset(both.memory, 0, PAGES * PAGE_BYTES);
        file_remove(both.path);
        options.watch = "compare";
        options.ring_bytes = run % 2 == 0 ? 8 << 20 : 1 << 20;
        CHECK_OK(savepoint_open(&both.session, both.path, &options, NULL));
        CHECK_OK(savepoint_watch(both.session, "heap", both.memory, PAGES * PAGE_BYTES, NULL));
        take_both(&both, SAVEPOINT_ARCHIVE);
        for (int step = 0; step < steps; step++) {
            step_both(&both);
        }
        compactions += autosave_statistics(both.session).compactions;
        struct savepoint_error error = { 0 };
        enum savepoint_status status = savepoint_close(both.session, &error);
        CHECK_MSG(status == SAVEPOINT_OK, "close: %s", error.message);
        CHECK(check_known(both.path, &both.archive, "random") > 0);
        history_free(&both.archive);
        history_free(&both.ring);
        free(both.memory);
    }
    printf("%llu compactions\n", (unsigned long long)compactions);
    CHECK(compactions >= 10);
}
