/* test_stream.c - send and receive on archives of random programs: every pair (since, to); cut streams; flipped bytes
 *
 * SEED=n runs that one program; SAVEPOINT_TEST_DEEP=1 twenty times as many. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/bytes.h"
#include "format/digest.h"
#include "program.h"

enum { PROGRAMS = 6, STEPS = 50, DEEP_FACTOR = 20, SNAPSHOTS_MAX = 100, CUTS = 12, FLIPS = 24, FORGERIES = 150 };

struct stream { /* in memory */
    uint8_t *bytes;
    size_t count, capacity, read;
    size_t fail_at; /* writing fails there; 0: nowhere */
    uint64_t random;
};

struct counts {
    uint64_t programs, branches, pairs, sent, received, present, changes, refused, cuts, kept_of_cuts, flips, caught;
    uint64_t forgeries, refused_forgeries;
};

static const char copy_path[] = "stream-copy.svp";

/* ---- streams */

static int write_stream(void *user, const void *from, size_t bytes)
{
    struct stream *stream = user;
    if (stream->fail_at != 0 && stream->count + bytes > stream->fail_at) {
        return ENOSPC;
    }
    if (stream->count + bytes > stream->capacity) {
        stream->capacity = 2 * (stream->count + bytes);
        stream->bytes = realloc(stream->bytes, stream->capacity);
        CHECK(stream->bytes != NULL);
    }
    memcpy(stream->bytes + stream->count, from, bytes);
    stream->count += bytes;
    return 0;
}

/* As pipes do: as much as there happens to be. */
static int read_stream(void *user, void *to, size_t capacity, size_t *bytes)
{
    struct stream *stream = user;
    size_t left = stream->count - stream->read;
    size_t part = 1 + (size_t)model_below(&stream->random, 9000);
    part = part < left ? part : left;
    *bytes = part < capacity ? part : capacity;
    memcpy(to, stream->bytes + stream->read, *bytes);
    stream->read += *bytes;
    return 0;
}

static struct savepoint_stream_result
send_to(struct program *program, struct savepoint_archive *archive, struct stream *stream,
        const struct savepoint_snapshot *to, const struct savepoint_snapshot *since)
{
    struct savepoint_send_options options = SAVEPOINT_SEND_OPTIONS_INIT;
    struct savepoint_stream_result result = { 0 };
    struct savepoint_error error;
    options.since = since;
    stream->count = stream->read = 0;
    PROGRAM_STATUS(program, savepoint_archive_send(archive, &result, to, write_stream, stream, &options, &error),
                   SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.stream_bytes == stream->count);
    return result;
}

static enum savepoint_status
receive(struct stream *stream, struct savepoint_stream_result *result, struct savepoint_error *error)
{
    *result = (struct savepoint_stream_result){ 0 };
    stream->read = 0;
    return savepoint_archive_receive(copy_path, result, read_stream, stream, NULL, error);
}

/* ---- the copy */

static void report_finding(void *user, const struct savepoint_finding *finding)
{
    program_fail(user, "savepoint_archive_verify of the copy", finding->message);
}

/* Every snapshot in the copy is one of the model, whole, and rests where it should. Returns how many there are. */
static size_t check_copy(struct program *program, bool forged)
{
    struct savepoint_archive *copy = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result = { 0 };
    struct savepoint_error error;
    size_t count = 0;
    PROGRAM_STATUS(program, savepoint_archive_open(&copy, copy_path, &error), SAVEPOINT_OK, &error);
    enum savepoint_status status = savepoint_archive_newest(copy, &snapshot, &error);
    for (; status == SAVEPOINT_OK; count++) {
        const struct model_snapshot *expected = model_find(&program->model, &snapshot.id);
        struct savepoint_snapshot parent = snapshot;
        PROGRAM_CHECK(program, expected != NULL);
        if (forged) { /* where regions live, and offsets, are no part of an id; verification sees to the rest */
            status = savepoint_archive_previous(copy, &snapshot, &error);
            continue;
        }
        program_check_snapshot(program, copy, &snapshot, expected);
        bool root = (snapshot.flags & SAVEPOINT_SNAPSHOT_ROOT) != 0;
        PROGRAM_STATUS(program, savepoint_archive_parent(copy, &parent, &error),
                       root ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK, &error);
        PROGRAM_CHECK(program, root || memcmp(&parent.id, &expected->parent, sizeof parent.id) == 0);
        status = savepoint_archive_previous(copy, &snapshot, &error);
    }
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_NOT_FOUND, &error);
    options.report = report_finding;
    options.report_user = program;
    PROGRAM_STATUS(program, savepoint_archive_verify(copy, &result, &options, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.findings == 0 && result.snapshots_checked == count);
    savepoint_archive_close(copy);
    return count;
}

