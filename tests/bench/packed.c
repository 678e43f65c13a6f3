/* packed.c - the floor of a restore, and of a take: pages in zstd blocks, by nothing but zstd and xxHash */
#include "packed.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "harness.h"
#include "raw.h"
#include "threads.h"
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
    packed->block_ends = calloc(blocks, sizeof *packed->block_ends);
    if (context == NULL || packed->block_ends == NULL) {
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
        end += stored;
        packed->block_ends[block] = end;
    }
    ZSTD_freeCCtx(context);
    bench_unmap(gathered, BLOCK_BYTES);
}

void packed_free(struct packed *packed)
{
    if (packed->bytes != NULL) {
        bench_unmap(packed->bytes, packed->capacity);
    }
    free(packed->block_ends);
}

struct decoding {
    const struct packed *packed;
    uint8_t *to;
    const uint64_t *numbers;
    unsigned threads;
    uint64_t all[THREADS_MAX];
};

static uint64_t decode_block(const struct packed *packed, size_t block, uint8_t *pages, ZSTD_DCtx *context)
{
    const size_t start = block > 0 ? packed->block_ends[block - 1] : 0;
    const uint64_t count = pages_of(packed, block);
    const size_t bytes = (size_t)count * WORKLOAD_PAGE_BYTES;
    uint64_t all = 0;
    if (ZSTD_decompressDCtx(context, pages, bytes, packed->bytes + start, packed->block_ends[block] - start) != bytes) {
        bench_fail("a packed block cannot be decoded");
    }
    for (uint64_t i = 0; i < count; i++) {
        all ^= raw_hash_page(pages + i * WORKLOAD_PAGE_BYTES);
    }
    return all;
}

/* Puts the pages of a block where they belong. */
static void place_block(const struct decoding *decoding, size_t block, const uint8_t *pages)
{
    const uint64_t *numbers = decoding->numbers + block * BLOCK_PAGES;
    for (uint64_t i = 0; i < pages_of(decoding->packed, block); i++) {
        memcpy(decoding->to + numbers[i] * WORKLOAD_PAGE_BYTES, pages + i * WORKLOAD_PAGE_BYTES, WORKLOAD_PAGE_BYTES);
    }
}

/* Every so-and-so-manieth block: the kinds of pages are shared out evenly. */
static void decode_blocks(void *context, unsigned index)
{
    static uint8_t buffers[THREADS_MAX][BLOCK_BYTES];
    struct decoding *decoding = context;
    ZSTD_DCtx *unpacker = ZSTD_createDCtx();
    uint64_t all = 0;
    for (size_t block = index; block < count_blocks(decoding->packed); block += decoding->threads) {
        uint8_t *pages = decoding->numbers == NULL ? decoding->to + block * BLOCK_BYTES : buffers[index];
        all ^= decode_block(decoding->packed, block, pages, unpacker);
        if (decoding->numbers != NULL) {
            place_block(decoding, block, pages);
        }
    }
    decoding->all[index] = all;
    ZSTD_freeDCtx(unpacker);
}

uint64_t packed_decode(const struct packed *packed, uint8_t *to, const uint64_t *numbers, unsigned threads)
{
    struct decoding decoding = { .packed = packed, .to = to, .numbers = numbers, .threads = threads };
    uint64_t all = 0;
    threads_run(threads, decode_blocks, &decoding);
    for (unsigned i = 0; i < threads; i++) {
        all ^= decoding.all[i];
    }
    return all;
}

uint64_t packed_size(const uint8_t *pages, uint64_t count)
{
    static ZSTD_CCtx *context; /* as warm as that of a session */
    static uint8_t packed[BLOCK_BYTES + BLOCK_BYTES / 64];
    uint64_t all = 0;
    context = context != NULL ? context : ZSTD_createCCtx();
    for (uint64_t first = 0; first < count; first += BLOCK_PAGES) {
        uint64_t left = count - first < BLOCK_PAGES ? count - first : BLOCK_PAGES;
        size_t stored = ZSTD_compressCCtx(context, packed, sizeof packed, pages + first * WORKLOAD_PAGE_BYTES,
                                          (size_t)left * WORKLOAD_PAGE_BYTES, LEVEL);
        if (ZSTD_isError(stored)) {
            bench_fail("zstd: %s", ZSTD_getErrorName(stored));
        }
        all += stored;
    }
    return all;
}
