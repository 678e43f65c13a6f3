/* raw_watch.c - the write-watch of the kernel, without any of the library: armed by userfaultfd, read by PAGEMAP_SCAN
 */
#define _GNU_SOURCE
#include "raw_watch.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

static bool open_files(struct raw_watch *watch, const char **why)
{
    watch->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_ABI_USER_MODE_ONLY);
    if (watch->faults < 0) {
        *why = "no userfaultfd here";
        return false;
    }
    struct uffd_abi_handshake handshake = {
        .version = UFFD_ABI_VERSION,
        .features = UFFD_ABI_WP_ASYNC | UFFD_ABI_WP_UNPOPULATED,
    };
    if (ioctl(watch->faults, UFFD_ABI_HANDSHAKE, &handshake) != 0) {
        *why = "no asynchronous write-protection here: needs Linux 6.7";
        return false;
    }
    watch->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (watch->pagemap < 0) {
        *why = "no /proc/self/pagemap here";
        return false;
    }
    return true;
}

static bool arm(const struct raw_watch *watch, void *memory, size_t bytes, const char **why)
{
    const struct uffd_abi_range range = { (uintptr_t)memory, bytes };
    struct uffd_abi_register registration = { range, UFFD_ABI_REGISTER_WP, 0 };
    struct uffd_abi_protect protection = { range, UFFD_ABI_PROTECT };
    if (ioctl(watch->faults, UFFD_ABI_REGISTER, &registration) != 0 ||
        ioctl(watch->faults, UFFD_ABI_WRITEPROTECT, &protection) != 0) {
        *why = "memory cannot be write-protected here";
        return false;
    }
    return true;
}

bool raw_watch_open(struct raw_watch *watch, void *memory, size_t bytes, const char **why)
{
    *watch = (struct raw_watch){ .is_open = true, .faults = -1, .pagemap = -1 };
    if (!open_files(watch, why) || !arm(watch, memory, bytes, why)) {
        raw_watch_close(watch);
        return false;
    }
    return true;
}

void raw_watch_close(struct raw_watch *watch)
{
    if (watch->is_open && watch->faults >= 0) {
        close(watch->faults);
    }
    if (watch->is_open && watch->pagemap >= 0) {
        close(watch->pagemap);
    }
    watch->is_open = false;
}

struct uffd_abi_scan
raw_watch_scan(void *memory, size_t bytes, bool rearm, struct uffd_abi_found *found, size_t capacity)
{
    return (struct uffd_abi_scan){
        .size = sizeof(struct uffd_abi_scan),
        .flags = UFFD_ABI_SCAN_MUST_BE_ARMED | (rearm ? UFFD_ABI_SCAN_REARM : 0),
        .start = (uintptr_t)memory,
        .end = (uintptr_t)memory + bytes,
        .found = (uintptr_t)found,
        .found_capacity = capacity,
        .all_of = UFFD_ABI_PAGE_WRITTEN,
        .reported = UFFD_ABI_PAGE_WRITTEN,
    };
}

int raw_watch_next(const struct raw_watch *watch, struct uffd_abi_scan *scan)
{
    int found = ioctl(watch->pagemap, UFFD_ABI_PAGEMAP_SCAN, scan);
    if (found < 0) {
        bench_fail("PAGEMAP_SCAN failed");
    }
    scan->start = scan->walk_end;
    return found;
}
