/* test_body.c - the fixed-layout bodies: round trips, every truncation, hostile bytes */
#include "check.h"
#include "format/body.h"
#include "format/coder.h"
#include "hostile.h"

enum { END_OFFSET = 5000, SALT = 99 };

static struct svp_hash hash_of(uint8_t seed)
{
    struct svp_hash hash;
    memset(hash.bytes, seed, sizeof hash.bytes);
    return hash;
}

static struct svp_commit some_commit(void)
{
    struct svp_commit commit = { .id = hash_of(1),
                                 .parent_id = hash_of(2),
                                 .state_root = hash_of(3),
                                 .metadata_hash = hash_of(4),
                                 .base_id = hash_of(5),
                                 .sequence = 6,
                                 .time_ns = 7,
                                 .base = 8,
                                 .parent = 16,
                                 .previous = 24,
                                 .regions = 32,
                                 .metadata = 40,
                                 .index = 48,
                                 .transaction_start = 56,
                                 .pages_stored = 9,
                                 .region_pages = 10,
                                 .delta_bytes = 11,
                                 .key_bytes = 12,
                                 .pause_ns = 13,
                                 .flags = SVP_COMMIT_UNSYNCED | SVP_COMMIT_AUTOSAVE,
                                 .depth = 14,
                                 .region_count = 15,
                                 .label_bytes = 5,
                                 .label = "level" };
    return commit;
}

static struct svp_segment some_segment(void)
{
    struct svp_segment segment = { .alignment = SVP_FILE_ALIGNMENT,
                                   .incompatible = svp_coder_features(),
                                   .file_uuid = { 1 },
                                   .history_uuid = { 2 },
                                   .time_ns = 3,
                                   .page_bytes = SVP_PAGE_BYTES,
                                   .host_page_bytes = 16384,
                                   .creator = "savepoint 9",
                                   .abi = "linux-x86_64",
                                   .build_id = { 9, 8, 7 },
                                   .build_id_bytes = 3 };
    return segment;
}

static struct svp_end some_end(void)
{
    return (struct svp_end){ 4096, 2, 3, 4, 5, 6, 7, 8, 4096, 10, 11, 12, 13 };
}

/* A body's reader behind one signature, and a sample of what it reads. */
static enum svp_verdict read_commit(const uint8_t *body, size_t bytes)
{
    struct svp_commit commit;
    return svp_commit_read(&commit, body, bytes);
}
static enum svp_verdict read_ref(const uint8_t *body, size_t bytes)
{
    struct svp_ref ref;
    return svp_ref_read(&ref, body, bytes);
}
static enum svp_verdict read_tombstone(const uint8_t *body, size_t bytes)
{
    struct svp_tombstone tombstone;
    return svp_tombstone_read(&tombstone, body, bytes);
}
static enum svp_verdict read_seal(const uint8_t *body, size_t bytes)
{
    struct svp_seal seal;
    return svp_seal_read(&seal, body, bytes);
}
static enum svp_verdict read_end(const uint8_t *body, size_t bytes)
{
    struct svp_end end;
    return svp_end_read(&end, body, bytes, END_OFFSET, SALT);
}
static enum svp_verdict read_segment(const uint8_t *body, size_t bytes)
{
    struct svp_segment segment;
    return svp_segment_read(&segment, body, bytes);
}

static void write_sample(struct svp_buffer *to, size_t kind)
{
    const struct svp_commit commit = some_commit();
    const struct svp_segment segment = some_segment();
    const struct svp_end end = some_end();
    const struct svp_ref ref = { 8, 16, { { 3 } }, 4, SVP_REF_LABEL, "boss" };
    const struct svp_tombstone tombstone = { 8, { { 1 } }, { { 2 } }, 3, 4, 16 };
    const struct svp_seal seal = { 8192, 5 };
    switch (kind) {
    case 0:
        svp_commit_write(to, &commit);
        break;
    case 1:
        svp_ref_write(to, &ref);
        break;
    case 2:
        svp_tombstone_write(to, &tombstone);
        break;
    case 3:
        svp_seal_write(to, &seal);
        break;
    case 4:
        svp_end_write(to, &end, END_OFFSET, SALT, 8);
        break;
    default:
        svp_segment_write(to, &segment);
    }
}

