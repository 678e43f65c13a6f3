/* fault.c - the ranges of the signal write-watch, and how a fault in them is served
 *
 * The table of ranges is immutable once published: handlers read it without a lock, on any thread, at any time.
 * A writer publishes a changed copy, waits until no handler can still hold the old one, and keeps that one as the
 * spare for the next change. */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "fault_handler.h"
#include "fault_memory.h"
#include "format/memory.h"
#include "os/host.h"
#include "status.h"

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2 &&
                   ATOMIC_POINTER_LOCK_FREE == 2,
               "the handler may only use lock-free atomics");

struct table {
    size_t count, capacity;
    struct svp_fault_range *ranges[]; /* ascending, apart */
};

static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER; /* guards all but the atomics */
static struct table *spare;
static bool staying; /* ranges that other threads write to have been published */

static _Atomic(struct table *) published;

/* Handlers in flight, counted by the phase they began in: a waiter turns the phase, so that the count it waits
 * for only falls. */
static atomic_uint phase;
static atomic_uint in_flight[2];

/* Collects that are waiting for handlers, or for the kernel. */
static atomic_uint collects;
enum { GIVE_WAY_TURNS = 50 };

static atomic_uint withdrawals;
/* In the thread's own block: a lazily allocated one would call malloc in the handler. */
static _Thread_local unsigned withdrawals_seen __attribute__((tls_model("initial-exec")));

/* ---- what the handler does: calls nothing but mprotect and nanosleep; touches only atomics, its own stack and
 * published tables */

static struct svp_fault_range *find_range(const struct table *table, uintptr_t address)
{
    size_t low = 0;
    size_t high = table == NULL ? 0 : table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct svp_fault_range *range = table->ranges[middle];
        if (address < range->start) {
            high = middle;
        } else if (address - range->start >= range->bytes) {
            low = middle + 1;
        } else {
            return range;
        }
    }
    return NULL;
}

/* Makes the page of `address` writable, or the smallest aligned block around it that the system can open: each
 * border between protections costs a mapping, and their number is limited. A failed attempt may have opened a
 * part of its block; the blocks nest, so marking the last one covers all attempts.
 *
 * First open, then mark. The other way round a collect between the two would clear the mark, protect the page
 * and see it opened unmarked: every later write would be lost. This way a collect between the two reports
 * nothing, and the mark is there for the next. (svp_fault_settle makes collects wait for handlers that began
 * before them, so a write that was complete when a collect began is reported by that one.) */
static bool open_page(struct svp_fault_range *range, uintptr_t address)
{
    size_t page_count = range->bytes / range->page_bytes;
    size_t page = (address - range->start) / range->page_bytes;
    size_t first;
    size_t end;
    bool opened;
    for (size_t block = 1;; block *= 2) {
        first = page - page % block;
        end = block < page_count - first ? first + block : page_count;
        opened = mprotect((void *)(range->start + first * range->page_bytes), (end - first) * range->page_bytes,
                          range->protection) == 0;
        if (opened || end - first == page_count) {
            break;
        }
        atomic_store(&range->widened, true);
    }
    svp_fault_mark(range, first, end);
    return opened;
}

/* A range that is not there may have been withdrawn between the fault and its handler. Its memory is writable
 * then: the instruction is repeated, once per thread and withdrawal, before the fault counts as foreign. */
static bool may_be_late(void)
{
    unsigned now = atomic_load(&withdrawals);
    bool late = withdrawals_seen != now;
    withdrawals_seen = now;
    return late;
}

/* Many threads that fault keep the kernel's lock on the address space so busy that a collect, which needs it too, would
 * wait for tens of milliseconds. So handlers that have not begun yet give way to it for a moment. It is a courtesy:
 * nothing rests on it, and it ends by itself. */
static void give_way(void)
{
    const struct timespec moment = { .tv_nsec = 20000 };
    for (int turn = 0; turn < GIVE_WAY_TURNS && atomic_load(&collects) != 0; turn++) {
        nanosleep(&moment, NULL);
    }
}

