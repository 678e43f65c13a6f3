/* test_bytes.c - little-endian loads and stores, varints, the cursor */
#include "check.h"
#include "format/bytes.h"
#include "hostile.h"

CHECK_TEST(bytes, stores_are_little_endian)
{
    uint8_t at[8];
    svp_store16(at, 0x1234);
    CHECK_MEM(at, "\x34\x12", 2);
    svp_store32(at, 0x12345678);
    CHECK_MEM(at, "\x78\x56\x34\x12", 4);
    svp_store64(at, UINT64_C(0x0123456789abcdef));
    CHECK_MEM(at, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8);
    CHECK_EQ(svp_load16(at), 0xcdef);
    CHECK_EQ(svp_load32(at), 0x89abcdef);
    CHECK_EQ(svp_load64(at), UINT64_C(0x0123456789abcdef));
    memset(at, 0xff, sizeof at);
    CHECK_EQ(svp_load32(at), UINT32_MAX);
    CHECK_EQ(svp_load64(at), UINT64_MAX);
}

static size_t check_varint(uint64_t value)
{
    uint8_t at[SVP_VARINT_BYTES_MAX];
    size_t bytes = svp_varint_store(at, value);
    CHECK(bytes >= 1 && bytes <= SVP_VARINT_BYTES_MAX);
    for (size_t cut = 0; cut <= bytes; cut++) {
        uint8_t *exact = hostile_copy(at, cut);
        struct svp_cursor cursor = svp_cursor_over(exact, cut);
        uint64_t read = svp_cursor_varint(&cursor);
        CHECK_EQ(cursor.bad, cut < bytes);
        CHECK_EQ(read, cut < bytes ? 0 : value);
        free(exact);
    }
    CHECK_EQ(svp_unzigzag(svp_zigzag(value)), value);
    return bytes;
}

CHECK_TEST(bytes, varints_round_trip_at_every_length)
{
    uint64_t random = 3;
    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t power = UINT64_C(1) << shift;
        CHECK_EQ(check_varint(power), shift / 7 + 1);
        check_varint(power - 1);
        check_varint(power + model_below(&random, power));
    }
    CHECK_EQ(check_varint(UINT64_MAX), 10);
}

static bool varint_is_refused(const char *bytes, size_t count)
{
    struct svp_cursor cursor = svp_cursor_over((const uint8_t *)bytes, count);
    uint64_t value = svp_cursor_varint(&cursor);
    return cursor.bad && value == 0;
}

CHECK_TEST(bytes, varints_that_are_not_the_shortest_or_too_large_are_refused)
{
    CHECK(varint_is_refused("\x80\x00", 2));
    CHECK(varint_is_refused("\xff\x80\x00", 3));
    CHECK(varint_is_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10)); /* 2^64 and more */
    CHECK(varint_is_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
    CHECK(varint_is_refused("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10));
    CHECK(!varint_is_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
}

CHECK_TEST(bytes, zigzag_orders_small_differences_first)
{
    CHECK_EQ(svp_zigzag(0), 0);
    CHECK_EQ(svp_zigzag((uint64_t)-1), 1);
    CHECK_EQ(svp_zigzag(1), 2);
    CHECK_EQ(svp_zigzag((uint64_t)-2), 3);
    CHECK_EQ(svp_zigzag((uint64_t)INT64_MIN), UINT64_MAX);
}

CHECK_TEST(bytes, cursor_stays_bad_and_never_leaves_its_bytes)
{
    const uint8_t bytes[7] = { 1, 2, 3, 4, 5, 6, 7 };
    struct svp_cursor cursor = svp_cursor_over(bytes, sizeof bytes);
    uint8_t copy[3];
    CHECK_EQ(svp_cursor32(&cursor), 0x04030201);
    CHECK_EQ(svp_cursor32(&cursor), 0);
    CHECK(cursor.bad);
    CHECK_EQ(svp_cursor16(&cursor), 0); /* it would fit, but the cursor is bad */
    CHECK(svp_cursor_bytes(&cursor, 0) == NULL);
    svp_cursor_copy(&cursor, copy, sizeof copy);
    CHECK_MEM(copy, "\0\0\0", sizeof copy);
    CHECK_EQ(svp_cursor_left(&cursor), 3);
    cursor = svp_cursor_over(bytes, sizeof bytes);
    CHECK(svp_cursor_bytes(&cursor, SIZE_MAX) == NULL);
    CHECK_EQ(svp_round_up(0, 8), 0);
    CHECK_EQ(svp_round_up(1, 4096), 4096);
    CHECK_EQ(svp_round_up(4096, 4096), 4096);
}
