/* test_lost_regions.c - a program goes on from an older snapshot where the newest table of regions is damaged */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "../crash/crash_fixture.h"

static _Alignas(PAGE_BYTES) unsigned char kept[PAGE_BYTES], lost[PAGE_BYTES], fresh[PAGE_BYTES];
static struct savepoint *session;

static void open_session(const char *path)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = "compare";
    CHECK_OK(savepoint_open(&session, path, &options, NULL));
    CHECK_OK(savepoint_watch(session, "kept", kept, sizeof kept, NULL));
}

static struct savepoint_snapshot take(void)
{
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(session, 0, &snapshot, NULL));
    return snapshot;
}

static void damage_last(const char *path, const char *text)
{
    struct bytes file = file_read(path);
    size_t at = file.count - strlen(text);
    while (memcmp(file.at + at, text, strlen(text)) != 0) {
        CHECK(at > 0);
        at--;
    }
    file.at[at] ^= 1;
    file_write(path, file.at, file.count);
    bytes_free(&file);
}

/* The region that is new then has an id of its own: pages of the lost one are not taken for its pages. */
CHECK_TEST(lost_regions, going_on_from_before)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_region region;
    unsigned char read[PAGE_BYTES];
    const char *path = scratch_path("lost-regions.svp");
    file_remove(path);
    open_session(path);
    memset(kept, 'k', sizeof kept);
    struct savepoint_snapshot old = take();
    memset(lost, 'l', sizeof lost);
    CHECK_OK(savepoint_watch(session, "lost", lost, sizeof lost, NULL));
    take();
    CHECK_OK(savepoint_close(session, NULL));
    damage_last(path, "lost");

    memset(kept, 0, sizeof kept);
    open_session(path);
    CHECK_OK(savepoint_restore(session, &old.id, NULL, NULL));
    CHECK(kept[0] == 'k');
    memset(fresh, 'f', sizeof fresh);
    CHECK_OK(savepoint_watch(session, "fresh", fresh, sizeof fresh, NULL));
    struct savepoint_snapshot newest = take();
    CHECK_OK(savepoint_close(session, NULL));

    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_region_at(archive, &region, &newest, 0, NULL));
    CHECK(strcmp(region.name, "fresh") == 0 && region.id > 2); /* 1 and 2 were given */
    CHECK_OK(savepoint_archive_read(archive, read, &newest, "fresh", 0, sizeof read, NULL));
    CHECK(memcmp(read, fresh, sizeof read) == 0);
    CHECK_OK(savepoint_archive_read(archive, read, &newest, "kept", 0, sizeof read, NULL));
    CHECK(memcmp(read, kept, sizeof read) == 0);
    savepoint_archive_close(archive);
}
