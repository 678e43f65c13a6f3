/* test_collect.c - public collects over a backend made for it: who may be inside at once, batches, failures half-way */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "check.h"
#include "os/host.h"
#include "status.h"
#include "watch/public.h"

enum { PAGE = 4096, PAGES = 4096 };

/* Every second page is written, always. Addresses are never looked at. */
struct svp_watch {
    atomic_size_t calls;
    size_t fail_at; /* the call that fails, counted from 1; 0: none */
    atomic_int inside, most_inside;
    bool meet; /* every call waits for another one beside it */
};

static void enter_together(struct svp_watch *watch)
{
    int now = atomic_fetch_add(&watch->inside, 1) + 1;
    int most = atomic_load(&watch->most_inside);
    while (now > most && !atomic_compare_exchange_weak(&watch->most_inside, &most, now)) {
    }
    while (watch->meet && atomic_load(&watch->most_inside) < 2) {
        sched_yield();
    }
    sched_yield();
}

static enum savepoint_status
collect_half(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode, size_t max_pages,
             struct svp_watch_run *runs, size_t run_capacity, size_t *run_count, uintptr_t *resume,
             struct savepoint_error *error)
{
    (void)mode;
    enter_together(watch);
    size_t limit = max_pages != 0 && max_pages < run_capacity ? max_pages : run_capacity;
    uintptr_t at = start;
    size_t count = 0;
    enum savepoint_status status = SAVEPOINT_OK;
    if (atomic_fetch_add(&watch->calls, 1) + 1 == watch->fail_at) {
        status = svp_status_fail(error, SAVEPOINT_IO, "collect", "as planned");
    }
    for (; status == SAVEPOINT_OK && at < start + bytes && count < limit; at += PAGE) {
        if (at / PAGE % 2 == 0) {
            runs[count++] = (struct svp_watch_run){ at, PAGE };
        }
    }
    if (status == SAVEPOINT_OK) {
        *run_count = count;
        *resume = at;
    }
    atomic_fetch_sub(&watch->inside, 1);
    return status;
}

static const struct svp_watch_backend half = { .name = "half", .collect = collect_half };
static struct svp_public_range range = { (uintptr_t)PAGES * PAGE, (size_t)PAGES *PAGE, false };

static void open_half(struct savepoint_write_watch *watch, struct svp_watch *state, bool concurrent)
{
    *watch = (struct savepoint_write_watch){
        .backend = &half,
        .watch = state,
        .caps = { .page_bytes = PAGE, .concurrent_collects = concurrent },
        .process = svp_host_process(),
        .ranges = &range,
        .range_count = 1,
    };
    CHECK(svp_gate_open(&watch->gate));
}

static struct savepoint_watch_span whole(void)
{
    return (struct savepoint_watch_span){ (void *)range.start, (void *)(range.start + range.bytes) };
}

/* Room for exactly what is asked for, whatever the size of the library's batches. */
CHECK_TEST(collect, no_more_than_fits)
{
    static struct savepoint_watch_range ranges[PAGES + 1];
    static void *addresses[PAGES + 1];
    static struct svp_watch state;
    struct savepoint_write_watch watch;
    open_half(&watch, &state, true);
    const size_t capacities[] = { 1, 2, 127, 128, 129, 255, 256, 257, 300, 511, 512, 513 };
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        size_t capacity = capacities[i];
        size_t wanted = capacity < PAGES / 2 ? capacity : PAGES / 2;
        size_t count = 0;
        struct savepoint_watch_span span = whole();
        ranges[capacity].bytes = 4711;
        addresses[capacity] = &state;
        CHECK_OK(savepoint_watch_collect_ranges(&watch, ranges, capacity, &count, &span, 0, 0, NULL));
        CHECK_EQ(count, wanted);
        CHECK_EQ((uintptr_t)ranges[count - 1].start, range.start + 2 * (wanted - 1) * PAGE);
        CHECK(span.next > ranges[count - 1].start && span.next <= span.end);
        span = whole();
        CHECK_OK(savepoint_watch_collect_ranges(&watch, ranges, PAGES, &count, &span, capacity, 0, NULL));
        CHECK_EQ(count, wanted);
        span = whole();
        CHECK_OK(savepoint_watch_collect_addresses(&watch, addresses, capacity, &count, &span, 0, NULL));
        CHECK_EQ(count, wanted);
        CHECK(addresses[count - 1] == ranges[count - 1].start);
        CHECK(addresses[capacity] == &state);
    }
    svp_gate_close(&watch.gate);
}

