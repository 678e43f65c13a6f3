/* region.c - making, growing and ending one region */
#include "session/region.h"

#include <string.h>

#include "format/memory.h"
#include "status.h"
#include "watch/mapping.h"

/* What a region keeps per page, for `pages` pages of zeros; false: no memory, nothing kept. */
static bool open_pages(struct svp_region *region, uint64_t pages)
{
    region->shadow_memory = svp_memory_zalloc((size_t)pages + 1, SVP_PAGE_BYTES);
    region->shadow = region->shadow_memory + -(uintptr_t)region->shadow_memory % SVP_PAGE_BYTES;
    region->states = svp_memory_zalloc((size_t)pages, sizeof *region->states);
    return region->shadow_memory != NULL && region->states != NULL && svp_pageset_open(&region->excluded, pages) &&
           svp_pageset_open(&region->absent, pages) && svp_pageset_open(&region->pending, pages) &&
           svp_pageset_open(&region->no_base, pages) && svp_pageset_open(&region->rebased, pages) &&
           svp_pageset_open(&region->ring_pending, pages) && svp_pageset_open(&region->precopied, pages) &&
           svp_hot_open(&region->hot, pages) && svp_tree_open(&region->tree, pages);
}

static void close_pages(struct svp_region *region)
{
    svp_pageset_close(&region->excluded);
    svp_pageset_close(&region->absent);
    svp_pageset_close(&region->pending);
    svp_pageset_close(&region->no_base);
    svp_hot_close(&region->hot);
    svp_pageset_close(&region->rebased);
    svp_pageset_close(&region->ring_pending);
    svp_pageset_close(&region->precopied);
    svp_tree_close(&region->tree);
    svp_memory_free(region->shadow_memory);
    svp_memory_free(region->states);
}

struct svp_region *svp_region_new(const char *name, uint8_t *base, size_t bytes)
{
    struct svp_region *region = svp_memory_zalloc(1, sizeof *region);
    if (region == NULL) {
        return NULL;
    }
    region->base = base;
    region->bytes = bytes;
    region->pages = bytes / SVP_PAGE_BYTES;
    region->untouched = true;
    strcpy(region->name, name); /* its length was checked */
    if (!open_pages(region, region->pages)) {
        svp_region_free(region);
        return NULL;
    }
    svp_region_pend(region, 0, region->pages);
    return region;
}

void svp_region_free(struct svp_region *region)
{
    if (region != NULL) {
        close_pages(region);
        svp_memory_free(region->ranges);
        svp_memory_free(region);
    }
}

bool svp_region_resize(struct svp_region *region, size_t bytes)
{
    struct svp_region grown = *region;
    grown.bytes = bytes;
    grown.pages = bytes / SVP_PAGE_BYTES;
    grown.excluded = grown.pending = grown.no_base = grown.rebased = grown.ring_pending = (struct svp_pageset){ 0 };
    grown.precopied = grown.absent = (struct svp_pageset){ 0 };
    grown.tree = (struct svp_tree){ 0 };
    memset(&grown.hot, 0, sizeof grown.hot); /* to be learned again */
    if (!open_pages(&grown, grown.pages)) {
        close_pages(&grown);
        return false;
    }
    memcpy(grown.shadow, region->shadow, (size_t)region->pages * SVP_PAGE_BYTES);
    memcpy(grown.states, region->states, (size_t)region->pages * sizeof *region->states);
    svp_pageset_unite(&grown.excluded, &region->excluded);
    svp_pageset_unite(&grown.absent, &region->absent);
    svp_pageset_unite(&grown.pending, &region->pending);
    svp_pageset_unite(&grown.no_base, &region->no_base);
    svp_pageset_unite(&grown.rebased, &region->rebased);
    svp_pageset_unite(&grown.ring_pending, &region->ring_pending);
    svp_region_pend(&grown, region->pages, grown.pages - region->pages);
    for (uint64_t page = 0; page < region->pages; page++) {
        svp_tree_update(&grown.tree, page, &region->tree.hashes[0][page]);
    }
    close_pages(region);
    *region = grown;
    return true;
}