bool svp_fault_serve(uintptr_t address, bool write_refused, svp_fault_previous *previous, struct sigaction *before)
{
    give_way();
    atomic_uint *flight = &in_flight[atomic_load(&phase) & 1];
    atomic_fetch_add(flight, 1);
    struct svp_fault_range *range = write_refused ? find_range(atomic_load(&published), address) : NULL;
    bool served = range != NULL ? open_page(range, address) : write_refused && may_be_late();
    if (!served) {
        *before = *atomic_load(previous);
    }
    atomic_fetch_sub(flight, 1);
    return served;
}

/* ---- the table */

static void wait_for_phase(unsigned number)
{
    while (atomic_load(&in_flight[number]) != 0) {
        sched_yield();
    }
}

/* Handlers that begin now are counted in the current phase, so the other one only empties: it goes first. Waiting for
 * both after a turn each would wait for handlers that began meanwhile. */
static void settle(void)
{
    unsigned current = atomic_load(&phase) & 1;
    wait_for_phase(current ^ 1);
    atomic_store(&phase, current ^ 1);
    wait_for_phase(current);
}

void svp_fault_hold(void)
{
    atomic_fetch_add(&collects, 1);
}

void svp_fault_release(void)
{
    atomic_fetch_sub(&collects, 1);
}

void svp_fault_settle(void)
{
    if (atomic_load(&in_flight[0]) != 0 || atomic_load(&in_flight[1]) != 0) {
        svp_fault_hold();
        pthread_mutex_lock(&writer);
        settle();
        pthread_mutex_unlock(&writer);
        svp_fault_release();
    }
}

/* In a forked child no other thread exists, so no handler runs and no writer is at work. A change cut short
 * by the fork has left the published table whole; the spare may be that very table, and is given up. */
static void begin_child(void *unused)
{
    (void)unused;
    pthread_mutex_init(&writer, NULL);
    atomic_store(&in_flight[0], 0);
    atomic_store(&in_flight[1], 0);
    atomic_store(&collects, 0);
    svp_fault_memory_forget();
    spare = NULL;
}

/* Once, for the life of the process. A linker that binds calls when they are first made would write to the program's
 * .got.plt in the handler, where that is under watch: so this call is made here first. */
static int watch_forks(void)
{
    static bool watched;
    const struct timespec none = { .tv_nsec = 0 };
    if (!watched) {
        nanosleep(&none, NULL);
    }
    int failure = watched ? 0 : svp_host_at_fork(begin_child, &published);
    watched = failure == 0;
    return failure;
}

static size_t size_of(size_t bytes, size_t page_bytes)
{
    size_t words = (bytes / page_bytes + SVP_FAULT_WORD_PAGES - 1) / SVP_FAULT_WORD_PAGES;
    return sizeof(struct svp_fault_range) + words * sizeof(atomic_ulong);
}

void svp_fault_range_free(struct svp_fault_range *range)
{
    pthread_mutex_lock(&writer);
    svp_fault_memory_free(range, size_of(range->bytes, range->page_bytes));
    pthread_mutex_unlock(&writer);
}

struct svp_fault_range *svp_fault_range_new(uintptr_t start, size_t bytes, size_t page_bytes, int protection)
{
    pthread_mutex_lock(&writer);
    struct svp_fault_range *range = svp_fault_memory_new(size_of(bytes, page_bytes));
    pthread_mutex_unlock(&writer);
    if (range != NULL) {
        range->start = start;
        range->bytes = bytes;
        range->page_bytes = page_bytes;
        range->protection = protection;
    }
    return range;
}

static bool reserve_spare(size_t count)
{
    if (spare == NULL || spare->capacity < count) {
        size_t capacity = 2 * count + 6;
        struct table *larger = svp_memory_alloc(sizeof *larger + capacity * sizeof larger->ranges[0]);
        if (larger == NULL) {
            return false;
        }
        larger->capacity = capacity;
        svp_memory_free(spare);
        spare = larger;
    }
    return true;
}

