/* mapping.c - what the system says about a range of this process's address space */
#define _GNU_SOURCE
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "status.h"

struct mapping {
    uintptr_t start, end;
    char access[5];  /* "rw-p" */
    uint64_t offset; /* in the file behind it */
    char device[24]; /* "08:01" */
    uint64_t inode;  /* 0: private anonymous memory */
};

/* Returns false to stop. */
typedef bool visit_mapping(void *user, const struct mapping *mapping);

/* Longest line beginning that holds all the fields before the path. */
enum { FIELDS_BYTES = 128 };

static bool parse_mapping(struct mapping *mapping, const char *line)
{
    return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %23s %" SCNu64, &mapping->start, &mapping->end,
                  mapping->access, &mapping->offset, mapping->device, &mapping->inode) == 6;
}

/* Visits the mappings of this process by ascending address; false when the system does not list them. No
 * allocation: what asks may be about to protect the allocator's memory. */
static bool each_mapping(visit_mapping *visit, void *user)
{
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
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
            more = !parse_mapping(&mapping, line) || visit(user, &mapping);
        }
    }
    close(file);
    return got >= 0;
}

/* ---- readable and writable */

struct cover {
    uintptr_t at, end;     /* [at, end) is not yet known to be good */
    const char *complaint; /* about `at` */
    bool uniform;          /* in being executable */
    bool started, executable;
};

static bool extend_cover(void *user, const struct mapping *mapping)
{
    struct cover *cover = user;
    if (mapping->end <= cover->at) {
        return true;
    }
    if (mapping->start > cover->at) {
        return false;
    }
    bool executable = mapping->access[2] == 'x';
    if (mapping->access[0] != 'r' || mapping->access[1] != 'w') {
        cover->complaint = "is not readable and writable";
    } else if (cover->uniform && cover->started && executable != cover->executable) {
        cover->complaint = "differs from the memory before it in being executable: watch the parts one by one";
    } else {
        cover->complaint = "is not mapped";
        cover->started = true;
        cover->executable = executable;
        cover->at = mapping->end;
        return cover->at < cover->end;
    }
    return false;
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

enum savepoint_status svp_mapping_check(uintptr_t start, size_t bytes, bool *executable, struct savepoint_error *error)
{
    struct cover cover = {
        .at = start, .end = start + bytes, .complaint = "is not mapped", .uniform = executable != NULL
    };
    if (!each_mapping(extend_cover, &cover)) {
        probe_cover(&cover);
    }
    if (cover.at < cover.end) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " (in 0x%" PRIxPTR " to 0x%" PRIxPTR ") %s", cover.at, start,
                               start + bytes, cover.complaint);
    }
    if (executable != NULL) {
        *executable = cover.executable;
    }
    return SAVEPOINT_OK;
}

/* ---- shared memory with a second mapping */

struct alias {
    uintptr_t start, end;   /* the watched range */
    struct mapping watched; /* a shared mapping in it, cut to it */
    uintptr_t other;        /* where it is mapped a second time; 0: nowhere */
};

static bool is_shared(const struct mapping *mapping)
{
    return mapping->access[3] == 's' && mapping->inode != 0;
}

static bool find_other(void *user, const struct mapping *mapping)
{
    struct alias *alias = user;
    const struct mapping *watched = &alias->watched;
    bool same_file = is_shared(mapping) && mapping->access[1] == 'w' && mapping->inode == watched->inode &&
                     strcmp(mapping->device, watched->device) == 0;
    if (!same_file) {
        return true;
    }
    /* Where the watched bytes of the file would lie in this mapping, as far as it reaches. */
    uint64_t from = watched->offset > mapping->offset ? watched->offset : mapping->offset;
    uint64_t watched_end = watched->offset + (watched->end - watched->start);
    uint64_t mapping_end = mapping->offset + (mapping->end - mapping->start);
    uint64_t to = watched_end < mapping_end ? watched_end : mapping_end;
    uintptr_t here = mapping->start + (uintptr_t)(from - mapping->offset);
    uintptr_t there = watched->start + (uintptr_t)(from - watched->offset);
    if (from < to && here != there) {
        alias->other = here;
        return false;
    }
    return true;
}

static bool find_alias(void *user, const struct mapping *mapping)
{
    struct alias *alias = user;
    if (mapping->end <= alias->start || !is_shared(mapping)) {
        return mapping->start < alias->end;
    }
    if (mapping->start >= alias->end) {
        return false;
    }
    alias->watched = *mapping;
    if (mapping->start < alias->start) {
        alias->watched.start = alias->start;
        alias->watched.offset += alias->start - mapping->start;
    }
    if (mapping->end > alias->end) {
        alias->watched.end = alias->end;
    }
    each_mapping(find_other, alias);
    return alias->other == 0;
}

enum savepoint_status svp_mapping_check_alias(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct alias alias = { .start = start, .end = start + bytes };
    each_mapping(find_alias, &alias);
    if (alias.other != 0) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "shared memory at 0x%" PRIxPTR " is also mapped writable at 0x%" PRIxPTR
                               ", and writes there cannot be seen: unmap that, or map it after watching and declare "
                               "its writes with savepoint_mark",
                               alias.watched.start, alias.other);
    }
    return SAVEPOINT_OK;
}
