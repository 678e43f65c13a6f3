/* raw.c - the floor: what the kernel, memcpy and the hash alone cost for the pages that were written */
#include "raw.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#ifdef BENCH_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

#include "harness.h"

enum { PAGE_BYTES = 4096, FOUND_MAX = 512 };

bool raw_open(struct raw *raw, size_t bytes, uint64_t most_pages, const char **why)
{
    *raw = (struct raw){ .bytes = bytes };
    raw->gathered_bytes = (size_t)most_pages * PAGE_BYTES;
    raw->found = bench_memory(FOUND_MAX * sizeof *raw->found);
    raw->gathered = bench_memory(raw->gathered_bytes);
    raw->memory = bench_memory(bytes);
    memset(raw->memory, 0, bytes);
    if (!raw_watch_open(&raw->watch, raw->memory, bytes, why)) {
        raw_close(raw);
        return false;
    }
    return true;
}

void raw_close(struct raw *raw)
{
    raw_watch_close(&raw->watch);
    bench_unmap(raw->found, FOUND_MAX * sizeof *raw->found);
    bench_unmap(raw->gathered, raw->gathered_bytes);
    bench_unmap(raw->memory, raw->bytes);
}

uint64_t raw_capture(struct raw *raw)
{
    struct uffd_abi_scan scan = raw_watch_scan(raw->memory, raw->bytes, true, raw->found, FOUND_MAX);
    size_t copied = 0;
    while (scan.start < scan.end) {
        int found = raw_watch_next(&raw->watch, &scan);
        for (int i = 0; i < found; i++) {
            size_t bytes = (size_t)(raw->found[i].end - raw->found[i].start);
            if (bytes > raw->gathered_bytes - copied) {
                bench_fail("more pages were written than announced");
            }
            memcpy(raw->gathered + copied, (const void *)(uintptr_t)raw->found[i].start, bytes);
            copied += bytes;
        }
    }
    return copied / PAGE_BYTES;
}

uint64_t raw_hash_page(const void *page)
{
    return XXH3_128bits_withSeed(page, PAGE_BYTES, 0).low64;
}

uint64_t raw_hash_state(const void *state, size_t bytes)
{
    uint64_t hash = 0;
    for (size_t at = 0; at < bytes; at += PAGE_BYTES) {
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + raw_hash_page((const uint8_t *)state + at);
    }
    return hash;
}

uint64_t raw_hash(const struct raw *raw, uint64_t pages)
{
    uint64_t all = 0;
    for (uint64_t i = 0; i < pages; i++) {
        all ^= raw_hash_page(raw->gathered + i * PAGE_BYTES);
    }
    return all;
}
