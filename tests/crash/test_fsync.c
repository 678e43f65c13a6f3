/* test_fsync.c - a sync that fails: the outcome is unknown and said so, the handle is poisoned, the state is not lost
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 8, TAKES = 4 };

static void change(struct world *world, int turn)
{
    memset(world_page(world, (size_t)turn % world->pages), 0x40 + turn, PAGE_BYTES);
    world_page(world, 7)[16 * turn]++;
}

/* The wait of the take whose sync failed, and all that comes behind it. */
static void check_poisoned(struct world *world, uint64_t failed_ticket, const uint64_t *later, int later_count)
{
    struct savepoint_error error = { 0 };
    uint64_t ticket = 0;
    CHECK_STATUS(savepoint_wait(world->session, failed_ticket, NULL, &error), SAVEPOINT_UNCERTAIN);
    CHECK_EQ(error.os_code, EIO);
    CHECK(strstr(error.message, world->path) != NULL);
    for (int i = 0; i < later_count; i++) {
        enum savepoint_status status = savepoint_wait(world->session, later[i], NULL, &error);
        CHECK_MSG(status == SAVEPOINT_UNCERTAIN || status == SAVEPOINT_POISONED, "queued take: %s",
                  savepoint_status_name(status));
        CHECK(error.message[0] != '\0');
    }
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(savepoint_take(world->session, &ticket, NULL, &error), SAVEPOINT_POISONED);
        CHECK_MSG(strstr(error.message, "archive") != NULL, "%s", error.message);
    }
}

/* Memory can still be saved: into another archive, by another session over the same memory. */
static void save_elsewhere(const struct world *world)
{
    struct savepoint *other = NULL;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    struct history history = { .memory_bytes = world->pages * PAGE_BYTES };
    const char *path = scratch_path("elsewhere.svp");
    file_remove(path);
    options.watch = world->backend;
    CHECK_OK(savepoint_open(&other, path, &options, NULL));
    CHECK_OK(savepoint_watch(other, "heap", world->memory, world->pages * PAGE_BYTES, NULL));
    CHECK_OK(savepoint_take(other, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(other, 0, &snapshot, NULL));
    CHECK_OK(savepoint_close(other, NULL));
    history_add(&history, &snapshot, world->memory);
    check_archive(path, &history, 1, "elsewhere");
    history_free(&history);
}

/* Every snapshot that was durable is there; the one in doubt may be, and nothing else. */
static void check_reopened(struct world *world, const uint8_t *doubtful)
{
    struct view view;
    size_t durable = world->history.count;
    struct savepoint *session = NULL;
    struct savepoint_snapshot newest;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = "compare";
    CHECK_OK(savepoint_open(&session, world->path, &options, NULL));
    if (savepoint_find(session, &newest, "HEAD", NULL) == SAVEPOINT_OK && newest.sequence > durable) {
        CHECK_EQ(newest.sequence, durable + 1);
        history_add(&world->history, &newest, doubtful);
    }
    CHECK_OK(savepoint_close(session, NULL));
    view_archive(&view, world->path, &world->history, "reopened");
    CHECK_EQ(view.opened, durable == 0 && view.opened != SAVEPOINT_OK ? SAVEPOINT_NOT_AN_ARCHIVE : SAVEPOINT_OK);
    CHECK_MSG(view.snapshots >= durable && !view.walk_broken && view.unreadable == 0 && view.findings == 0,
              "%zu of %zu durable snapshots: %s", view.snapshots, durable, view.error.message);
}

static void go_on(struct world *world)
{
    memset(world->memory, 0, world->pages * PAGE_BYTES);
    world_open(world, world->path, world->backend, world->pages);
    world_resume(world);
    change(world, 5);
    world_take(world, SAVEPOINT_SYNC);
    world_close(world);
    check_archive(world->path, &world->history, world->history.count, "gone on");
}

/* The sync of take number `failing` (0, 1, ...) fails, with `queued` takes behind it. */
static void fail_sync(const char *backend, int failing, int queued)
{
    struct world world = { 0 };
    static uint8_t doubtful[PAGES * PAGE_BYTES];
    const char *path = scratch_path("fsync.svp");
    struct savepoint_error error = { 0 };
    uint64_t tickets[1 + TAKES] = { 0 };
    file_remove(path);
    world_open(&world, path, backend, PAGES);
    for (int i = 0; i < failing; i++) {
        change(&world, i);
        world_take(&world, SAVEPOINT_SYNC);
    }
    fault_hold_worker(true);
    fault_arm(FAULT_SYNC, 1, false, EIO);
    for (int i = 0; i <= queued; i++) {
        change(&world, failing + i);
        if (i == 0) {
            memcpy(doubtful, world.memory, sizeof doubtful);
        }
        CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[i]));
    }
    fault_hold_worker(false);
    check_poisoned(&world, tickets[0], tickets + 1, queued);
    CHECK_EQ(fault_hits(FAULT_SYNC), 1);
    fault_disarm();
    CHECK_STATUS(savepoint_close(world.session, &error), SAVEPOINT_POISONED);
    CHECK(strstr(error.message, path) != NULL);
    save_elsewhere(&world);
    check_reopened(&world, doubtful);
    go_on(&world);
    world_free(&world);
}

