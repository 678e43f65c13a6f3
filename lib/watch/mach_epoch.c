/* mach_epoch.c - the mach write-watch by epochs: the kernel is given a copy-on-write snapshot to keep up
 *
 * A second, read-only mapping of the range is made as a copy. The kernel protects the live pages, and before the first
 * store to one it pushes the old content into the object of the copy, for system calls as for stores. So the pages that
 * the copy has of its own are the written ones. Live memory stays the same object in the same mapping throughout: no
 * store can be lost. A new epoch is a new snapshot; the old one receives nothing from that moment on, then is read out
 * and given back.
 *
 *   live range -> S            S the object with the memory; C1, C2 those of two snapshots of it
 *   snapshot 1 -> C1 -> S      in its epoch: a page in C1 was written
 *   snapshot 1 -> C1 -> C2 -> S, snapshot 2 -> C2 -> S      behind it; an empty C1 serves as C2 as well
 *
 * Anybody else's copy of S (a fork, a debugger, a watch of a neighbouring range) comes between in the same way, and
 * takes what would have come to C1. The chain is longer then, which the kernel tells; each page is then looked up in
 * both mappings, and is clean where both find the same page of the same object. */
#include <inttypes.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>

#include "format/memory.h"
#include "mach.h"
#include "mach_region.h"
#include "status.h"

enum { QUERY_PAGES = 1024 /* asked about in one call, through the stack */, SNAPSHOT_TRIES = 4 };

/* A part of the range that lay in one entry of the map when the epoch began. */
struct svp_mach_piece {
    uintptr_t start, end;
    uintptr_t snapshot; /* 0: there is none, and all pages count as written */
    uint64_t object;    /* behind the live pages */
};

/* ---- beginning an epoch */

/* The entry around `address` that also lies in front of `end`. */
static bool find_before(struct svp_mach_region *region, uintptr_t address, uintptr_t end)
{
    if (!svp_mach_region_find(region, address) || region->start >= end) {
        return false;
    }
    region->start = region->start > address ? region->start : address;
    region->end = region->end < end ? region->end : end;
    return true;
}

static void drop_snapshot(const struct svp_mach_piece *piece)
{
    if (piece->snapshot != 0) {
        mach_vm_deallocate(mach_task_self(), piece->snapshot, piece->end - piece->start);
    }
}

/* How much longer the snapshot's chain of objects is than that of the live pages, at most; 0 where it is no snapshot of
 * them, or cannot tell. The live chain may become shorter at any time: it is asked about last. */
static unsigned distance(const struct svp_mach_piece *piece)
{
    struct svp_mach_region copy;
    struct svp_mach_region live;
    unsigned most = 0;
    if (piece->snapshot == 0 || !svp_mach_region_find(&copy, piece->snapshot) || copy.start > piece->snapshot ||
        copy.end - piece->snapshot < piece->end - piece->start) {
        return 0;
    }
    for (uintptr_t at = piece->start; at < piece->end; at = live.end) {
        /* Memory mapped over the range has another object: that of the range lives as long as the snapshot. */
        if (!svp_mach_region_find(&live, at) || live.start > at || live.object != piece->object ||
            copy.depth <= live.depth) {
            return 0;
        }
        unsigned longer = copy.depth - live.depth;
        most = longer > most ? longer : most;
    }
    return most;
}

/* Nobody may write to the snapshot, ever: a page of its own means something. Of locked pages the kernel makes a real
 * copy, which is none to keep up. */
static void try_snapshot(struct svp_mach_piece *piece)
{
    mach_vm_address_t copy = 0;
    mach_vm_size_t bytes = piece->end - piece->start;
    vm_prot_t protection = VM_PROT_NONE;
    vm_prot_t most = VM_PROT_NONE;
    if (mach_vm_remap(mach_task_self(), &copy, bytes, 0, VM_FLAGS_ANYWHERE, mach_task_self(), piece->start, TRUE,
                      &protection, &most, VM_INHERIT_NONE) != KERN_SUCCESS) {
        return;
    }
    piece->snapshot = (uintptr_t)copy;
    if (mach_vm_protect(mach_task_self(), copy, bytes, TRUE, VM_PROT_READ) != KERN_SUCCESS || distance(piece) == 0) {
        drop_snapshot(piece);
        piece->snapshot = 0;
    }
}

/* Newer kernels share a plain private object between the live pages and the copy, and would give the live ones another
 * at the next store. An object that has been named they leave in its place. */
