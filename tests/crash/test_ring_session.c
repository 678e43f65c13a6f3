/* test_ring_session.c - a ring beside an archive: neither waits for the other, and neither loses what the other fails
 * at
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 16, SMALL = 400 };

static struct savepoint *session;
static uint8_t *memory;

static void open_session(const char *path, uint64_t ring_bytes)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.ring_bytes = ring_bytes;
    options.watch = backend_name(0);
    if (path != NULL) {
        file_remove(path);
    }
    memory = aligned_alloc(65536, 65536);
    CHECK(memory != NULL);
    memset(memory, 0, 65536);
    CHECK_OK(savepoint_open(&session, path, &options, NULL));
    CHECK_OK(savepoint_watch(session, "r", memory, PAGES * PAGE_BYTES, NULL));
}

static void close_session(void)
{
    CHECK_OK(savepoint_close(session, NULL));
    free(memory);
}

static uint64_t start(uint32_t history)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.history = history;
    CHECK_OK(savepoint_take(session, &ticket, &options, NULL));
    return ticket;
}

static struct savepoint_snapshot take(uint32_t history)
{
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_wait(session, start(history), &snapshot, NULL));
    return snapshot;
}

static void check_memory(int value)
{
    for (size_t i = 0; i < PAGES; i++) {
        CHECK_EQ(memory[i * PAGE_BYTES], i == 3 ? value : 0);
    }
}

static void set_memory(int value)
{
    memory[3 * PAGE_BYTES] = (uint8_t)value;
}

CHECK_TEST(ring_session, back_and_forth_until_something_else_is_taken)
{
    struct savepoint_snapshot moments[5];
    struct savepoint_snapshot newest;
    open_session(NULL, 1 << 20);
    for (int i = 0; i < 5; i++) {
        set_memory(10 + i);
        moments[i] = take(0);
        CHECK_EQ(moments[i].sequence, (uint64_t)i + 1);
        CHECK_MEM(&moments[i].parent, &moments[i > 0 ? i - 1 : 0].id, i > 0 ? sizeof moments[i].id : 0);
    }
    static const int order[] = { 4, 1, 0, 3, 2, 4, 0, 2 };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        set_memory(99); /* discarded */
        CHECK_OK(savepoint_restore(session, &moments[order[i]].id, NULL, NULL));
        check_memory(10 + order[i]);
    }
    CHECK_OK(savepoint_ring_newest(session, &newest, NULL));
    CHECK_MEM(&newest.id, &moments[4].id, sizeof newest.id);
    set_memory(50);
    newest = take(SAVEPOINT_RING);
    CHECK_MEM(&newest.parent, &moments[2].id, sizeof newest.parent);
    CHECK_EQ(newest.sequence, 6);
    CHECK_STATUS(savepoint_restore(session, &moments[3].id, NULL, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_OK(savepoint_restore(session, &moments[1].id, NULL, NULL));
    check_memory(11);
    CHECK_OK(savepoint_ring_previous(session, &newest, NULL));
    CHECK_MEM(&newest.id, &moments[2].id, sizeof newest.id);
    CHECK_STATUS(savepoint_resume(session, NULL, NULL), SAVEPOINT_EMPTY);
    close_session();
}

/* The archive's disk stands still: frames go on, back and forth. When it fails at last, its take loses nothing. */
CHECK_TEST(ring_session, neither_waits_for_the_disk_nor_suffers_from_it)
{
    const char *path = scratch_path("ring.svp");
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot frames[3];
    struct savepoint_snapshot snapshot;
    uint8_t page[PAGE_BYTES];
    open_session(path, 1 << 20);
    set_memory(1);
    take(SAVEPOINT_ARCHIVE);
    memory[5 * PAGE_BYTES] = 7;
    fault_hold_writer(true);
    uint64_t first = start(SAVEPOINT_ARCHIVE);
    uint64_t second = start(SAVEPOINT_ARCHIVE);
    memory[5 * PAGE_BYTES] = 0;
    for (int i = 0; i < 3; i++) {
        set_memory(20 + i);
        frames[i] = take(SAVEPOINT_RING);
    }
    CHECK_OK(savepoint_restore(session, &frames[0].id, NULL, NULL));
    check_memory(20);
    fault_arm(FAULT_WRITE, 1, false, EIO);
    fault_hold_writer(false);
    CHECK_STATUS(savepoint_wait(session, first, NULL, NULL), SAVEPOINT_IO);
    CHECK_STATUS(savepoint_wait(session, second, NULL, NULL), SAVEPOINT_IO);
    fault_disarm();
    CHECK_OK(savepoint_restore(session, &frames[2].id, NULL, NULL));
    check_memory(22);
    snapshot = take(SAVEPOINT_ARCHIVE);
    close_session();
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    for (size_t i = 0; i < PAGES; i++) {
        CHECK_OK(savepoint_archive_read(archive, page, &snapshot, "r", i * PAGE_BYTES, PAGE_BYTES, NULL));
        CHECK_EQ(page[0], i == 3 ? 22 : 0);
    }
    savepoint_archive_close(archive);
}

/* The take of the ring has not captured what the archive's take before it did. That one never comes to the shadow: the
 * one before it has failed on the disk. */
CHECK_TEST(ring_session, a_take_whose_pages_never_came_takes_the_ring_along)
{
    const char *path = scratch_path("ring.svp");
    struct savepoint_snapshot frame;
    open_session(path, 1 << 20);
    set_memory(1);
    take(SAVEPOINT_RING); /* ended by the encoder, so the next one encoded is the next one counted */
    set_memory(2);
    fault_hold_writer(true);
    uint64_t written = start(SAVEPOINT_ARCHIVE);
    fault_wait_encoded(1);
    fault_hold_worker(true);
    set_memory(3);
    uint64_t never_encoded = start(SAVEPOINT_ARCHIVE);
    uint64_t in_ring = start(SAVEPOINT_RING);
    fault_arm(FAULT_WRITE, 1, false, EIO);
    fault_hold_writer(false);
    CHECK_STATUS(savepoint_wait(session, written, NULL, NULL), SAVEPOINT_IO);
    fault_hold_worker(false);
    CHECK_STATUS(savepoint_wait(session, never_encoded, NULL, NULL), SAVEPOINT_IO);
    CHECK_STATUS(savepoint_wait(session, in_ring, NULL, NULL), SAVEPOINT_IO);
    fault_disarm();
    frame = take(SAVEPOINT_RING);
    set_memory(4);
    CHECK_OK(savepoint_restore(session, &frame.id, NULL, NULL));
    check_memory(3);
    close_session();
}

/* It fails at each of its reads: the shadow may have gone half the way. */
CHECK_TEST(ring_session, a_restore_that_fails_leaves_the_ring_good)
{
    const char *path = scratch_path("ring.svp");
    bool met = true;
    for (uint64_t number = 1; met; number++) {
        open_session(path, 1 << 20);
        set_memory(1);
        const struct savepoint_snapshot old = take(SAVEPOINT_ARCHIVE);
        memset(memory + 8 * PAGE_BYTES, 9, 4 * PAGE_BYTES);
        set_memory(2);
        const struct savepoint_snapshot frame = take(SAVEPOINT_RING);
        fault_arm(FAULT_READ, number, true, EIO);
        enum savepoint_status status = savepoint_restore(session, &old.id, NULL, NULL);
        met = fault_hits(FAULT_READ) > 0;
        fault_disarm();
        CHECK_STATUS(status, met ? SAVEPOINT_IO : SAVEPOINT_OK);
        CHECK_EQ(memory[3 * PAGE_BYTES], met ? 2 : 1);
        const struct savepoint_snapshot after = take(SAVEPOINT_RING);
        CHECK_EQ(memcmp(&after.digest, met ? &frame.digest : &old.digest, sizeof after.digest), 0);
        CHECK_OK(savepoint_restore(session, &frame.id, NULL, NULL));
        CHECK_EQ(memory[3 * PAGE_BYTES], 2);
        CHECK_EQ(memory[8 * PAGE_BYTES], 9);
        memset(memory + 8 * PAGE_BYTES, 0, 4 * PAGE_BYTES);
        set_memory(7);
        const struct savepoint_snapshot last = take(SAVEPOINT_ARCHIVE);
        set_memory(8);
        CHECK_OK(savepoint_restore(session, &last.id, NULL, NULL));
        check_memory(7);
        close_session();
    }
}

static int refuse_the_end(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)user;
    return done_bytes == total_bytes;
}

