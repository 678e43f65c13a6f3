/* test_buffer.c - the growable buffer, and that a failed growth is remembered */
#include "check.h"
#include "format/buffer.h"
#include "format/memory.h"

/* svp_memory_resize fails while this is set. */
static bool no_memory;
void *__real_svp_memory_resize(void *old, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes);

void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes)
{
    return no_memory ? NULL : __real_svp_memory_resize(old, count, bytes);
}

CHECK_TEST(buffer, adds_what_it_is_given)
{
    struct svp_buffer buffer = { 0 };
    svp_buffer_add(&buffer, "ab", 2);
    svp_buffer_add16(&buffer, 0x4443);
    svp_buffer_add32(&buffer, 0x48474645);
    svp_buffer_add64(&buffer, UINT64_C(0x504f4e4d4c4b4a49));
    svp_buffer_add_varint(&buffer, 300);
    svp_buffer_add_zeros(&buffer, 1);
    CHECK_EQ(buffer.count, 19);
    CHECK_MEM(buffer.bytes, "abCDEFGHIJKLMNOP\xac\x02\0", 19);
    svp_buffer_pad(&buffer, 8);
    CHECK_EQ(buffer.count, 24);
    svp_buffer_pad(&buffer, 8);
    CHECK_EQ(buffer.count, 24);
    CHECK_MEM(buffer.bytes + 19, "\0\0\0\0\0", 5);
    svp_buffer_add(&buffer, NULL, 0);
    CHECK_EQ(buffer.count, 24);
    CHECK(!buffer.failed);
    svp_buffer_clear(&buffer);
    CHECK_EQ(buffer.count, 0);
    CHECK(buffer.capacity >= 24);
    svp_buffer_free(&buffer);
    CHECK(buffer.bytes == NULL);
}

CHECK_TEST(buffer, grows_and_keeps_its_bytes)
{
    struct svp_buffer buffer = { 0 };
    for (uint32_t i = 0; i < 100000; i++) {
        svp_buffer_add32(&buffer, i);
    }
    CHECK_EQ(buffer.count, 400000);
    for (uint32_t i = 0; i < 100000; i += 777) {
        CHECK_EQ(buffer.bytes[4 * i] | buffer.bytes[4 * i + 1] << 8 | buffer.bytes[4 * i + 2] << 16, i);
    }
    uint8_t *room = svp_buffer_reserve(&buffer, 1000000);
    CHECK(room == buffer.bytes + 400000);
    CHECK_EQ(buffer.count, 400000);
    svp_buffer_free(&buffer);
}

CHECK_TEST(buffer, remembers_a_failure)
{
    struct svp_buffer buffer = { 0 };
    svp_buffer_add(&buffer, "abc", 3);
    no_memory = true;
    svp_buffer_add_zeros(&buffer, 1 << 20);
    CHECK(buffer.failed);
    no_memory = false;
    svp_buffer_add(&buffer, "d", 1); /* does nothing: the run of additions has a hole */
    svp_buffer_add_varint(&buffer, 1);
    CHECK(svp_buffer_reserve(&buffer, 1) == NULL);
    CHECK(buffer.failed);
    CHECK_EQ(buffer.count, 3);
    svp_buffer_clear(&buffer);
    svp_buffer_add(&buffer, "e", 1);
    CHECK(!buffer.failed);
    CHECK_EQ(buffer.count, 1);
    CHECK(svp_buffer_reserve(&buffer, SIZE_MAX) == NULL); /* the size would wrap */
    CHECK(buffer.failed);
    svp_buffer_free(&buffer);
}
