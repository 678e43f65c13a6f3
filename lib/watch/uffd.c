/* uffd.c - the write-watch of Linux 6.7 and later: asynchronous write-protection by userfaultfd, read by PAGEMAP_SCAN
 *
 * The kernel resolves the write faults by itself, for stores and for system calls alike; a page is "written" when
 * its protection is gone. Nothing is kept per page here: `mark` and `prepare` simply lift the protection. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends.h"
#include "format/memory.h"
#include "mapping.h"
#include "probe.h"
#include "status.h"
#include "uffd_abi.h"
#include "uffd_refused.h"

struct svp_watch {
    int faults;  /* userfaultfd */
    int pagemap; /* /proc/self/pagemap */
    pid_t owner; /* both files stand for the memory of the process that opened them, also in its children */
    size_t page_bytes;
    struct uffd_abi_range *ranges;
    size_t range_count, range_capacity;
};

/* Written pages are fetched in batches of this many runs, through the stack: it is resident. No more than 512: with
 * room for more, Linux (6.18) returns a walk_end behind which it has already reported pages. */
enum { SCAN_BATCH = 128 };

/* ---- open and close */

static enum savepoint_status open_faults(struct svp_watch *watch, struct savepoint_error *error)
{
    watch->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_ABI_USER_MODE_ONLY);
    if (watch->faults < 0) {
        return svp_uffd_refused(error, errno);
    }
    struct uffd_abi_handshake handshake = {
        .version = UFFD_ABI_VERSION,
        .features = UFFD_ABI_WP_ASYNC | UFFD_ABI_WP_UNPOPULATED | UFFD_ABI_WP_SHMEM,
    };
    if (ioctl(watch->faults, UFFD_ABI_HANDSHAKE, &handshake) != 0) {
        return svp_uffd_refused(error, errno);
    }
    return SAVEPOINT_OK;
}

static void free_watch(struct svp_watch *watch)
{
    if (watch->faults >= 0) {
        close(watch->faults);
    }
    if (watch->pagemap >= 0) {
        close(watch->pagemap);
    }
    svp_memory_free(watch->ranges);
    svp_memory_free(watch);
}

static enum savepoint_status uffd_open(struct svp_watch **watch, struct savepoint_error *error)
{
    struct svp_watch *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->owner = getpid();
    opened->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    opened->pagemap = -1;
    enum savepoint_status status = open_faults(opened, error);
    if (status == SAVEPOINT_OK) {
        opened->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        if (opened->pagemap < 0) {
            status = svp_uffd_refused_pagemap(error, errno);
        }
    }
    if (status != SAVEPOINT_OK) {
        free_watch(opened);
        return status;
    }
    *watch = opened;
    return SAVEPOINT_OK;
}

static bool in_child(const struct svp_watch *watch)
{
    return getpid() != watch->owner;
}

static enum savepoint_status refuse_child(struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_FORKED, "watch", "this write-watch belongs to the parent process");
}

/* The kernel takes out all or nothing. Where the application has mapped a file over a part, or unmapped it, that part
 * is found by halves and left out: nothing of it is armed. */
static void unregister(const struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    struct uffd_abi_range argument = { start, bytes };
    if (ioctl(watch->faults, UFFD_ABI_UNREGISTER, &argument) != 0 && bytes > watch->page_bytes) {
        size_t half = bytes / watch->page_bytes / 2 * watch->page_bytes;
        unregister(watch, start, half);
        unregister(watch, start + half, bytes - half);
    }
}

static void uffd_close(struct svp_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    /* Closing the file would do, but a forked child may hold a copy of it. In a child itself, unregistering
     * would disarm the parent; the child's memory was never armed. */
    for (size_t i = 0; i < watch->range_count && !in_child(watch); i++) {
        unregister(watch, watch->ranges[i].start, watch->ranges[i].bytes);
    }
    free_watch(watch);
}

static enum savepoint_status uffd_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    enum savepoint_status status = svp_probe_try(&svp_uffd_backend, error);
    if (status == SAVEPOINT_OK) {
        *caps = (struct svp_watch_caps){
            .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
            .kernel_writes_counted = true,
            .atomic_rearm = true,
            .concurrent_writers_safe = true,
            .concurrent_collects = true,
            .arms_memory = true,
            .exclusive = true,
            .cost = SAVEPOINT_WATCH_COST_KERNEL_FAULT,
        };
    }
    return status;
}