/* The shadow stands at the target already, as memory does: the next snapshot is that, and what it is promoted to. */
CHECK_TEST(ring_session, a_restore_that_is_cancelled_at_its_end_leaves_the_ring_good)
{
    const char *path = scratch_path("cancelled.svp");
    struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    open_session(scratch_path("ring.svp"), 1 << 20);
    set_memory(1);
    const struct savepoint_snapshot old = take(SAVEPOINT_ARCHIVE);
    set_memory(2);
    (void)take(SAVEPOINT_ARCHIVE);
    set_memory(1);
    options.progress = refuse_the_end;
    CHECK_STATUS(savepoint_restore(session, &old.id, &options, NULL), SAVEPOINT_CANCELLED);
    check_memory(1);
    const struct savepoint_snapshot frame = take(SAVEPOINT_RING);
    CHECK_MEM(&frame.digest, &old.digest, sizeof old.digest);
    file_remove(path);
    CHECK_OK(savepoint_promote(session, NULL, &frame.id, path, NULL, NULL));
    close_session();
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings, 0);
    savepoint_archive_close(archive);
}

/* The smallest budget that a session is opened with. */
static uint64_t least_budget(const char *path)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    enum savepoint_status status = SAVEPOINT_INVALID;
    options.watch = backend_name(0);
    file_remove(path);
    while (status == SAVEPOINT_INVALID) {
        options.ring_bytes++;
        status = savepoint_open(&session, path, &options, &error);
        CHECK_MSG(status == SAVEPOINT_OK || strstr(error.message, "ring_bytes") != NULL, "%s", error.message);
        CHECK(status == SAVEPOINT_OK || !file_exists(path));
    }
    CHECK_OK(status);
    CHECK_OK(savepoint_close(session, NULL));
    return options.ring_bytes;
}

