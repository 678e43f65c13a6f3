/* buffer.c - a growable run of bytes */
#include "format/buffer.h"

#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"

uint8_t *svp_buffer_reserve(struct svp_buffer *buffer, size_t count)
{
    if (buffer->failed) {
        return NULL;
    }
    if (count > buffer->capacity - buffer->count) {
        size_t wanted = buffer->count + count;
        size_t doubled = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
        size_t capacity = wanted > doubled ? wanted : doubled;
        uint8_t *grown = wanted < count ? NULL : svp_memory_resize(buffer->bytes, capacity, 1);
        if (grown == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    return buffer->bytes + buffer->count;
}

void svp_buffer_add(struct svp_buffer *buffer, const void *bytes, size_t count)
{
    uint8_t *at = svp_buffer_reserve(buffer, count);
    if (at != NULL && count > 0) {
        memcpy(at, bytes, count);
        buffer->count += count;
    }
}

void svp_buffer_add_zeros(struct svp_buffer *buffer, size_t count)
{
    uint8_t *at = svp_buffer_reserve(buffer, count);
    if (at != NULL) {
        memset(at, 0, count);
        buffer->count += count;
    }
}

void svp_buffer_add16(struct svp_buffer *buffer, uint16_t value)
{
    uint8_t bytes[2];
    svp_store16(bytes, value);
    svp_buffer_add(buffer, bytes, sizeof bytes);
}

void svp_buffer_add32(struct svp_buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    svp_store32(bytes, value);
    svp_buffer_add(buffer, bytes, sizeof bytes);
}

void svp_buffer_add64(struct svp_buffer *buffer, uint64_t value)
{
    uint8_t bytes[8];
    svp_store64(bytes, value);
    svp_buffer_add(buffer, bytes, sizeof bytes);
}

void svp_buffer_add_varint(struct svp_buffer *buffer, uint64_t value)
{
    uint8_t bytes[SVP_VARINT_BYTES_MAX];
    svp_buffer_add(buffer, bytes, svp_varint_store(bytes, value));
}

void svp_buffer_pad(struct svp_buffer *buffer, size_t alignment)
{
    svp_buffer_add_zeros(buffer, (alignment - buffer->count % alignment) % alignment);
}

void svp_buffer_clear(struct svp_buffer *buffer)
{
    buffer->count = 0;
    buffer->failed = false;
}

void svp_buffer_free(struct svp_buffer *buffer)
{
    svp_memory_free(buffer->bytes);
    *buffer = (struct svp_buffer){ 0 };
}
