/* raw.c - the floor: what the kernel, memcpy and the hash alone cost for the pages that were written */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>
#ifdef BENCH_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

#include "harness.h"
#include "watch/uffd_abi.h" /* the kernel's interface: nothing of the library */

enum { PAGE_BYTES = 4096, FOUND_MAX = 4096 };

static bool open_watch(struct raw *raw, const char **why)
{
    raw->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_ABI_USER_MODE_ONLY);
    if (raw->faults < 0) {
        *why = "no userfaultfd here";
        return false;
    }
    struct uffd_abi_handshake handshake = {
        .version = UFFD_ABI_VERSION,
        .features = UFFD_ABI_WP_ASYNC | UFFD_ABI_WP_UNPOPULATED,
    };
    if (ioctl(raw->faults, UFFD_ABI_HANDSHAKE, &handshake) != 0) {
        *why = "no asynchronous write-protection here: needs Linux 6.7";
        return false;
    }
    raw->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (raw->pagemap < 0) {
        *why = "no /proc/self/pagemap here";
        return false;
    }
    return true;
}

static bool arm(struct raw *raw, const char **why)
{
    const struct uffd_abi_range range = { (uintptr_t)raw->memory, raw->bytes };
    struct uffd_abi_register registration = { range, UFFD_ABI_REGISTER_WP, 0 };
    struct uffd_abi_protect protection = { range, UFFD_ABI_PROTECT };
    if (ioctl(raw->faults, UFFD_ABI_REGISTER, &registration) != 0 ||
        ioctl(raw->faults, UFFD_ABI_WRITEPROTECT, &protection) != 0) {
        *why = "memory cannot be write-protected here";
        return false;
    }
    return true;
}

bool raw_open(struct raw *raw, size_t bytes, uint64_t most_pages, const char **why)
{
    *raw = (struct raw){ .bytes = bytes, .faults = -1, .pagemap = -1 };
    raw->gathered_bytes = (size_t)most_pages * PAGE_BYTES;
    raw->found = bench_memory(FOUND_MAX * sizeof *raw->found);
    raw->gathered = bench_memory(raw->gathered_bytes);
    raw->memory = bench_memory(bytes);
    memset(raw->memory, 0, bytes);
    if (!open_watch(raw, why) || !arm(raw, why)) {
        raw_close(raw);
        return false;
    }
    return true;
}

void raw_close(struct raw *raw)
{
    if (raw->faults >= 0) {
        close(raw->faults);
    }
    if (raw->pagemap >= 0) {
        close(raw->pagemap);
    }
    bench_unmap(raw->found, FOUND_MAX * sizeof *raw->found);
    bench_unmap(raw->gathered, raw->gathered_bytes);
    bench_unmap(raw->memory, raw->bytes);
}

uint64_t raw_capture(struct raw *raw)
{
    struct uffd_abi_scan scan = {
        .size = sizeof scan,
        .flags = UFFD_ABI_SCAN_MUST_BE_ARMED | UFFD_ABI_SCAN_REARM,
        .start = (uintptr_t)raw->memory,
        .end = (uintptr_t)raw->memory + raw->bytes,
        .found = (uintptr_t)raw->found,
        .found_capacity = FOUND_MAX,
        .all_of = UFFD_ABI_PAGE_WRITTEN,
        .reported = UFFD_ABI_PAGE_WRITTEN,
    };
    size_t copied = 0;
    while (scan.start < scan.end) {
        int found = ioctl(raw->pagemap, UFFD_ABI_PAGEMAP_SCAN, &scan);
        if (found < 0) {
            bench_fail("PAGEMAP_SCAN failed");
        }
        for (int i = 0; i < found; i++) {
            size_t bytes = (size_t)(raw->found[i].end - raw->found[i].start);
            if (bytes > raw->gathered_bytes - copied) {
                bench_fail("more pages were written than announced");
            }
            memcpy(raw->gathered + copied, (const void *)(uintptr_t)raw->found[i].start, bytes);
            copied += bytes;
        }
        scan.start = scan.walk_end;
    }
    return copied / PAGE_BYTES;
}

uint64_t raw_hash_page(const void *page)
{
    return XXH3_128bits_withSeed(page, PAGE_BYTES, 0).low64;
}

uint64_t raw_hash(const struct raw *raw, uint64_t pages)
{
    uint64_t all = 0;
    for (uint64_t i = 0; i < pages; i++) {
        all ^= raw_hash_page(raw->gathered + i * PAGE_BYTES);
    }
    return all;
}
