/* test_histories.c - random programs over a session with a ring and an archive, against full copies of every state
 *
 * SEED=n runs that one program; SAVEPOINT_TEST_BACKEND=name one backend; SAVEPOINT_TEST_DEEP=1 twenty times as many. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bad_disk.h"
#include "histories.h"
#include "model.h"
#include "watch/watch.h"

enum { STEPS = 120, PROGRAMS = 60, DEEP_FACTOR = 20 };

static uint64_t below(struct world *world, uint64_t limit)
{
    return model_below(&world->random, limit);
}

static void write_somewhere(struct world *world)
{
    size_t page = below(world, world->pages);
    size_t offset = page * PAGE;
    size_t bytes = PAGE;
    switch (below(world, 5)) {
    case 0:
        for (size_t i = 0; i < PAGE; i++) {
            world->expected[offset + i] = (uint8_t)model_random(&world->random);
        }
        break;
    case 1:
        memset(world->expected + offset, (int)below(world, 3), PAGE);
        break;
    case 2: /* back to what a snapshot held */
        if (world->state_count > 0) {
            const struct state *state = world->states[below(world, world->state_count)];
            memcpy(world->expected + offset, state->bytes + offset, page < state->pages ? PAGE : 0);
        }
        break;
    default:
        offset += below(world, PAGE - 8);
        bytes = 1 + below(world, 8);
        for (size_t i = 0; i < bytes; i++) {
            world->expected[offset + i]++;
        }
    }
    memcpy(world->memory + offset, world->expected + offset, bytes);
}

/* ---- taking */

void histories_settle(struct world *world)
{
    for (size_t i = 0; i < world->asked_count; i++) {
        struct state *state = world->asked[i].state;
        struct savepoint_snapshot snapshot;
        struct savepoint_error error;
        enum savepoint_status status = savepoint_wait(world->session, world->asked[i].ticket, &snapshot, &error);
        WORLD_CHECK(world, status == SAVEPOINT_OK || status == SAVEPOINT_IO || status == SAVEPOINT_NO_SPACE ||
                               status == SAVEPOINT_CANCELLED);
        if (status != SAVEPOINT_OK) {
            world->counts->failed++;
            free(state);
            continue;
        }
        WORLD_CHECK(world, ((snapshot.flags & SAVEPOINT_SNAPSHOT_RING) != 0) == (state->home == IN_RING));
        state->id = snapshot.id;
        state->digest = snapshot.digest;
        world->states[world->state_count++] = state;
    }
    world->asked_count = 0;
}

static void take(struct world *world)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    struct asked *asked = &world->asked[world->asked_count++];
    bool in_ring = !world->has_archive || below(world, 3) != 0;
    asked->state = malloc(sizeof *asked->state);
    WORLD_CHECK(world, asked->state != NULL);
    *asked->state = (struct state){ .home = in_ring ? IN_RING : IN_ARCHIVE, .pages = world->pages };
    memcpy(asked->state->bytes, world->expected, sizeof world->expected);
    memcpy(asked->state->excluded, world->excluded, sizeof world->excluded);
    options.durability = (enum savepoint_durability)below(world, 3);
    options.history = in_ring ? SAVEPOINT_RING : SAVEPOINT_ARCHIVE;
    CHECK_STATUS(savepoint_take(world->session, &asked->ticket, &options, &error), SAVEPOINT_OK);
    (in_ring ? &world->counts->ring_takes : &world->counts->archive_takes)[0]++;
    if (below(world, 3) == 0) {
        histories_settle(world);
    }
}

static void fail(struct world *world)
{
    bad_disk_arm(1 + (int)below(world, 3));
}

static void cancel(struct world *world)
{
    if (world->asked_count > 0) {
        enum savepoint_status status =
            savepoint_cancel(world->session, world->asked[below(world, world->asked_count)].ticket, NULL);
        WORLD_CHECK(world, status == SAVEPOINT_OK || status == SAVEPOINT_BUSY || status == SAVEPOINT_NOT_FOUND);
    }
}

/* ---- restoring */

static bool is_held(struct world *world, const struct state *state)
{
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = savepoint_ring_newest(world->session, &snapshot, NULL);
    while (status == SAVEPOINT_OK && memcmp(&snapshot.id, &state->id, sizeof state->id) != 0) {
        status = savepoint_ring_previous(world->session, &snapshot, NULL);
    }
    return status == SAVEPOINT_OK;
}