static void name_object(const struct svp_mach_piece *piece)
{
    memory_object_size_t bytes = piece->end - piece->start;
    mach_port_t handle = MACH_PORT_NULL;
    if (mach_make_memory_entry_64(mach_task_self(), &bytes, piece->start, VM_PROT_READ, &handle, MACH_PORT_NULL) ==
        KERN_SUCCESS) {
        mach_port_deallocate(mach_task_self(), handle);
    }
}

/* The first snapshot, like naming, may give the live pages a new object, in front of the old one, and may divide their
 * entry: the piece ends where the entry does. A snapshot counts only where the object is the same before and after:
 * then it is the one that it was taken of. */
static void take_snapshot(struct svp_mach_piece *piece)
{
    struct svp_mach_region live;
    for (int i = 0; i < SNAPSHOT_TRIES && piece->snapshot == 0; i++) {
        if (i == SNAPSHOT_TRIES / 2) {
            name_object(piece);
        }
        if (!svp_mach_region_find(&live, piece->start) || live.start > piece->start || live.wired) {
            break;
        }
        piece->object = live.object;
        piece->end = live.end < piece->end ? live.end : piece->end;
        try_snapshot(piece);
    }
}

static bool add_piece(struct svp_mach_epoch *epoch, const struct svp_mach_region *region)
{
    if (epoch->count == epoch->capacity) {
        size_t capacity = epoch->capacity == 0 ? 1 : 2 * epoch->capacity;
        struct svp_mach_piece *grown = svp_memory_resize(epoch->pieces, capacity, sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        epoch->pieces = grown;
        epoch->capacity = capacity;
    }
    epoch->pieces[epoch->count++] = (struct svp_mach_piece){ .start = region->start, .end = region->end };
    return true;
}

static void end_epoch(struct svp_mach_epoch *epoch)
{
    for (size_t i = 0; i < epoch->count; i++) {
        drop_snapshot(&epoch->pieces[i]);
    }
    svp_memory_free(epoch->pieces);
    *epoch = (struct svp_mach_epoch){ 0 };
}

static enum savepoint_status
begin_epoch(const struct svp_mach_range *range, struct svp_mach_epoch *epoch, struct savepoint_error *error)
{
    struct svp_mach_region region;
    uintptr_t at = range->start;
    while (at < range->end && find_before(&region, at, range->end)) {
        if (!add_piece(epoch, &region)) {
            end_epoch(epoch);
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
        }
        struct svp_mach_piece *piece = &epoch->pieces[epoch->count - 1];
        take_snapshot(piece);
        at = piece->end;
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status epochs_arm(struct svp_mach_range *range, struct savepoint_error *error)
{
    enum savepoint_status status = begin_epoch(range, &range->epoch, error);
    for (size_t i = 0; status == SAVEPOINT_OK && i < range->epoch.count; i++) {
        if (range->epoch.pieces[i].snapshot == 0) {
            status = svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                                     "the kernel takes no copy-on-write snapshot of memory at 0x%" PRIxPTR
                                     "; memory that is locked (mlock) is watched by SAVEPOINT_WATCH=signal",
                                     range->epoch.pieces[i].start);
        }
    }
    if (status != SAVEPOINT_OK) {
        end_epoch(&range->epoch);
    }
    return status;
}

static void epochs_disarm(struct svp_mach_range *range)
{
    end_epoch(&range->epoch);
}

/* ---- what was written in an epoch */

static bool look_without_snapshot(struct svp_mach_range *range, uintptr_t from, uintptr_t to)
{
    svp_mach_found(range, from, to);
    range->widened = true;
    return true;
}

/* Exact, whatever has happened to either mapping, but a call for each page. */
static bool
look_by_identity(struct svp_mach_range *range, const struct svp_mach_piece *piece, uintptr_t from, uintptr_t to)
{
    bool found = false;
    for (uintptr_t at = from; at < to; at += range->page_bytes) {
        struct svp_mach_page live;
        struct svp_mach_page copy;
        bool same = svp_mach_page_find(&live, at) && svp_mach_page_find(&copy, piece->snapshot + (at - piece->start)) &&
                    live.object == copy.object && live.offset == copy.offset;
        if (!same) {
            svp_mach_found(range, at, at + range->page_bytes);
            found = true;
        }
    }
    return found;
}

static bool
look_by_copies(struct svp_mach_range *range, const struct svp_mach_piece *piece, uintptr_t from, uintptr_t to)
{
    int pages[QUERY_PAGES] = { 0 };
    size_t count = (to - from) / range->page_bytes;
    mach_vm_size_t answered = count;
    kern_return_t result = mach_vm_page_range_query(mach_task_self(), piece->snapshot + (from - piece->start),
                                                    to - from, (mach_vm_address_t)(uintptr_t)pages, &answered);
    if (result != KERN_SUCCESS || answered < count) {
        return look_without_snapshot(range, from, to);
    }
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if ((pages[i] & VM_PAGE_QUERY_PAGE_COPIED) != 0) {
            svp_mach_found(range, from + i * range->page_bytes, from + (i + 1) * range->page_bytes);
            found = true;
        }
    }
    return found;
}

/* In its epoch the snapshot's chain is longer by one object, behind it by up to two. This is asked before the pages
 * are: what comes between later takes only what is written later. Where it is not as usual, a new epoch is due in any
 * case: what came between stays in the chain, with all the pages it took, for as long as this snapshot is kept. */
static bool look_at_piece(struct svp_mach_range *range, const struct svp_mach_piece *piece, uintptr_t from,
                          uintptr_t to, unsigned distance_most, bool any)
{
    unsigned longer = distance(piece);
    bool usual = longer != 0 && longer <= distance_most;
    bool found = !usual;
    for (uintptr_t end; from < to && !(found && any); from = end) {
        end = to - from > QUERY_PAGES * range->page_bytes ? from + QUERY_PAGES * range->page_bytes : to;
        if (piece->snapshot == 0) {
            found = look_without_snapshot(range, from, end);
        } else if (!usual) {
            found = look_by_identity(range, piece, from, end) || found;
        } else {
            found = look_by_copies(range, piece, from, end) || found;
        }
    }
    return found;
}

/* Where the epoch began without memory, there may be some now. */
static bool look_between(struct svp_mach_range *range, uintptr_t from, uintptr_t to)
{
    struct svp_mach_region region;
    bool found = false;
    for (uintptr_t at = from; at < to && find_before(&region, at, to); at = region.end) {
        svp_mach_found(range, region.start, region.end);
        found = true;
    }
    return found;
}

static bool look(struct svp_mach_range *range, uintptr_t from, uintptr_t to, unsigned distance_most, bool any)
{
    bool found = false;
    uintptr_t at = from;
    for (size_t i = 0; i < range->epoch.count && at < to && !(found && any); i++) {
        const struct svp_mach_piece *piece = &range->epoch.pieces[i];
        if (piece->end <= at) {
            continue;
        }
        uintptr_t start = piece->start < to ? piece->start : to;
        if (at < start) {
            found = look_between(range, at, start) || found;
            at = start;
        }
        uintptr_t end = piece->end < to ? piece->end : to;
        if (at < end) {
            found = look_at_piece(range, piece, at, end, distance_most, any) || found;
            at = end;
        }
    }
    return at < to && !(found && any) ? look_between(range, at, to) || found : found;
}

static bool epochs_look(struct svp_mach_range *range, uintptr_t from, uintptr_t to, bool any)
{
    return look(range, from, to, 1, any);
}

/* The new snapshots are what lies between the old ones and the live pages. Where one could not be taken, it may be
 * somebody else's. */
static unsigned distance_behind(const struct svp_mach_epoch *next)
{
    for (size_t i = 0; i < next->count; i++) {
        if (next->pieces[i].snapshot == 0) {
            return 1;
        }
    }
    return 2;
}

/* All of the range begins a new epoch, so all of the old one is read out. The new one begins first: a store in between
 * is in the new one, and perhaps in both. */
static enum savepoint_status
epochs_rearm(struct svp_mach_range *range, uintptr_t from, uintptr_t to, struct savepoint_error *error)
{
    (void)from;
    (void)to;
    struct svp_mach_epoch next = { 0 };
    enum savepoint_status status = begin_epoch(range, &next, error);
    if (status == SAVEPOINT_OK) {
        look(range, range->start, range->end, distance_behind(&next), false);
        end_epoch(&range->epoch);
        range->epoch = next;
    }
    return status;
}

const struct svp_mach_strategy svp_mach_epochs = {
    .name = "by epochs",
    .atomic_rearm = true,
    .arm = epochs_arm,
    .look = epochs_look,
    .rearm = epochs_rearm,
    .disarm = epochs_disarm,
};
