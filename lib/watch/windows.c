/* windows.c - the write-watch of Windows: GetWriteWatch over memory that was allocated with MEM_WRITE_WATCH
 *
 * The system keeps one state per page for the whole process, for stores and for system calls alike. So only one watch
 * can have a range, and a list of all ranges says whose it is. A user of GetWriteWatch elsewhere in the process cannot
 * be detected: memory is watched by one of the two. */
#define WIN32_LEAN_AND_MEAN
#include <inttypes.h>
#include <windows.h>

#include "backends.h"
#include "format/memory.h"
#include "mapping.h"
#include "os/vm.h"
#include "pageset.h"
#include "probe.h"
#include "status.h"

struct range {
    struct range *next;
    const struct svp_watch *owner;
    uintptr_t start;
    size_t bytes;
    struct svp_pageset marked; /* to be reported whatever the system says */
};

struct svp_watch {
    size_t page_bytes;
};

static struct range *ranges;               /* of all watches of the process */
static SRWLOCK ranges_lock = SRWLOCK_INIT; /* of the list; a range is used by its owner alone */

/* Written pages are fetched in batches of this many, through the stack. */
enum { SCAN_BATCH = 512 };

/* ---- the list */

static struct range *range_of(const struct svp_watch *watch, uintptr_t address)
{
    AcquireSRWLockShared(&ranges_lock);
    struct range *range = ranges;
    while (range->owner != watch || address - range->start >= range->bytes) {
        range = range->next;
    }
    ReleaseSRWLockShared(&ranges_lock);
    return range;
}

/* False when another range is there. */
static bool publish(struct range *range)
{
    AcquireSRWLockExclusive(&ranges_lock);
    const struct range *other = ranges;
    while (other != NULL &&
           (range->start >= other->start + other->bytes || other->start >= range->start + range->bytes)) {
        other = other->next;
    }
    if (other == NULL) {
        range->next = ranges;
        ranges = range;
    }
    ReleaseSRWLockExclusive(&ranges_lock);
    return other == NULL;
}

static void free_range(struct range *range)
{
    svp_pageset_close(&range->marked);
    svp_memory_free(range);
}

/* Those of a watch: that of `bytes` at `start`, or all where bytes is 0. */
static void withdraw(const struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    AcquireSRWLockExclusive(&ranges_lock);
    for (struct range **link = &ranges; *link != NULL;) {
        struct range *range = *link;
        if (range->owner == watch && (bytes == 0 || (range->start == start && range->bytes == bytes))) {
            *link = range->next;
            free_range(range);
        } else {
            link = &range->next;
        }
    }
    ReleaseSRWLockExclusive(&ranges_lock);
}

/* ---- open, add, remove, close */

static enum savepoint_status windows_open(struct svp_watch **watch, struct savepoint_error *error)
{
    struct svp_watch *opened = svp_memory_alloc(sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->page_bytes = svp_vm_page_bytes();
    *watch = opened;
    return SAVEPOINT_OK;
}

static struct range *new_range(const struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    struct range *range = svp_memory_zalloc(1, sizeof *range);
    if (range == NULL) {
        return NULL;
    }
    range->owner = watch;
    range->start = start;
    range->bytes = bytes;
    if (!svp_pageset_open(&range->marked, bytes / watch->page_bytes)) {
        free_range(range);
        return NULL;
    }
    return range;
}

static enum savepoint_status
windows_add(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    enum savepoint_status status = svp_mapping_check(start, bytes, 0, NULL, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct range *range = new_range(watch, start, bytes);
    if (range == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory to watch %zu bytes", bytes);
    }
    if (!publish(range)) {
        free_range(range);
        return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch",
                               "a part of 0x%" PRIxPTR " to 0x%" PRIxPTR " is watched already", start, start + bytes);
    }
    if (ResetWriteWatch((void *)start, bytes) != 0) {
        withdraw(watch, start, bytes);
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " was not allocated for a write-watch: let savepoint_map place "
                               "it, or allocate it with one VirtualAlloc(MEM_WRITE_WATCH), or choose the watch "
                               "'compare' (option watch, or SAVEPOINT_WATCH=compare)",
                               start);
    }
    return SAVEPOINT_OK;
}

static void windows_remove(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    withdraw(watch, start, bytes);
}

static void windows_close(struct svp_watch *watch)
{
    if (watch != NULL) {
        withdraw(watch, 0, 0);
        svp_memory_free(watch);
    }
}

/* ---- collect */

struct collect {
    const struct svp_watch *watch;
    struct range *range;
    uintptr_t at, end;
    bool rearm;
    size_t pages_left;
    struct svp_watch_run *runs;
    size_t run_capacity, run_count;
};

static uintptr_t address_of(const struct collect *collect, uint64_t page)
{
    uintptr_t end = collect->end;
    if (page == SVP_PAGESET_NONE) {
        return end;
    }
    uintptr_t address = collect->range->start + (uintptr_t)page * collect->watch->page_bytes;
    return address < end ? address : end;
}

static uint64_t page_at(const struct collect *collect, uintptr_t address)
{
    return (address - collect->range->start) / collect->watch->page_bytes;
}