static enum svp_verdict (*const readers[])(const uint8_t *body, size_t bytes) = { read_commit, read_ref, read_tombstone,
                                                                                  read_seal,   read_end, read_segment };
enum { KINDS = sizeof readers / sizeof readers[0] };

CHECK_TEST(body, a_truncation_at_any_byte_is_bad)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct svp_buffer body = { 0 };
        write_sample(&body, kind);
        CHECK_MSG(readers[kind](body.bytes, body.count) == SVP_GOOD, "kind %zu", kind);
        for (size_t cut = 0; cut < body.count; cut++) {
            uint8_t *exact = hostile_copy(body.bytes, cut);
            bool tlv_end = kind == 5 && cut >= 80; /* a SEGMENT may end behind any TLV */
            CHECK(readers[kind](exact, cut) == SVP_BAD || tlv_end);
            free(exact);
        }
        svp_buffer_free(&body);
    }
}

CHECK_TEST(body, hostile_bytes_are_survived)
{
    uint64_t random = 77;
    unsigned rounds = hostile_rounds(20000);
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct svp_buffer body = { 0 };
        unsigned refused = 0;
        write_sample(&body, kind);
        for (unsigned i = 0; i < rounds; i++) {
            uint8_t *bytes = hostile_copy(body.bytes, body.count);
            size_t count = hostile_mutate(bytes, body.count, &random);
            refused += readers[kind](bytes, count) != SVP_GOOD ? 1 : 0;
            free(bytes);
        }
        CHECK(refused > rounds / 20);
        svp_buffer_free(&body);
    }
}

CHECK_TEST(body, commit_round_trips_and_its_identity_covers_what_it_should)
{
    const struct svp_commit commit = some_commit();
    struct svp_commit read;
    struct svp_buffer body = { 0 };
    const uint8_t uuid[16] = { 1 };
    const uint8_t other_uuid[16] = { 2 };
    svp_commit_write(&body, &commit);
    CHECK_EQ(body.count, 208 + 5);
    CHECK_EQ(svp_commit_read(&read, body.bytes, body.count), SVP_GOOD);
    CHECK_MEM(&read, &commit, sizeof commit);
    const struct svp_hash id = svp_commit_identity(&commit, uuid);
    struct svp_hash other = svp_commit_identity(&commit, other_uuid);
    CHECK(memcmp(&id, &other, sizeof id) != 0);
    read.base = read.parent = read.index = read.regions = read.depth = 1; /* where things are is no part of it */
    read.pages_stored = read.flags = 0;
    other = svp_commit_identity(&read, uuid);
    CHECK_MEM(&id, &other, sizeof id);
    struct svp_commit changed[6] = { commit, commit, commit, commit, commit, commit };
    changed[0].sequence++;
    changed[1].time_ns++;
    changed[2].label[0] = 'L';
    changed[3].parent_id = hash_of(9);
    changed[4].state_root = hash_of(9);
    changed[5].metadata_hash = hash_of(9);
    for (size_t i = 0; i < 6; i++) {
        other = svp_commit_identity(&changed[i], uuid);
        CHECK(memcmp(&id, &other, sizeof id) != 0);
    }
    svp_buffer_free(&body);
}

CHECK_TEST(body, commit_rules_are_checked)
{
    struct svp_commit bad[6];
    struct svp_commit read;
    for (size_t i = 0; i < 6; i++) {
        bad[i] = some_commit();
    }
    bad[0].flags = 8;
    bad[1].depth = 0;
    bad[2].sequence = 0;
    bad[3].index = 0;
    bad[4].regions = 0;
    bad[5].label[2] = '\0';
    for (size_t i = 0; i < 6; i++) {
        struct svp_buffer body = { 0 };
        svp_commit_write(&body, &bad[i]);
        CHECK_EQ(svp_commit_read(&read, body.bytes, body.count), SVP_BAD);
        svp_buffer_free(&body);
    }
}

