/* bytes.h - little-endian loads and stores, varints, and a cursor that cannot leave its bytes */
#ifndef SVP_BYTES_H
#define SVP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t svp_load16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (unsigned)at[1] << 8);
}
static inline uint32_t svp_load32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t svp_load64(const uint8_t *at)
{
    return (uint64_t)svp_load32(at) | (uint64_t)svp_load32(at + 4) << 32;
}
static inline void svp_store16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}
static inline void svp_store32(uint8_t *at, uint32_t value)
{
    svp_store16(at, (uint16_t)value);
    svp_store16(at + 2, (uint16_t)(value >> 16));
}
static inline void svp_store64(uint8_t *at, uint64_t value)
{
    svp_store32(at, (uint32_t)value);
    svp_store32(at + 4, (uint32_t)(value >> 32));
}

static inline void svp_xor_bytes(uint8_t *to, const uint8_t *from, size_t bytes)
{
    size_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
        svp_store64(to + at, svp_load64(to + at) ^ svp_load64(from + at));
    }
    for (; at < bytes; at++) {
        to[at] ^= from[at];
    }
}

#define SVP_VARINT_BYTES_MAX 10u

/* Writes the shortest varint of `value`; returns its bytes (at most SVP_VARINT_BYTES_MAX). */
static inline size_t svp_varint_store(uint8_t *at, uint64_t value)
{
    size_t bytes = 0;
    while (value >= 0x80) {
        at[bytes++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[bytes++] = (uint8_t)value;
    return bytes;
}

/* Differences wrap modulo 2^64, so any two offsets have one. */
static inline uint64_t svp_zigzag(uint64_t difference)
{
    return (difference << 1) ^ (0 - (difference >> 63));
}
static inline uint64_t svp_unzigzag(uint64_t value)
{
    return (value >> 1) ^ (0 - (value & 1));
}

/* Reads forward; the first read that does not fit sets `bad`, and all reads return 0 from then on. */
struct svp_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct svp_cursor svp_cursor_over(const uint8_t *bytes, size_t count)
{
    return (struct svp_cursor){ bytes, bytes + count, false };
}
static inline size_t svp_cursor_left(const struct svp_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}
/* The next `count` bytes, or NULL. */
static inline const uint8_t *svp_cursor_bytes(struct svp_cursor *cursor, size_t count)
{
    if (cursor->bad || svp_cursor_left(cursor) < count) {
        cursor->bad = true;
        return NULL;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += count;
    return bytes;
}
static inline uint16_t svp_cursor16(struct svp_cursor *cursor)
{
    const uint8_t *bytes = svp_cursor_bytes(cursor, 2);
    return bytes != NULL ? svp_load16(bytes) : 0;
}
static inline uint32_t svp_cursor32(struct svp_cursor *cursor)
{
    const uint8_t *bytes = svp_cursor_bytes(cursor, 4);
    return bytes != NULL ? svp_load32(bytes) : 0;
}
static inline uint64_t svp_cursor64(struct svp_cursor *cursor)
{
    const uint8_t *bytes = svp_cursor_bytes(cursor, 8);
    return bytes != NULL ? svp_load64(bytes) : 0;
}
static inline void svp_cursor_copy(struct svp_cursor *cursor, void *to, size_t count)
{
    const uint8_t *bytes = svp_cursor_bytes(cursor, count);
    if (bytes != NULL) {
        memcpy(to, bytes, count);
    } else {
        memset(to, 0, count);
    }
}
/* Refuses values of 2^64 and above and encodings that are not the shortest (SPEC.md section 1). */
static inline uint64_t svp_cursor_varint(struct svp_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *byte = svp_cursor_bytes(cursor, 1);
        if (byte == NULL) {
            return 0;
        }
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80) {
            if ((shift == 63 && *byte > 1) || (shift > 0 && *byte == 0)) {
                break;
            }
            return value;
        }
        if (shift == 63) {
            break;
        }
    }
    cursor->bad = true;
    return 0;
}

static inline uint64_t svp_round_up(uint64_t value, uint64_t alignment) /* a power of two; may wrap */
{
    return (value + alignment - 1) & ~(alignment - 1);
}

#endif
