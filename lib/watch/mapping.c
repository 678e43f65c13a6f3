/* mapping.c - what the system says about a range of this process's address space */
#define _GNU_SOURCE
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "maps_abi.h"
#include "status.h"

struct mapping {
    uintptr_t start, end;
    bool readable, writable, executable, shared;
    uint64_t offset; /* in the file behind it */
    uint64_t device, inode;
};

/* Returns false to stop. */
typedef bool visit_mapping(void *user, const struct mapping *mapping);

/* Longest line beginning that holds all the fields before the path. */
enum { FIELDS_BYTES = 128 };

/* ---- the list of mappings */

/* Linux 6.11 and later answer for one address; false where this one does not, before anything was visited. */
static bool ask_mappings(int file, uintptr_t from, visit_mapping *visit, void *user)
{
    struct maps_abi_query query = { .size = sizeof query, .flags = MAPS_ABI_COVERING_OR_NEXT, .address = from };
    bool answered = false;
    while (ioctl(file, MAPS_ABI_QUERY, &query) == 0) {
        struct mapping mapping = {
            .start = (uintptr_t)query.start,
            .end = (uintptr_t)query.end,
            .readable = (query.access & MAPS_ABI_READABLE) != 0,
            .writable = (query.access & MAPS_ABI_WRITABLE) != 0,
            .executable = (query.access & MAPS_ABI_EXECUTABLE) != 0,
            .shared = (query.access & MAPS_ABI_SHARED) != 0,
            .offset = query.offset,
            .device = (uint64_t)query.device_major << 32 | query.device_minor,
            .inode = query.inode,
        };
        answered = true;
        if (!visit(user, &mapping)) {
            return true;
        }
        query.address = query.end;
    }
    return answered || errno == ENOENT;
}

static bool parse_mapping(struct mapping *mapping, const char *line)
{
    char access[5];
    uint32_t major;
    uint32_t minor;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32 " %" SCNu64, &mapping->start,
               &mapping->end, access, &mapping->offset, &major, &minor, &mapping->inode) != 7) {
        return false;
    }
    mapping->readable = access[0] == 'r';
    mapping->writable = access[1] == 'w';
    mapping->executable = access[2] == 'x';
    mapping->shared = access[3] == 's';
    mapping->device = (uint64_t)major << 32 | minor;
    return true;
}

/* The same by reading all lines; returns errno, 0 for success. */
static int read_mappings(int file, uintptr_t from, visit_mapping *visit, void *user)
{
    char chunk[4096];
    char line[FIELDS_BYTES];
    size_t line_bytes = 0;
    bool more = true;
    ssize_t got = 0;
    while (more && ((got = read(file, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))) {
        for (ssize_t i = 0; more && i < got; i++) {
            if (chunk[i] != '\n') {
                if (line_bytes < sizeof line - 1) {
                    line[line_bytes++] = chunk[i];
                }
                continue;
            }
            line[line_bytes] = '\0';
            line_bytes = 0;
            struct mapping mapping;
            more = !parse_mapping(&mapping, line) || mapping.end <= from || visit(user, &mapping);
        }
    }
    return got < 0 ? errno : 0;
}

/* Visits the mappings of this process that end above `from`, ascending; returns errno, 0 for success. No allocation:
 * what asks may be about to protect the allocator's memory. */
static int each_mapping(uintptr_t from, visit_mapping *visit, void *user)
{
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    int failure = ask_mappings(file, from, visit, user) ? 0 : read_mappings(file, from, visit, user);
    close(file);
    return failure;
}

/* ---- readable and writable, and as it is wished */

struct cover {
    uintptr_t at, end;     /* [at, end) is not yet known to be good */
    const char *complaint; /* about `at` */
    unsigned wishes;
    bool started, executable, shared;
};

static bool lies_in(uintptr_t address, const struct mapping *mapping)
{
    return address - mapping->start < mapping->end - mapping->start;
}

/* The first thread runs on the mapping whose upper end holds the program's name. Below where it stands its calls will
 * come; above are buffers of its callers. */
static bool is_free_stack(const struct mapping *mapping, uintptr_t at)
{
    unsigned char here;
    return lies_in(getauxval(AT_EXECFN), mapping) && lies_in((uintptr_t)&here, mapping) && at < (uintptr_t)&here;
}

static const char *complain(const struct cover *cover, const struct mapping *mapping)
{
    bool protectable = (cover->wishes & SVP_MAPPING_PROTECTABLE) != 0;
    if (!mapping->readable || !mapping->writable) {
        return "is not readable and writable";
    }
    if (protectable && cover->started && mapping->executable != cover->executable) {
        return "differs from the memory before it in being executable: watch the parts one by one";
    }
    return protectable && is_free_stack(mapping, cover->at) ? SVP_MAPPING_RUNNING_STACK : NULL;
}

static bool extend_cover(void *user, const struct mapping *mapping)
{
    struct cover *cover = user;
    if (mapping->start > cover->at) {
        return false;
    }
    const char *complaint = complain(cover, mapping);
    if (complaint != NULL) {
        cover->complaint = complaint;
        return false;
    }
    cover->started = true;
    cover->executable = mapping->executable;
    cover->shared = cover->shared || (mapping->shared && mapping->inode != 0);
    cover->at = mapping->end;
    return cover->at < cover->end;
}

/* Without a list of mappings, holes at least can be found. */
static void probe_cover(struct cover *cover)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident;
    while (cover->at < cover->end && mincore((void *)cover->at, page_bytes, &resident) == 0) {
        cover->at += page_bytes;
    }
}

