/* test_bad_options.c - options out of range or of a newer program, and a session in a forked child */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"

enum { PAGES = 4 };

static void
refused(int line, enum savepoint_status got, enum savepoint_status wanted, const struct savepoint_error *error)
{
    CHECK_MSG(got == wanted, "line %d: %s instead of %s: %s", line, savepoint_status_name(got),
              savepoint_status_name(wanted), error->message);
    CHECK_MSG(error->status == wanted && error->message[0] != '\0', "line %d: no explanation", line);
}
#define REFUSED(call, wanted) refused(__LINE__, (call), (wanted), &error)

/* A structure of a newer program: one field more, after those that are known. */
#define NEWER(type)                                                                                                    \
    struct {                                                                                                           \
        struct type known;                                                                                             \
        uint64_t surplus;                                                                                              \
    }

CHECK_TEST(bad_options, fields_this_library_does_not_know)
{
    struct savepoint_error error = { 0 };
    struct world world = { 0 };
    struct savepoint *session = NULL;
    NEWER(savepoint_options) open_options = { SAVEPOINT_OPTIONS_INIT, 1 };
    NEWER(savepoint_take_options) take_options = { SAVEPOINT_TAKE_OPTIONS_INIT, 1 };
    NEWER(savepoint_restore_options) restore_options = { SAVEPOINT_RESTORE_OPTIONS_INIT, 1 };
    open_options.known.size = sizeof open_options;
    take_options.known.size = sizeof take_options;
    restore_options.known.size = sizeof restore_options;
    const char *path = scratch_path("newer.svp");
    REFUSED(savepoint_open(&session, path, &open_options.known, &error), SAVEPOINT_UNSUPPORTED);
    CHECK(!file_exists(path));
    open_options.surplus = 0;
    CHECK_OK(savepoint_open(&session, path, &open_options.known, &error));
    CHECK_OK(savepoint_close(session, &error));

    world_open(&world, path, "compare", PAGES);
    REFUSED(savepoint_take(world.session, NULL, &take_options.known, &error), SAVEPOINT_UNSUPPORTED);
    take_options.surplus = 0;
    CHECK_OK(savepoint_take(world.session, NULL, &take_options.known, &error));
    struct savepoint_snapshot first;
    CHECK_OK(savepoint_wait(world.session, 0, &first, &error));
    REFUSED(savepoint_restore(world.session, &first.id, &restore_options.known, &error), SAVEPOINT_UNSUPPORTED);
    restore_options.surplus = 0;
    CHECK_OK(savepoint_restore(world.session, &first.id, &restore_options.known, &error));
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(bad_options, region_options_this_library_does_not_know)
{
    struct savepoint_error error = { 0 };
    struct savepoint *session = NULL;
    void *base = NULL;
    NEWER(savepoint_region_options) options = { SAVEPOINT_REGION_OPTIONS_INIT, 1 };
    options.known.size = sizeof options;
    CHECK_OK(savepoint_open(&session, scratch_path("region.svp"), NULL, &error));
    REFUSED(savepoint_map(session, &base, "mapped", 1, &options.known, &error), SAVEPOINT_UNSUPPORTED);
    options.surplus = 0;
    CHECK_OK(savepoint_map(session, &base, "mapped", 1, &options.known, &error));
    CHECK_OK(savepoint_close(session, &error));
}

CHECK_TEST(bad_options, verify_options_this_library_does_not_know)
{
    struct savepoint_error error = { 0 };
    struct world world = { 0 };
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    NEWER(savepoint_verify_options) options = { SAVEPOINT_VERIFY_OPTIONS_INIT, 1 };
    options.known.size = sizeof options;
    world_open(&world, scratch_path("verify.svp"), "compare", PAGES);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    CHECK_OK(savepoint_archive_open(&archive, world.path, &error));
    REFUSED(savepoint_archive_verify(archive, &result, &options.known, &error), SAVEPOINT_UNSUPPORTED);
    options.surplus = 0;
    CHECK_OK(savepoint_archive_verify(archive, &result, &options.known, &error));
    savepoint_archive_close(archive);
    world_free(&world);
}

CHECK_TEST(bad_options, values_out_of_range)
{
    struct savepoint_error error = { 0 };
    struct savepoint *session = NULL;
    struct world world = { 0 };
    static char label[400];
    static uint8_t value[(1 << 20) + 1];
    struct savepoint_metadata metadata[2] = { { SAVEPOINT_METADATA_MESSAGE, value, sizeof value - 1 },
                                              { SAVEPOINT_METADATA_APPLICATION, value, 1 } };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    const char *path = scratch_path("range.svp");
    options.compression = 23;
    REFUSED(savepoint_open(&session, path, &options, &error), SAVEPOINT_INVALID);
    CHECK(strstr(error.message, "compression 23") != NULL);
    options.compression = 0;
    options.flags = 1u << 20;
    REFUSED(savepoint_open(&session, path, &options, &error), SAVEPOINT_INVALID);
    options.flags = 0;
    options.watch = "hovercraft";
    REFUSED(savepoint_open(&session, path, &options, &error), SAVEPOINT_NO_BACKEND);
    CHECK(strstr(error.message, "hovercraft") != NULL);
    options.size = 3;
    REFUSED(savepoint_open(&session, path, &options, &error), SAVEPOINT_INVALID);
    CHECK(!file_exists(path));

    world_open(&world, path, "compare", PAGES);
    struct savepoint_take_options take = SAVEPOINT_TAKE_OPTIONS_INIT;
    memset(label, 'l', sizeof label - 1);
    take.label = label;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    label[255] = '\0';
    take.metadata = metadata;
    take.metadata_count = 2;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_LIMIT);
    metadata[0].bytes = sizeof value;
    take.metadata_count = 1;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_LIMIT);
    metadata[0].bytes = SIZE_MAX;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_LIMIT);
    metadata[0].bytes = sizeof value - 1;
    metadata[0].type = 5;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    CHECK(strstr(error.message, "type 5") != NULL);
    metadata[0].type = 0;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    metadata[0] = (struct savepoint_metadata){ SAVEPOINT_METADATA_MESSAGE, NULL, 1 };
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    take.metadata = NULL;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    take.metadata = metadata;
    metadata[0] = (struct savepoint_metadata){ SAVEPOINT_METADATA_MESSAGE, value, sizeof value - 1 };
    take.durability = (enum savepoint_durability)7;
    REFUSED(savepoint_take(world.session, NULL, &take, &error), SAVEPOINT_INVALID);
    take.durability = SAVEPOINT_SYNC;
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_take(world.session, NULL, &take, &error));
    CHECK_OK(savepoint_wait(world.session, 0, &snapshot, &error));
    CHECK_STR(snapshot.label, label);
    history_add(&world.history, &snapshot, world.memory);
    world_close(&world);
    check_archive(path, &world.history, 1, "range");
    world_free(&world);
}

