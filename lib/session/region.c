/* region.c - making, growing and ending one region */
#include "session/region.h"

#include <string.h>

#include "format/memory.h"
#include "os/vm.h"
#include "status.h"

struct svp_region *svp_region_new(const char *name, uint8_t *base, size_t bytes)
{
    struct svp_region *region = svp_memory_zalloc(1, sizeof *region);
    if (region == NULL) {
        return NULL;
    }
    region->base = base;
    region->bytes = bytes;
    region->pages = bytes / SVP_PAGE_BYTES;
    strcpy(region->name, name); /* its length was checked */
    region->shadow = svp_memory_zalloc((size_t)region->pages, SVP_PAGE_BYTES);
    region->states = svp_memory_zalloc((size_t)region->pages, sizeof *region->states);
    bool enough = region->shadow != NULL && region->states != NULL &&
                  svp_pageset_open(&region->excluded, region->pages) &&
                  svp_pageset_open(&region->pending, region->pages) &&
                  svp_pageset_open(&region->no_base, region->pages) && svp_tree_open(&region->tree, region->pages);
    if (!enough) {
        svp_region_free(region);
        return NULL;
    }
    svp_pageset_add(&region->pending, 0, region->pages);
    return region;
}

void svp_region_free(struct svp_region *region)
{
    if (region != NULL) {
        svp_pageset_close(&region->excluded);
        svp_pageset_close(&region->pending);
        svp_pageset_close(&region->no_base);
        svp_tree_close(&region->tree);
        svp_memory_free(region->shadow);
        svp_memory_free(region->states);
        svp_memory_free(region->ranges);
        svp_memory_free(region);
    }
}

bool svp_region_resize(struct svp_region *region, size_t bytes)
{
    uint64_t pages = bytes / SVP_PAGE_BYTES;
    uint64_t before = region->pages;
    /* Each step leaves the region valid for its old size, so stopping anywhere is safe. */
    uint8_t *shadow = svp_memory_resize(region->shadow, (size_t)pages, SVP_PAGE_BYTES);
    if (shadow == NULL) {
        return false;
    }
    region->shadow = shadow;
    struct svp_page_state *states = svp_memory_resize(region->states, (size_t)pages, sizeof *states);
    if (states == NULL) {
        return false;
    }
    region->states = states;
    memset(shadow + before * SVP_PAGE_BYTES, 0, (size_t)(pages - before) * SVP_PAGE_BYTES);
    memset(states + before, 0, (size_t)(pages - before) * sizeof *states);
    return svp_pageset_grow(&region->excluded, pages) && svp_pageset_grow(&region->no_base, pages) &&
           svp_pageset_grow(&region->pending, pages) && svp_tree_grow(&region->tree, pages);
}

enum savepoint_status svp_region_arm(struct svp_region *region, uintptr_t start, size_t bytes,
                                     struct savepoint_error *error)
{
    struct svp_range *grown =
        svp_memory_resize(region->ranges, region->range_count + 1, sizeof *region->ranges);
    if (grown == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "region '%.80s': no memory", region->name);
    }
    region->ranges = grown;
    enum savepoint_status status = region->backend->add(region->watch, start, bytes, error);
    if (status == SAVEPOINT_OK) {
        region->ranges[region->range_count++] = (struct svp_range){start, bytes};
    }
    return status;
}

void svp_region_disarm(struct svp_region *region)
{
    for (size_t i = 0; i < region->range_count; i++) {
        region->backend->remove(region->watch, region->ranges[i].start, region->ranges[i].bytes);
    }
    region->range_count = 0;
}

static uint64_t page_of(const struct svp_region *region, uintptr_t address)
{
    return (address - (uintptr_t)region->base) / SVP_PAGE_BYTES;
}

static enum savepoint_status collect_range(struct svp_region *region, const struct svp_range *range,
                                           enum svp_watch_mode mode, struct svp_pageset *written,
                                           struct svp_watch_run *runs, struct savepoint_error *error)
{
    uintptr_t at = range->start;
    uintptr_t end = range->start + range->bytes;
    while (at < end) {
        size_t count = 0;
        uintptr_t resume = end;
        enum savepoint_status status = region->backend->collect(region->watch, at, end - at, mode, 0, runs, SVP_RUNS,
                                                                &count, &resume, error);
        if (status != SAVEPOINT_OK) {
            svp_pageset_add(written, page_of(region, at), (end - at) / SVP_PAGE_BYTES);
            return status;
        }
        for (size_t i = 0; i < count; i++) {
            svp_pageset_add(written, page_of(region, runs[i].start), runs[i].bytes / SVP_PAGE_BYTES);
        }
        at = resume;
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_region_collect(struct svp_region *region, enum svp_watch_mode mode,
                                         struct svp_pageset *written, struct svp_watch_run *runs,
                                         struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    uintptr_t bad = 0;
    for (size_t i = 0; i < region->range_count; i++) {
        enum savepoint_status failure = collect_range(region, &region->ranges[i], mode, written, runs, error);
        status = failure != SAVEPOINT_OK ? failure : status;
    }
    if (status != SAVEPOINT_OK && !svp_vm_writable((uintptr_t)region->base, region->bytes, &bad)) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "collect",
                               "region '%.80s': the memory at %#llx is gone or no longer readable and writable: remove the "
                               "region before unmapping it",
                               region->name, (unsigned long long)bad);
    }
    return SAVEPOINT_OK;
}

void svp_region_zero_hash(struct svp_region *region, uint64_t page)
{
    const struct svp_hash zero = svp_tree_zero_page();
    svp_tree_update(&region->tree, page, &zero);
}
