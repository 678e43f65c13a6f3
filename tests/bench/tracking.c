/* tracking.c - what it costs to know which pages were written, hot pages or not
 *
 * CPU of one thread for an interval, with the encoder off: the faults of its stores, the scan that re-arms, and copy
 * and comparison of pages looked at in vain; less what the same stores cost on memory without a watch. The floor does
 * not leave any page unarmed. */
#include "tracking.h"

#include <string.h>

#include "format/compare.h"
#include "session/copy.h"
#include "session/rearm.h"
#include "session/region.h"
#include "workload.h"

enum { MIB = 1 << 20, WARM_UP = 12 }; /* intervals until all is learned */

struct pattern {
    const char *what; /* behind the size in the name */
    uint64_t bytes;
    uint64_t pages; /* that may be written: at the head of the state, or one every `apart` pages */
    uint64_t apart;
    uint64_t
        percent; /* of them, those that are written in an interval; of a frame, those written in the last one too */
    bool frame;  /* `pages` are written, most of them as before, the others anywhere */
    double wanted;
};

static const struct pattern patterns[] = {
    { "2048 contiguous 90%", UINT64_C(1024) * MIB, 2048, 1, 90, false, 1.1 },
    { "16384 contiguous 90%", UINT64_C(1024) * MIB, 16384, 1, 90, false, 0.5 },
    { "65536 contiguous 90%", UINT64_C(1024) * MIB, 65536, 1, 90, false, 1.1 },
    { "16384 scattered 90%", UINT64_C(1024) * MIB, 16384, 16, 90, false, 1.1 },
    { "16384 contiguous 50%", UINT64_C(1024) * MIB, 16384, 1, 50, false, 1.1 },
    { "16384 contiguous 25%", UINT64_C(1024) * MIB, 16384, 1, 25, false, 1.1 },
    { "16384 contiguous 10%", UINT64_C(1024) * MIB, 16384, 1, 10, false, 1.1 },
    { "1500 scattered 85% repeat", UINT64_C(170) * MIB, 1500, 0, 85, true, 0.5 },
    { "1500 scattered uniform", UINT64_C(170) * MIB, 1500, 0, 0, true, 1.1 },
};

struct side { /* one way to track */
    struct svp_region *region;
    struct svp_watch *watch;
    struct svp_pageset written;
    struct bench_samples cost;
};

struct trial {
    const struct pattern *pattern;
    uint64_t pages;           /* of the state */
    struct workload workload; /* of a frame */
    uint64_t random;
    uint64_t *changed; /* of this interval */
    uint64_t changed_count;
    struct svp_pageset changes; /* the same */
    struct side adaptive, always;
    uint8_t *bare; /* memory without a watch */
    struct svp_watch_run *runs;
};

/* ---- the interval */

static void next_interval(struct trial *trial)
{
    const struct pattern *pattern = trial->pattern;
    trial->changed_count = 0;
    if (pattern->frame) {
        workload_next(&trial->workload);
        trial->changed_count = trial->workload.shape.changed_pages;
        memcpy(trial->changed, trial->workload.changed, trial->changed_count * sizeof *trial->changed);
    } else {
        for (uint64_t i = 0; i < pattern->pages; i++) {
            if (workload_random(&trial->random) % 100 < pattern->percent) {
                trial->changed[trial->changed_count++] = i * pattern->apart;
            }
        }
    }
    svp_pageset_clear(&trial->changes);
    for (uint64_t i = 0; i < trial->changed_count; i++) {
        svp_pageset_add(&trial->changes, trial->changed[i], 1);
    }
}

/* A store to each changed page; returns the CPU time. */
static double store(const struct trial *trial, uint8_t *memory)
{
    double began = bench_thread_ms();
    for (uint64_t i = 0; i < trial->changed_count; i++) {
        volatile uint8_t *byte = memory + trial->changed[i] * SVP_PAGE_BYTES + i % SVP_PAGE_BYTES;
        *byte = (uint8_t)(*byte + 1);
    }
    return bench_thread_ms() - began;
}

/* ---- the two sides */

static void open_side(struct trial *trial, struct side *side, const struct svp_watch_choice *choice)
{
    struct savepoint_error error;
    const size_t bytes = (size_t)trial->pages * SVP_PAGE_BYTES;
    uint8_t *memory = bench_fresh(bytes);
    memset(memory, 1, bytes);
    side->region = svp_region_new("state", memory, bytes);
    if (side->region == NULL || !svp_pageset_open(&side->written, trial->pages)) {
        bench_fail("no memory for a region");
    }
    side->region->backend = choice->backend;
    side->region->arms_memory = choice->caps.arms_memory;
    side->region->host_page_bytes = choice->caps.page_bytes;
    bench_need(choice->backend->open(&side->watch, &error), &error);
    side->region->watch = side->watch;
    bench_need(svp_region_arm(side->region, (uintptr_t)memory, bytes, &error), &error);
    memset(side->region->shadow, 1, bytes);
}

static void close_side(struct side *side, uint64_t pages)
{
    uint8_t *memory = side->region->base;
    side->region->backend->close(side->watch);
    svp_region_free(side->region);
    svp_pageset_close(&side->written);
    bench_unmap(memory, (size_t)pages * SVP_PAGE_BYTES);
}

