/* buffer.h - a growable run of bytes whose failures are remembered until asked for */
#ifndef SVP_BUFFER_H
#define SVP_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start with all zero. After a failed growth `failed` stays set and additions do nothing, so that a run of
 * additions needs one check at its end. */
struct svp_buffer {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
    bool failed;
};

/* Room for `count` more bytes; NULL when there is no memory. Does not change `count`. */
uint8_t *svp_buffer_reserve(struct svp_buffer *buffer, size_t count);
void svp_buffer_add(struct svp_buffer *buffer, const void *bytes, size_t count);
void svp_buffer_add_zeros(struct svp_buffer *buffer, size_t count);
void svp_buffer_add16(struct svp_buffer *buffer, uint16_t value);
void svp_buffer_add32(struct svp_buffer *buffer, uint32_t value);
void svp_buffer_add64(struct svp_buffer *buffer, uint64_t value);
void svp_buffer_add_varint(struct svp_buffer *buffer, uint64_t value);
/* Zero bytes up to a multiple of `alignment` (a power of two). */
void svp_buffer_pad(struct svp_buffer *buffer, size_t alignment);
void svp_buffer_clear(struct svp_buffer *buffer); /* keeps the memory */
void svp_buffer_free(struct svp_buffer *buffer);

#endif
