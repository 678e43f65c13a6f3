/* hot_measure.c - what a write-watch costs here: a fault, a call, a page looked at in vain */
#include "format/compare.h"
#include "os/host.h"
#include "session/copy.h"
#include "session/hot.h"
#include "os/vm.h"
#include "watch/pages.h"

/* More than a cache of the second level holds, as the pages of a program that stops for a snapshot. */
enum { WATCHED_PAGES = 64, LOOKED_AT_PAGES = 512, ROUNDS = 3 };

struct bench {
    const struct svp_watch_backend *backend;
    struct svp_watch *watch;
    uint8_t *memory;
    size_t page_bytes;
};

static uint64_t write_all(const struct bench *bench)
{
    uint64_t began = svp_host_monotonic_ns();
    for (size_t page = 0; page < WATCHED_PAGES; page++) {
        volatile uint8_t *byte = bench->memory + page * bench->page_bytes;
        *byte = (uint8_t)(*byte + 1);
    }
    return (svp_host_monotonic_ns() - began) / WATCHED_PAGES;
}

/* Each page by a call of its own; UINT64_MAX: the watch failed. */
static uint64_t rearm_all(const struct bench *bench)
{
    struct svp_watch_run run;
    size_t count;
    uintptr_t resume;
    uint64_t began = svp_host_monotonic_ns();
    for (size_t page = 0; page < WATCHED_PAGES; page++) {
        uintptr_t at = (uintptr_t)bench->memory + page * bench->page_bytes;
        if (bench->backend->collect(bench->watch, at, bench->page_bytes, SVP_WATCH_REARM, 0, &run, 1, &count, &resume,
                                    NULL) != SAVEPOINT_OK) {
            return UINT64_MAX;
        }
    }
    return (svp_host_monotonic_ns() - began) / WATCHED_PAGES;
}

static uint64_t least(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* The least of some rounds: whatever else the machine does only adds to them. */
static bool measure_watch(struct svp_hot_costs *costs, const struct bench *bench)
{
    costs->fault = costs->call = UINT64_MAX;
    (void)write_all(bench); /* populates */
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t call = rearm_all(bench);
        if (call == UINT64_MAX) {
            return false;
        }
        costs->call = least(costs->call, call);
        costs->fault = least(costs->fault, write_all(bench));
    }
    costs->fault += costs->fault == 0 ? 1 : 0; /* 0 means: not measured */
    return true;
}

static bool measure_page(struct svp_hot_costs *costs)
{
    const size_t bytes = (size_t)LOOKED_AT_PAGES * SVP_PAGE_BYTES;
    uint8_t *memory = svp_pages_map(2 * bytes);
    if (memory == NULL) {
        return false;
    }
    uint8_t staged[SVP_PAGE_BYTES] __attribute__((aligned(64)));
    struct svp_changes changes;
    for (size_t at = 0; at < 2 * bytes; at += SVP_PAGE_BYTES) {
        memory[at] = 1;
    }
    costs->page = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = svp_host_monotonic_ns();
        for (size_t at = 0; at < bytes; at += SVP_PAGE_BYTES) {
            svp_copy_live(staged, memory + at, SVP_PAGE_BYTES);
            svp_compare(&changes, memory + bytes + at, staged);
        }
        costs->page = least(costs->page, (svp_host_monotonic_ns() - began) / LOOKED_AT_PAGES);
    }
    svp_pages_unmap(memory, 2 * bytes);
    return true;
}

bool svp_hot_measure(struct svp_hot_costs *costs, const struct svp_watch_backend *backend)
{
    struct bench bench = { .backend = backend, .page_bytes = svp_vm_page_bytes() };
    const size_t bytes = WATCHED_PAGES * bench.page_bytes;
    if (backend->open(&bench.watch, NULL) != SAVEPOINT_OK) {
        return false;
    }
    bench.memory = svp_pages_map(bytes);
    bool measured = bench.memory != NULL &&
                    backend->add(bench.watch, (uintptr_t)bench.memory, bytes, NULL) == SAVEPOINT_OK &&
                    measure_watch(costs, &bench) && measure_page(costs);
    backend->close(bench.watch);
    if (bench.memory != NULL) {
        svp_pages_unmap(bench.memory, bytes);
    }
    return measured;
}
