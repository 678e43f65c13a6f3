/* test_session.c - what a session promises beside its snapshots: hooks, statistics, progress, work in proportion */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "savepoint.h"

enum { PAGE = 4096, PAGES = 64 };

struct world {
    char folder[64], path[96];
    unsigned char *memory;
    struct savepoint *session;
    char calls[64]; /* hooks called: one letter each */
};

struct hook_user {
    struct world *world;
    char letter;
};

static void note_call(void *user, const struct savepoint_snapshot *snapshot)
{
    struct hook_user *hook = user;
    size_t used = strlen(hook->world->calls);
    CHECK(snapshot->sequence > 0);
    if (used + 1 < sizeof hook->world->calls) {
        hook->world->calls[used] = hook->letter;
        hook->world->calls[used + 1] = '\0';
    }
}

static void open_session(struct world *world)
{
    struct savepoint_error error;
    CHECK_STATUS(savepoint_open(&world->session, world->path, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(world->session, "memory", world->memory, PAGES * PAGE, &error), SAVEPOINT_OK);
}

static void open_world(struct world *world)
{
    memset(world, 0, sizeof *world);
    strcpy(world->folder, "/tmp/savepoint-unit-XXXXXX");
    CHECK(mkdtemp(world->folder) != NULL);
    snprintf(world->path, sizeof world->path, "%s/a.svp", world->folder);
    world->memory = aligned_alloc(PAGE, PAGES * PAGE);
    CHECK(world->memory != NULL);
    memset(world->memory, 1, PAGES * PAGE);
    open_session(world);
}

static void close_world(struct world *world)
{
    struct savepoint_error error;
    CHECK_STATUS(savepoint_close(world->session, &error), SAVEPOINT_OK);
    unlink(world->path);
    rmdir(world->folder);
    free(world->memory);
}

static struct savepoint_snapshot take(struct world *world)
{
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
    CHECK_STATUS(savepoint_take(world->session, NULL, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_wait(world->session, 0, &snapshot, &error), SAVEPOINT_OK);
    return snapshot;
}

static struct savepoint_statistics statistics_of(struct world *world)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_STATUS(savepoint_read_statistics(world->session, &statistics, NULL), SAVEPOINT_OK);
    return statistics;
}

CHECK_TEST(session, hooks_run_in_order_after_memory_was_written_and_only_then)
{
    struct world world;
    struct savepoint_error error;
    struct savepoint_id unknown = { { 1, 2, 3 } };
    open_world(&world);
    struct hook_user first = { &world, 'a' }, second = { &world, 'b' };
    CHECK_STATUS(savepoint_on_restore(world.session, note_call, &first, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_on_restore(world.session, note_call, &second, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_on_restore(world.session, NULL, NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_resume(world.session, NULL, &error), SAVEPOINT_EMPTY);
    CHECK_STR(world.calls, ""); /* nothing to resume */
    struct savepoint_snapshot snapshot = take(&world);
    CHECK_STATUS(savepoint_restore(world.session, &unknown, NULL, &error), SAVEPOINT_NOT_FOUND);
    CHECK_STR(world.calls, ""); /* failed */
    CHECK_STATUS(savepoint_restore(world.session, &snapshot.id, NULL, &error), SAVEPOINT_OK);
    CHECK_STR(world.calls, "ab");
    CHECK_STATUS(savepoint_resume(world.session, NULL, &error), SAVEPOINT_OK);
    CHECK_STR(world.calls, "abab");
    for (int i = 2; i < 16; i++) {
        CHECK_STATUS(savepoint_on_restore(world.session, note_call, &first, &error), SAVEPOINT_OK);
    }
    CHECK_STATUS(savepoint_on_restore(world.session, note_call, &first, &error), SAVEPOINT_LIMIT);
    close_world(&world);
}

CHECK_TEST(session, a_restore_writes_only_pages_that_differ)
{
    struct world world;
    struct savepoint_error error;
    open_world(&world);
    struct savepoint_snapshot before = take(&world);
    world.memory[3 * PAGE] = 9;
    world.memory[7 * PAGE + 100] = 9;
    take(&world);
    world.memory[9 * PAGE] = 9;  /* not taken */
    world.memory[11 * PAGE] = 1; /* written, but not changed */
    CHECK_STATUS(savepoint_restore(world.session, &before.id, NULL, &error), SAVEPOINT_OK);
    CHECK_EQ(statistics_of(&world).pages_restored, 3);
    CHECK_STATUS(savepoint_restore(world.session, &before.id, NULL, &error), SAVEPOINT_OK);
    CHECK_EQ(statistics_of(&world).pages_restored, 3); /* nothing differs now */
    for (size_t i = 0; i < PAGES * PAGE; i++) {
        CHECK(world.memory[i] == 1);
    }
    close_world(&world);
}

CHECK_TEST(session, statistics_add_up)
{
    struct world world;
    open_world(&world);
    struct savepoint_snapshot first = take(&world);
    memset(world.memory + 2 * PAGE, 0, PAGE); /* a page of zeros */
    world.memory[4 * PAGE + 8] = 77;          /* a delta */
    struct savepoint_snapshot second = take(&world);
    struct savepoint_statistics statistics = statistics_of(&world);
    CHECK_EQ(first.changed_pages, PAGES);
    CHECK_EQ(second.changed_pages, 2);
    CHECK_EQ(second.sequence, first.sequence + 1);
    CHECK_EQ(statistics.takes_committed, 2);
    CHECK_EQ(statistics.takes_in_flight, 0);
    CHECK_EQ(statistics.takes_failed, 0);
    CHECK_EQ(statistics.pages_zero, 1);
    CHECK_EQ(statistics.pages_zero + statistics.pages_delta + statistics.pages_whole, PAGES + 2);
    CHECK_EQ(statistics.stored_bytes, first.stored_bytes + second.stored_bytes);
    CHECK(statistics.pause_ns_max >= statistics.pause_ns_last);
    CHECK(statistics.pause_ns_total >= statistics.pause_ns_max);
    CHECK(statistics.backend[0] != '\0');
    CHECK_STATUS(savepoint_read_statistics(world.session, &(struct savepoint_statistics){ .size = 0 }, NULL),
                 SAVEPOINT_INVALID);
    close_world(&world);
}

static int stop_at_once(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    CHECK(done_bytes <= total_bytes);
    ++*(int *)user;
    return 1;
}

CHECK_TEST(session, a_cancelled_restore_changes_nothing)
{
    enum { LARGE_PAGES = 6000 };
    struct savepoint_error error;
    struct savepoint *session;
    struct savepoint_snapshot snapshot;
    char path[] = "/tmp/savepoint-unit-XXXXXX";
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    close(descriptor);
    unsigned char *memory = aligned_alloc(PAGE, (size_t)LARGE_PAGES * PAGE);
    CHECK(memory != NULL);
    memset(memory, 5, (size_t)LARGE_PAGES * PAGE);
    CHECK_STATUS(savepoint_open(&session, path, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(session, "large", memory, (size_t)LARGE_PAGES * PAGE, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_take(session, NULL, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_wait(session, 0, &snapshot, &error), SAVEPOINT_OK);
    memset(memory, 6, (size_t)LARGE_PAGES * PAGE);
    int calls = 0;
    struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
    options.progress = stop_at_once;
    options.progress_user = &calls;
    CHECK_STATUS(savepoint_restore(session, &snapshot.id, &options, &error), SAVEPOINT_CANCELLED);
    CHECK_EQ(calls, 1);
    for (size_t i = 0; i < (size_t)LARGE_PAGES * PAGE; i += PAGE / 2) {
        CHECK(memory[i] == 6);
    }
    CHECK_STATUS(savepoint_restore(session, &snapshot.id, NULL, &error), SAVEPOINT_OK);
    CHECK(memory[0] == 5 && memory[(size_t)LARGE_PAGES * PAGE - 1] == 5);
    CHECK_STATUS(savepoint_close(session, &error), SAVEPOINT_OK);
    unlink(path);
    free(memory);
}

CHECK_TEST(session, two_sessions_know_nothing_of_each_other)
{
    struct world left, right;
    open_world(&left);
    open_world(&right);
    take(&left);
    take(&right);
    left.memory[0] = 2;
    CHECK_EQ(take(&left).changed_pages, 1);
    CHECK_EQ(take(&right).changed_pages, 0);
    close_world(&left);
    right.memory[PAGE] = 3;
    CHECK_EQ(take(&right).changed_pages, 1);
    close_world(&right);
}

CHECK_TEST(session, a_budget_below_the_region_restores_in_two_passes)
{
    struct world world;
    struct savepoint_error error;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    open_world(&world);
    struct savepoint_snapshot before = take(&world);
    memset(world.memory, 8, PAGES * PAGE);
    take(&world);
    CHECK_STATUS(savepoint_close(world.session, &error), SAVEPOINT_OK);
    options.staging_bytes = 1; /* one chunk at a time */
    CHECK_STATUS(savepoint_open(&world.session, world.path, &options, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(world.session, "memory", world.memory, PAGES * PAGE, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_restore(world.session, &before.id, NULL, &error), SAVEPOINT_OK);
    CHECK(world.memory[0] == 1 && world.memory[PAGES * PAGE - 1] == 1);
    memset(world.memory, 4, PAGES * PAGE);
    CHECK_EQ(take(&world).changed_pages, PAGES);
    close_world(&world);
}

CHECK_TEST(session, an_archive_deleted_by_somebody_else_fails_the_take)
{
    struct world world;
    struct savepoint_error error;
    open_world(&world);
    take(&world);
    unlink(world.path);
    if (access(world.path, F_OK) == 0) {
        close_world(&world);
        CHECK_SKIP("this system deletes a file when it is closed");
    }
    world.memory[0] = 7;
    CHECK_STATUS(savepoint_take(world.session, NULL, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_wait(world.session, 0, NULL, &error), SAVEPOINT_IO);
    CHECK(strstr(error.message, "deleted") != NULL);
    CHECK_STATUS(savepoint_close(world.session, &error), SAVEPOINT_OK);
    open_session(&world);
    take(&world);
    close_world(&world);
}

CHECK_TEST(session, an_archive_cut_by_somebody_else_fails_the_take)
{
    struct world world;
    struct savepoint_error error;
    open_world(&world);
    take(&world);
    CHECK(truncate(world.path, 100) == 0);
    CHECK_STATUS(savepoint_take(world.session, NULL, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_wait(world.session, 0, NULL, &error), SAVEPOINT_CORRUPT);
    CHECK(strstr(error.message, "cut") != NULL);
    close_world(&world);
}

CHECK_TEST(session, text_that_is_no_utf8_and_a_bad_base_address_are_refused)
{
    struct world world;
    struct savepoint_error error;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    void *mapped;
    open_world(&world);
    options.label = "\xff\xfe";
    CHECK_STATUS(savepoint_take(world.session, NULL, &options, &error), SAVEPOINT_INVALID);
    options.label = "a~2"; /* a tilde is text, found by label: */
    CHECK_STATUS(savepoint_take(world.session, NULL, &options, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_find(world.session, &snapshot, "label:a~2", &error), SAVEPOINT_OK);
    CHECK_STR(snapshot.label, "a~2");
    CHECK_STATUS(savepoint_find(world.session, &snapshot, "label:b~2", &error), SAVEPOINT_NOT_FOUND);
    static const char *const bases[] = { "zzz", "-5", "0x1001", "" };
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (setenv("SAVEPOINT_MAP_BASE", bases[i], 1) != 0) {
            continue; /* a system that knows no empty variables */
        }
        CHECK_STATUS(savepoint_map(world.session, &mapped, "m", PAGE, NULL, &error), SAVEPOINT_INVALID);
        CHECK(strstr(error.message, "SAVEPOINT_MAP_BASE") != NULL);
    }
    unsetenv("SAVEPOINT_MAP_BASE");
    CHECK_STATUS(savepoint_map(world.session, &mapped, "m", PAGE, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(world.session, "bad\nname", world.memory, PAGE, &error), SAVEPOINT_OVERLAP);
    CHECK(strchr(error.message, '\n') == NULL); /* messages are one line, whatever a name holds */
    close_world(&world);
}

CHECK_TEST(session, a_mapped_region_comes_back_as_large_as_it_had_grown)
{
    struct world world;
    struct savepoint_error error;
    struct savepoint_region region;
    void *base = NULL, *again = NULL;
    open_world(&world);
    CHECK_STATUS(savepoint_map(world.session, &base, "heap", 65536, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_grow(world.session, "heap", 131072, &error), SAVEPOINT_OK);
    memset((char *)base + 65536, 9, 65536);
    take(&world);
    CHECK_STATUS(savepoint_grow(world.session, "heap", 131072, &error), SAVEPOINT_OK); /* nothing to do */
    CHECK_STATUS(savepoint_grow(world.session, "heap", 65536, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_close(world.session, &error), SAVEPOINT_OK);

    CHECK_STATUS(savepoint_open(&world.session, world.path, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(world.session, "memory", world.memory, PAGES * PAGE, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_map(world.session, &again, "heap", 65536, NULL, &error), SAVEPOINT_OK);
    CHECK(again == base);
    CHECK_STATUS(savepoint_region_at(world.session, &region, 1, &error), SAVEPOINT_OK);
    CHECK_EQ(region.bytes, 131072);
    CHECK_STATUS(savepoint_resume(world.session, NULL, &error), SAVEPOINT_OK);
    CHECK(((char *)again)[131071] == 9);
    close_world(&world);
}