CHECK_TEST(collect, nothing_behind_the_room_is_written)
{
    static struct savepoint_watch_range ranges[PAGES];
    static struct svp_watch state;
    struct savepoint_write_watch watch;
    open_half(&watch, &state, true);
    for (size_t capacity = 1; capacity < 300; capacity += 13) {
        struct savepoint_watch_span span = whole();
        size_t count = 0;
        memset(ranges, 0, sizeof ranges);
        CHECK_OK(savepoint_watch_collect_ranges(&watch, ranges, capacity, &count, &span, 0, 0, NULL));
        CHECK_EQ(ranges[capacity - 1].bytes, PAGE);
        CHECK_EQ(ranges[capacity].bytes, 0);
    }
    svp_gate_close(&watch.gate);
}

/* Also when the failure comes after whole batches. */
CHECK_TEST(collect, a_failure_half_way_leaves_the_outputs)
{
    static struct savepoint_watch_range ranges[PAGES];
    for (size_t fail_at = 1; fail_at <= 4; fail_at++) {
        struct svp_watch state = { .fail_at = fail_at };
        struct savepoint_write_watch watch;
        struct savepoint_error error;
        size_t count = 77;
        open_half(&watch, &state, true);
        struct savepoint_watch_span span = whole();
        CHECK_STATUS(savepoint_watch_collect_ranges(&watch, ranges, PAGES, &count, &span, 0, 0, &error), SAVEPOINT_IO);
        CHECK_STR(error.message, "as planned");
        CHECK(count == 77 && span.next == whole().next);
        CHECK_EQ(atomic_load(&state.calls), fail_at);
        state.fail_at = atomic_load(&state.calls) + 2;
        CHECK_STATUS(savepoint_watch_reset(&watch, span.next, range.bytes, &error), SAVEPOINT_IO);
        CHECK_OK(
            savepoint_watch_collect_ranges(&watch, ranges, PAGES, &count, &span, 0, 0, NULL)); /* the gate is open */
        CHECK_EQ(count, PAGES / 2);
        svp_gate_close(&watch.gate);
    }
}

static void *collect_in_thread(void *argument)
{
    struct savepoint_watch_span span = whole();
    uint64_t bitmap[PAGES / 64] = { 0 };
    for (int i = 0; i < 20; i++) {
        span = whole();
        CHECK_OK(savepoint_watch_collect_bitmap(argument, bitmap, span.next, NULL, &span, 0, 0, NULL));
    }
    CHECK_EQ(bitmap[3], UINT64_C(0x5555555555555555));
    return NULL;
}

static int most_inside(bool concurrent, bool meet)
{
    static struct svp_watch state;
    struct savepoint_write_watch watch;
    pthread_t threads[3];
    memset(&state, 0, sizeof state);
    state.meet = meet;
    open_half(&watch, &state, concurrent);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, collect_in_thread, &watch), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    svp_gate_close(&watch.gate);
    return atomic_load(&state.most_inside);
}

/* Where they wait for each other, one at a time would wait for ever. */
CHECK_TEST(collect, threads_collect_at_once_where_the_backend_can)
{
    CHECK(most_inside(true, true) >= 2);
    CHECK_EQ(most_inside(false, false), 1);
}
