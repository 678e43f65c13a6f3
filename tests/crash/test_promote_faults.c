/* test_promote_faults.c - every allocation and every call to the disk fails in turn while snapshots are promoted and
 * loaded: a clear status, nothing lost, and the next takes carry everything */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../session/promote_world.h"
#include "fault.h"

enum { RING_BYTES = 4 << 20, FRAMES = 4, CALLS_MAX = 3000 };

static struct stage stage;
static struct frame saves[2];
static const char *path, *other;

static const struct {
    enum fault_kind kind;
    int os_code;
    enum savepoint_status wanted;
    const char *name;
} faults[] = {
    { FAULT_MEMORY, ENOMEM, SAVEPOINT_NO_MEMORY, "memory" },
    { FAULT_WRITE, ENOSPC, SAVEPOINT_NO_SPACE, "write" },
    { FAULT_READ, EIO, SAVEPOINT_IO, "read" },
    { FAULT_SYNC, EIO, SAVEPOINT_UNCERTAIN, "sync" },
    { FAULT_SYNC_FOLDER, EIO, SAVEPOINT_IO, "sync folder" },
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

static void set_up(void)
{
    path = scratch_path("faults.svp");
    other = scratch_path("faults_other.svp");
    file_remove(other);
    stage_open(&stage, path, RING_BYTES);
    saves[0] = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    stage_write(&stage);
    for (int i = 0; i < FRAMES; i++) {
        stage_take(&stage, SAVEPOINT_RING);
        stage_write(&stage);
    }
    saves[1] = *stage_take(&stage, SAVEPOINT_ARCHIVE);
    stage_write(&stage);
    stage_take(&stage, SAVEPOINT_RING);
    stage_write(&stage); /* pending */
}

/* How many snapshots the archive holds; all of them are whole, and what was promoted is what it was. */
static size_t check_promotions(const char *at)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    struct savepoint_snapshot snapshot;
    size_t promoted = 0;
    CHECK_OK(savepoint_archive_open(&archive, at, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings, 0);
    for (enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL); status == SAVEPOINT_OK;
         status = savepoint_archive_previous(archive, &snapshot, NULL)) {
        struct savepoint_id origin;
        size_t bytes = 0;
        if (savepoint_archive_metadata(archive, &origin, &bytes, sizeof origin, &snapshot, SAVEPOINT_METADATA_ORIGIN,
                                       NULL) == SAVEPOINT_OK) {
            for (size_t i = 0; i < stage.frame_count; i++) {
                if (same_id(&stage.frames[i].snapshot.id, &origin)) {
                    check_promoted(at, &snapshot.id, &stage.frames[i]);
                    promoted++;
                }
            }
        }
    }
    savepoint_archive_close(archive);
    return promoted;
}

/* The session goes on: both histories take, and go back to all there was. */
static void check_session(bool poisoned, const char *what)
{
    struct savepoint_error error;
    uint8_t memory[sizeof saves[0].memory];
    memcpy(memory, stage.memory, sizeof memory);
    enum savepoint_status status = savepoint_take(stage.session, NULL, NULL, &error);
    if (poisoned) {
        CHECK_STATUS(status, SAVEPOINT_POISONED);
    } else {
        struct savepoint_snapshot snapshot;
        CHECK_MSG(status == SAVEPOINT_OK, "%s: %s", what, error.message);
        CHECK_OK(savepoint_wait(stage.session, 0, &snapshot, NULL));
        CHECK(same_id(&snapshot.parent, &saves[1].snapshot.id));
        stage_note(&stage, &snapshot, memory);
        check_promotions(path);
    }
    stage_take(&stage, SAVEPOINT_RING);
    for (size_t i = stage.frame_count; i-- > 0;) {
        if ((stage.frames[i].snapshot.flags & SAVEPOINT_SNAPSHOT_RING) != 0) {
            stage_check_restore(&stage, &stage.frames[i]);
        }
    }
    for (size_t i = 0; i < stage.frame_count; i++) {
        if ((stage.frames[i].snapshot.flags & SAVEPOINT_SNAPSHOT_RING) == 0) {
            stage_check_restore(&stage, &stage.frames[i]);
        }
    }
}

