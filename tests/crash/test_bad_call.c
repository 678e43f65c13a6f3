/* test_bad_call.c - calls that ask for what cannot be: the right error, nothing lost, and the session goes on */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"

enum { PAGES = 4, MAP_GRANULE = 65536 };

static void refused(int line, enum savepoint_status got, enum savepoint_status wanted,
                    const struct savepoint_error *error, const char *mentioned)
{
    CHECK_MSG(got == wanted, "line %d: %s instead of %s: %s", line, savepoint_status_name(got),
              savepoint_status_name(wanted), error->message);
    CHECK_MSG(error->status == wanted && error->operation != NULL, "line %d: the error says %s", line,
              savepoint_status_name(error->status));
    CHECK_MSG(strstr(error->message, mentioned) != NULL, "line %d: '%s' does not mention '%s'", line, error->message,
              mentioned);
}
#define REFUSED(call, wanted, mentioned) refused(__LINE__, (call), (wanted), &error, (mentioned))

static uint8_t *map_memory(size_t pages)
{
    uint8_t *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static struct world fresh_world(const char *name, const char *backend)
{
    struct world world = { 0 };
    const char *path = scratch_path(name);
    file_remove(path);
    world_open(&world, path, backend, PAGES);
    return world;
}

/* The session still takes, and what it takes is right. */
static void check_goes_on(struct world *world)
{
    world_page(world, 1)[7]++;
    world_take(world, SAVEPOINT_SYNC);
    world_close(world);
    check_archive(world->path, &world->history, world->history.count, world->path);
    world_free(world);
}

static void refuse_regions(const char *backend)
{
    struct world world = fresh_world("regions.svp", backend);
    struct savepoint_error error = { 0 };
    struct savepoint *session = world.session;
    uint8_t *memory = map_memory(8);
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[256] = '\0';
    REFUSED(savepoint_watch(session, "x", memory + 1, PAGE_BYTES, &error), SAVEPOINT_INVALID, "'x'");
    REFUSED(savepoint_watch(session, "x", memory, PAGE_BYTES + 8, &error), SAVEPOINT_INVALID, "multiples");
    REFUSED(savepoint_watch(session, "x", memory, 0, &error), SAVEPOINT_INVALID, "no bytes");
    REFUSED(savepoint_watch(session, "x", NULL, PAGE_BYTES, &error), SAVEPOINT_INVALID, "NULL");
    REFUSED(savepoint_watch(session, "x", memory, SIZE_MAX - PAGE_BYTES + 1, &error), SAVEPOINT_INVALID, "'x'");
    REFUSED(savepoint_watch(session, "", memory, PAGE_BYTES, &error), SAVEPOINT_INVALID, "name");
    REFUSED(savepoint_watch(session, NULL, memory, PAGE_BYTES, &error), SAVEPOINT_INVALID, "name");
    REFUSED(savepoint_watch(session, long_name, memory, PAGE_BYTES, &error), SAVEPOINT_INVALID, "name");
    REFUSED(savepoint_watch(session, "heap", memory, PAGE_BYTES, &error), SAVEPOINT_EXISTS, "'heap'");
    REFUSED(savepoint_watch(session, "x", world_page(&world, 3), PAGE_BYTES, &error), SAVEPOINT_OVERLAP, "'heap'");
    CHECK(munmap(memory + 2 * PAGE_BYTES, PAGE_BYTES) == 0);
    CHECK(mprotect(memory + 5 * PAGE_BYTES, PAGE_BYTES, PROT_READ) == 0);
    REFUSED(savepoint_watch(session, "x", memory, 4 * PAGE_BYTES, &error), SAVEPOINT_BAD_MEMORY, "'x'");
    REFUSED(savepoint_watch(session, "x", memory + 4 * PAGE_BYTES, 4 * PAGE_BYTES, &error), SAVEPOINT_BAD_MEMORY,
            "'x'");
    REFUSED(savepoint_remove(session, "x", &error), SAVEPOINT_NOT_FOUND, "'x'");
    REFUSED(savepoint_grow(session, "x", 8 * PAGE_BYTES, &error), SAVEPOINT_NOT_FOUND, "'x'");
    REFUSED(savepoint_grow(session, "heap", PAGE_BYTES, &error), SAVEPOINT_INVALID, "shrink");
    REFUSED(savepoint_exclude(session, "heap", 100, PAGE_BYTES, &error), SAVEPOINT_INVALID, "'heap'");
    REFUSED(savepoint_exclude(session, "heap", 0, 5 * PAGE_BYTES, &error), SAVEPOINT_INVALID, "'heap'");
    REFUSED(savepoint_mark(session, memory, PAGE_BYTES, &error), SAVEPOINT_INVALID, "region");
    REFUSED(savepoint_prepare(session, world_page(&world, 3), 2 * PAGE_BYTES, &error), SAVEPOINT_INVALID, "region");
    CHECK_OK(savepoint_watch(session, "good", memory + 6 * PAGE_BYTES, PAGE_BYTES, &error));
    CHECK_OK(savepoint_remove(session, "good", &error));
    check_goes_on(&world);
    munmap(memory, 8 * PAGE_BYTES);
}

CHECK_TEST(bad_call, regions_that_cannot_be_watched)
{
    const char *backend;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        refuse_regions(backend);
    }
}