static struct savepoint_id head_of_copy(struct program *program)
{
    struct savepoint_archive *copy = NULL;
    struct savepoint_snapshot head;
    struct savepoint_error error;
    PROGRAM_STATUS(program, savepoint_archive_open(&copy, copy_path, &error), SAVEPOINT_OK, &error);
    PROGRAM_STATUS(program, savepoint_archive_find(copy, &head, "HEAD", &error), SAVEPOINT_OK, &error);
    savepoint_archive_close(copy);
    return head.id;
}

static bool copy_has(const struct savepoint_id *id)
{
    struct savepoint_archive *copy = NULL;
    struct savepoint_snapshot snapshot;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(id, text);
    CHECK_OK(savepoint_archive_open(&copy, copy_path, NULL));
    bool found = savepoint_archive_find(copy, &snapshot, text, NULL) == SAVEPOINT_OK;
    savepoint_archive_close(copy);
    return found;
}

/* ---- pairs */

/* A copy of all up to `since`; then what leads from there to `to`. */
static void
check_pair(struct program *program, struct savepoint_archive *archive, struct stream *stream,
           const struct savepoint_snapshot *since, const struct savepoint_snapshot *to, struct counts *counts)
{
    struct savepoint_stream_result sent;
    struct savepoint_stream_result result;
    struct savepoint_error error;
    unlink(copy_path);
    sent = send_to(program, archive, stream, since, NULL);
    PROGRAM_STATUS(program, receive(stream, &result, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.snapshots == sent.snapshots && result.snapshots_present == 0);
    size_t whole = stream->count;
    size_t before = (size_t)result.snapshots;
    sent = send_to(program, archive, stream, to, since);
    enum savepoint_status status = receive(stream, &result, &error);
    counts->pairs++;
    counts->sent += sent.snapshots;
    if (status == SAVEPOINT_MISMATCH) { /* an older branch, with regions of its own */
        PROGRAM_CHECK(program, strstr(error.message, "regions that are newer") != NULL);
        PROGRAM_CHECK(program, check_copy(program, false) == before + result.snapshots);
        counts->refused++;
        return;
    }
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.snapshots == sent.snapshots && result.snapshots_present == 0);
    PROGRAM_CHECK(program, check_copy(program, false) == before + result.snapshots && copy_has(&to->id));
    struct savepoint_id head = head_of_copy(program);
    PROGRAM_CHECK(program, memcmp(&head, &since->id, sizeof head) == 0); /* received snapshots do not move it */
    counts->received += result.snapshots;
    counts->changes += sent.snapshots == 1 && stream->count < whole ? 1 : 0;

    /* Once more: all is there, and nothing changes; also with all that came before. */
    status = receive(stream, &result, &error);
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.snapshots == 0 && result.snapshots_present == sent.snapshots);
    sent = send_to(program, archive, stream, to, NULL);
    program_status(program, CHECK_WHERE_, receive(stream, &result, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.snapshots == 0 && result.snapshots_present == sent.snapshots);
    PROGRAM_CHECK(program, check_copy(program, false) >= before);
    counts->present += result.snapshots_present;
}

/* ---- damage */

/* Cut anywhere: what was whole is there, nothing else, and the rest can follow. */
static void check_cuts(struct program *program, struct savepoint_archive *archive, struct stream *stream,
                       const struct savepoint_snapshot *to, struct counts *counts)
{
    struct savepoint_stream_result sent = send_to(program, archive, stream, to, NULL);
    size_t whole = stream->count;
    for (unsigned i = 0; i < CUTS; i++) {
        struct savepoint_stream_result result;
        struct savepoint_error error;
        unlink(copy_path);
        stream->count = program_below(program, whole);
        PROGRAM_STATUS(program, receive(stream, &result, &error), SAVEPOINT_TRUNCATED, &error);
        stream->count = whole;
        counts->cuts++;
        counts->kept_of_cuts += result.snapshots;
        if (result.snapshots == 0) {
            PROGRAM_CHECK(program, access(copy_path, F_OK) != 0);
        } else {
            PROGRAM_CHECK(program, check_copy(program, false) == result.snapshots);
        }
        uint64_t first = result.snapshots;
        PROGRAM_STATUS(program, receive(stream, &result, &error), SAVEPOINT_OK, &error);
        PROGRAM_CHECK(program, result.snapshots == sent.snapshots - first && result.snapshots_present == first);
        PROGRAM_CHECK(program, check_copy(program, false) == sent.snapshots);
    }
}

