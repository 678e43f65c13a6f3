/* test_record.c - record headers: every flipped bit is seen */
#include "check.h"
#include "format/record.h"
#include "hostile.h"

enum { BODY = 21, PADDED = 24, OFFSET = 4096 };

static void write_one(struct svp_buffer *buffer, uint16_t flags)
{
    uint8_t body[BODY];
    for (unsigned i = 0; i < BODY; i++) {
        body[i] = (uint8_t)(i * 7 + 1);
    }
    const struct svp_record record = {
        .type = SVP_META, .flags = flags, .transaction = 9, .salt = 0x1234567890, .offset = OFFSET
    };
    uint64_t hash = svp_record_write(buffer, &record, body, BODY);
    CHECK_EQ(buffer->count, SVP_HEADER_BYTES + PADDED);
    CHECK(hash != 0);
}

CHECK_TEST(record, comes_back_as_it_was_written)
{
    struct svp_buffer buffer = { 0 };
    struct svp_record record;
    write_one(&buffer, SVP_RECORD_FLOATING);
    CHECK_EQ(svp_record_read(&record, buffer.bytes, OFFSET), SVP_GOOD);
    CHECK_EQ(record.type, SVP_META);
    CHECK_EQ(record.flags, SVP_RECORD_FLOATING);
    CHECK_EQ(record.transaction, 9);
    CHECK_EQ(record.body_bytes, BODY);
    CHECK_EQ(record.salt, 0x1234567890);
    CHECK_EQ(record.offset, OFFSET);
    CHECK_EQ(svp_record_bytes(&record), SVP_HEADER_BYTES + PADDED);
    CHECK(svp_record_body_good(&record, buffer.bytes + SVP_HEADER_BYTES));
    CHECK_EQ(svp_record_read(&record, buffer.bytes, OFFSET + 8), SVP_BAD); /* a misplaced block */
    svp_buffer_free(&buffer);
}

CHECK_TEST(record, every_flipped_bit_is_seen)
{
    struct svp_buffer buffer = { 0 };
    struct svp_record record;
    write_one(&buffer, 0);
    for (size_t bit = 0; bit < buffer.count * 8; bit++) {
        buffer.bytes[bit / 8] = (uint8_t)(buffer.bytes[bit / 8] ^ 1u << bit % 8);
        bool seen = svp_record_read(&record, buffer.bytes, OFFSET) != SVP_GOOD ||
                    !svp_record_body_good(&record, buffer.bytes + SVP_HEADER_BYTES);
        CHECK_MSG(seen, "bit %zu of byte %zu flipped unseen", bit % 8, bit / 8);
        buffer.bytes[bit / 8] = (uint8_t)(buffer.bytes[bit / 8] ^ 1u << bit % 8);
    }
    svp_buffer_free(&buffer);
}

/* Fields that break the format under a header hash that is good. */
CHECK_TEST(record, fields_outside_the_limits_are_refused)
{
    static const uint8_t body[1];
    const struct svp_record good = { .type = 0x8001, .transaction = 1, .salt = 5, .offset = 64 };
    struct svp_record bad[] = { good, good, good, good };
    struct svp_buffer buffer = { 0 };
    struct svp_record read;
    svp_record_write(&buffer, &good, body, 0);
    CHECK_EQ(svp_record_read(&read, buffer.bytes, 64), SVP_GOOD);
    CHECK_EQ(read.body_bytes, 0);
    CHECK(svp_record_body_good(&read, body));
    bad[0].flags = 2;
    bad[1].transaction = 0;
    bad[2].offset = 68;
    bad[3].flags = 0x8000;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        svp_buffer_clear(&buffer);
        svp_record_write(&buffer, &bad[i], body, 1);
        CHECK_EQ(svp_record_read(&read, buffer.bytes, bad[i].offset), SVP_BAD);
    }
    svp_buffer_free(&buffer);
}

CHECK_TEST(record, a_body_above_the_limit_is_refused_before_it_is_read)
{
    static const struct {
        uint16_t type;
        size_t bytes_max;
    } limits[] = { { SVP_PAGES, SVP_BODY_BYTES_MAX },      { SVP_META, SVP_META_BYTES_MAX },
                   { SVP_END, SVP_END_BYTES_MAX },         { SVP_COMMIT, SVP_FIXED_BYTES_MAX },
                   { SVP_REF, SVP_FIXED_BYTES_MAX },       { SVP_SEAL, SVP_FIXED_BYTES_MAX },
                   { SVP_TOMBSTONE, SVP_FIXED_BYTES_MAX }, { SVP_CLOSE, SVP_FIXED_BYTES_MAX } };
    struct svp_buffer buffer = { 0 };
    struct svp_record read;
    uint8_t *body = calloc(1, SVP_BODY_BYTES_MAX + 1);
    CHECK(body != NULL);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct svp_record record = { .type = limits[i].type, .transaction = 1 };
        svp_buffer_clear(&buffer);
        svp_record_write(&buffer, &record, body, limits[i].bytes_max);
        CHECK_EQ(svp_record_read(&read, buffer.bytes, 0), SVP_GOOD);
        svp_buffer_clear(&buffer);
        svp_record_write(&buffer, &record, body, limits[i].bytes_max + 1);
        CHECK_EQ(svp_record_read(&read, buffer.bytes, 0), SVP_BAD);
    }
    free(body);
    svp_buffer_free(&buffer);
}
