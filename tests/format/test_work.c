/* test_work.c - what is read of a forged archive, to look at it, grows with the archive and not with its square
 *
 * Each archive is made in two sizes: of the one that is four times as large, little more than four times as much may be
 * read. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "forge.h"
#include "format/bytes.h"
#include "os/file.h"

enum { SMALL = 100, LARGE = 4 * SMALL };

static uint64_t read_bytes, read_calls;

int __real_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    read_bytes += bytes;
    read_calls++;
    return __real_svp_file_read(file, to, bytes, offset, done);
}

typedef void archive_make(struct forge *forge, unsigned count);
typedef void archive_look(const char *path);

struct work {
    uint64_t bytes, calls;
};

static struct work work_of(archive_make *make, archive_look *look, unsigned count)
{
    char path[64] = "/tmp/savepoint-work-XXXXXX";
    struct forge forge;
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    make(&forge, count);
    forge_save(&forge, path);
    forge_close(&forge);
    read_bytes = read_calls = 0;
    look(path);
    unlink(path);
    return (struct work){ read_bytes, read_calls };
}

static void check_work(archive_make *make, archive_look *look)
{
    const struct work small = work_of(make, look, SMALL);
    const struct work large = work_of(make, look, LARGE);
    CHECK_MSG(large.calls <= 6 * small.calls, "%llu reads, and %llu of four times as much",
              (unsigned long long)small.calls, (unsigned long long)large.calls);
    CHECK_MSG(large.bytes <= 6 * small.bytes, "%llu bytes, and %llu of four times as much",
              (unsigned long long)small.bytes, (unsigned long long)large.bytes);
}

/* ---- ways of looking at an archive */

static void open_it(const char *path)
{
    struct savepoint_archive *archive = NULL;
    if (savepoint_archive_open(&archive, path, NULL) == SAVEPOINT_OK) {
        savepoint_archive_close(archive);
    }
}

/* As `log --all` does. */
static void list(const char *path)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL);
    while (status == SAVEPOINT_OK) {
        struct savepoint_snapshot parent = snapshot;
        CHECK(savepoint_archive_parent(archive, &parent, NULL) != SAVEPOINT_IO);
        status = savepoint_archive_previous(archive, &snapshot, NULL);
    }
    savepoint_archive_close(archive);
}

static void verify(const char *path)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK(result.records_checked > SMALL);
    savepoint_archive_close(archive);
}

/* As `export` does. */
static void read_region(const char *path)
{
    enum { PART = 64 * SVP_PAGE_BYTES };
    static uint8_t part[PART];
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_region region;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &snapshot, "HEAD", NULL));
    CHECK_OK(savepoint_archive_region_at(archive, &region, &snapshot, 0, NULL));
    for (uint64_t at = 0; at < region.bytes; at += PART) {
        size_t bytes = region.bytes - at < PART ? (size_t)(region.bytes - at) : PART;
        CHECK_OK(savepoint_archive_read(archive, part, &snapshot, region.name, at, bytes, NULL));
    }
    savepoint_archive_close(archive);
}

/* ---- archives */

static void add_zeros(struct svp_buffer *body, size_t bytes)
{
    svp_buffer_add_zeros(body, bytes);
}

/* Each block of the second half ends with a trailer that leads to an END as large as the first. */
static void trailers(struct forge *forge, unsigned count)
{
    static const uint8_t magic[] = "SVPEND\r\n";
    forge_open(forge, SVP_FILE_ALIGNMENT, 1);
    const uint64_t at = forge->file.count;
    add_zeros(&forge->body, (size_t)count * SVP_FILE_ALIGNMENT);
    for (unsigned i = 0; i <= count; i++) {
        struct svp_buffer *to = i == 0 ? &forge->body : &forge->file;
        add_zeros(to, i == 0 ? 0 : SVP_FILE_ALIGNMENT - SVP_TRAILER_BYTES);
        svp_buffer_add64(to, at);
        svp_buffer_add64(to, svp_load64(forge->file.bytes + 32)); /* the salt */
        svp_buffer_add(to, magic, 8);
        if (i == 0) {
            forge_record(forge, SVP_END);
            add_zeros(&forge->file, (size_t)(svp_round_up(forge->file.count, SVP_FILE_ALIGNMENT) - forge->file.count));
        }
    }
}

