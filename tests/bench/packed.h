/* packed.h - the floor of a restore, and of a take: pages in zstd blocks, by nothing but zstd and xxHash */
#ifndef PACKED_H
#define PACKED_H

#include <stddef.h>
#include <stdint.h>

struct packed {
    uint64_t pages;
    uint8_t *bytes; /* blocks of 64 pages, one behind the other */
    size_t capacity;
    size_t *block_ends;
};

/* Packs the pages `numbers[0..pages)` of `state` in this order, as the library packs by default. */
void packed_make(struct packed *packed, const uint8_t *state, const uint64_t *numbers, uint64_t pages);
void packed_free(struct packed *packed);

/* What these pages take, packed in blocks as the library packs them; the blocks are not kept. */
uint64_t packed_size(const uint8_t *pages, uint64_t count);

/* Decodes all blocks and hashes each page, on several threads: to `to`, one behind the other; or, where `numbers` is
 * not NULL, by way of a buffer, page i to `to` + numbers[i] * 4096. Returns something that depends on all hashes. */
uint64_t packed_decode(const struct packed *packed, uint8_t *to, const uint64_t *numbers, unsigned threads);

#endif