/* Memory that goes away under the watch: the take says which region, and the others' changes stay pending. The place is
 * kept, so that nobody else's memory comes there. */
static void lose_memory(const char *backend)
{
    struct world world = fresh_world("gone.svp", backend);
    struct savepoint_error error = { 0 };
    uint64_t ticket = 0;
    uint8_t *memory = map_memory(4);
    CHECK_OK(savepoint_watch(world.session, "gone", memory, 4 * PAGE_BYTES, &error));
    world_take(&world, SAVEPOINT_SYNC);
    CHECK(mmap(memory, 4 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
    memset(world_page(&world, 0), 'k', PAGE_BYTES);
    for (int i = 0; i < 2; i++) {
        enum savepoint_status status = savepoint_take(world.session, &ticket, NULL, &error);
        REFUSED(status, SAVEPOINT_BAD_MEMORY, "gone");
    }
    CHECK_OK(savepoint_remove(world.session, "gone", &error));
    check_goes_on(&world);
    munmap(memory, 4 * PAGE_BYTES);
}

CHECK_TEST(bad_call, memory_that_goes_away)
{
    const char *backend;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        if (strcmp(backend, "uffd") == 0) { /* the others cannot tell, and the caller has promised not to do it */
            lose_memory(backend);
        }
    }
}

/* A restore into memory that the program made read-only: refused with nothing changed, or, where the watch itself owns
 * the protection (signal), done. */
static void restore_read_only(const char *backend)
{
    struct world world = fresh_world("read-only.svp", backend);
    struct savepoint_error error = { 0 };
    memset(world.memory, 'a', PAGES * PAGE_BYTES);
    struct savepoint_snapshot first = world_take(&world, SAVEPOINT_SYNC);
    memset(world.memory, 'b', PAGES * PAGE_BYTES);
    world_take(&world, SAVEPOINT_SYNC);
    CHECK(mprotect(world.memory, PAGES * PAGE_BYTES, PROT_READ) == 0);
    enum savepoint_status status = savepoint_restore(world.session, &first.id, NULL, &error);
    if (status == SAVEPOINT_OK) {
        CHECK_STR(backend, "signal");
        CHECK_MEM(world.memory, world.history.moments[0].memory, PAGES * PAGE_BYTES);
    } else {
        REFUSED(status, SAVEPOINT_BAD_MEMORY, "heap");
        CHECK_MEM(world.memory, world.history.moments[1].memory, PAGES * PAGE_BYTES);
    }
    CHECK(mprotect(world.memory, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE) == 0);
    CHECK_OK(savepoint_restore(world.session, &first.id, NULL, &error));
    CHECK_MEM(world.memory, world.history.moments[0].memory, PAGES * PAGE_BYTES);
    printf("%s: restore into read-only memory: %s\n", backend, savepoint_status_name(status));
    CHECK_OK(savepoint_mark(world.session, world.memory, PAGES * PAGE_BYTES, &error)); /* the watch was disturbed */
    check_goes_on(&world);
}

CHECK_TEST(bad_call, restore_into_read_only_memory)
{
    const char *backend;
    for (size_t i = 0; (backend = backend_name(i)) != NULL; i++) {
        restore_read_only(backend);
    }
}

/* ---- regions here and in the snapshot */

CHECK_TEST(bad_call, regions_that_do_not_fit)
{
    struct world world = fresh_world("fit.svp", "compare");
    struct savepoint_error error = { 0 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_restore_options skip = SAVEPOINT_RESTORE_OPTIONS_INIT;
    uint8_t *memory = map_memory(8);
    memset(world.memory, 'a', PAGES * PAGE_BYTES);
    struct savepoint_snapshot first = world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    options.watch = "compare";
    skip.flags = SAVEPOINT_RESTORE_SKIP_MISSING;
    memset(memory, 'm', 8 * PAGE_BYTES);
    struct savepoint *session;
    CHECK_OK(savepoint_open(&session, world.path, &options, &error));
    REFUSED(savepoint_take(session, NULL, NULL, &error), SAVEPOINT_NOT_RESUMED, world.path);
    REFUSED(savepoint_resume(session, NULL, &error), SAVEPOINT_MISMATCH, "'heap'"); /* missing */
    CHECK_OK(savepoint_watch(session, "other", memory + 6 * PAGE_BYTES, 2 * PAGE_BYTES, &error));
    CHECK_OK(savepoint_watch(session, "heap", memory, 3 * PAGE_BYTES, &error));
    REFUSED(savepoint_resume(session, NULL, &error), SAVEPOINT_MISMATCH, "'heap'"); /* smaller */
    CHECK_EQ(memory[0], 'm');
    CHECK_OK(savepoint_remove(session, "heap", &error));
    CHECK_OK(savepoint_restore(session, &first.id, &skip, &error));
    CHECK_EQ(memory[0], 'm');
    CHECK_OK(savepoint_watch(session, "heap", memory, 6 * PAGE_BYTES, &error));
    CHECK_OK(savepoint_restore(session, &first.id, NULL, &error)); /* larger: the tail is zeroed */
    CHECK_MEM(memory, world.history.moments[0].memory, PAGES * PAGE_BYTES);
    CHECK(memory[PAGES * PAGE_BYTES] == 0 && memory[6 * PAGE_BYTES - 1] == 0);
    CHECK_EQ(memory[6 * PAGE_BYTES], 'm'); /* not in the snapshot: untouched */
    CHECK_OK(savepoint_take(session, NULL, NULL, &error));
    CHECK_OK(savepoint_wait(session, 0, NULL, &error));
    CHECK_OK(savepoint_close(session, &error));
    munmap(memory, 8 * PAGE_BYTES);
    world_free(&world);
}

CHECK_TEST(bad_call, a_second_root)
{
    struct world world = fresh_world("roots.svp", "compare");
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_snapshot second;
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    options.flags = SAVEPOINT_OPEN_NEW_ROOT;
    options.watch = "compare";
    memset(world.memory, 'r', PAGES * PAGE_BYTES);
    CHECK_OK(savepoint_open(&world.session, world.path, &options, NULL));
    CHECK_OK(savepoint_watch(world.session, "heap", world.memory, PAGES * PAGE_BYTES, NULL));
    second = world_take(&world, SAVEPOINT_SYNC);
    CHECK((second.flags & SAVEPOINT_SNAPSHOT_ROOT) != 0);
    CHECK_EQ(second.sequence, 2);
    check_goes_on(&world);
}

/* Opens the archive anew, with a ring, and takes one there. */
static void open_with_ring(struct world *world, uint32_t flags)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_take_options in_ring = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.flags = flags;
    options.watch = "compare";
    options.ring_bytes = 1 << 20;
    in_ring.history = SAVEPOINT_RING;
    CHECK_OK(savepoint_open(&world->session, world->path, &options, NULL));
    CHECK_OK(savepoint_watch(world->session, "heap", world->memory, PAGES * PAGE_BYTES, NULL));
    CHECK_OK(savepoint_take(world->session, NULL, &in_ring, NULL));
}

/* What a promotion adds to the session's own archive has to go on from something too. */
CHECK_TEST(bad_call, a_promotion_that_goes_on_from_nothing)
{
    struct world world = fresh_world("promoted.svp", "compare");
    const char *other = scratch_path("promoted_other.svp");
    struct savepoint_error error = { 0 };
    struct savepoint_snapshot promoted;
    const struct savepoint_id first = world_take(&world, SAVEPOINT_SYNC).id;
    world_close(&world);
    open_with_ring(&world, 0);
    struct bytes before = file_read(world.path);
    REFUSED(savepoint_promote(world.session, NULL, NULL, NULL, NULL, &error), SAVEPOINT_NOT_RESUMED, world.path);
    check_file(world.path, before, "refused");
    bytes_free(&before);
    CHECK_OK(savepoint_promote(world.session, NULL, NULL, other, NULL, &error));
    CHECK_OK(savepoint_resume(world.session, NULL, &error));
    CHECK_OK(savepoint_promote(world.session, &promoted, NULL, NULL, NULL, &error));
    CHECK_MEM(promoted.parent.bytes, first.bytes, sizeof first.bytes);
    world_close(&world);
    open_with_ring(&world, SAVEPOINT_OPEN_NEW_ROOT);
    CHECK_OK(savepoint_promote(world.session, &promoted, NULL, NULL, NULL, &error));
    CHECK((promoted.flags & SAVEPOINT_SNAPSHOT_ROOT) != 0);
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(bad_call, an_address_that_is_taken)
{
    const char *path = scratch_path("mapped.svp");
    struct savepoint_error error = { 0 };
    struct savepoint *session = NULL;
    struct savepoint_region_options options = SAVEPOINT_REGION_OPTIONS_INIT;
    void *base = NULL;
    CHECK_OK(savepoint_open(&session, path, NULL, &error));
    options.address = (void *)(uintptr_t)(0x110000000000 + PAGE_BYTES);
    REFUSED(savepoint_map(session, &base, "world", 100, &options, &error), SAVEPOINT_INVALID, "64 KiB");
    REFUSED(savepoint_map(session, &base, "world", 0, NULL, &error), SAVEPOINT_INVALID, "'world'");
    CHECK_OK(savepoint_map(session, &base, "world", 100, NULL, &error));
    memcpy(base, &base, sizeof base);
    CHECK_OK(savepoint_take(session, NULL, NULL, &error));
    CHECK_OK(savepoint_close(session, &error));
    void *taken =
        mmap(base, MAP_GRANULE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(taken == base);
    void *again = NULL;
    CHECK_OK(savepoint_open(&session, path, NULL, &error));
    REFUSED(savepoint_map(session, &again, "world", 100, NULL, &error), SAVEPOINT_ADDRESS_TAKEN, "'world'");
    CHECK(again == NULL && munmap(taken, MAP_GRANULE) == 0);
    CHECK_OK(savepoint_map(session, &again, "world", 100, NULL, &error));
    CHECK(again == base);
    CHECK_OK(savepoint_resume(session, NULL, &error));
    CHECK_MEM(base, &base, sizeof base);
    CHECK_OK(savepoint_close(session, &error));
}

/* ---- names of snapshots */

CHECK_TEST(bad_call, snapshots_that_are_not_there)
{
    struct world world = fresh_world("names.svp", "compare");
    struct savepoint_error error = { 0 };
    struct savepoint_snapshot found;
    struct savepoint_id unknown = { { 1, 2, 3 } };
    char prefix[SAVEPOINT_ID_TEXT_BYTES];
    REFUSED(savepoint_find(world.session, &found, "HEAD", &error), SAVEPOINT_EMPTY, world.path);
    static bool met[65536];
    bool twice = false;
    for (int i = 0; i < 4000 && !twice; i++) { /* until two ids begin alike */
        uint64_t ticket;
        world_page(&world, 0)[i % 64]++;
        CHECK_OK(world_start(&world, SAVEPOINT_NONE, &ticket));
        CHECK_OK(savepoint_wait(world.session, ticket, &found, &error));
        unsigned start = (unsigned)found.id.bytes[0] << 8 | found.id.bytes[1];
        twice = met[start];
        met[start] = true;
    }
    CHECK(twice);
    savepoint_id_format(&found.id, prefix);
    prefix[4] = '\0';
    REFUSED(savepoint_find(world.session, &found, prefix, &error), SAVEPOINT_AMBIGUOUS, prefix);
    REFUSED(savepoint_find(world.session, &found, "no such name", &error), SAVEPOINT_NOT_FOUND, "no such name");
    REFUSED(savepoint_find(world.session, &found, "HEAD~5000", &error), SAVEPOINT_NOT_FOUND, "");
    REFUSED(savepoint_restore(world.session, &unknown, NULL, &error), SAVEPOINT_NOT_FOUND, "01020300");
    REFUSED(savepoint_wait(world.session, 1000000, NULL, &error), SAVEPOINT_NOT_FOUND, "1000000");
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, NULL));
    CHECK_OK(savepoint_close(world.session, &error));
    world_free(&world);
}