/* What the call came to; it failed as the fault asks, or went well all the same. */
static bool
check_status(size_t fault, enum savepoint_status status, const struct savepoint_error *error, const char *what)
{
    CHECK_MSG(status == SAVEPOINT_OK || status == faults[fault].wanted ||
                  (status == SAVEPOINT_IO && faults[fault].kind == FAULT_SYNC),
              "%s: %s", what, error->message);
    CHECK_MSG(status == SAVEPOINT_OK || (error->message[0] != '\0' && error->status == status), "%s: no reason", what);
    return status == SAVEPOINT_OK;
}

/* A read that fails once is tried again. */
static void arm(size_t fault, uint64_t number)
{
    fault_arm(faults[fault].kind, number, faults[fault].kind == FAULT_READ, faults[fault].os_code);
}

/* Returns whether the fault was met. */
static bool promote_once(size_t fault, uint64_t number, bool own, size_t *failed)
{
    char what[64];
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    struct savepoint_snapshot snapshot = { .sequence = 0 };
    set_up();
    snprintf(what, sizeof what, "%s %s %u", own ? "own" : "other", faults[fault].name, (unsigned)number);
    arm(fault, number);
    enum savepoint_status status = savepoint_promote(stage.session, &snapshot, NULL, own ? NULL : other, NULL, &error);
    const bool met = fault_hits(faults[fault].kind) > 0;
    fault_disarm();
    const bool good = check_status(fault, status, &error, what);
    CHECK_MSG(met || good, "%s: failed by itself", what);
    *failed += !good;
    const bool poisoned = own && status == SAVEPOINT_UNCERTAIN;
    const size_t promoted = own || file_exists(other) ? check_promotions(own ? path : other) : 0;
    CHECK_MSG(own || promoted > 0 || !file_exists(other), "%s: an empty file is left behind", what);
    CHECK_MSG(promoted <= FRAMES + 1 && (!good || promoted == FRAMES + 1), "%s: %zu", what, promoted);
    check_session(poisoned, what);
    if (savepoint_close(stage.session, &error) != SAVEPOINT_OK) {
        CHECK_MSG(poisoned, "%s: %s", what, error.message);
    }
    free(stage.memory);
    check_promotions(path);
    return met;
}

static bool load_once(size_t fault, uint64_t number, bool own, size_t *failed)
{
    char what[64];
    char id[SAVEPOINT_ID_TEXT_BYTES];
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    struct savepoint_snapshot snapshot = { .sequence = 0 }, newest;
    set_up();
    savepoint_id_format(&saves[0].snapshot.id, id);
    snprintf(what, sizeof what, "load %s %s %u", own ? "own" : "other", faults[fault].name, (unsigned)number);
    arm(fault, number);
    enum savepoint_status status = savepoint_load(stage.session, &snapshot, own ? NULL : path, id, NULL, &error);
    const bool met = fault_hits(faults[fault].kind) > 0;
    fault_disarm();
    const bool good = check_status(fault, status, &error, what);
    CHECK_MSG(met || good, "%s: failed by itself", what);
    *failed += !good;
    CHECK_OK(savepoint_ring_newest(stage.session, &newest, NULL));
    if (good) {
        CHECK(same_id(&newest.id, &snapshot.id));
        stage_note(&stage, &snapshot, saves[0].memory);
    } else {
        CHECK(same_id(&newest.id, &stage.frames[stage.frame_count - 1].snapshot.id));
    }
    check_session(false, what);
    stage_close(&stage);
    return met;
}

static void
sweep(bool (*once)(size_t fault, uint64_t number, bool own, size_t *failed), const bool kinds[FAULTS], const char *what)
{
    for (size_t fault = 0; fault < FAULTS; fault++) {
        for (int own = 0; own < 2 && kinds[fault]; own++) {
            size_t failed = 0;
            uint64_t number = 1;
            while (number < CALLS_MAX && once(fault, number, own == 1, &failed)) {
                number++;
            }
            fprintf(stderr, "%s: %s archive, %s: %u calls, %zu failures\n", what, own ? "own" : "another",
                    faults[fault].name, (unsigned)number - 1, failed);
            CHECK(number < CALLS_MAX);
            CHECK(failed > 0 || faults[fault].kind == FAULT_SYNC_FOLDER);
        }
    }
}

CHECK_TEST(promote_faults, a_promotion_that_fails_loses_nothing)
{
    static const bool kinds[FAULTS] = { true, true, true, true, true };
    sweep(promote_once, kinds, "promote");
}

CHECK_TEST(promote_faults, a_load_that_fails_changes_nothing)
{
    static const bool kinds[FAULTS] = { true, false, true, false, false };
    sweep(load_once, kinds, "load");
}
