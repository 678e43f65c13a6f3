/* test_receive.c - every call fails in turn while a stream is received, and SIGKILL at every call: the archive holds a
 * prefix of it, each snapshot whole, and the rest can follow */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 300, SNAPSHOTS = 6, THERE = 2, CALLS_MAX = 5000 };

struct stream {
    struct bytes bytes;
    size_t read;
};

struct outcome {
    uint64_t cases, failed, partial;
};

static struct world world; /* what is sent */
static struct bytes start; /* an archive that has the first THERE of it */
static struct stream rest, whole;
static const char *path;

static int write_stream(void *user, const void *from, size_t bytes)
{
    struct bytes *to = user;
    to->at = realloc(to->at, to->count + bytes);
    CHECK(to->at != NULL);
    memcpy(to->at + to->count, from, bytes);
    to->count += bytes;
    return 0;
}

static int read_stream(void *user, void *to, size_t capacity, size_t *bytes)
{
    struct stream *stream = user;
    size_t left = stream->bytes.count - stream->read;
    *bytes = capacity < left ? capacity : left;
    if (*bytes > 0) { /* a stream that is empty has no bytes to point to */
        memcpy(to, stream->bytes.at + stream->read, *bytes);
    }
    stream->read += *bytes;
    return 0;
}

static enum savepoint_status
receive(struct stream *stream, struct savepoint_stream_result *result, struct savepoint_error *error)
{
    stream->read = 0;
    return savepoint_archive_receive(path, result, read_stream, stream, NULL, error);
}

static void send_all(const char *from)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot head, since;
    struct savepoint_send_options options = SAVEPOINT_SEND_OPTIONS_INIT;
    CHECK_OK(savepoint_archive_open(&archive, from, NULL));
    CHECK_OK(savepoint_archive_find(archive, &head, "HEAD", NULL));
    CHECK_OK(savepoint_archive_find(archive, &since, "HEAD~4", NULL));
    CHECK_EQ(since.sequence, THERE);
    CHECK_OK(savepoint_archive_send(archive, NULL, &head, write_stream, &whole.bytes, NULL, NULL));
    options.since = &since;
    CHECK_OK(savepoint_archive_send(archive, NULL, &head, write_stream, &rest.bytes, &options, NULL));
    CHECK(rest.bytes.count < whole.bytes.count / 2);
    whole.read = 0;
    struct stream first = { .read = 0 };
    CHECK_OK(savepoint_archive_send(archive, NULL, &since, write_stream, &first.bytes, NULL, NULL));
    CHECK_OK(receive(&first, NULL, NULL));
    start = file_read(path);
    bytes_free(&first.bytes);
    savepoint_archive_close(archive);
}

static void make(void)
{
    uint64_t seed = 5;
    const char *from = scratch_path("from.svp");
    path = scratch_path("to.svp");
    file_remove(from);
    file_remove(path);
    world_open(&world, from, "compare", PAGES);
    for (int i = 0; i < SNAPSHOTS; i++) {
        random_fill(world_page(&world, i == 0 ? 0 : (size_t)i * 20), (i == 0 ? PAGES : 9) * PAGE_BYTES, &seed);
        world_page(&world, 299)[i]++;
        world_take(&world, SAVEPOINT_SYNC);
    }
    world_close(&world);
    send_all(from);
}

static void unmake(void)
{
    world_free(&world);
    bytes_free(&start);
    bytes_free(&rest.bytes);
    bytes_free(&whole.bytes);
}