/* It has no room for a byte of label, metadata or region, and is enough for who needs none of them. */
CHECK_TEST(ring_session, a_budget_below_every_snapshot_is_refused_and_no_other)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    options.ring_bytes = least_budget(scratch_path("ring.svp"));
    CHECK(options.ring_bytes > 64 && options.ring_bytes < sizeof snapshot);
    options.watch = backend_name(0);
    CHECK_OK(savepoint_open(&session, NULL, &options, NULL));
    snapshot = take(SAVEPOINT_RING);
    CHECK_EQ(snapshot.region_count, 0);
    CHECK_OK(savepoint_ring_newest(session, &snapshot, NULL));
    CHECK_OK(savepoint_close(session, NULL));
}

CHECK_TEST(ring_session, a_budget_below_one_snapshot_says_so_and_loses_nothing)
{
    const char *path = scratch_path("ring.svp");
    struct savepoint_error error;
    open_session(path, least_budget(path));
    set_memory(5);
    uint64_t ticket = start(SAVEPOINT_RING);
    CHECK_STATUS(savepoint_wait(session, ticket, NULL, &error), SAVEPOINT_LIMIT);
    CHECK_MSG(strstr(error.message, "ring_bytes") != NULL, "%s", error.message);
    struct savepoint_snapshot snapshot = take(SAVEPOINT_ARCHIVE);
    set_memory(6);
    CHECK_OK(savepoint_restore(session, &snapshot.id, NULL, NULL));
    check_memory(5);
    close_session();
}

/* Room for some frames: the oldest make room, and are told as not found; the budget is kept to. */
CHECK_TEST(ring_session, the_oldest_make_room)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    struct savepoint_snapshot first;
    open_session(NULL, 10 * SMALL);
    for (int i = 0; i < 100; i++) {
        set_memory(i + 1);
        struct savepoint_snapshot frame = take(SAVEPOINT_RING);
        first = i == 0 ? frame : first;
    }
    CHECK_OK(savepoint_read_statistics(session, &statistics, NULL));
    CHECK(statistics.ring_bytes <= 10 * SMALL && statistics.ring_snapshots >= 8);
    CHECK_EQ(statistics.ring_snapshots + statistics.ring_dropped, 100);
    CHECK_STATUS(savepoint_restore(session, &first.id, NULL, NULL), SAVEPOINT_NOT_FOUND);
    check_memory(100);
    close_session();
}

CHECK_TEST(ring_session, what_is_asked_of_a_history_that_is_not_there)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_take_options taking = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint *none = NULL;
    struct savepoint_snapshot snapshot;
    CHECK_STATUS(savepoint_open(&none, NULL, &options, NULL), SAVEPOINT_INVALID);
    open_session(NULL, 1 << 16);
    taking.history = SAVEPOINT_ARCHIVE;
    CHECK_STATUS(savepoint_take(session, NULL, &taking, NULL), SAVEPOINT_INVALID);
    taking.history = 3;
    CHECK_STATUS(savepoint_take(session, NULL, &taking, NULL), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_ring_newest(session, &snapshot, NULL), SAVEPOINT_EMPTY);
    CHECK_STATUS(savepoint_find(session, &snapshot, "HEAD", NULL), SAVEPOINT_NOT_FOUND);
    taking.history = SAVEPOINT_RING;
    taking.label = "start";
    CHECK_OK(savepoint_take(session, NULL, &taking, NULL));
    CHECK_OK(savepoint_find(session, &snapshot, "start", NULL));
    CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_RING) != 0 && (snapshot.flags & SAVEPOINT_SNAPSHOT_ROOT) != 0);
    close_session();
}
