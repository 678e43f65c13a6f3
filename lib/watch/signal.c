/* signal.c - the write-watch of any POSIX system: read-only pages, opened by the handler for SIGSEGV
 *
 * System calls cannot write to an armed page (EFAULT): `prepare` opens a range first. What changes memory without
 * a store (madvise, mremap, mprotect by the application) is not seen: docs/PLATFORMS.md has the list. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends.h"
#include "fault.h"
#include "format/memory.h"
#include "mapping.h"
#include "probe.h"
#include "status.h"

struct svp_watch {
    struct svp_fault_range *ranges;
    pid_t owner;
    size_t page_bytes;
    bool trial;
};

static enum savepoint_status signal_open(struct svp_watch **watch, struct savepoint_error *error)
{
    struct svp_watch *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->owner = getpid();
    opened->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
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

/* ---- add and remove */

/* Gives a range its protection back. Holes that the application made since stop mprotect half-way: then page by
 * page, past them. */
static void disarm(const struct svp_fault_range *range)
{
    if (mprotect((void *)range->start, range->bytes, range->protection) == 0) {
        return;
    }
    for (size_t done = 0; done < range->bytes; done += range->page_bytes) {
        (void)mprotect((void *)(range->start + done), range->page_bytes, range->protection);
    }
}

static enum savepoint_status refuse_own_state(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (svp_fault_writes_to(start, bytes)) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "0x%" PRIxPTR " to 0x%" PRIxPTR
                               " holds what the signal write-watch itself writes while it "
                               "serves a fault: variables of this library, or of this thread",
                               start, start + bytes);
    }
    return SAVEPOINT_OK;
}

