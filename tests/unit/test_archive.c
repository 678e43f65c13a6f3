/* test_archive.c - savepoint_archive_region_at and _read: each table of regions is parsed once, and never mistaken */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "format/regions.h"

enum { PAGE = 4096, REGIONS = 40, SNAPSHOTS = 3 };

/* ---- work, counted */

static unsigned tables_parsed;

enum svp_verdict __real_svp_regions_read(struct svp_region_table *table, const uint8_t *body, size_t bytes);
enum svp_verdict __wrap_svp_regions_read(struct svp_region_table *table, const uint8_t *body, size_t bytes);

enum svp_verdict __wrap_svp_regions_read(struct svp_region_table *table, const uint8_t *body, size_t bytes)
{
    tables_parsed++;
    return __real_svp_regions_read(table, body, bytes);
}

/* ---- an archive with two tables: snapshots 0 and 1 have REGIONS regions, snapshot 2 one more, "added" */

struct fixture {
    char path[64];
    uint8_t *memory;
    struct savepoint_snapshot made[SNAPSHOTS];
    struct savepoint_archive *archive;
};

static void region_name(char name[16], unsigned index)
{
    snprintf(name, 16, "region %02u", index);
}

static void take(struct savepoint *session, struct savepoint_snapshot *made)
{
    CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(session, 0, made, NULL));
}

static void write_fixture(struct fixture *fixture)
{
    struct savepoint *session = NULL;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = "compare";
    CHECK_OK(savepoint_open(&session, fixture->path, &options, NULL));
    for (unsigned i = 0; i < REGIONS; i++) {
        char name[16];
        region_name(name, i);
        memset(fixture->memory + i * PAGE, (int)i + 1, PAGE);
        CHECK_OK(savepoint_watch(session, name, fixture->memory + i * PAGE, PAGE, NULL));
    }
    take(session, &fixture->made[0]);
    fixture->memory[0] = 0;
    take(session, &fixture->made[1]);
    memset(fixture->memory + REGIONS * PAGE, 'a', PAGE);
    CHECK_OK(savepoint_watch(session, "added", fixture->memory + REGIONS * PAGE, PAGE, NULL));
    take(session, &fixture->made[2]);
    CHECK_OK(savepoint_close(session, NULL));
}

static void open_fixture(struct fixture *fixture)
{
    static unsigned number;
    snprintf(fixture->path, sizeof fixture->path, "regions-%ld-%u.svp", (long)getpid(), number++);
    unlink(fixture->path);
    fixture->memory = aligned_alloc(PAGE, (REGIONS + 1) * PAGE);
    CHECK(fixture->memory != NULL);
    write_fixture(fixture);
    CHECK_OK(savepoint_archive_open(&fixture->archive, fixture->path, NULL));
    tables_parsed = 0;
}

static void close_fixture(struct fixture *fixture)
{
    savepoint_archive_close(fixture->archive);
    unlink(fixture->path);
    free(fixture->memory);
}

/* ---- asking */

static enum savepoint_status try_region(struct fixture *fixture, unsigned snapshot, size_t index, const char *name)
{
    struct savepoint_region region;
    enum savepoint_status status =
        savepoint_archive_region_at(fixture->archive, &region, &fixture->made[snapshot], index, NULL);
    if (status == SAVEPOINT_OK) {
        CHECK_STR(region.name, name);
        CHECK_EQ(region.bytes, PAGE);
    }
    return status;
}

static enum savepoint_status try_read(struct fixture *fixture, unsigned snapshot, const char *name, uint8_t *byte)
{
    return savepoint_archive_read(fixture->archive, byte, &fixture->made[snapshot], name, 0, 1, NULL);
}

CHECK_TEST(archive, one_table_is_parsed_once)
{
    struct fixture fixture;
    char name[16];
    uint8_t byte = 0;
    open_fixture(&fixture);
    for (unsigned snapshot = 0; snapshot < 2; snapshot++) {
        for (unsigned i = 0; i < REGIONS; i++) {
            region_name(name, i);
            CHECK_OK(try_region(&fixture, snapshot, i, name));
            CHECK_OK(try_read(&fixture, snapshot, name, &byte));
            CHECK_EQ(byte, i == 0 && snapshot == 1 ? 0 : i + 1);
        }
        CHECK_STATUS(try_region(&fixture, snapshot, REGIONS, ""), SAVEPOINT_NOT_FOUND);
    }
    CHECK_EQ(tables_parsed, 1);
    close_fixture(&fixture);
}

CHECK_TEST(archive, another_snapshot_has_its_own_table)
{
    struct fixture fixture;
    uint8_t byte = 0;
    open_fixture(&fixture);
    for (unsigned times = 0; times < 2; times++) {
        CHECK_OK(try_region(&fixture, 0, 0, "region 00"));
        CHECK_STATUS(try_read(&fixture, 0, "added", &byte), SAVEPOINT_NOT_FOUND);
        CHECK_OK(try_region(&fixture, 2, 0, "added"));
        CHECK_OK(try_read(&fixture, 2, "added", &byte));
        CHECK_EQ(byte, 'a');
        CHECK_OK(try_region(&fixture, 2, REGIONS, "region 39"));
        CHECK_STATUS(try_region(&fixture, 2, REGIONS + 1, ""), SAVEPOINT_NOT_FOUND);
    }
    CHECK_EQ(tables_parsed, 4);
    close_fixture(&fixture);
}

/* ---- a table that is damaged leaves the one before in its place, and is damaged each time */

static void damage_last(const char *path, const char *bytes, size_t count)
{
    static uint8_t file[1 << 20];
    FILE *stream = fopen(path, "r+b");
    CHECK(stream != NULL);
    size_t size = fread(file, 1, sizeof file, stream);
    uint8_t *found = NULL;
    for (uint8_t *at = memmem(file, size, bytes, count); at != NULL;) {
        found = at;
        at = memmem(at + 1, size - (size_t)(at + 1 - file), bytes, count);
    }
    CHECK(found != NULL && fseek(stream, found - file, SEEK_SET) == 0);
    CHECK(fputc(*found ^ 1, stream) != EOF && fclose(stream) == 0);
}

CHECK_TEST(archive, a_damaged_table_is_not_kept)
{
    struct fixture fixture;
    uint8_t byte = 0;
    open_fixture(&fixture);
    damage_last(fixture.path, "added", 5);
    for (unsigned times = 0; times < 2; times++) {
        CHECK_OK(try_region(&fixture, 0, 0, "region 00"));
        CHECK_STATUS(try_region(&fixture, 2, 0, ""), SAVEPOINT_CORRUPT);
        CHECK_STATUS(try_read(&fixture, 2, "region 00", &byte), SAVEPOINT_CORRUPT);
        CHECK_OK(try_read(&fixture, 1, "region 01", &byte));
        CHECK_EQ(byte, 2);
    }
    close_fixture(&fixture);
}