static void apply(struct world *world, const struct state *state)
{
    for (size_t page = 0; page < world->pages; page++) {
        uint8_t *to = world->expected + page * PAGE;
        if (page >= state->pages && !world->excluded[page]) {
            memset(to, 0, PAGE);
        } else if (page < state->pages && !world->excluded[page] && !state->excluded[page]) {
            memcpy(to, state->bytes + page * PAGE, PAGE);
        }
    }
}

static void restore(struct world *world)
{
    struct savepoint_error error;
    histories_settle(world);
    if (world->state_count == 0) {
        return;
    }
    size_t recent = world->state_count < 12 ? world->state_count : 12;
    const struct state *state = world->states[world->state_count - 1 - below(world, recent)];
    if (state->home == IN_OTHER) {
        return;
    }
    if (state->home == IN_RING && !is_held(world, state)) {
        WORLD_CHECK(world, savepoint_restore(world->session, &state->id, NULL, &error) != SAVEPOINT_OK);
        world->counts->dropped++;
        return;
    }
    CHECK_STATUS(savepoint_restore(world->session, &state->id, NULL, &error), SAVEPOINT_OK);
    apply(world, state);
    (state->home == IN_RING ? &world->counts->ring_restores : &world->counts->archive_restores)[0]++;
}

/* ---- regions */

static void grow(struct world *world)
{
    size_t pages = world->pages + below(world, 4);
    histories_settle(world);
    if (pages <= PAGES_MAX) {
        WORLD_CHECK(world, savepoint_grow(world->session, "r", pages * PAGE, NULL) == SAVEPOINT_OK);
        world->pages = pages;
    }
}

static void exclude_or_include(struct world *world)
{
    size_t page = below(world, world->pages);
    size_t count = 1 + below(world, 3);
    bool exclude = below(world, 2) == 0;
    count = count > world->pages - page ? world->pages - page : count;
    histories_settle(world);
    enum savepoint_status status =
        (exclude ? savepoint_exclude : savepoint_include)(world->session, "r", page * PAGE, count * PAGE, NULL);
    WORLD_CHECK(world, status == SAVEPOINT_OK);
    for (size_t i = page; i < page + count; i++) {
        world->excluded[i] = exclude;
    }
}

/* ---- checking */

static bool same_page(const struct state *left, const struct state *right, size_t page)
{
    static const uint8_t zeros[PAGE];
    const uint8_t *a = left->excluded[page] ? zeros : left->bytes + page * PAGE;
    const uint8_t *b = right->excluded[page] ? zeros : right->bytes + page * PAGE;
    return memcmp(a, b, PAGE) == 0;
}

static void check_digests(struct world *world)
{
    for (size_t i = 0; i < world->state_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct state *a = world->states[i];
            const struct state *b = world->states[k];
            bool same = a->pages == b->pages;
            for (size_t page = 0; same && page < a->pages; page++) {
                same = same_page(a, b, page);
            }
            WORLD_CHECK(world, same == (memcmp(&a->digest, &b->digest, sizeof a->digest) == 0));
            world->counts->compared++;
        }
    }
}

static void check_archive(struct world *world, enum home home, const char *path)
{
    static uint8_t bytes[PAGES_MAX * PAGE];
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result = { 0 };
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    size_t count = 0;
    for (size_t i = 0; i < world->state_count; i++) {
        const struct state *state = world->states[i];
        char id[SAVEPOINT_ID_TEXT_BYTES];
        if (state->home != home) {
            continue;
        }
        savepoint_id_format(&state->id, id);
        CHECK_OK(savepoint_archive_find(archive, &snapshot, id, NULL));
        CHECK_OK(savepoint_archive_read(archive, bytes, &snapshot, "r", 0, state->pages * PAGE, NULL));
        for (size_t page = 0; page < state->pages; page++) {
            WORLD_CHECK(world,
                        state->excluded[page] || memcmp(bytes + page * PAGE, state->bytes + page * PAGE, PAGE) == 0);
        }
        count++;
    }
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    WORLD_CHECK(world, result.findings == 0 && result.snapshots_checked == count);
    savepoint_archive_close(archive);
}

/* ---- programs */

static void step(struct world *world)
{
    static const struct {
        unsigned weight;
        void (*act)(struct world *);
    } actions[] = {
        { 41, write_somewhere }, { 27, take }, { 14, restore },           { 3, fail },
        { 3, cancel },           { 3, grow },  { 4, exclude_or_include }, { 3, histories_promote },
        { 2, histories_load },
    };
    uint64_t pick = below(world, 100);
    size_t i = 0;
    for (; pick >= actions[i].weight; i++) {
        pick -= actions[i].weight;
    }
    actions[i].act(world);
    world->step++;
    WORLD_CHECK(world, memcmp(world->memory, world->expected, world->pages * PAGE) == 0);
}