/* Results are kept for the last 1024 tickets. */
CHECK_TEST(bad_options, tickets)
{
    struct savepoint_error error = { 0 };
    struct world world = { 0 };
    uint64_t ticket = 0;
    world_open(&world, scratch_path("tickets.svp"), "compare", 1);
    REFUSED(savepoint_wait(world.session, 0, NULL, &error), SAVEPOINT_NOT_FOUND);
    REFUSED(savepoint_wait(world.session, 1, NULL, &error), SAVEPOINT_NOT_FOUND);
    for (int i = 0; i < 1030; i++) {
        CHECK_OK(world_start(&world, SAVEPOINT_NONE, &ticket));
    }
    CHECK_OK(savepoint_wait(world.session, ticket, NULL, &error));
    CHECK_OK(savepoint_wait(world.session, ticket - 1023, NULL, &error));
    REFUSED(savepoint_wait(world.session, ticket - 1024, NULL, &error), SAVEPOINT_NOT_FOUND);
    REFUSED(savepoint_wait(world.session, ticket + 1, NULL, &error), SAVEPOINT_NOT_FOUND);
    world_close(&world);
    world_free(&world);
}

static void call_everything(struct world *world)
{
    struct savepoint_error error = { 0 };
    struct savepoint *session = world->session;
    struct savepoint_snapshot snapshot;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_region region;
    struct savepoint_id id = { { 0 } };
    void *base = NULL;
    REFUSED(savepoint_take(session, NULL, NULL, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_wait(session, 0, NULL, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_restore(session, &id, NULL, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_resume(session, NULL, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_find(session, &snapshot, "HEAD", &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_watch(session, "x", world->memory, PAGE_BYTES, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_map(session, &base, "x", 1, NULL, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_grow(session, "heap", 64 * PAGE_BYTES, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_remove(session, "heap", &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_exclude(session, "heap", 0, PAGE_BYTES, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_include(session, "heap", 0, PAGE_BYTES, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_mark(session, world->memory, 1, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_prepare(session, world->memory, 1, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_read_statistics(session, &statistics, &error), SAVEPOINT_FORKED);
    REFUSED(savepoint_region_at(session, &region, 0, &error), SAVEPOINT_FORKED);
    memset(world->memory, 'c', PAGES * PAGE_BYTES); /* the child's own copy */
    CHECK_OK(savepoint_close(session, &error));
}

/* The child's calls and its close change nothing for the parent, not even with takes in flight. */
CHECK_TEST(bad_options, a_forked_child)
{
    const char *backend;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        struct world world = { 0 };
        const char *path = scratch_path("fork.svp");
        uint64_t ticket = 0;
        struct savepoint_snapshot snapshot;
        file_remove(path);
        world_open(&world, path, backend, PAGES);
        world_take(&world, SAVEPOINT_SYNC);
        world_page(&world, 0)[0]++;
        CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
        fflush(NULL);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            call_everything(&world);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_MSG(status == 0, "%s: the child ended with status %d", backend, status);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
        world_page(&world, 1)[0]++;
        world_take(&world, SAVEPOINT_SYNC);
        world_close(&world);
        check_archive(path, &world.history, 3, backend);
        world_free(&world);
    }
}
