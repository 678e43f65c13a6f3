/* vm_linux.c - address space on Linux */
#define _GNU_SOURCE
#include "os/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17; older kernels take it as a hint, which is checked */
#endif

/* Free on x86-64 and 48-bit arm64 under plain, PIE, ASan and UBSan processes; ThreadSanitizer kills a process that
 * maps there, and MemorySanitizer moves the mapping: each has a window of its own. */
#if defined(__SANITIZE_THREAD__)
#define MAP_BASE UINT64_C(0x100000000)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAP_BASE UINT64_C(0x100000000)
#elif __has_feature(memory_sanitizer)
#define MAP_BASE UINT64_C(0x510000000000)
#endif
#endif
#ifndef MAP_BASE
#define MAP_BASE UINT64_C(0x110000000000)
#endif

size_t svp_vm_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int svp_vm_map(uintptr_t address, size_t bytes, size_t reserve_bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *wanted = (void *)address;
    void *got = mmap(wanted, reserve_bytes, PROT_NONE, flags, -1, 0);
    if (got == MAP_FAILED) {
        return errno;
    }
    if (got != wanted) {
        munmap(got, reserve_bytes);
        return EEXIST;
    }
    if (mprotect(wanted, bytes, PROT_READ | PROT_WRITE) != 0) {
        int code = errno;
        munmap(wanted, reserve_bytes);
        return code;
    }
    return 0;
}

int svp_vm_extend(uintptr_t address, size_t old_bytes, size_t new_bytes)
{
    return mprotect((void *)(address + old_bytes), new_bytes - old_bytes, PROT_READ | PROT_WRITE) != 0 ? errno : 0;
}

void svp_vm_unmap(uintptr_t address, size_t bytes)
{
    munmap((void *)address, bytes);
}

uintptr_t svp_vm_map_base(void)
{
    const char *text = getenv("SAVEPOINT_MAP_BASE");
    char *end = NULL;
    unsigned long long base = text != NULL ? strtoull(text, &end, 0) : 0;
    bool usable = text != NULL && end != text && *end == '\0' && base != 0 && base % 65536 == 0;
    return usable ? (uintptr_t)base : (uintptr_t)MAP_BASE;
}

struct mapping { /* one line of /proc/self/maps */
    uintptr_t start, end;
    bool writable;
};

/* Parses "start-end perms ..."; the text may be cut anywhere after the permissions. */
static bool parse_mapping(const char *line, struct mapping *mapping)
{
    char *at = NULL;
    mapping->start = (uintptr_t)strtoull(line, &at, 16);
    if (*at != '-') {
        return false;
    }
    mapping->end = (uintptr_t)strtoull(at + 1, &at, 16);
    mapping->writable = at[0] == ' ' && at[1] == 'r' && at[2] == 'w';
    return at[0] == ' ';
}

/* Moves *covered on through the mappings of one line; false once the answer is known. */
static bool cover(const char *line, uintptr_t *covered, uintptr_t end)
{
    struct mapping mapping;
    if (!parse_mapping(line, &mapping) || mapping.end <= *covered) {
        return true;
    }
    if (mapping.start > *covered || !mapping.writable) {
        return false;
    }
    *covered = mapping.end;
    return *covered < end;
}

bool svp_vm_writable(uintptr_t address, size_t bytes, uintptr_t *bad)
{
    char text[8192];
    size_t held = 0;
    uintptr_t covered = address;
    int descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    bool more = descriptor >= 0;
    while (more) {
        ssize_t count = read(descriptor, text + held, sizeof text - 1 - held);
        if (count <= 0) {
            break;
        }
        held += (size_t)count;
        text[held] = '\0';
        char *line = text;
        char *line_end;
        while (more && (line_end = strchr(line, '\n')) != NULL) {
            more = cover(line, &covered, address + bytes);
            line = line_end + 1;
        }
        held -= (size_t)(line - text);
        memmove(text, line, held);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    *bad = covered;
    return covered >= address + bytes;
}
