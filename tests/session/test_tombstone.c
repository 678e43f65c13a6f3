/* test_tombstone.c - verification holds tombstones against the snapshots they drop */
#include <stdio.h>

#include "archive/append.h"
#include "autosave_world.h"

enum { PAGES = 2, SNAPSHOTS = 4 };

static struct savepoint_snapshot saved[SNAPSHOTS];

static struct svp_tombstone tombstone_of(const struct savepoint_snapshot *snapshot)
{
    struct svp_tombstone tombstone = { .sequence = snapshot->sequence,
                                       .time_ns = snapshot->time_ns,
                                       .commit = snapshot->file_offset };
    memcpy(tombstone.id.bytes, snapshot->id.bytes, sizeof tombstone.id.bytes);
    memcpy(tombstone.parent_id.bytes, snapshot->parent.bytes, sizeof tombstone.parent_id.bytes);
    return tombstone;
}

/* `less`: by how much END then counts fewer snapshots. */
static void write_tombstone(const char *path, struct svp_tombstone tombstone, uint64_t less)
{
    struct svp_append append;
    struct svp_repair repair;
    CHECK_OK(svp_append_open(&append, &repair, path, SVP_APPEND_EXISTING, NULL));
    struct svp_end end = append.tail.end;
    tombstone.previous = end.newest_tombstone;
    CHECK_OK(svp_append_begin(&append, NULL));
    svp_buffer_clear(&append.body);
    svp_tombstone_write(&append.body, &tombstone);
    CHECK_OK(svp_append_record(&append, SVP_TOMBSTONE, &end.newest_tombstone, NULL));
    end.snapshot_count -= less;
    CHECK_OK(svp_append_finish(&append, &end, true, NULL));
    CHECK_OK(svp_append_close(&append, NULL));
}

static void note_message(void *user, const struct savepoint_finding *finding)
{
    snprintf(user, sizeof finding->message, "%s", finding->message);
}

/* Verification has one finding, which says so; or none where `what` is NULL. */
static void check_found(const char *path, const char *what)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    char message[256] = "";
    options.report = note_message;
    options.report_user = message;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, &options, NULL));
    savepoint_archive_close(archive);
    CHECK_MSG(result.findings == (what == NULL ? 0 : 1), "%llu findings instead of '%s': %s",
              (unsigned long long)result.findings, what != NULL ? what : "none", message);
    CHECK_MSG(what == NULL || strstr(message, what) != NULL, "%s", message);
}

static void make(const char *path)
{
    struct world world = { 0 };
    file_remove(path);
    world_open(&world, path, "compare", PAGES);
    for (int i = 0; i < SNAPSHOTS; i++) {
        saved[i] = world_take(&world, SAVEPOINT_SYNC);
    }
    world_close(&world);
    world_free(&world);
}

CHECK_TEST(tombstone, that_fits)
{
    const char *path = scratch_path("tombstone.svp");
    make(path);
    for (int i = 0; i < SNAPSHOTS - 1; i++) {
        write_tombstone(path, tombstone_of(&saved[i]), 1);
        check_found(path, NULL);
    }
}

CHECK_TEST(tombstone, that_does_not_fit)
{
    const char *path = scratch_path("tombstone.svp");
    for (int field = 0; field < 3; field++) {
        make(path);
        struct svp_tombstone tombstone = tombstone_of(&saved[1]);
        tombstone.id.bytes[0] ^= field == 0 ? 1 : 0;
        tombstone.parent_id.bytes[15] ^= field == 1 ? 1 : 0;
        tombstone.sequence += field == 2 ? 1 : 0;
        write_tombstone(path, tombstone, 1);
        check_found(path, "does not fit its snapshot");
    }
    make(path);
    struct svp_tombstone tombstone = tombstone_of(&saved[1]);
    tombstone.commit += 64;
    write_tombstone(path, tombstone, 1);
    check_found(path, "points to no snapshot");
}

CHECK_TEST(tombstone, of_head)
{
    const char *path = scratch_path("tombstone.svp");
    make(path);
    write_tombstone(path, tombstone_of(&saved[SNAPSHOTS - 1]), 1);
    check_found(path, "HEAD is dropped");
    make(path);
    const struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = saved[1].id };
    CHECK_OK(savepoint_archive_set_ref(path, &head, NULL));
    write_tombstone(path, tombstone_of(&saved[SNAPSHOTS - 1]), 1);
    check_found(path, NULL);
    write_tombstone(path, tombstone_of(&saved[1]), 1);
    check_found(path, "HEAD is dropped");
}

CHECK_TEST(tombstone, twice)
{
    const char *path = scratch_path("tombstone.svp");
    make(path);
    write_tombstone(path, tombstone_of(&saved[1]), 1);
    write_tombstone(path, tombstone_of(&saved[1]), 0);
    check_found(path, "dropped twice");
}