/* ---- add and remove */

/* Arms a range, or lifts its protection so that it counts as written. Returns errno, 0 for success. */
static int set_protection(const struct svp_watch *watch, uintptr_t start, size_t bytes, bool armed)
{
    struct uffd_abi_protect argument = { { start, bytes }, armed ? UFFD_ABI_PROTECT : 0 };
    return ioctl(watch->faults, UFFD_ABI_WRITEPROTECT, &argument) == 0 ? 0 : errno;
}

static enum savepoint_status
remember_range(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    for (size_t i = 0; i < watch->range_count; i++) {
        const struct uffd_abi_range *range = &watch->ranges[i];
        if (start < range->start + range->bytes && range->start < start + bytes) {
            return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch", "memory at 0x%" PRIxPTR " is watched already",
                                   start);
        }
    }
    if (watch->range_count == watch->range_capacity) {
        size_t capacity = watch->range_capacity == 0 ? 8 : 2 * watch->range_capacity;
        struct uffd_abi_range *grown = svp_memory_resize(watch->ranges, capacity, sizeof *grown);
        if (grown == NULL) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for another watched range");
        }
        watch->ranges = grown;
        watch->range_capacity = capacity;
    }
    watch->ranges[watch->range_count++] = (struct uffd_abi_range){ start, bytes };
    return SAVEPOINT_OK;
}

static enum savepoint_status
register_range(const struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct uffd_abi_register argument = { { start, bytes }, UFFD_ABI_REGISTER_WP, 0 };
    if (ioctl(watch->faults, UFFD_ABI_REGISTER, &argument) == 0) {
        return SAVEPOINT_OK;
    }
    if (errno == EBUSY) {
        return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch",
                               "a part of 0x%" PRIxPTR " to 0x%" PRIxPTR " is in use by another userfaultfd of this "
                               "process (another session, or another library)",
                               start, start + bytes);
    }
    if (errno == EINVAL) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "the kernel cannot watch this kind of mapping at 0x%" PRIxPTR, start);
    }
    return svp_status_os(error, errno, "watch", "memory at 0x%" PRIxPTR " cannot be watched", start);
}