/* False: no room for another run. */
static bool append(struct collect *collect, uintptr_t start, size_t bytes)
{
    struct svp_watch_run *last = collect->run_count > 0 ? &collect->runs[collect->run_count - 1] : NULL;
    if (last != NULL && last->start + last->bytes == start) {
        last->bytes += bytes;
    } else if (collect->run_count < collect->run_capacity) {
        collect->runs[collect->run_count++] = (struct svp_watch_run){ start, bytes };
    } else {
        return false;
    }
    collect->pages_left -= bytes / collect->watch->page_bytes;
    return true;
}

/* The system has reset all the pages it returned, and only those: the ones that find no room are marked instead. */
static bool collect_written(struct collect *collect, uintptr_t end)
{
    void *pages[SCAN_BATCH];
    size_t wanted = collect->pages_left < SCAN_BATCH ? collect->pages_left : SCAN_BATCH;
    ULONG_PTR count = wanted;
    DWORD unit = 0;
    if (GetWriteWatch(collect->rearm ? WRITE_WATCH_FLAG_RESET : 0, (void *)collect->at, end - collect->at, pages,
                      &count, &unit) != 0) {
        return false;
    }
    size_t done = 0;
    while (done < count && append(collect, (uintptr_t)pages[done], collect->watch->page_bytes)) {
        done++;
    }
    for (size_t i = done; i < count && collect->rearm; i++) {
        svp_pageset_add(&collect->range->marked, page_at(collect, (uintptr_t)pages[i]), 1);
    }
    bool all = done == count && count < wanted;
    collect->at = all ? end : (uintptr_t)pages[done - 1] + collect->watch->page_bytes;
    return true;
}

/* The marked pages that begin here are reported and re-armed as any other. */
static bool collect_marked(struct collect *collect)
{
    uint64_t first = page_at(collect, collect->at);
    uint64_t end = page_at(collect, collect->end);
    uint64_t page = first;
    while (page < end && page - first < collect->pages_left && svp_pageset_has(&collect->range->marked, page)) {
        page++;
    }
    size_t bytes = (size_t)(page - first) * collect->watch->page_bytes;
    if (collect->rearm) {
        if (ResetWriteWatch((void *)collect->at, bytes) != 0) {
            return false;
        }
        svp_pageset_remove(&collect->range->marked, first, page - first);
    }
    append(collect, collect->at, bytes); /* there is room: else the loop had ended */
    collect->at += bytes;
    return true;
}

static enum savepoint_status
windows_collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
                struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
                struct savepoint_error *error)
{
    struct collect collect = {
        .watch = watch,
        .range = range_of(watch, start),
        .at = start,
        .end = start + bytes,
        .rearm = mode == SVP_WATCH_REARM,
        .pages_left = max_pages == 0 ? SIZE_MAX : max_pages,
        .runs = runs,
        .run_capacity = run_capacity,
    };
    while (collect.at < collect.end && collect.run_count < run_capacity && collect.pages_left > 0) {
        const struct svp_pageset *marked = &collect.range->marked;
        uintptr_t next_marked = address_of(&collect, svp_pageset_next(marked, page_at(&collect, collect.at)));
        if (!(collect.at < next_marked ? collect_written(&collect, next_marked) : collect_marked(&collect))) {
            return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "collect",
                                   "a part of 0x%" PRIxPTR " to 0x%" PRIxPTR
                                   " was freed or replaced while under watch: "
                                   "remove the region and watch it anew",
                                   start, start + bytes);
        }
    }
    *run_count = collect.run_count;
    *resume = collect.at;
    return SAVEPOINT_OK;
}

/* System calls are counted as stores are: preparing for one is marking. */
static enum savepoint_status
windows_mark(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    (void)error;
    struct range *range = range_of(watch, start);
    svp_pageset_add(&range->marked, (start - range->start) / watch->page_bytes, bytes / watch->page_bytes);
    return SAVEPOINT_OK;
}

static bool windows_widened(const struct svp_watch *watch)
{
    (void)watch;
    return false;
}

static enum savepoint_status windows_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    enum savepoint_status status = svp_probe_try(&svp_windows_backend, error);
    if (status == SAVEPOINT_OK) {
        *caps = (struct svp_watch_caps){
            .page_bytes = svp_vm_page_bytes(),
            .kernel_writes_counted = true,
            .atomic_rearm = true,
            .concurrent_writers_safe = true,
            .concurrent_collects = false,
            .arms_memory = true,
            .exclusive = true,
            .cost = SAVEPOINT_WATCH_COST_KERNEL_FAULT,
        };
    }
    return status;
}

const struct svp_watch_backend svp_windows_backend = {
    .name = "windows",
    .mechanism = "memory allocated with MEM_WRITE_WATCH, read by GetWriteWatch",
    .probe = windows_probe,
    .open = windows_open,
    .add = windows_add,
    .remove = windows_remove,
    .collect = windows_collect,
    .mark = windows_mark,
    .prepare = windows_mark,
    .widened = windows_widened,
    .close = windows_close,
};
