/* packed.c - the floor of a restore: pages in zstd blocks, decoded and hashed by nothing but zstd and xxHash */
#include "packed.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "harness.h"
#include "raw.h"
#include "workload.h"

enum { BLOCK_PAGES = 64, BLOCK_BYTES = BLOCK_PAGES * WORKLOAD_PAGE_BYTES, LEVEL = 1 };

static size_t count_blocks(const struct packed *packed)
{
    return (size_t)((packed->pages + BLOCK_PAGES - 1) / BLOCK_PAGES);
}

static uint64_t pages_of(const struct packed *packed, size_t block)
{
    uint64_t left = packed->pages - block * BLOCK_PAGES;
    return left < BLOCK_PAGES ? left : BLOCK_PAGES;
}

void packed_make(struct packed *packed, const uint8_t *state, const uint64_t *numbers, uint64_t pages)
{
    *packed = (struct packed){ .pages = pages };
    const size_t blocks = count_blocks(packed);
    uint8_t *gathered = bench_memory(BLOCK_BYTES);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    packed->capacity = blocks * ZSTD_compressBound(BLOCK_BYTES);
    packed->bytes = bench_fresh(packed->capacity);
    packed->block_bytes = calloc(blocks, sizeof *packed->block_bytes);
    if (context == NULL || packed->block_bytes == NULL) {
        bench_fail("no memory for packed pages");
    }
    size_t end = 0;
    for (size_t block = 0; block < blocks; block++) {
        const uint64_t count = pages_of(packed, block);
        for (uint64_t i = 0; i < count; i++) {
            memcpy(gathered + i * WORKLOAD_PAGE_BYTES, state + numbers[block * BLOCK_PAGES + i] * WORKLOAD_PAGE_BYTES,
                   WORKLOAD_PAGE_BYTES);
        }
        size_t stored = ZSTD_compressCCtx(context, packed->bytes + end, packed->capacity - end, gathered,
                                          (size_t)count * WORKLOAD_PAGE_BYTES, LEVEL);
        if (ZSTD_isError(stored)) {
            bench_fail("zstd: %s", ZSTD_getErrorName(stored));
        }
        packed->block_bytes[block] = stored;
        end += stored;
    }
    ZSTD_freeCCtx(context);
    bench_unmap(gathered, BLOCK_BYTES);
}

void packed_free(struct packed *packed)
{
    if (packed->bytes != NULL) {
        bench_unmap(packed->bytes, packed->capacity);
    }
    free(packed->block_bytes);
}

uint64_t packed_decode(const struct packed *packed, uint8_t *to)
{
    static uint8_t resident[BLOCK_BYTES];
    ZSTD_DCtx *context = ZSTD_createDCtx();
    const uint8_t *from = packed->bytes;
    uint64_t all = 0;
    for (size_t block = 0; block < count_blocks(packed); block++) {
        uint8_t *pages = to != NULL ? to + block * BLOCK_BYTES : resident;
        const uint64_t count = pages_of(packed, block);
        const size_t bytes = (size_t)count * WORKLOAD_PAGE_BYTES;
        if (ZSTD_decompressDCtx(context, pages, bytes, from, packed->block_bytes[block]) != bytes) {
            bench_fail("a packed block cannot be decoded");
        }
        for (uint64_t i = 0; i < count; i++) {
            all ^= raw_hash_page(pages + i * WORKLOAD_PAGE_BYTES);
        }
        from += packed->block_bytes[block];
    }
    ZSTD_freeDCtx(context);
    return all;
}