CHECK_TEST(fsync, a_failed_sync_is_uncertain_and_final)
{
    const char *backend;
    unsigned cases = 0;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        for (int failing = 0; failing < TAKES; failing++) {
            for (int queued = 0; queued < 3; queued++) {
                fail_sync(backend, failing, queued);
                cases++;
            }
        }
    }
    printf("failed syncs: %u cases\n", cases);
}

/* The name of a new archive is made durable before anything is promised about its contents. */
CHECK_TEST(fsync, a_name_that_cannot_be_made_durable)
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    const char *path = scratch_path("name.svp");
    fault_arm(FAULT_SYNC_FOLDER, 1, false, EIO);
    CHECK_STATUS(world_try_open(&world, path, "compare", PAGES, &error), SAVEPOINT_IO);
    CHECK_EQ(fault_hits(FAULT_SYNC_FOLDER), 1);
    fault_disarm();
    CHECK(error.os_code == EIO && strstr(error.message, path) != NULL);
    go_on(&world);
    world_free(&world);
}

/* ORDERED takes are committed and said to be; the sync at close fails, and close says so. */
CHECK_TEST(fsync, close_tells_of_a_failed_sync)
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    const char *path = scratch_path("close.svp");
    world_open(&world, path, "compare", PAGES);
    world_take(&world, SAVEPOINT_SYNC);
    change(&world, 1);
    world_take(&world, SAVEPOINT_ORDERED);
    change(&world, 2);
    world_take(&world, SAVEPOINT_NONE);
    fault_arm(FAULT_SYNC, 1, false, EIO);
    CHECK_STATUS(savepoint_close(world.session, &error), SAVEPOINT_UNCERTAIN);
    CHECK_EQ(error.os_code, EIO);
    fault_disarm();
    check_archive(path, &world.history, 3, "after close");
    go_on(&world);
    world_free(&world);
}

/* Opening makes an unsealed tail durable, or fails and leaves the file as it was. */
CHECK_TEST(fsync, open_fails_where_the_tail_cannot_be_made_durable)
{
    static const enum fault_kind kinds[] = { FAULT_SYNC, FAULT_SYNC_FOLDER, FAULT_WRITE };
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    const char *path = scratch_path("reseal.svp");
    world_open(&world, path, "compare", PAGES);
    world_take(&world, SAVEPOINT_SYNC);
    change(&world, 1);
    world_take(&world, SAVEPOINT_ORDERED);
    fault_arm(FAULT_SYNC, 1, false, EIO); /* so that no seal is written */
    CHECK_STATUS(savepoint_close(world.session, NULL), SAVEPOINT_UNCERTAIN);
    fault_disarm();
    struct bytes before = file_read(path);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        fault_arm(kinds[i], 1, false, kinds[i] == FAULT_WRITE ? ENOSPC : EIO);
        enum savepoint_status status = world_try_open(&world, path, "compare", PAGES, &error);
        CHECK_EQ(fault_hits(kinds[i]), 1);
        fault_disarm();
        CHECK_STATUS(status, kinds[i] == FAULT_WRITE ? SAVEPOINT_NO_SPACE : SAVEPOINT_IO);
        CHECK(strstr(error.message, path) != NULL);
        check_file(path, before, "a failed open");
    }
    bytes_free(&before);
    world_open(&world, path, "compare", PAGES);
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(world.session, &statistics, NULL));
    CHECK((statistics.flags & SAVEPOINT_SESSION_RESEALED) != 0);
    world_resume(&world);
    world_close(&world);
    go_on(&world);
    world_free(&world);
}

/* A failed transaction that cannot be cut off: the end of the file is in doubt. Nothing durable is lost, and opening
 * the archive anew cuts what the session could not. */
CHECK_TEST(fsync, a_failed_cut_poisons)
{
    enum { MANY = 400 };
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    const char *path = scratch_path("cut.svp");
    uint64_t ticket = 0;
    uint64_t seed = 3;
    world_open(&world, path, "compare", MANY);
    world_take(&world, SAVEPOINT_SYNC);
    random_fill(world.memory, MANY * PAGE_BYTES, &seed);
    fault_tear_writes(true);
    fault_arm(FAULT_WRITE, 2, false, ENOSPC);
    fault_arm(FAULT_TRUNCATE, 1, true, EIO);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, &error), SAVEPOINT_NO_SPACE);
    CHECK_EQ(fault_hits(FAULT_WRITE), 1);
    CHECK(fault_hits(FAULT_TRUNCATE) > 0);
    fault_disarm();
    CHECK_STATUS(world_start(&world, SAVEPOINT_SYNC, &ticket), SAVEPOINT_POISONED);
    savepoint_close(world.session, NULL);
    check_archive(path, &world.history, 1, "not cut");
    go_on(&world);
    world_free(&world);
}