/* The same for other threads, whose stacks share mappings with their neighbours. (Asking for that of the first would
 * read all mappings.) */
static bool is_in_free_stack(uintptr_t start, size_t bytes)
{
    unsigned char here;
    pthread_attr_t attributes;
    void *stack = NULL;
    size_t stack_bytes = 0;
    if (syscall(SYS_gettid) == getpid() || pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return false;
    }
    int failure = pthread_attr_getstack(&attributes, &stack, &stack_bytes);
    pthread_attr_destroy(&attributes);
    return failure == 0 && (uintptr_t)&here - (uintptr_t)stack < stack_bytes && (uintptr_t)stack < start + bytes &&
           start < (uintptr_t)&here;
}

static enum savepoint_status refuse_unknown(uintptr_t start, int os_code, struct savepoint_error *error)
{
    const char *remedy = os_code == EMFILE || os_code == ENFILE ? "close descriptors, or raise their limit"
                                                                : "mount /proc, or use the write-watch 'compare'";
    return svp_status_os(error, os_code, "watch",
                         "whether memory at 0x%" PRIxPTR " can be watched is not known, since /proc/self/maps cannot "
                         "be read: %s",
                         start, remedy);
}

/* ---- shared memory with a second mapping */

struct alias {
    uintptr_t start, end;   /* the watched range */
    struct mapping watched; /* a shared mapping in it, cut to it */
    uintptr_t other;        /* where it is mapped a second time; 0: nowhere */
    int failure;
};

static bool find_other(void *user, const struct mapping *mapping)
{
    struct alias *alias = user;
    const struct mapping *watched = &alias->watched;
    if (!mapping->shared || mapping->inode != watched->inode || mapping->device != watched->device) {
        return true;
    }
    /* Where the watched bytes of the file would lie in this mapping, as far as it reaches. */
    uint64_t from = watched->offset > mapping->offset ? watched->offset : mapping->offset;
    uint64_t watched_end = watched->offset + (watched->end - watched->start);
    uint64_t mapping_end = mapping->offset + (mapping->end - mapping->start);
    uint64_t to = watched_end < mapping_end ? watched_end : mapping_end;
    uintptr_t here = mapping->start + (uintptr_t)(from - mapping->offset);
    uintptr_t there = watched->start + (uintptr_t)(from - watched->offset);
    /* What the signal write-watch has armed is writable all the same. */
    if (from < to && here != there && (mapping->writable || svp_fault_holds(here, (size_t)(to - from)))) {
        alias->other = here;
        return false;
    }
    return true;
}

static bool find_alias(void *user, const struct mapping *mapping)
{
    struct alias *alias = user;
    if (mapping->start >= alias->end) {
        return false;
    }
    if (!mapping->shared || mapping->inode == 0) {
        return true;
    }
    alias->watched = *mapping;
    if (mapping->start < alias->start) {
        alias->watched.start = alias->start;
        alias->watched.offset += alias->start - mapping->start;
    }
    if (mapping->end > alias->end) {
        alias->watched.end = alias->end;
    }
    alias->failure = each_mapping(0, find_other, alias);
    return alias->failure == 0 && alias->other == 0;
}

static enum savepoint_status check_alone(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct alias alias = { .start = start, .end = start + bytes };
    int failure = each_mapping(start, find_alias, &alias);
    if (failure != 0 || alias.failure != 0) {
        return refuse_unknown(start, failure != 0 ? failure : alias.failure, error);
    }
    if (alias.other != 0) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "shared memory at 0x%" PRIxPTR " is also mapped writable at 0x%" PRIxPTR
                               ", and writes there cannot be seen: unmap that, or map it after watching and declare "
                               "its writes with savepoint_mark",
                               alias.watched.start, alias.other);
    }
    return SAVEPOINT_OK;
}

/* ---- all of it */

enum savepoint_status
svp_mapping_check(uintptr_t start, size_t bytes, unsigned wishes, bool *executable, struct savepoint_error *error)
{
    struct cover cover = { .at = start, .end = start + bytes, .complaint = "is not mapped", .wishes = wishes };
    int failure = each_mapping(start, extend_cover, &cover);
    if (failure != 0) {
        cover.at = start;
        probe_cover(&cover);
    } else if ((wishes & SVP_MAPPING_PROTECTABLE) != 0 && is_in_free_stack(start, bytes)) {
        cover.at = start;
        cover.complaint = SVP_MAPPING_RUNNING_STACK;
    }
    if (cover.at < cover.end) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " (in 0x%" PRIxPTR " to 0x%" PRIxPTR ") %s", cover.at, start,
                               start + bytes, cover.complaint);
    }
    if (failure != 0) {
        return refuse_unknown(start, failure, error);
    }
    if (executable != NULL) {
        *executable = cover.executable;
    }
    return cover.shared && (wishes & SVP_MAPPING_ALONE) != 0 ? check_alone(start, bytes, error) : SAVEPOINT_OK;
}