/* A changed byte is met, and what is committed is right all the same. */
static void check_flips(struct program *program, struct savepoint_archive *archive, struct stream *stream,
                        const struct savepoint_snapshot *to, struct counts *counts)
{
    send_to(program, archive, stream, to, NULL);
    for (unsigned i = 0; i < FLIPS; i++) {
        struct savepoint_stream_result result;
        struct savepoint_error error;
        size_t at = (size_t)program_below(program, stream->count);
        uint8_t mask = (uint8_t)(1u << program_below(program, 8));
        unlink(copy_path);
        stream->bytes[at] ^= mask;
        enum savepoint_status status = receive(stream, &result, &error);
        stream->bytes[at] ^= mask;
        bool met = status == SAVEPOINT_CORRUPT || status == SAVEPOINT_TRUNCATED || status == SAVEPOINT_NOT_AN_ARCHIVE;
        PROGRAM_CHECK(program, met);
        PROGRAM_CHECK(program, access(copy_path, F_OK) != 0 || check_copy(program, false) == result.snapshots);
        counts->flips++;
        counts->caught += met ? 1 : 0;
    }
}

/* All hashes of a stream anew, so that what was changed in it looks as if it was written so. */
static void reseal(struct stream *stream)
{
    static uint8_t chain[1 << 16];
    size_t chained = 0;
    uint64_t previous = 0;
    for (size_t at = 0; at + SVP_HEADER_BYTES <= stream->count;) {
        uint8_t *header = stream->bytes + at;
        uint64_t salt = svp_load64(header + 32);
        size_t padded = (size_t)svp_round_up(svp_load64(header + 24), 8);
        if (svp_load16(header + 8) == SVP_END) {
            svp_store64(header + SVP_HEADER_BYTES + 88, svp_digest64(salt, chain, chained));
            svp_store64(header + SVP_HEADER_BYTES + 96, previous);
            previous = svp_digest64(salt, chain, chained);
            chained = 0;
        }
        svp_store64(header + 48, svp_digest64(salt, header + SVP_HEADER_BYTES, padded));
        svp_store64(header + 56, svp_digest64(salt, header, 56));
        if (svp_load16(header + 8) != SVP_END) {
            memcpy(chain + chained, header + 56, 8);
            chained += 8;
        }
        at += SVP_HEADER_BYTES + padded;
    }
}

/* A stream that somebody made up, with good hashes: what is committed still is what its id says. */
static void
check_forgeries(struct program *program, struct savepoint_archive *archive, struct stream *stream,
                const struct savepoint_snapshot *since, const struct savepoint_snapshot *to, struct counts *counts)
{
    struct stream first = { .random = 7 };
    struct stream whole = { .random = 7 };
    send_to(program, archive, &first, since, NULL);
    send_to(program, archive, &whole, to, since);
    for (unsigned i = 0; i < FORGERIES; i++) {
        struct savepoint_stream_result result;
        struct savepoint_error error;
        size_t at = 0;
        stream->count = 0;
        write_stream(stream, whole.bytes, whole.count);
        uint64_t skipped = program_below(program, 40);
        for (uint64_t k = 0; k < skipped; k++) { /* some record, and some of its first bytes: they steer */
            size_t next = at + SVP_HEADER_BYTES + (size_t)svp_round_up(svp_load64(stream->bytes + at + 24), 8);
            at = next + SVP_HEADER_BYTES < stream->count ? next : 0;
        }
        size_t body = (size_t)svp_load64(stream->bytes + at + 24);
        for (uint64_t k = program_below(program, 3); body > 0; k--) {
            size_t place = (size_t)program_below(program, program_below(program, 4) == 0 ? body
                                                          : body < 80                    ? body
                                                                                         : 80);
            stream->bytes[at + SVP_HEADER_BYTES + place] ^= (uint8_t)(1u << program_below(program, 8));
            if (k == 0) {
                break;
            }
        }
        reseal(stream);
        unlink(copy_path);
        program_status(program, CHECK_WHERE_, receive(&first, &result, &error), SAVEPOINT_OK, &error);
        uint64_t before = result.snapshots;
        enum savepoint_status status = receive(stream, &result, &error);
        PROGRAM_CHECK(program, check_copy(program, true) == before + result.snapshots);
        counts->forgeries++;
        counts->refused_forgeries += status != SAVEPOINT_OK ? 1 : 0;
    }
    free(first.bytes);
    free(whole.bytes);
}