CHECK_TEST(body, ref_rules_are_checked)
{
    static const struct svp_ref refs[] = { { .kind = SVP_REF_HEAD, .target = 8 },
                                           { .kind = SVP_REF_PIN, .name = "p" },
                                           { .kind = SVP_REF_HEAD, .name = "h" },
                                           { .kind = SVP_REF_LABEL },
                                           { .kind = 4, .name = "x" },
                                           { .kind = 0 } };
    for (size_t i = 0; i < 6; i++) {
        struct svp_buffer body = { 0 };
        struct svp_ref read;
        svp_ref_write(&body, &refs[i]);
        CHECK_EQ(svp_ref_read(&read, body.bytes, body.count), i < 2 ? SVP_GOOD : SVP_BAD);
        CHECK(i >= 2 || memcmp(&read, &refs[i], sizeof read) == 0);
        svp_buffer_free(&body);
    }
}

CHECK_TEST(body, end_closes_its_block_and_repeats_where_it_stands)
{
    const struct svp_end end = some_end();
    for (uint64_t offset = 4096; offset < 4096 * 3; offset += 8) {
        struct svp_buffer body = { 0 };
        struct svp_end read;
        uint64_t found = 0;
        uint64_t salt = 0;
        svp_end_write(&body, &end, offset, SALT, SVP_FILE_ALIGNMENT);
        CHECK_EQ((offset + SVP_HEADER_BYTES + body.count) % SVP_FILE_ALIGNMENT, 0);
        CHECK_EQ(svp_end_read(&read, body.bytes, body.count, offset, SALT), SVP_GOOD);
        CHECK_MEM(&read, &end, sizeof end);
        CHECK_EQ(svp_end_read(&read, body.bytes, body.count, offset + 8, SALT), SVP_BAD);
        CHECK_EQ(svp_end_read(&read, body.bytes, body.count, offset, SALT + 1), SVP_BAD);
        CHECK(svp_trailer_read(body.bytes + body.count - SVP_TRAILER_BYTES, &found, &salt));
        CHECK_EQ(found, offset);
        CHECK_EQ(salt, SALT);
        svp_buffer_free(&body);
    }
}

CHECK_TEST(body, segment_round_trips_and_names_what_is_missing)
{
    struct svp_segment segment = some_segment();
    struct svp_segment read;
    struct svp_buffer body = { 0 };
    segment.compatible = 1u << 7;
    svp_segment_write(&body, &segment);
    svp_buffer_add(&body, "\x01\0\0\0\x06\0\0\0\2\x07kind\0\0", 16); /* feature TLV: mask 2, bit 7 */
    CHECK_EQ(svp_segment_read(&read, body.bytes, body.count), SVP_GOOD);
    CHECK_STR(read.creator, segment.creator);
    CHECK_STR(read.abi, segment.abi);
    CHECK_EQ(read.build_id_bytes, 3);
    CHECK_MEM(read.build_id, segment.build_id, 3);
    CHECK_EQ(read.compatible, segment.compatible); /* unknown, and harmless */
    CHECK_EQ(read.host_page_bytes, 16384);
    svp_buffer_clear(&body);
    segment.incompatible |= UINT64_C(1) << 40;
    svp_segment_write(&body, &segment);
    svp_buffer_add(&body, "\x01\0\0\0\x07\0\0\0\0\x28turbo\0", 16); /* feature TLV: mask 0, bit 40 */
    CHECK_EQ(svp_segment_read(&read, body.bytes, body.count), SVP_UNSUPPORTED);
    CHECK_STR(read.missing, "turbo");
    svp_buffer_clear(&body);
    segment = some_segment();
    segment.version = 3;
    svp_segment_write(&body, &segment);
    CHECK_EQ(svp_segment_read(&read, body.bytes, body.count), SVP_UNSUPPORTED);
    CHECK_STR(read.missing, "format version 3");
    svp_buffer_free(&body);
}