/* One that the program has made itself, for a coroutine say, is not known to the system. */
static enum savepoint_status refuse_own_stack(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    unsigned char here;
    if ((uintptr_t)&here - start < bytes) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "watch",
                               "memory at 0x%" PRIxPTR " " SVP_MAPPING_RUNNING_STACK, start);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status arm_range(struct svp_fault_range *range, struct savepoint_error *error)
{
    enum savepoint_status status = svp_fault_publish(range, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (mprotect((void *)range->start, range->bytes, range->protection & ~PROT_WRITE) != 0) {
        int failure = errno;
        disarm(range);
        (void)svp_fault_withdraw(range);
        return svp_status_os(error, failure, "watch", "memory at 0x%" PRIxPTR " cannot be write-protected",
                             range->start);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status check_range(const struct svp_watch *watch, uintptr_t start, size_t bytes, bool *executable,
                                         struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    enum savepoint_status status = svp_fault_check_free(start, bytes, error);
    if (status == SAVEPOINT_OK) {
        status = svp_mapping_check(start, bytes, SVP_MAPPING_ALONE | SVP_MAPPING_PROTECTABLE, executable, error);
    }
    if (status == SAVEPOINT_OK) {
        status = refuse_own_state(start, bytes, error);
    }
    return status == SAVEPOINT_OK ? refuse_own_stack(start, bytes, error) : status;
}

static enum savepoint_status
signal_add(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    bool executable = false;
    enum savepoint_status status = check_range(watch, start, bytes, &executable, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    int protection = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    struct svp_fault_range *range = svp_fault_range_new(start, bytes, watch->page_bytes, protection);
    if (range == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory to watch %zu bytes", bytes);
    }
    range->trial = watch->trial;
    status = arm_range(range, error);
    if (status != SAVEPOINT_OK) {
        svp_fault_range_free(range);
        return status;
    }
    range->next = watch->ranges;
    watch->ranges = range;
    return SAVEPOINT_OK;
}

static void end_range(struct svp_fault_range *range)
{
    disarm(range);
    if (svp_fault_withdraw(range)) {
        svp_fault_range_free(range);
    }
}

static void signal_remove(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    for (struct svp_fault_range **link = &watch->ranges; *link != NULL; link = &(*link)->next) {
        struct svp_fault_range *range = *link;
        if (range->start == start && range->bytes == bytes) {
            *link = range->next;
            end_range(range);
            return;
        }
    }
}

static void signal_close(struct svp_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    while (watch->ranges != NULL) {
        struct svp_fault_range *range = watch->ranges;
        watch->ranges = range->next;
        end_range(range);
    }
    svp_memory_free(watch);
}

/* ---- collect */

static struct svp_fault_range *range_of(const struct svp_watch *watch, uintptr_t start)
{
    struct svp_fault_range *range = watch->ranges;
    while (range != NULL && start - range->start >= range->bytes) {
        range = range->next;
    }
    return range;
}

/* The first page of [page, end) whose bit is `wanted`, or `end`. */
static size_t next_page(struct svp_fault_range *range, size_t page, size_t end, bool wanted)
{
    while (page < end) {
        unsigned long word = atomic_load(&range->written[page / SVP_FAULT_WORD_PAGES]);
        word = (wanted ? word : ~word) >> (page % SVP_FAULT_WORD_PAGES);
        if (word != 0) {
            page += (size_t)__builtin_ctzl(word);
            return page < end ? page : end;
        }
        page += SVP_FAULT_WORD_PAGES - page % SVP_FAULT_WORD_PAGES;
    }
    return end;
}

/* Protects the reported runs: with one call from the first to the last of them. Clean pages between are protected
 * as it is; one that was written meanwhile keeps its bit, which is what reports it.
 *
 * The bits were cleared before: a write between clearing and protecting hits a page that is being reported, and
 * is in the copy that the caller makes after collect. Protecting first would let a fault come between, whose mark
 * the clearing would erase: the page would stay open and unmarked, and its writes lost. */
static void protect_runs(struct svp_fault_range *range, const struct svp_watch_run *runs, size_t count)
{
    int armed = range->protection & ~PROT_WRITE;
    uintptr_t end = runs[count - 1].start + runs[count - 1].bytes;
    if (mprotect((void *)runs[0].start, end - runs[0].start, armed) == 0) {
        return;
    }
    /* A hole, or no mapping left for another border: what cannot be protected is written for ever. */
    for (size_t i = 0; i < count; i++) {
        if (mprotect((void *)runs[i].start, runs[i].bytes, armed) != 0) {
            size_t first = (runs[i].start - range->start) / range->page_bytes;
            svp_fault_mark(range, first, first + runs[i].bytes / range->page_bytes);
        }
    }
}

static enum savepoint_status
signal_collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
               struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
               struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    struct svp_fault_range *range = range_of(watch, start);
    size_t page = (start - range->start) / range->page_bytes;
    size_t end = page + bytes / range->page_bytes;
    size_t left = max_pages == 0 ? SIZE_MAX : max_pages;
    size_t count = 0;
    svp_fault_settle();
    while (page < end && count < run_capacity && left > 0) {
        size_t first = next_page(range, page, end, true);
        page = next_page(range, first, left < end - first ? first + left : end, false);
        if (page == first) {
            break;
        }
        runs[count++] =
            (struct svp_watch_run){ range->start + first * range->page_bytes, (page - first) * range->page_bytes };
        left -= page - first;
        if (mode == SVP_WATCH_REARM) {
            svp_fault_clear(range, first, page);
        }
    }
    if (mode == SVP_WATCH_REARM && count > 0) {
        svp_fault_hold();
        protect_runs(range, runs, count);
        svp_fault_release();
    }
    *run_count = count;
    *resume = range->start + page * range->page_bytes;
    return SAVEPOINT_OK;
}

/* ---- mark and prepare */

static enum savepoint_status
signal_mark(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    struct svp_fault_range *range = range_of(watch, start);
    size_t first = (start - range->start) / range->page_bytes;
    svp_fault_mark(range, first, first + bytes / range->page_bytes);
    return SAVEPOINT_OK;
}

/* Opens first, then marks, as the handler does. Where the mapping limit forbids a border inside the range, all of
 * the range is opened. */
static enum savepoint_status
signal_prepare(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    if (in_child(watch)) {
        return refuse_child(error);
    }
    struct svp_fault_range *range = range_of(watch, start);
    if (mprotect((void *)start, bytes, range->protection) == 0) {
        return signal_mark(watch, start, bytes, error);
    }
    int failure = mprotect((void *)range->start, range->bytes, range->protection) == 0 ? 0 : errno;
    atomic_store(&range->widened, true);
    svp_fault_mark(range, 0, range->bytes / range->page_bytes);
    if (failure != 0) {
        return svp_status_os(error, failure, "prepare", "memory at 0x%" PRIxPTR " cannot be made writable", start);
    }
    return SAVEPOINT_OK;
}

static bool signal_widened(const struct svp_watch *watch)
{
    const struct svp_fault_range *range = watch->ranges;
    while (range != NULL && !atomic_load(&range->widened)) {
        range = range->next;
    }
    return range != NULL;
}

/* ---- probe: the backend as it is, but leaving no handler behind */

static enum savepoint_status open_trial(struct svp_watch **watch, struct savepoint_error *error)
{
    enum savepoint_status status = signal_open(watch, error);
    if (status == SAVEPOINT_OK) {
        (*watch)->trial = true;
    }
    return status;
}

static enum savepoint_status signal_probe(struct svp_watch_caps *caps, struct savepoint_error *error)
{
    static const struct svp_watch_backend trial = {
        .name = "signal",
        .open = open_trial,
        .add = signal_add,
        .collect = signal_collect,
        .close = signal_close,
    };
    enum savepoint_status status = svp_probe_try(&trial, error);
    if (status == SAVEPOINT_OK) {
        *caps = (struct svp_watch_caps){
            .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
            .kernel_writes_counted = false,
            .atomic_rearm = false,
            .concurrent_writers_safe = true,
            .concurrent_collects = true,
            .arms_memory = true,
            .exclusive = true,
            .cost = SAVEPOINT_WATCH_COST_SIGNAL,
        };
    }
    return status;
}

const struct svp_watch_backend svp_signal_backend = {
    .name = "signal",
    .mechanism = "read-only pages, opened by a handler for SIGSEGV",
    .probe = signal_probe,
    .open = signal_open,
    .add = signal_add,
    .remove = signal_remove,
    .collect = signal_collect,
    .mark = signal_mark,
    .prepare = signal_prepare,
    .widened = signal_widened,
    .close = signal_close,
};