/* ---- programs */

static size_t list(struct program *program, struct savepoint_archive *archive, struct savepoint_snapshot *snapshots)
{
    struct savepoint_error error;
    size_t count = 0;
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshots[0], &error);
    while (status == SAVEPOINT_OK) {
        PROGRAM_CHECK(program, ++count < SNAPSHOTS_MAX);
        snapshots[count] = snapshots[count - 1];
        status = savepoint_archive_previous(archive, &snapshots[count], &error);
    }
    return count;
}

static void check_streams(struct program *program, struct counts *counts)
{
    static struct savepoint_snapshot snapshots[SNAPSHOTS_MAX];
    struct savepoint_archive *archive = NULL;
    struct savepoint_error error;
    struct stream stream = { .random = program->seed };
    PROGRAM_STATUS(program, savepoint_archive_open(&archive, program->path, &error), SAVEPOINT_OK, &error);
    size_t count = list(program, archive, snapshots);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            check_pair(program, archive, &stream, &snapshots[i], &snapshots[k], counts);
        }
    }
    check_cuts(program, archive, &stream, &snapshots[0], counts);
    check_flips(program, archive, &stream, &snapshots[0], counts);
    check_forgeries(program, archive, &stream, &snapshots[count / 2], &snapshots[0], counts);
    check_forgeries(program, archive, &stream, &snapshots[count - 1], &snapshots[0], counts);
    savepoint_archive_close(archive);
    unlink(copy_path);
    free(stream.bytes);
}

static void run_program(uint64_t seed, struct counts *counts)
{
    struct program_counts done = { 0 };
    struct program program;
    program_open(&program, "compare", seed, &done);
    for (unsigned i = 0; i < STEPS; i++) {
        program_step(&program);
    }
    program_settle(&program);
    PROGRAM_STATUS(&program, savepoint_close(program.session, NULL), SAVEPOINT_OK, NULL);
    program.session = NULL;
    bad_disk_arm(0);
    program.action = "send and receive";
    if (program.model.snapshot_count > 0) {
        check_streams(&program, counts);
    }
    program_close(&program);
    counts->branches += done.branches;
    counts->programs++;
}

CHECK_TEST(stream, every_pair_is_received_as_it_was)
{
    const char *seed = getenv("SEED");
    uint64_t programs = getenv("SAVEPOINT_TEST_DEEP") != NULL ? PROGRAMS * DEEP_FACTOR : PROGRAMS;
    struct counts counts = { 0 };
    if (seed != NULL) {
        run_program(strtoull(seed, NULL, 0), &counts);
        return;
    }
    for (uint64_t k = 1; k <= programs; k++) {
        run_program(9000 + k, &counts);
    }
    fprintf(stderr,
            "stream: %" PRIu64 " programs, %" PRIu64 " branches, %" PRIu64 " pairs (%" PRIu64 " refused): %" PRIu64
            " snapshots received, %" PRIu64 " passed over; %" PRIu64 " cuts that kept %" PRIu64 " snapshots, %" PRIu64
            " flips, %" PRIu64 " forgeries (%" PRIu64 " refused)\n",
            counts.programs, counts.branches, counts.pairs, counts.refused, counts.received, counts.present,
            counts.cuts, counts.kept_of_cuts, counts.flips, counts.forgeries, counts.refused_forgeries);
    CHECK(counts.branches >= counts.programs / 2 && counts.pairs >= counts.programs * 50);
    CHECK(counts.refused < counts.pairs / 4 && counts.received >= counts.pairs / 4 && counts.present >= counts.pairs);
    CHECK(counts.kept_of_cuts >= counts.programs && counts.flips == counts.caught && counts.changes > 0);
    CHECK(counts.refused_forgeries >= counts.forgeries / 2);
}