/* A prefix, whole; then all of it. Returns how many there were. */
static size_t check_outcome(bool from_start, const char *what)
{
    struct view view = { .kept = 0 };
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    size_t least = from_start ? THERE : 0;
    size_t there = 0;
    if (file_exists(path)) {
        view_archive(&view, path, &world.history, what);
        CHECK_MSG(view.opened == SAVEPOINT_OK || (!from_start && view.opened == SAVEPOINT_NOT_AN_ARCHIVE), "%s: %s",
                  what, view.error.message);
        CHECK_MSG(view.findings == 0 && view.unreadable == 0, "%s: %s", what, view.error.message);
        there = view.kept;
    }
    CHECK_MSG(there >= least, "%s: %zu snapshots", what, there);
    enum savepoint_status status = receive(from_start ? &rest : &whole, NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s: then: %s", what, error.message);
    check_archive(path, &world.history, SNAPSHOTS, what);
    return there;
}

static bool
fail_at(bool from_start, enum fault_kind kind, uint64_t number, bool torn, int os_code, struct outcome *outcome)
{
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    struct savepoint_stream_result result = { 0 };
    char what[100];
    snprintf(what, sizeof what, "kind %d, call %llu, code %d%s", kind, (unsigned long long)number, os_code,
             torn ? ", torn" : "");
    file_remove(path);
    if (from_start) {
        file_write(path, start.at, start.count);
    }
    fault_tear_writes(torn);
    fault_arm(kind, number, false, os_code);
    enum savepoint_status status = receive(from_start ? &rest : &whole, &result, &error);
    bool met = fault_hits(kind) > 0;
    fault_disarm();
    CHECK_MSG(status == SAVEPOINT_OK || error.status == status, "%s: %s", what, savepoint_status_name(status));
    size_t there = check_outcome(from_start, what);
    /* What was told to be received is there: nothing was cut by power. */
    CHECK_MSG(there == (from_start ? THERE : 0) + result.snapshots, "%s: %zu there, %llu received", what, there,
              (unsigned long long)result.snapshots);
    outcome->cases++;
    outcome->failed += status != SAVEPOINT_OK ? 1 : 0;
    outcome->partial += result.snapshots > 0 && status != SAVEPOINT_OK ? 1 : 0;
    return met;
}

CHECK_TEST(receive, every_call_fails)
{
    static const struct {
        enum fault_kind kind;
        bool torn;
        int os_code;
    } ways[] = {
        { FAULT_WRITE, false, ENOSPC }, { FAULT_WRITE, true, ENOSPC },   { FAULT_SYNC, false, EIO },
        { FAULT_READ, false, EIO },     { FAULT_MEMORY, false, ENOMEM },
    };
    struct outcome outcome = { 0 };
    make();
    for (size_t i = 0; i < 2 * sizeof ways / sizeof ways[0]; i++) {
        bool met = true;
        uint64_t step = 1;
        for (uint64_t number = 1; met && number < CALLS_MAX; number += step) {
            met = fail_at(i % 2 == 0, ways[i / 2].kind, number, ways[i / 2].torn, ways[i / 2].os_code, &outcome);
            step = deep() || number < 30 ? 1 : 1 + number / 4;
        }
        CHECK(!met);
    }
    printf("%llu cases: %llu failed, %llu of them after a part\n", (unsigned long long)outcome.cases,
           (unsigned long long)outcome.failed, (unsigned long long)outcome.partial);
    CHECK(outcome.failed >= 60 && outcome.partial >= 10);
    unmake();
}

/* Whatever fails while an archive is sent, what was sent by then is a stream that can be received. */
CHECK_TEST(receive, every_call_of_sending_fails)
{
    static const enum fault_kind kinds[] = { FAULT_READ, FAULT_MEMORY };
    uint64_t failed = 0;
    make();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool met = true;
        for (uint64_t number = 1; met && number < CALLS_MAX; number += deep() || number < 30 ? 1 : 1 + number / 4) {
            struct savepoint_archive *archive = NULL;
            struct savepoint_snapshot head;
            struct savepoint_error error = { .status = SAVEPOINT_OK };
            struct stream sent = { .read = 0 };
            CHECK_OK(savepoint_archive_open(&archive, world.path, NULL));
            CHECK_OK(savepoint_archive_find(archive, &head, "HEAD", NULL));
            fault_arm(kinds[i], number, false, kinds[i] == FAULT_READ ? EIO : ENOMEM);
            enum savepoint_status status =
                savepoint_archive_send(archive, NULL, &head, write_stream, &sent.bytes, NULL, &error);
            met = fault_hits(kinds[i]) > 0;
            fault_disarm();
            savepoint_archive_close(archive);
            CHECK(status == SAVEPOINT_OK || error.status == status);
            file_remove(path);
            enum savepoint_status received = receive(&sent, NULL, NULL);
            CHECK_STATUS(received, status == SAVEPOINT_OK ? SAVEPOINT_OK : SAVEPOINT_TRUNCATED);
            failed += status != SAVEPOINT_OK ? 1 : 0;
            bytes_free(&sent.bytes);
            check_outcome(false, "half sent");
        }
        CHECK(!met);
    }
    CHECK(failed >= 20);
    unmake();
}

/* ---- SIGKILL at every call */

static uint64_t calls_left;

static void die_in_time(enum fault_kind kind)
{
    if (kind != FAULT_MEMORY && kind != FAULT_READ && --calls_left == 0) {
        raise(SIGKILL);
    }
}

CHECK_TEST(receive, killed_at_every_call)
{
    struct outcome outcome = { 0 };
    bool killed = true;
    make();
    for (uint64_t number = 1; killed; number++) {
        int status = 0;
        char what[60];
        CHECK(number < CALLS_MAX);
        snprintf(what, sizeof what, "killed at call %llu", (unsigned long long)number);
        file_remove(path);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            calls_left = number;
            fault_watch(die_in_time);
            _exit(receive(&whole, NULL, NULL) == SAVEPOINT_OK ? 0 : 1);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        killed = WIFSIGNALED(status);
        CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        size_t there = check_outcome(false, what);
        outcome.failed += killed ? 1 : 0;
        outcome.partial += there > 0 && there < SNAPSHOTS ? 1 : 0;
    }
    printf("%llu kills, %llu after a part\n", (unsigned long long)outcome.failed, (unsigned long long)outcome.partial);
    CHECK(outcome.failed >= SNAPSHOTS && outcome.partial >= SNAPSHOTS - 2);
    unmake();
}
