/* test_trap_moment.c - a store at the worst moment of a collect: none is lost, and a complete one is reported by it
 *
 * Linked with --wrap for the calls below, so that the moment comes every time and not by luck. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "trap_fixture.h"
#include "watch/uffd_abi.h"

enum { EARLY_PAGE = 3, LATE_PAGE = 7 };

static struct {
    const struct watched *late;  /* once: a store to LATE_PAGE right after the call that arms */
    atomic_bool handler_stops;   /* once: a handler that has opened its page waits there ... */
    atomic_bool handler_waits;   /* ... as it does now ... */
    atomic_bool handler_goes_on; /* ... until somebody lets it go on */
} moment;

static void store_late(void)
{
    const struct watched *watched = moment.late;
    moment.late = NULL;
    if (watched != NULL) {
        write_page(watched, LATE_PAGE);
    }
}

int __real_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int result = __real_ioctl(file, request, argument);
    if (request == UFFD_ABI_PAGEMAP_SCAN) {
        store_late();
    }
    return result;
}

int __real_mprotect(void *start, size_t bytes, int protection);
int __wrap_mprotect(void *start, size_t bytes, int protection);
int __wrap_mprotect(void *start, size_t bytes, int protection)
{
    int result = __real_mprotect(start, bytes, protection);
    if ((protection & PROT_WRITE) == 0) {
        store_late();
    } else if (atomic_exchange(&moment.handler_stops, false)) {
        atomic_store(&moment.handler_waits, true);
        while (!atomic_load(&moment.handler_goes_on)) {
        }
    }
    return result;
}

/* A collect that waits for the handler gives way with this call. */
int __real_sched_yield(void);
int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
    atomic_store(&moment.handler_goes_on, true);
    return __real_sched_yield();
}

/* The page was not written before, so this collect need not report it; the next one must. */
TRAP_TEST(trap_moment, a_store_right_after_arming_is_reported_next_time)
{
    if (!watched->caps.arms_memory) {
        return;
    }
    for (int turn = 0; turn < 2; turn++) {
        write_page(watched, EARLY_PAGE);
        moment.late = watched;
        CHECK_REARM(watched, PAGE(EARLY_PAGE));
        CHECK(moment.late == NULL);
        CHECK_REARM(watched, PAGE(LATE_PAGE));
    }
    check_alive(watched);
}

/* The same page: it stands in the answer, and a store after it was armed again must stand in the next one. */
TRAP_TEST(trap_moment, a_store_to_the_page_being_armed)
{
    if (!watched->caps.arms_memory) {
        return;
    }
    write_page(watched, LATE_PAGE);
    moment.late = watched;
    CHECK_REARM(watched, PAGE(LATE_PAGE));
    CHECK(moment.late == NULL);
    CHECK_REARM(watched, PAGE(LATE_PAGE));
    check_alive(watched);
}

static void *write_early(void *watched)
{
    write_page(watched, EARLY_PAGE);
    return NULL;
}

/* One thread's fault has opened the page and not marked it yet; a store of another one completes without a fault. */
TRAP_TEST(trap_moment, a_handler_that_has_not_marked_is_waited_for)
{
    if (!is(watched, "signal")) {
        return;
    }
    atomic_store(&moment.handler_waits, false);
    atomic_store(&moment.handler_goes_on, false);
    atomic_store(&moment.handler_stops, true);
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_early, (void *)(uintptr_t)watched), 0);
    while (!atomic_load(&moment.handler_waits)) {
        __real_sched_yield();
    }
    write_page(watched, EARLY_PAGE);
    uint64_t reported = collect_pages(watched, SVP_WATCH_REARM);
    atomic_store(&moment.handler_goes_on, true);
    pthread_join(writer, NULL);
    CHECK_EQ(reported, PAGE(EARLY_PAGE));
    (void)collect_pages(watched, SVP_WATCH_REARM); /* the first thread's store may have come after that */
    check_alive(watched);
}