/* Copies and compares a page that was not written, as the engine would. */
static void look_in_vain(const struct svp_region *region, uint64_t page)
{
    uint8_t staged[SVP_PAGE_BYTES] __attribute__((aligned(64)));
    struct svp_changes changes;
    svp_copy_live(staged, region->base + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
    svp_compare(&changes, region->shadow + page * SVP_PAGE_BYTES, staged);
    if (!changes.same) {
        bench_fail("a page changed that was not written");
    }
}

/* What the encoder would tell; not part of the cost. */
static void evaluate(struct trial *trial, struct svp_region *region, const struct svp_pageset *written)
{
    uint64_t page = svp_pageset_next(written, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(written, page + 1)) {
        bool changed = svp_pageset_has(&trial->changes, page);
        svp_hot_note(&region->hot, page, changed);
        if (changed) {
            memcpy(region->shadow + page * SVP_PAGE_BYTES, region->base + page * SVP_PAGE_BYTES, SVP_PAGE_BYTES);
        }
    }
    svp_hot_settle(&region->hot, region->backend);
}

static void check_all_found(const struct trial *trial, const struct svp_pageset *written)
{
    for (uint64_t i = 0; i < trial->changed_count; i++) {
        if (!svp_pageset_has(written, trial->changed[i])) {
            bench_fail("page %llu was written and not reported", (unsigned long long)trial->changed[i]);
        }
    }
}

static double track(struct trial *trial, struct side *side, bool adaptive)
{
    struct svp_region *region = side->region;
    struct savepoint_error error;
    double cost = store(trial, region->base);
    svp_pageset_clear(&side->written);
    double began = bench_thread_ms();
    bench_need(adaptive ? svp_rearm_collect(region, &side->written, trial->runs, &error)
                        : svp_region_collect(region, SVP_WATCH_REARM, &side->written, trial->runs, &error),
               &error);
    uint64_t page = svp_pageset_next(&side->written, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&side->written, page + 1)) {
        if (!svp_pageset_has(&trial->changes, page)) {
            look_in_vain(region, page);
        }
    }
    cost += bench_thread_ms() - began;
    check_all_found(trial, &side->written);
    if (adaptive) {
        evaluate(trial, region, &side->written);
    }
    return cost;
}

/* ---- a pattern */

static void open_trial(struct trial *trial, struct side *first, struct side *second)
{
    struct svp_watch_choice choice;
    struct savepoint_error error;
    const struct workload_shape shape = {
        .seed = 1,
        .pages = trial->pages,
        .changed_pages = trial->pattern->pages,
        .repeated_pages = trial->pattern->pages * trial->pattern->percent / 100,
    };
    trial->random = 1;
    trial->changed = bench_memory((size_t)trial->pattern->pages * sizeof *trial->changed);
    trial->bare = bench_memory((size_t)trial->pages * SVP_PAGE_BYTES);
    trial->runs = bench_memory(SVP_RUNS * sizeof *trial->runs);
    if (!svp_pageset_open(&trial->changes, trial->pages) ||
        (trial->pattern->frame && !workload_open(&trial->workload, &shape))) {
        bench_fail("no memory for a pattern");
    }
    bench_need(svp_watch_choose(&choice, NULL, SIZE_MAX, 0, &error), &error);
    open_side(trial, first, &choice);
    open_side(trial, second, &choice);
}

static void close_trial(struct trial *trial)
{
    close_side(&trial->adaptive, trial->pages);
    close_side(&trial->always, trial->pages);
    svp_pageset_close(&trial->changes);
    if (trial->pattern->frame) {
        workload_close(&trial->workload);
    }
    bench_unmap(trial->changed, (size_t)trial->pattern->pages * sizeof *trial->changed);
    bench_unmap(trial->bare, (size_t)trial->pages * SVP_PAGE_BYTES);
    bench_unmap(trial->runs, SVP_RUNS * sizeof *trial->runs);
}

static void run_pairs(struct trial *trial, int pairs)
{
    for (int pair = -WARM_UP; pair < pairs; pair++) {
        next_interval(trial);
        double bare = store(trial, trial->bare);
        double first = track(trial, pair % 2 == 0 ? &trial->adaptive : &trial->always, pair % 2 == 0);
        double second = track(trial, pair % 2 == 0 ? &trial->always : &trial->adaptive, pair % 2 != 0);
        if (pair >= 0) {
            bench_add(&trial->adaptive.cost, (pair % 2 == 0 ? first : second) - bare);
            bench_add(&trial->always.cost, (pair % 2 == 0 ? second : first) - bare);
        }
    }
}

static void run_pattern(struct bench *bench, const struct pattern *pattern)
{
    char name[BENCH_NAME_BYTES];
    struct trial trial = { .pattern = pattern, .pages = pattern->bytes / SVP_PAGE_BYTES };
    bench_name_case(name, pattern->bytes, pattern->what);
    if (!bench_wants(bench, name) || bench_bytes(bench, pattern->bytes) < pattern->bytes) {
        return; /* a smaller state has no room for the pattern */
    }
    /* What a fault costs differs by a fifth from one mapping to the next, so each side has each of them in turn. */
    for (int round = 0; round < 2; round++) {
        open_trial(&trial, round == 0 ? &trial.adaptive : &trial.always, round == 0 ? &trial.always : &trial.adaptive);
        run_pairs(&trial, (bench->pairs + 1) / 2);
        close_trial(&trial);
    }
    const struct bench_row row = { name,           "savepoint",          "tracking_cpu",
                                   "ms",           &trial.adaptive.cost, &trial.always.cost,
                                   pattern->wanted };
    bench_print(bench, &row);
    bench_clear(&trial.adaptive.cost);
    bench_clear(&trial.always.cost);
}

void tracking_run(struct bench *bench)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        run_pattern(bench, &patterns[i]);
    }
}
