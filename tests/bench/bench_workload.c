/* bench_workload.c - what the workloads' states compress to: bench_workload [MIB] */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "workload.h"

/* Compressed size by original size, of the stripes of one class or of all of the state. */
static double ratio_of(const uint8_t *state, size_t bytes, size_t block_bytes, int kind, uint8_t *packed)
{
    size_t original = 0, stored = 0;
    for (size_t at = 0; at < bytes; at += block_bytes) {
        if (kind < 0 || (int)workload_class_of(at / WORKLOAD_PAGE_BYTES) == kind) {
            size_t count = bytes - at < block_bytes ? bytes - at : block_bytes;
            original += count;
            stored += ZSTD_compress(packed, ZSTD_compressBound(block_bytes), state + at, count, 1);
        }
    }
    return (double)stored / (double)original;
}

int main(int argc, char **argv)
{
    enum { LARGE_BLOCK = 4 << 20, SMALL_BLOCK = 64 << 10, STRIPES_MIB = 4 };
    const unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
    if (argc > 2 || mib < STRIPES_MIB || mib > 1 << 20) {
        fprintf(stderr, "usage: bench_workload [MIB]    (at least %d; default 1024)\n", STRIPES_MIB);
        return 2;
    }
    const size_t bytes = (size_t)mib << 20;
    const struct workload_shape shape = { .seed = 1, .pages = bytes / WORKLOAD_PAGE_BYTES };
    uint8_t *state = malloc(bytes);
    uint8_t *packed = malloc(ZSTD_compressBound(LARGE_BLOCK));
    if (state == NULL || packed == NULL) {
        fprintf(stderr, "bench_workload: no memory for %lu MiB\n", mib);
        free(state);
        free(packed);
        return 1;
    }
    workload_fill(state, &shape, 0, shape.pages);
    printf("%-28s %s\n", "state", "size after zstd -1");
    for (int kind = 0; kind < WORKLOAD_CLASS_COUNT; kind++) {
        double ratio = ratio_of(state, bytes, SMALL_BLOCK, kind, packed);
        printf("%-28s %.4f\n", workload_class_name((enum workload_class)kind), ratio);
    }
    printf("%-28s %.4f\n", "all, blocks of 64 KiB", ratio_of(state, bytes, SMALL_BLOCK, -1, packed));
    printf("%-28s %.4f\n", "all, blocks of 4 MiB", ratio_of(state, bytes, LARGE_BLOCK, -1, packed));
    free(state);
    free(packed);
    return 0;
}
