/* test_autosave_fails.c - how savepoint_tick tells of failures and limits, and goes on */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autosave_world.h"
#include "fault.h"

enum { PAGES = 8 };

/* Told once, by the next tick; the next autosave carries the pages. */
CHECK_TEST(autosave_fails, a_failure_is_told_once_and_nothing_is_lost)
{
    static const struct {
        enum fault_kind kind;
        int code;
        enum savepoint_status status;
    } failures[] = { { FAULT_WRITE, ENOSPC, SAVEPOINT_NO_SPACE }, { FAULT_WRITE, EIO, SAVEPOINT_IO } };
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    autosave_open(&world, "failure.svp", PAGES);
    autosave_set(&world, 2);
    autosave_take(&world);
    autosave_take(&world);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        struct savepoint_statistics before = autosave_statistics(world.session);
        world_page(&world, i)[100] = 1;
        fault_arm(failures[i].kind, 1, false, failures[i].code);
        clock_advance(SECOND);
        uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
        CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, &error), failures[i].status);
        fault_disarm();
        CHECK_EQ(autosave_tick(world.session, failures[i].status, &error), 0);
        CHECK_EQ(error.os_code, failures[i].code);
        CHECK_MSG(strstr(error.message, world.path) != NULL, "%s", error.message);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        CHECK_OK(savepoint_tick(world.session, NULL, NULL));
        CHECK_EQ(autosave_statistics(world.session).autosaves, before.autosaves);
        CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, before.autosaves_dropped);
        CHECK_EQ(autosave_statistics(world.session).archive_bytes, before.archive_bytes);
        CHECK(autosave_take(&world).changed_pages >= 1);
        CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, before.autosaves_dropped + 1);
    }
    autosave_end(&world);
}

/* A failure that meets a tick with another autosave due: first told, then taken. One of a take is its own business. */
CHECK_TEST(autosave_fails, a_failure_comes_before_what_is_due)
{
    struct world world = { 0 };
    uint64_t ticket = 0;
    autosave_open(&world, "before.svp", PAGES);
    autosave_set(&world, 0);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    clock_advance(SECOND);
    ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    fault_disarm();
    clock_advance(SECOND);
    CHECK_OK(savepoint_autosave(world.session, NULL, NULL));
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0); /* off says nothing, and forgets nothing */
    autosave_set(&world, 0);
    clock_advance(SECOND);
    autosave_tick(world.session, SAVEPOINT_NO_SPACE, NULL);
    ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK(ticket != 0);
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
    history_add(&world.history, &snapshot, world.memory);
    autosave_end(&world);
}

/* No memory for the take itself is returned at once, and the next try is an interval later. */
CHECK_TEST(autosave_fails, no_memory)
{
    struct world world = { 0 };
    autosave_open(&world, "memory.svp", PAGES);
    autosave_set(&world, 0);
    autosave_take(&world);
    world_page(&world, 3)[3] = 3;
    clock_advance(SECOND);
    fault_arm(FAULT_MEMORY, 1, false, ENOMEM);
    autosave_tick(world.session, SAVEPOINT_NO_MEMORY, NULL);
    fault_disarm();
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(SECOND - 1);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    CHECK_EQ(autosave_take(&world).changed_pages, 1);
    autosave_end(&world);
}

CHECK_TEST(autosave_fails, a_failed_sync_is_told_and_then_poisons)
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    autosave_open(&world, "sync.svp", PAGES);
    autosave_set(&world, 0);
    autosave_take(&world);
    fault_arm(FAULT_SYNC, 1, false, EIO);
    clock_advance(SECOND);
    uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_UNCERTAIN);
    fault_disarm();
    autosave_tick(world.session, SAVEPOINT_UNCERTAIN, &error);
    CHECK_EQ(error.os_code, EIO);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        clock_advance(SECOND);
        autosave_tick(world.session, SAVEPOINT_POISONED, NULL);
    }
    CHECK_STATUS(savepoint_close(world.session, NULL), SAVEPOINT_POISONED);
    world_free(&world);
}

CHECK_TEST(autosave_fails, an_archive_that_was_not_resumed)
{
    struct world world = { 0 };
    autosave_open(&world, "resume.svp", PAGES);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    world_open(&world, world.path, "compare", PAGES);
    autosave_set(&world, 0);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    clock_advance(SECOND);
    autosave_tick(world.session, SAVEPOINT_NOT_RESUMED, NULL);
    world_resume(&world);
    autosave_take(&world);
    autosave_end(&world);
}

CHECK_TEST(autosave_fails, a_forked_child)
{
    struct world world = { 0 };
    autosave_open(&world, "child.svp", PAGES);
    autosave_set(&world, 0);
    clock_advance(SECOND);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        uint64_t interval_ns = 0;
        bool inert = savepoint_tick(world.session, NULL, NULL) == SAVEPOINT_FORKED &&
                     savepoint_autosave(world.session, NULL, NULL) == SAVEPOINT_FORKED &&
                     savepoint_suggest_interval(world.session, &interval_ns, 1, NULL) == SAVEPOINT_FORKED;
        _exit(inert ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    autosave_take(&world);
    autosave_end(&world);
}

CHECK_TEST(autosave_fails, nothing_is_taken_at_the_size_cap)
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    autosave_open(&world, "cap.svp", PAGES);
    options.interval_ns = SECOND;
    options.size_cap_bytes = 1;
    CHECK_EQ(autosave_statistics(world.session).archive_bytes, 0);
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    autosave_take(&world); /* the archive was empty */
    struct bytes file = file_read(world.path);
    uint64_t archive_bytes = autosave_statistics(world.session).archive_bytes;
    CHECK_MSG(archive_bytes > 0 && archive_bytes == file.count / PAGE_BYTES * PAGE_BYTES, "%llu bytes in a file of %zu",
              (unsigned long long)archive_bytes, file.count);
    for (int i = 0; i < 3; i++) { /* each time one is due */
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        clock_advance(SECOND);
        autosave_tick(world.session, SAVEPOINT_LIMIT, &error);
        CHECK_MSG(strstr(error.message, "size_cap_bytes") != NULL && strstr(error.message, world.path) != NULL, "%s",
                  error.message);
    }
    check_file(world.path, file, "at the cap");
    world_take(&world, SAVEPOINT_SYNC); /* the cap is for autosaves */
    world_close(&world);
    world_open(&world, world.path, "compare", PAGES); /* a new session knows the size it found */
    world_resume(&world);
    archive_bytes = autosave_statistics(world.session).archive_bytes;
    CHECK(archive_bytes > file.count);
    options.size_cap_bytes = archive_bytes;
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    clock_advance(SECOND);
    autosave_tick(world.session, SAVEPOINT_LIMIT, NULL);
    options.size_cap_bytes = archive_bytes + 1;
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    autosave_take(&world);
    clock_advance(SECOND);
    autosave_tick(world.session, SAVEPOINT_LIMIT, NULL);
    bytes_free(&file);
    autosave_end(&world);
}
