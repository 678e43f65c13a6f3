/* test_open_faults.c - reads and allocations that fail while an archive is opened are errors, never a shorter history
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 4, SEALED = 2, UNSEALED = 2, CALLS_MAX = 500 };

struct tally {
    unsigned opens, failures, tolerated;
};

/* The last snapshots were committed by a program that died before any sync: nothing seals them. The history is the
 * parent's: ids are read back. */
static void make_unsealed(struct world *world, const char *path)
{
    file_remove(path);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        world_open(world, path, "compare", PAGES);
        for (int i = 0; i < SEALED + UNSEALED; i++) {
            memset(world_page(world, 0), 'a' + i, PAGE_BYTES);
            world_take(world, i < SEALED ? SAVEPOINT_SYNC : SAVEPOINT_ORDERED);
        }
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct savepoint_archive *archive = NULL;
    uint8_t memory[PAGES * PAGE_BYTES] = { 0 };
    world->history.memory_bytes = sizeof memory;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    for (int i = 0; i < SEALED + UNSEALED; i++) {
        struct savepoint_snapshot snapshot;
        char expression[32];
        snprintf(expression, sizeof expression, "HEAD~%d", SEALED + UNSEALED - 1 - i);
        CHECK_OK(savepoint_archive_find(archive, &snapshot, expression, NULL));
        memset(memory, 'a' + i, PAGE_BYTES);
        history_add(&world->history, &snapshot, memory);
    }
    savepoint_archive_close(archive);
    check_archive(path, &world->history, SEALED + UNSEALED, "made");
}

static bool expected_failure(enum fault_kind kind, enum savepoint_status status)
{
    return status == (kind == FAULT_READ ? SAVEPOINT_IO : SAVEPOINT_NO_MEMORY);
}

/* True when the failure was met. */
static bool open_reader(const char *path, enum fault_kind kind, uint64_t number, bool sticky, struct tally *tally)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_archive_info info;
    struct savepoint_error error = { 0 };
    fault_arm(kind, number, sticky, EIO);
    enum savepoint_status status = savepoint_archive_open(&archive, path, &error);
    fault_disarm();
    tally->opens++;
    if (status == SAVEPOINT_OK) {
        savepoint_archive_describe(archive, &info);
        CHECK_MSG(info.snapshot_count == SEALED + UNSEALED && info.torn_bytes == 0 && info.damage_offset == UINT64_MAX,
                  "reader, kind %d, call %llu%s: OK with %llu snapshots, %llu torn bytes, damage at %llu", kind,
                  (unsigned long long)number, sticky ? ", sticky" : "", (unsigned long long)info.snapshot_count,
                  (unsigned long long)info.torn_bytes, (unsigned long long)info.damage_offset);
        savepoint_archive_close(archive);
        tally->tolerated++;
    } else {
        CHECK_MSG(expected_failure(kind, status) && error.message[0] != '\0', "reader, kind %d, call %llu%s: %s: %s",
                  kind, (unsigned long long)number, sticky ? ", sticky" : "", savepoint_status_name(status),
                  error.message);
        tally->failures++;
    }
    return fault_hits(kind) > 0;
}

static bool open_writer(const char *path, enum fault_kind kind, uint64_t number, bool sticky, struct bytes *before,
                        struct tally *tally)
{
    struct savepoint *session = NULL;
    struct savepoint_error error = { 0 };
    file_write(path, before->at, before->count);
    fault_arm(kind, number, sticky, EIO);
    enum savepoint_status status = savepoint_open(&session, path, NULL, &error);
    fault_disarm();
    tally->opens++;
    struct bytes now = file_read(path);
    CHECK_MSG(now.count >= before->count && memcmp(now.at, before->at, before->count) == 0,
              "writer, kind %d, call %llu%s: %s, and %zu bytes of %zu are left", kind, (unsigned long long)number,
              sticky ? ", sticky" : "", savepoint_status_name(status), now.count, before->count);
    bytes_free(&now);
    if (status == SAVEPOINT_OK) {
        tally->tolerated++;
    } else {
        CHECK_MSG(expected_failure(kind, status) && error.message[0] != '\0', "writer, kind %d, call %llu%s: %s: %s",
                  kind, (unsigned long long)number, sticky ? ", sticky" : "", savepoint_status_name(status),
                  error.message);
        tally->failures++;
    }
    CHECK_OK(savepoint_close(session, NULL));
    return fault_hits(kind) > 0;
}

static void run_all_calls(enum fault_kind kind)
{
    struct world world = { .history = { 0 } };
    struct tally tally = { 0 };
    const char *path = scratch_path("open.svp");
    make_unsealed(&world, path);
    struct bytes before = file_read(path);
    for (int sticky = 0; sticky < 2; sticky++) {
        uint64_t number = 1;
        while (number < CALLS_MAX && open_reader(path, kind, number, sticky != 0, &tally)) {
            number++;
        }
        CHECK(number < CALLS_MAX);
        number = 1;
        while (number < CALLS_MAX && open_writer(path, kind, number, sticky != 0, &before, &tally)) {
            number++;
        }
        CHECK(number < CALLS_MAX);
        check_archive(path, &world.history, SEALED + UNSEALED, "at the end");
        file_write(path, before.at, before.count);
    }
    printf("%s fail: %u opens, %u refused, %u not hurt\n", kind == FAULT_READ ? "reads" : "allocations", tally.opens,
           tally.failures, tally.tolerated);
    CHECK(tally.failures > 20);
    bytes_free(&before);
    world_free(&world);
}

CHECK_TEST(open_faults, a_read_that_fails_is_an_error)
{
    run_all_calls(FAULT_READ);
}

CHECK_TEST(open_faults, an_allocation_that_fails_is_an_error)
{
    run_all_calls(FAULT_MEMORY);
}