/* A torn tail full of headers, none of which proves anything. */
static void headers(struct forge *forge, unsigned count)
{
    forge_open(forge, SVP_FILE_ALIGNMENT, 1);
    forge_snapshot(forge, &(struct forge_commit){ .depth = 1 });
    forge->flags = SVP_RECORD_FLOATING;
    add_zeros(&forge->file, 8);
    for (unsigned i = 0; i < 10 * count; i++) {
        forge_record(forge, SVP_REF);
    }
}

/* All snapshots lead on, by a record to be skipped, into one and the same long row of references. */
static void shared_tails(struct forge *forge, unsigned count)
{
    forge_open(forge, SVP_FILE_ALIGNMENT, 1);
    forge_index(forge, SVP_INDEX_LIST, 0);
    const struct svp_record wrapper = { .type = 0x8001, .transaction = 1, .salt = svp_load64(forge->file.bytes + 32) };
    const size_t start = forge->file.count;
    add_zeros(&forge->file, SVP_HEADER_BYTES); /* of the record around all of it */
    for (unsigned i = 0; i < count; i++) {
        forge_commit(forge, &(struct forge_commit){ .depth = 1 });
        const size_t left = (count - 1 - i) * (size_t)(208 + 2 * SVP_HEADER_BYTES);
        struct svp_record skipped = wrapper;
        uint8_t *header = svp_buffer_reserve(&forge->file, SVP_HEADER_BYTES + left);
        const size_t at = forge->file.count;
        CHECK(header != NULL);
        uint8_t *nothing = calloc(1, left + 1);
        skipped.offset = at;
        svp_record_write(&forge->file, &skipped, nothing, left);
        forge->file.count = at + SVP_HEADER_BYTES; /* what is inside comes now: the hash of the body is not looked at */
        free(nothing);
    }
    for (unsigned i = 0; i < 20 * count; i++) {
        forge_record(forge, SVP_REF);
    }
    struct svp_buffer inside = { 0 };
    struct svp_record around = wrapper;
    around.offset = start;
    svp_buffer_add(&inside, forge->file.bytes + start + SVP_HEADER_BYTES, forge->file.count - start - SVP_HEADER_BYTES);
    forge->file.count = start;
    svp_buffer_clear(&forge->chain);
    svp_record_write(&forge->file, &around, inside.bytes, inside.count);
    svp_buffer_free(&inside);
    forge_end(forge);
}

/* Half of them were dropped, each the child of the one before; the others are children of the last of those. */
static void dropped(struct forge *forge, unsigned count)
{
    uint64_t *offsets = calloc(count, sizeof *offsets);
    uint64_t last = 0;
    CHECK(offsets != NULL);
    forge_open(forge, SVP_FILE_ALIGNMENT, 1);
    for (unsigned i = 0; i < count; i++) {
        offsets[i] = forge_snapshot(forge, &(struct forge_commit){ .parent = last, .depth = 1 });
        last = i < count / 2 ? offsets[i] : last;
    }
    forge_begin(forge);
    for (unsigned i = 0; i < count / 2; i++) {
        forge_tombstone(forge, offsets[i]);
    }
    forge_end(forge);
    free(offsets);
}

/* Each map goes on at the first snapshot. */
static void deep_maps(struct forge *forge, unsigned count)
{
    forge_open(forge, SVP_FILE_ALIGNMENT, 1);
    const uint64_t first = forge_snapshot(forge, &(struct forge_commit){ .depth = 1 });
    uint64_t last = first;
    for (unsigned i = 0; i < count; i++) {
        forge_begin(forge);
        forge_index(forge, SVP_INDEX_MAP, first);
        last = forge_commit(forge, &(struct forge_commit){ last, last, i + 2 });
        forge_end(forge);
    }
}