static void open_world(struct world *world, const char *backend, uint64_t seed, struct counts *counts)
{
    static const uint64_t budgets[] = { 1 << 20, 60000, 12000, 2000 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    *world = (struct world){ .backend = backend, .seed = seed, .counts = counts, .pages = PAGES_MIN };
    world->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world->has_archive = seed % 5 != 0;
    snprintf(world->path, sizeof world->path, "histories-%ld.svp", (long)getpid());
    snprintf(world->other_path, sizeof world->other_path, "promoted-%ld.svp", (long)getpid());
    unlink(world->path);
    unlink(world->other_path);
    world->memory = mmap(NULL, PAGES_MAX * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORLD_CHECK(world, world->memory != MAP_FAILED);
    options.watch = backend;
    options.ring_bytes = budgets[below(world, 4)];
    CHECK_STATUS(savepoint_open(&world->session, world->has_archive ? world->path : NULL, &options, &error),
                 SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(world->session, "r", world->memory, world->pages * PAGE, &error), SAVEPOINT_OK);
}

static void run_program(const char *backend, uint64_t seed, struct counts *counts)
{
    static struct world world;
    open_world(&world, backend, seed, counts);
    while (world.step < STEPS && world.state_count + world.asked_count < STATES_MAX) {
        step(&world);
    }
    histories_settle(&world);
    check_digests(&world);
    CHECK_OK(savepoint_close(world.session, NULL));
    bad_disk_arm(0);
    if (world.has_archive) {
        check_archive(&world, IN_ARCHIVE, world.path);
    }
    if (access(world.other_path, F_OK) == 0) {
        check_archive(&world, IN_OTHER, world.other_path);
    }
    for (size_t i = 0; i < world.state_count; i++) {
        free(world.states[i]);
    }
    munmap(world.memory, PAGES_MAX * PAGE);
    unlink(world.path);
    unlink(world.other_path);
    counts->programs++;
}

static void check_floors(const struct counts *counts)
{
    CHECK(counts->ring_takes >= counts->programs * 10);
    CHECK(counts->archive_takes >= counts->programs * 5);
    CHECK(counts->failed >= counts->programs / 2);
    CHECK(counts->ring_restores >= counts->programs * 3);
    CHECK(counts->archive_restores >= counts->programs * 2);
    CHECK(counts->dropped >= counts->programs / 4);
    CHECK(counts->promoted >= counts->programs * 3);
    CHECK(counts->loaded >= counts->programs / 3 && counts->refused >= counts->programs / 8);
}

CHECK_TEST(histories, random_programs_agree_with_full_copies)
{
    const char *wanted = getenv("SAVEPOINT_TEST_BACKEND");
    const char *seed = getenv("SEED");
    uint64_t programs = getenv("SAVEPOINT_TEST_DEEP") != NULL ? PROGRAMS * DEEP_FACTOR : PROGRAMS;
    const struct svp_watch_backend *backend;
    unsigned ran = 0;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct counts counts = { 0 };
        if ((wanted != NULL && strcmp(wanted, backend->name) != 0) || backend->probe(&caps, NULL) != SAVEPOINT_OK) {
            continue;
        }
        ran++;
        if (seed != NULL) {
            run_program(backend->name, strtoull(seed, NULL, 0), &counts);
            continue;
        }
        for (uint64_t k = 1; k <= programs; k++) {
            run_program(backend->name, k, &counts);
        }
        fprintf(stderr,
                "histories: %s: %" PRIu64 " programs, %" PRIu64 " takes for the ring and %" PRIu64
                " for the archive (%" PRIu64 " failed), %" PRIu64 " and %" PRIu64 " restores, %" PRIu64
                " dropped by then, %" PRIu64 " promoted, %" PRIu64 " loaded and %" PRIu64 " not, %" PRIu64
                " pairs of digests compared\n",
                backend->name, counts.programs, counts.ring_takes, counts.archive_takes, counts.failed,
                counts.ring_restores, counts.archive_restores, counts.dropped, counts.promoted, counts.loaded,
                counts.refused, counts.compared);
        check_floors(&counts);
    }
    if (ran == 0) {
        CHECK_SKIP("backend %s does not work here", wanted != NULL ? wanted : "(any)");
    }
}
