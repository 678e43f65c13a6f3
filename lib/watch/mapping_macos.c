/* mapping_macos.c - what macOS says about a range of this process's address space */
#include "mapping.h"

#include <inttypes.h>
#include <mach/mach.h>
#include <pthread.h>

#include "fault.h"
#include "mach_region.h"
#include "status.h"

static const char *complaint_about(const struct svp_mach_region *region, uintptr_t at)
{
    if (region->start > at) {
        return "is not mapped";
    }
    if (!region->readable || !region->writable) {
        return "is not readable and writable";
    }
    return NULL;
}

static enum savepoint_status
check_access(uintptr_t start, size_t bytes, unsigned wishes, bool *executable, struct savepoint_error *error)
{
    struct svp_mach_region region = { 0 };
    const char *complaint = NULL;
    bool first_executable = false;
    uintptr_t at = start;
    while (at < start + bytes && complaint == NULL) {
        complaint = svp_mach_region_find(&region, at) ? complaint_about(&region, at) : "is not mapped";
        first_executable = at == start ? region.executable : first_executable;
        if (complaint == NULL && (wishes & SVP_MAPPING_PROTECTABLE) != 0 && region.executable != first_executable) {
            complaint = "differs from the memory before it in being executable: watch the parts one by one";
        }
        at = complaint == NULL ? region.end : at;
    }
    if (complaint != NULL) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " (in 0x%" PRIxPTR " to 0x%" PRIxPTR ") %s", at, start,
                               start + bytes, complaint);
    }
    if (executable != NULL) {
        *executable = first_executable;
    }
    return SAVEPOINT_OK;
}

/* ---- shared memory with a second mapping */

static bool is_shared(const struct svp_mach_region *region)
{
    return region->inherited_shared || region->share_mode == SM_SHARED || region->share_mode == SM_TRUESHARED ||
           region->share_mode == SM_SHARED_ALIASED || region->share_mode == SM_PRIVATE_ALIASED;
}

/* Where a writable entry elsewhere has bytes of `shared`; 0: nowhere. */
static uintptr_t find_other(const struct svp_mach_region *shared)
{
    struct svp_mach_region other;
    for (uintptr_t at = 0; svp_mach_region_find(&other, at); at = other.end) {
        if (other.submap || other.object != shared->object) {
            continue;
        }
        uint64_t from = shared->offset > other.offset ? shared->offset : other.offset;
        uint64_t shared_end = shared->offset + (shared->end - shared->start);
        uint64_t other_end = other.offset + (other.end - other.start);
        uintptr_t here = other.start + (uintptr_t)(from - other.offset);
        uintptr_t there = shared->start + (uintptr_t)(from - shared->offset);
        uint64_t to = shared_end < other_end ? shared_end : other_end;
        /* What the signal write-watch has armed is writable all the same. */
        if (from < to && here != there && (other.writable || svp_fault_holds(here, (size_t)(to - from)))) {
            return here;
        }
    }
    return 0;
}

static enum savepoint_status check_alone(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct svp_mach_region region;
    uintptr_t end = start + bytes;
    for (uintptr_t at = start; at < end && svp_mach_region_find(&region, at); at = region.end) {
        if (region.start >= end) {
            break;
        }
        if (region.start < at) {
            region.offset += at - region.start;
            region.start = at;
        }
        region.end = region.end < end ? region.end : end;
        uintptr_t other = is_shared(&region) ? find_other(&region) : 0;
        if (other != 0) {
            return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                                   "shared memory at 0x%" PRIxPTR " is also mapped writable at 0x%" PRIxPTR
                                   ", and writes there cannot be seen: unmap that, or map it after watching and "
                                   "declare its writes with savepoint_mark",
                                   region.start, other);
        }
    }
    return SAVEPOINT_OK;
}

/* ---- all of it */

static enum savepoint_status refuse_stack(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    unsigned char here;
    uintptr_t low = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) - pthread_get_stacksize_np(pthread_self());
    if (low < start + bytes && start < (uintptr_t)&here) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " " SVP_MAPPING_RUNNING_STACK, start);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_mapping_check(uintptr_t start, size_t bytes, unsigned wishes, bool *executable, struct savepoint_error *error)
{
    enum savepoint_status status = check_access(start, bytes, wishes, executable, error);
    if (status == SAVEPOINT_OK && (wishes & SVP_MAPPING_PROTECTABLE) != 0) {
        status = refuse_stack(start, bytes, error);
    }
    if (status == SAVEPOINT_OK && (wishes & SVP_MAPPING_ALONE) != 0) {
        status = check_alone(start, bytes, error);
    }
    return status;
}