/* As many snapshots, one resting on the other by lists, as the region has pages, which are nowhere in them. */
static void long_lists(struct forge *forge, unsigned count)
{
    uint64_t last = 0;
    forge_open(forge, SVP_STREAM_ALIGNMENT, count);
    for (unsigned i = 0; i < count; i++) {
        last = forge_snapshot(forge, &(struct forge_commit){ last, last, i + 1 });
    }
}

CHECK_TEST(work, opening_follows_no_trailer_to_an_end_that_is_too_large)
{
    check_work(trailers, open_it);
}

CHECK_TEST(work, looking_for_evidence_among_headers_reads_on_where_it_was)
{
    const uint64_t bytes = work_of(headers, open_it, LARGE).bytes;
    check_work(headers, open_it);
    CHECK_MSG(bytes < (uint64_t)10 * LARGE * 80 * SVP_HEADER_BYTES, "%llu bytes read", (unsigned long long)bytes);
}

CHECK_TEST(work, a_snapshot_is_described_without_the_whole_way_to_its_end)
{
    check_work(shared_tails, list);
}

CHECK_TEST(work, dropped_ancestors_are_stepped_over_once)
{
    check_work(dropped, list);
}

CHECK_TEST(work, a_map_that_goes_far_down_is_checked_in_few_steps)
{
    check_work(deep_maps, verify);
}

CHECK_TEST(work, a_region_is_read_through_a_long_chain_of_lists)
{
    check_work(long_lists, read_region);
}

/* ---- a stream of snapshots that are here already */

static int keep(void *user, const void *bytes, size_t count)
{
    svp_buffer_add(user, bytes, count);
    return 0;
}

struct rest { /* of a stream */
    const struct svp_buffer *stream;
    size_t at;
};

static int give(void *user, void *bytes, size_t wanted, size_t *got)
{
    struct rest *rest = user;
    const size_t left = rest->stream->count - rest->at;
    *got = wanted < left ? wanted : left;
    memcpy(bytes, rest->stream->bytes + rest->at, *got);
    rest->at += *got;
    return 0;
}

static void take_all(const char *path, unsigned count)
{
    struct savepoint *session = NULL;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_take_options unsynced = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint8_t *memory = aligned_alloc(SVP_PAGE_BYTES, SVP_PAGE_BYTES);
    CHECK(memory != NULL);
    options.watch = "compare";
    unsynced.durability = SAVEPOINT_NONE;
    CHECK_OK(savepoint_open(&session, path, &options, NULL));
    CHECK_OK(savepoint_watch(session, "r", memory, SVP_PAGE_BYTES, NULL));
    for (unsigned i = 0; i < count; i++) {
        memset(memory, (int)i, SVP_PAGE_BYTES);
        CHECK_OK(savepoint_take(session, NULL, &unsynced, NULL));
    }
    CHECK_OK(savepoint_close(session, NULL));
    free(memory);
}

static uint64_t reads_to_receive_again(unsigned count)
{
    char path[64] = "/tmp/savepoint-work-XXXXXX";
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot head;
    struct savepoint_stream_result result;
    struct svp_buffer stream = { 0 };
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    take_all(path, count);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &head, "HEAD", NULL));
    CHECK_OK(savepoint_archive_send(archive, &result, &head, keep, &stream, NULL, NULL));
    savepoint_archive_close(archive);
    read_calls = 0;
    struct rest rest = { &stream, 0 };
    CHECK_OK(savepoint_archive_receive(path, &result, give, &rest, NULL, NULL));
    CHECK_EQ(result.snapshots_present, count);
    svp_buffer_free(&stream);
    unlink(path);
    return read_calls;
}

CHECK_TEST(work, receiving_what_is_here_goes_over_the_history_once)
{
    const uint64_t small = reads_to_receive_again(SMALL);
    const uint64_t large = reads_to_receive_again(LARGE);
    CHECK_MSG(large <= 6 * small, "%llu reads, and %llu of four times as much", (unsigned long long)small,
              (unsigned long long)large);
}