static enum savepoint_status
arm_range(const struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    int failure = set_protection(watch, start, bytes, true);
    bool whole = failure == 0;
    if (whole) {
        failure = set_protection(watch, start, watch->page_bytes, true);
    }
    /* Explicit huge pages refuse to be protected in part, and so cannot be collected in part. */
    if (whole && failure == EINVAL) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " consists of explicit huge pages (hugetlbfs), which cannot be "
                               "watched page by page: use madvise(MADV_HUGEPAGE) instead",
                               start);
    }
    if (failure != 0) {
        return svp_status_os(error, failure, "watch", "memory at 0x%" PRIxPTR " cannot be write-protected", start);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status
uffd_add(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    enum savepoint_status status = svp_mapping_check(start, bytes, SVP_MAPPING_ALONE, NULL, error);
    if (status == SAVEPOINT_OK) {
        status = remember_range(watch, start, bytes, error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = register_range(watch, start, bytes, error);
    if (status == SAVEPOINT_OK) {
        status = arm_range(watch, start, bytes, error);
        if (status != SAVEPOINT_OK) {
            unregister(watch, start, bytes);
        }
    }
    if (status != SAVEPOINT_OK) {
        watch->range_count--;
    }
    return status;
}

static void uffd_remove(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    if (in_child(watch)) {
        return;
    }
    for (size_t i = 0; i < watch->range_count; i++) {
        if (watch->ranges[i].start == start && watch->ranges[i].bytes == bytes) {
            unregister(watch, watch->ranges[i].start, watch->ranges[i].bytes);
            watch->ranges[i] = watch->ranges[--watch->range_count];
            return;
        }
    }
}

/* ---- collect and mark */

/* One category, asked for and reported, is the kernel's fast path: ten times faster than any other. WRITTEN
 * alone, without PRESENT, since written pages that were swapped out must be reported too. The array is never
 * NULL: some kernels crash on that. */
static struct uffd_abi_scan scan_request(uintptr_t start, uintptr_t end, enum svp_watch_mode mode)
{
    return (struct uffd_abi_scan){
        .size = sizeof(struct uffd_abi_scan),
        .flags = UFFD_ABI_SCAN_MUST_BE_ARMED | (mode == SVP_WATCH_REARM ? UFFD_ABI_SCAN_REARM : 0),
        .start = start,
        .end = end,
        .all_of = UFFD_ABI_PAGE_WRITTEN,
        .reported = UFFD_ABI_PAGE_WRITTEN,
    };
}

/* Only when asked to does the kernel mind memory that is not armed: else it is a filter of system calls that does. */
static bool is_scan_denied(const struct svp_watch *watch, uintptr_t start)
{
    struct uffd_abi_found found = { 0, 0, 0 };
    struct uffd_abi_scan scan = scan_request(start, start + watch->page_bytes, SVP_WATCH_PEEK);
    scan.flags = 0;
    scan.found = (uintptr_t)&found;
    scan.found_capacity = 1;
    return ioctl(watch->pagemap, UFFD_ABI_PAGEMAP_SCAN, &scan) < 0 && errno == EPERM;
}

static enum savepoint_status
scan_failed(const struct svp_watch *watch, uintptr_t start, uintptr_t end, int os_code, struct savepoint_error *error)
{
    if (os_code == ENOTTY || (os_code == EPERM && is_scan_denied(watch, start))) {
        return svp_uffd_refused_scan(error, os_code);
    }
    if (os_code == EPERM) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "collect",
                               "a part of 0x%" PRIxPTR " to 0x%" PRIxPTR " was replaced or moved (mmap, mremap) while "
                               "under watch: remove the region and watch it anew",
                               start, end);
    }
    return svp_status_os(error, os_code, "collect", "written pages of 0x%" PRIxPTR " to 0x%" PRIxPTR " cannot be read",
                         start, end);
}

static enum savepoint_status
uffd_collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
             struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
             struct savepoint_error *error)
{
    struct uffd_abi_found found[SCAN_BATCH] = { { 0, 0, 0 } };
    struct uffd_abi_scan scan = scan_request(start, start + bytes, mode);
    scan.found = (uintptr_t)found;
    scan.max_pages = max_pages;
    size_t count = 0;
    if (in_child(watch)) {
        return refuse_child(error);
    }
    while (scan.start < scan.end && count < run_capacity) {
        scan.found_capacity = run_capacity - count < SCAN_BATCH ? run_capacity - count : SCAN_BATCH;
        int got = ioctl(watch->pagemap, UFFD_ABI_PAGEMAP_SCAN, &scan);
        /* A failed scan may have re-armed pages without telling which: all of the range counts as written. */
        if (got < 0) {
            return scan_failed(watch, start, start + bytes, errno, error);
        }
        if (got == 0 && scan.walk_end == scan.start) {
            return scan_failed(watch, start, start + bytes, EIO, error);
        }
        uint64_t pages = 0;
        for (int i = 0; i < got; i++) {
            size_t run_bytes = (size_t)(found[i].end - found[i].start);
            runs[count++] = (struct svp_watch_run){ (uintptr_t)found[i].start, run_bytes };
            pages += run_bytes / watch->page_bytes;
        }
        scan.start = scan.walk_end;
        if (max_pages != 0) {
            scan.max_pages -= pages;
            if (scan.max_pages == 0) {
                break;
            }
        }
    }
    *run_count = count;
    *resume = (uintptr_t)scan.start;
    return SAVEPOINT_OK;
}

static enum savepoint_status
uffd_mark(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    int failure = set_protection(watch, start, bytes, false);
    if (failure != 0) {
        return svp_status_os(error, failure, "mark", "memory at 0x%" PRIxPTR " is no longer under watch", start);
    }
    return SAVEPOINT_OK;
}

static bool uffd_widened(const struct svp_watch *watch)
{
    (void)watch;
    return false;
}

const struct svp_watch_backend svp_uffd_backend = {
    .name = "uffd",
    .mechanism = "userfaultfd asynchronous write-protection, read by PAGEMAP_SCAN",
    .probe = uffd_probe,
    .open = uffd_open,
    .add = uffd_add,
    .remove = uffd_remove,
    .collect = uffd_collect,
    .mark = uffd_mark,
    .prepare = uffd_mark,
    .widened = uffd_widened,
    .close = uffd_close,
};
