/* test_damage.c - what does not depend on damage stays readable: the header, the indexes, single batches of pages */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "format/bytes.h"
#include "format/record.h"
#include "savepoint.h"

enum { PAGE = 4096, PAGES = 100, SNAPSHOTS = 20, ARCHIVE_BYTES_MAX = 1 << 21 };

struct damaged {
    char path[40];
    unsigned char *models[SNAPSHOTS]; /* what memory held at each snapshot */
    struct savepoint_snapshot snapshots[SNAPSHOTS];
    unsigned char *bytes; /* the archive, whole */
    size_t byte_count;
};

static void write_archive(struct damaged *damaged)
{
    struct savepoint *session;
    struct savepoint_error error;
    unsigned char *memory = aligned_alloc(PAGE, PAGES * PAGE);
    CHECK(memory != NULL);
    memset(memory, 3, PAGES * PAGE);
    CHECK_STATUS(savepoint_open(&session, damaged->path, NULL, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_watch(session, "memory", memory, PAGES * PAGE, &error), SAVEPOINT_OK);
    for (int i = 0; i < SNAPSHOTS; i++) {
        memory[(i * 7 % PAGES) * PAGE + i]++;
        memory[(i * 13 % PAGES) * PAGE + 2000] = (unsigned char)i;
        CHECK_STATUS(savepoint_take(session, NULL, NULL, &error), SAVEPOINT_OK);
        CHECK_STATUS(savepoint_wait(session, 0, &damaged->snapshots[i], &error), SAVEPOINT_OK);
        damaged->models[i] = malloc(PAGES * PAGE);
        CHECK(damaged->models[i] != NULL);
        memcpy(damaged->models[i], memory, PAGES * PAGE);
    }
    CHECK_STATUS(savepoint_close(session, &error), SAVEPOINT_OK);
    free(memory);
}

static void open_damaged(struct damaged *damaged)
{
    memset(damaged, 0, sizeof *damaged);
    strcpy(damaged->path, "/tmp/savepoint-damage-XXXXXX");
    int descriptor = mkstemp(damaged->path);
    CHECK(descriptor >= 0);
    close(descriptor);
    write_archive(damaged);
    damaged->bytes = malloc(ARCHIVE_BYTES_MAX);
    FILE *file = fopen(damaged->path, "rb");
    CHECK(damaged->bytes != NULL && file != NULL);
    damaged->byte_count = fread(damaged->bytes, 1, ARCHIVE_BYTES_MAX, file);
    fclose(file);
    CHECK(damaged->byte_count < ARCHIVE_BYTES_MAX);
}

static void close_damaged(struct damaged *damaged)
{
    for (int i = 0; i < SNAPSHOTS; i++) {
        free(damaged->models[i]);
    }
    free(damaged->bytes);
    unlink(damaged->path);
}

static void store(const struct damaged *damaged)
{
    FILE *file = fopen(damaged->path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(damaged->bytes, 1, damaged->byte_count, file) == damaged->byte_count);
    CHECK(fclose(file) == 0);
}

/* Flips a bit of every record of a type, at an offset inside it; returns how many. */
static unsigned flip_all(struct damaged *damaged, unsigned type, size_t inside)
{
    unsigned count = 0;
    for (size_t at = 0; at + SVP_HEADER_BYTES <= damaged->byte_count; at += 8) {
        struct svp_record record;
        if (svp_record_read(&record, damaged->bytes + at, at) == SVP_GOOD && record.type == type) {
            damaged->bytes[at + inside] ^= 1;
            count++;
        }
    }
    return count;
}

/* Snapshots that read back as their model; none may read back as anything else. */
static unsigned count_readable(const struct damaged *damaged, uint64_t *damage_offset)
{
    struct savepoint_archive *archive;
    struct savepoint_archive_info info;
    struct savepoint_error error;
    unsigned char *buffer = malloc(PAGES * PAGE);
    unsigned readable = 0;
    CHECK(buffer != NULL);
    CHECK_STATUS(savepoint_archive_open(&archive, damaged->path, &error), SAVEPOINT_OK);
    savepoint_archive_describe(archive, &info);
    *damage_offset = info.damage_offset;
    for (int i = 0; i < SNAPSHOTS; i++) {
        if (savepoint_archive_read(archive, buffer, &damaged->snapshots[i], "memory", 0, PAGES * PAGE, &error) ==
            SAVEPOINT_OK) {
            CHECK_MEM(buffer, damaged->models[i], PAGES * PAGE);
            readable++;
        }
    }
    savepoint_archive_close(archive);
    free(buffer);
    return readable;
}

static uint64_t count_findings(const struct damaged *damaged)
{
    struct savepoint_archive *archive;
    struct savepoint_verify_result result;
    struct savepoint_error error;
    CHECK_STATUS(savepoint_archive_open(&archive, damaged->path, &error), SAVEPOINT_OK);
    CHECK_STATUS(savepoint_archive_verify(archive, &result, NULL, &error), SAVEPOINT_OK);
    savepoint_archive_close(archive);
    return result.findings;
}

CHECK_TEST(damage, a_lost_header_costs_no_snapshot)
{
    struct damaged damaged;
    struct savepoint *session;
    struct savepoint_error error;
    uint64_t damage_offset = 0;
    static const size_t places[] = { 0, 60, 70 }; /* magic, header hash, body */
    open_damaged(&damaged);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        damaged.bytes[places[i]] ^= 1;
        store(&damaged);
        CHECK_EQ(count_readable(&damaged, &damage_offset), SNAPSHOTS);
        CHECK_EQ(damage_offset, 0);
        CHECK(count_findings(&damaged) > 0);
        CHECK_STATUS(savepoint_open(&session, damaged.path, NULL, &error), SAVEPOINT_CORRUPT);
        damaged.bytes[places[i]] ^= 1;
    }
    close_damaged(&damaged);
}

CHECK_TEST(damage, lost_indexes_cost_no_snapshot)
{
    static const size_t places[] = { 20, SVP_HEADER_BYTES + 8 };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct damaged damaged;
        uint64_t damage_offset = 0;
        open_damaged(&damaged);
        CHECK_EQ(flip_all(&damaged, SVP_INDEX, places[i]), SNAPSHOTS);
        store(&damaged);
        CHECK_EQ(count_readable(&damaged, &damage_offset), SNAPSHOTS);
        CHECK(count_findings(&damaged) >= SNAPSHOTS);
        close_damaged(&damaged);
    }
}

CHECK_TEST(damage, a_lost_batch_costs_only_what_rests_on_it)
{
    unsigned records = 0, readable = 0;
    struct damaged damaged;
    uint64_t damage_offset = 0;
    open_damaged(&damaged);
    for (size_t at = 0; at + SVP_HEADER_BYTES <= damaged.byte_count; at += 8) {
        struct svp_record record;
        if (svp_record_read(&record, damaged.bytes + at, at) == SVP_GOOD && record.type == SVP_PAGES) {
            damaged.bytes[at + SVP_HEADER_BYTES + 1] ^= 1;
            store(&damaged);
            readable += count_readable(&damaged, &damage_offset);
            damaged.bytes[at + SVP_HEADER_BYTES + 1] ^= 1;
            records++;
        }
    }
    printf("damage: %u batches lost one at a time, %u of %u snapshots readable\n", records, readable,
           records * SNAPSHOTS);
    CHECK(records >= SNAPSHOTS);
    CHECK(readable >= records * SNAPSHOTS / 4); /* those in front of the damage at least */
    close_damaged(&damaged);
}