enum savepoint_status
svp_region_arm(struct svp_region *region, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct svp_range *grown = svp_memory_resize(region->ranges, region->range_count + 1, sizeof *region->ranges);
    if (grown == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "region '%.80s': no memory", region->name);
    }
    region->ranges = grown;
    struct savepoint_error found = { 0 };
    enum savepoint_status status = region->backend->add(region->watch, start, bytes, &found);
    if (status == SAVEPOINT_OK) {
        region->ranges[region->range_count++] = (struct svp_range){ start, bytes };
    } else {
        svp_status_fail(error, status, found.operation, "region '%.80s': %.270s", region->name, found.message);
        if (error != NULL) {
            error->os_code = found.os_code;
        }
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

enum savepoint_status
svp_region_collect_range(struct svp_region *region, const struct svp_range *range, enum svp_watch_mode mode,
                         struct svp_pageset *written, struct svp_watch_run *runs, size_t run_capacity,
                         struct savepoint_error *error)
{
    uintptr_t at = range->start;
    uintptr_t end = range->start + range->bytes;
    while (at < end) {
        size_t count = 0;
        uintptr_t resume = end;
        enum savepoint_status status =
            region->backend->collect(region->watch, at, end - at, mode, 0, runs, run_capacity, &count, &resume, error);
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

enum savepoint_status
svp_region_collect(struct svp_region *region, enum svp_watch_mode mode, struct svp_pageset *written,
                   struct svp_watch_run *runs, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    region->untouched = region->untouched && mode == SVP_WATCH_PEEK;
    for (size_t i = 0; i < region->range_count; i++) {
        enum savepoint_status failure =
            svp_region_collect_range(region, &region->ranges[i], mode, written, runs, SVP_RUNS, error);
        status = failure != SAVEPOINT_OK ? failure : status;
    }
    struct savepoint_error found = { 0 };
    if (status != SAVEPOINT_OK &&
        svp_mapping_check((uintptr_t)region->base, region->bytes, 0, NULL, &found) == SAVEPOINT_BAD_MEMORY) {
        return svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "collect",
                               "region '%.80s': its memory is gone: remove the region before unmapping it: %.200s",
                               region->name, found.message);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_region_prepare_range(struct svp_region *region, uintptr_t start, uintptr_t end, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    atomic_store(&region->prepared, region->refuses_kernel);
    for (size_t i = 0; status == SAVEPOINT_OK && i < region->range_count; i++) {
        uintptr_t range_end = region->ranges[i].start + region->ranges[i].bytes;
        uintptr_t from = start > region->ranges[i].start ? start : region->ranges[i].start;
        uintptr_t to = end < range_end ? end : range_end;
        if (from < to) {
            status = region->backend->prepare(region->watch, from, to - from, error);
        }
    }
    return status;
}

/* Letting go of a page and arming it again costs about a quarter of a fault that the kernel resolves. */
static bool faults_are_cheaper(const struct svp_region *region, uint64_t pages)
{
    return region->kernel_faults && pages < region->pages / 4;
}

enum savepoint_status svp_region_prepare(struct svp_region *region, uint64_t pages, struct savepoint_error *error)
{
    struct savepoint_error found = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < region->range_count && !faults_are_cheaper(region, pages); i++) {
        status = region->backend->prepare(region->watch, region->ranges[i].start, region->ranges[i].bytes, error);
    }
    if (status == SAVEPOINT_OK &&
        svp_mapping_check((uintptr_t)region->base, region->bytes, 0, NULL, &found) == SAVEPOINT_BAD_MEMORY) {
        status = svp_status_fail(error, SAVEPOINT_BAD_MEMORY, "restore",
                                 "region '%.80s' cannot be written, nothing was changed: %.200s", region->name,
                                 found.message);
    }
    return status;
}

void svp_region_pend(struct svp_region *region, uint64_t first_page, uint64_t page_count)
{
    svp_pageset_add(&region->pending, first_page, page_count);
    svp_pageset_add(&region->ring_pending, first_page, page_count);
    svp_pageset_remove(&region->precopied, first_page, page_count);
}

void svp_region_report(struct svp_region *region, const struct svp_pageset *written)
{
    svp_pageset_unite(&region->pending, written);
    svp_pageset_unite(&region->ring_pending, written);
    svp_pageset_subtract(&region->precopied, written);
}

void svp_region_forget(struct svp_region *region, uint64_t page)
{
    region->states[page] = (struct svp_page_state){ 0 };
    const struct svp_hash zero = svp_tree_zero_page();
    svp_tree_update(&region->tree, page, &zero);
}

enum savepoint_status svp_region_check_fits(const struct svp_region *region, const struct svp_region_entry *entry,
                                            const char *operation, struct savepoint_error *error)
{
    if (region->bytes < entry->bytes) {
        return svp_status_fail(
            error, SAVEPOINT_MISMATCH, operation,
            "region '%.80s' has %zu bytes here and %llu in the snapshot: make it at least that large", entry->name,
            region->bytes, (unsigned long long)entry->bytes);
    }
    if ((entry->flags & SVP_REGION_MAPPED) != 0 && entry->address != (uint64_t)(uintptr_t)region->base) {
        return svp_status_fail(
            error, SAVEPOINT_MISMATCH, operation,
            "region '%.80s' was mapped at %#llx, here it is at %p: pointers into it would break: let "
            "savepoint_map place it",
            entry->name, (unsigned long long)entry->address, (void *)region->base);
    }
    return SAVEPOINT_OK;
}