/* Publishes the spare, or no table at all. The old one becomes the spare once no handler can hold it. */
static void exchange_tables(struct table *next)
{
    struct table *old = atomic_exchange(&published, next);
    settle();
    if (next == NULL) {
        svp_memory_free(spare);
    }
    spare = old;
}

/* The number of ranges below `start` in the table; OVERLAP when the next one begins before start + bytes. */
static enum savepoint_status
find_gap(const struct table *table, uintptr_t start, size_t bytes, size_t *below, struct savepoint_error *error)
{
    size_t count = table == NULL ? 0 : table->count;
    size_t index = 0;
    while (index < count && table->ranges[index]->start + table->ranges[index]->bytes <= start) {
        index++;
    }
    if (index < count && table->ranges[index]->start < start + bytes) {
        return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch",
                               "memory at 0x%" PRIxPTR " is under a signal write-watch of this process already",
                               table->ranges[index]->start);
    }
    *below = index;
    return SAVEPOINT_OK;
}

enum savepoint_status svp_fault_check_free(uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    size_t below = 0;
    pthread_mutex_lock(&writer);
    enum savepoint_status status = find_gap(atomic_load(&published), start, bytes, &below, error);
    pthread_mutex_unlock(&writer);
    return status;
}

/* The handler cannot be interrupted by a fault of its own: what it writes must not be armed. */
bool svp_fault_writes_to(uintptr_t start, size_t bytes)
{
    const volatile void *const written[] = { &in_flight[0], &in_flight[1], &withdrawals_seen, &errno };
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        if ((uintptr_t)written[i] - start < bytes) {
            return true;
        }
    }
    return svp_fault_handler_writes_to(start, bytes);
}

bool svp_fault_holds(uintptr_t start, size_t bytes)
{
    return svp_fault_check_free(start, bytes, NULL) != SAVEPOINT_OK;
}

static enum savepoint_status publish(struct svp_fault_range *range, struct savepoint_error *error)
{
    const struct table *old = atomic_load(&published);
    size_t count = old == NULL ? 0 : old->count;
    size_t below = 0;
    enum savepoint_status status = find_gap(old, range->start, range->bytes, &below, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (!reserve_spare(count + 1)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for another watched range");
    }
    int failure = watch_forks();
    if (failure == 0) {
        failure = svp_fault_install();
    }
    if (failure != 0) {
        return svp_status_os(error, failure, "watch", "no handler for SIGSEGV can be installed");
    }
    if (count > 0) {
        memcpy(spare->ranges, old->ranges, below * sizeof spare->ranges[0]);
        memcpy(spare->ranges + below + 1, old->ranges + below, (count - below) * sizeof spare->ranges[0]);
    }
    spare->ranges[below] = range;
    spare->count = count + 1;
    exchange_tables(spare);
    staying = staying || !range->trial;
    return SAVEPOINT_OK;
}

enum savepoint_status svp_fault_publish(struct svp_fault_range *range, struct savepoint_error *error)
{
    pthread_mutex_lock(&writer);
    enum savepoint_status status = publish(range, error);
    pthread_mutex_unlock(&writer);
    return status;
}

static bool withdraw(const struct svp_fault_range *range)
{
    const struct table *old = atomic_load(&published);
    /* The spare is the table before the last change: it has room for one range less than this one. A child has none
     * at first. */
    if (old->count > 1 && !reserve_spare(old->count - 1)) {
        return false;
    }
    atomic_fetch_add(&withdrawals, 1);
    if (old->count == 1) {
        exchange_tables(NULL);
        if (!staying) {
            svp_fault_uninstall();
        }
        return true;
    }
    spare->count = 0;
    for (size_t i = 0; i < old->count; i++) {
        if (old->ranges[i] != range) {
            spare->ranges[spare->count++] = old->ranges[i];
        }
    }
    exchange_tables(spare);
    return true;
}

bool svp_fault_withdraw(struct svp_fault_range *range)
{
    pthread_mutex_lock(&writer);
    bool withdrawn = withdraw(range);
    pthread_mutex_unlock(&writer);
    return withdrawn;
}
