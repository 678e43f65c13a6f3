/* regions.c - the public calls about regions: watch, grow, remove, exclude, mark, prepare */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"
#include "os/vm.h"
#include "session/busy.h"
#include "session/live.h"
#include "session/region.h"
#include "session/regions.h"
#include "status.h"
#include "utf8.h"

struct svp_region *svp_session_region(const struct savepoint *session, const char *name)
{
    for (size_t i = 0; i < session->region_count; i++) {
        if (strcmp(session->regions[i]->name, name) == 0) {
            return session->regions[i];
        }
    }
    return NULL;
}

enum savepoint_status
svp_regions_check_name(const struct savepoint *session, const char *name, struct savepoint_error *error)
{
    if (name == NULL || name[0] == '\0' || strlen(name) >= SAVEPOINT_NAME_BYTES) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "a region needs a name of 1 to %d bytes",
                               SAVEPOINT_NAME_BYTES - 1);
    }
    if (!svp_utf8_valid(name)) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "a region's name must be UTF-8 text");
    }
    if (svp_session_region(session, name) != NULL) {
        return svp_status_fail(error, SAVEPOINT_EXISTS, "watch",
                               "region '%.80s' is already there: remove it first, or use another name", name);
    }
    if (session->region_count >= SVP_REGIONS_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "watch", "a session has at most %u regions", SVP_REGIONS_MAX);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_regions_check_range(const struct savepoint *session, const char *name, uintptr_t start,
                                              size_t bytes, struct savepoint_error *error)
{
    size_t host_page = svp_vm_page_bytes();
    if (start == 0 || bytes == 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "region '%.80s': %s", name,
                               bytes == 0 ? "it has no bytes" : "its memory is NULL");
    }
    if (start % host_page != 0 || bytes % host_page != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch",
                               "region '%.80s': start %#" PRIxPTR
                               " and size %zu must be multiples of the host's page of %zu "
                               "bytes (aligned_alloc or mmap give such memory)",
                               name, start, bytes, host_page);
    }
    if (bytes > SVP_REGION_BYTES_MAX || start > UINTPTR_MAX - bytes) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "region '%.80s': %zu bytes are too many", name,
                               bytes);
    }
    for (size_t i = 0; i < session->region_count; i++) {
        const struct svp_region *other = session->regions[i];
        uintptr_t other_start = (uintptr_t)other->base;
        size_t other_bytes = other->mapped ? other->reserve_bytes : other->bytes;
        if (start < other_start + other_bytes && other_start < start + bytes && strcmp(other->name, name) != 0) {
            return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch", "region '%.80s' overlaps region '%.80s'", name,
                                   other->name);
        }
    }
    return SAVEPOINT_OK;
}

/* The session's instance of a backend, opened at first use. */
static enum savepoint_status watch_of(struct savepoint *session, struct svp_watch **watch,
                                      const struct svp_watch_backend *backend, struct savepoint_error *error)
{
    for (size_t i = 0; i < session->watch_count; i++) {
        if (session->watches[i].backend == backend) {
            *watch = session->watches[i].watch;
            return SAVEPOINT_OK;
        }
    }
    enum savepoint_status status = backend->open(watch, error);
    if (status == SAVEPOINT_OK) {
        session->watches[session->watch_count].backend = backend;
        session->watches[session->watch_count].watch = *watch;
        session->watch_count++;
    }
    return status;
}

static enum savepoint_status
choose_backend(struct savepoint *session, struct svp_region *region, struct savepoint_error *error)
{
    struct svp_watch_choice choice;
    enum savepoint_status status = svp_watch_choose(&choice, session->watch_name, region->bytes,
                                                    (size_t)session->options.compare_max_bytes, error);
    if (status == SAVEPOINT_OK) {
        region->backend = choice.backend;
        region->arms_memory = choice.caps.arms_memory;
        region->host_page_bytes = choice.caps.page_bytes;
        region->collects_live = choice.caps.arms_memory && choice.caps.concurrent_writers_safe;
        region->refuses_kernel = !choice.caps.kernel_writes_counted;
        region->kernel_faults =
            choice.caps.kernel_writes_counted && choice.caps.cost == SAVEPOINT_WATCH_COST_KERNEL_FAULT;
        status = watch_of(session, &region->watch, region->backend, error);
    }
    if (status == SAVEPOINT_OK) {
        svp_mutex_lock(session->mutex);
        session->statistics.flags |= choice.fallback ? SAVEPOINT_SESSION_FALLBACK : 0;
        strncpy(session->statistics.backend, region->backend->name, sizeof session->statistics.backend - 1);
        svp_mutex_unlock(session->mutex);
    }
    return status;
}

/* The ring is ready for so many pages of the region. */
static enum savepoint_status
cover(struct savepoint *session, struct svp_region *region, uint64_t pages, struct savepoint_error *error)
{
    region->ring_id = region->ring_id != 0 ? region->ring_id : ++session->next_ring_id;
    if (session->has_ring && !svp_ring_cover(&session->ring, region->ring_id, pages)) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "region '%.80s': no memory for its ring",
                               region->name);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_regions_add(struct savepoint *session, struct svp_region **added, const char *name,
                                      uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    void *grown = svp_memory_resize(session->regions, session->region_count + 1, sizeof(struct svp_region *));
    if (grown != NULL) {
        session->regions = grown;
    }
    struct svp_region *region = grown != NULL ? svp_region_new(name, (uint8_t *)start, bytes) : NULL;
    if (region == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch",
                               "region '%.80s': no memory for its shadow of %zu bytes", name, bytes);
    }
    enum savepoint_status status = cover(session, region, region->pages, error);
    status = status == SAVEPOINT_OK ? choose_backend(session, region, error) : status;
    status = status == SAVEPOINT_OK ? svp_region_arm(region, start, bytes, error) : status;
    if (status != SAVEPOINT_OK) {
        svp_ring_uncover(&session->ring, region->ring_id);
        svp_region_free(region);
        return status;
    }
    region->id = session->next_region_id++;
    session->regions[session->region_count++] = region;
    *added = region;
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_watch(struct savepoint *session, const char *name, void *base, size_t bytes, struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = svp_busy_check(session, "watch", error);
    status = status == SAVEPOINT_OK ? svp_regions_check_name(session, name, error) : status;
    status = status == SAVEPOINT_OK ? svp_regions_check_range(session, name, (uintptr_t)base, bytes, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_live_give_up(session, "watch");
    svp_session_drain(session);
    return svp_regions_add(session, &region, name, (uintptr_t)base, bytes, error);
}

static enum savepoint_status find_region(struct savepoint *session, struct svp_region **region, const char *name,
                                         const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = svp_busy_check(session, operation, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    *region = name != NULL ? svp_session_region(session, name) : NULL;
    if (*region == NULL) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, operation, "there is no region '%.80s'",
                               name != NULL ? name : "(NULL)");
    }
    svp_live_give_up(session, operation);
    svp_session_drain(session);
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_grow(struct savepoint *session, const char *name, size_t bytes, struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_region(session, &region, name, "grow", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    size_t wanted = region->mapped ? (size_t)svp_round_up(bytes, SVP_MAP_GRANULE) : bytes;
    if (wanted == region->bytes) {
        return SAVEPOINT_OK; /* an allocator whose size came back with a snapshot grows its region again */
    }
    if (wanted < region->bytes || wanted < bytes) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "grow",
                               "region '%.80s' has %zu bytes already; regions do not shrink", name, region->bytes);
    }
    uintptr_t behind = (uintptr_t)region->base + region->bytes;
    size_t added = wanted - region->bytes;
    if (region->mapped && wanted > region->reserve_bytes) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "grow",
                               "region '%.80s': its reserve of %zu bytes is full: map it with a larger reserve_bytes",
                               name, region->reserve_bytes);
    }
    int code = region->mapped ? svp_vm_extend((uintptr_t)region->base, region->bytes, wanted) : 0;
    if (code != 0) {
        return svp_status_os(error, code, "grow", "region '%.80s': cannot map %zu more bytes", name, added);
    }
    status = svp_regions_check_range(session, name, behind, added, error);
    status = status == SAVEPOINT_OK ? cover(session, region, wanted / SVP_PAGE_BYTES, error) : status;
    status = status == SAVEPOINT_OK ? svp_region_arm(region, behind, added, error) : status;
    if (status == SAVEPOINT_OK && !svp_region_resize(region, wanted)) {
        region->backend->remove(region->watch, behind, added);
        region->range_count--;
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "grow", "region '%.80s': no memory to grow", name);
    }
    return status;
}

enum savepoint_status savepoint_remove(struct savepoint *session, const char *name, struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_region(session, &region, name, "remove", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_region_disarm(region);
    if (region->mapped) {
        svp_vm_unmap((uintptr_t)region->base, region->reserve_bytes);
    }
    size_t at = 0;
    while (session->regions[at] != region) {
        at++;
    }
    session->region_count--;
    memmove(&session->regions[at], &session->regions[at + 1],
            (session->region_count - at) * sizeof session->regions[0]);
    svp_ring_uncover(&session->ring, region->ring_id);
    svp_region_free(region);
    return SAVEPOINT_OK;
}

static enum savepoint_status
find_pages(struct savepoint *session, struct svp_region **region, const char *name, size_t offset, size_t bytes,
           const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = find_region(session, region, name, operation, error);
    if (status == SAVEPOINT_OK && (offset % SVP_PAGE_BYTES != 0 || bytes % SVP_PAGE_BYTES != 0 || bytes == 0 ||
                                   offset > (*region)->bytes || bytes > (*region)->bytes - offset)) {
        status =
            svp_status_fail(error, SAVEPOINT_INVALID, operation,
                            "region '%.80s': offset %zu and size %zu must be multiples of 4096 inside its %zu bytes",
                            name, offset, bytes, (*region)->bytes);
    }
    return status;
}

/* Ranges of neighbouring excluded pages: the format has a limit for them. */
static uint64_t count_ranges(const struct svp_pageset *excluded)
{
    uint64_t ranges = 0;
    uint64_t before = SVP_PAGESET_NONE;
    uint64_t page = svp_pageset_next(excluded, 0);
    for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(excluded, page + 1)) {
        ranges += before == SVP_PAGESET_NONE || page != before + 1 ? 1 : 0;
        before = page;
    }
    return ranges;
}

/* Adding or taking away one range makes at most one range more. */
static enum savepoint_status
check_range_count(const struct svp_region *region, const char *operation, struct savepoint_error *error)
{
    if (count_ranges(&region->excluded) >= SVP_EXCLUDED_MAX) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, operation,
                               "region '%.80s' has %u excluded ranges already: join some", region->name,
                               SVP_EXCLUDED_MAX);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status savepoint_exclude(struct savepoint *session, const char *name, size_t offset, size_t bytes,
                                        struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_pages(session, &region, name, offset, bytes, "exclude", error);
    status = status == SAVEPOINT_OK ? check_range_count(region, "exclude", error) : status;
    if (status == SAVEPOINT_OK) {
        svp_pageset_add(&region->excluded, offset / SVP_PAGE_BYTES, bytes / SVP_PAGE_BYTES);
        for (size_t at = offset; at < offset + bytes; at += SVP_PAGE_BYTES) {
            svp_region_forget(region, at / SVP_PAGE_BYTES);
        }
    }
    return status;
}

enum savepoint_status savepoint_include(struct savepoint *session, const char *name, size_t offset, size_t bytes,
                                        struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_pages(session, &region, name, offset, bytes, "include", error);
    status = status == SAVEPOINT_OK ? check_range_count(region, "include", error) : status;
    if (status == SAVEPOINT_OK) {
        svp_pageset_remove(&region->excluded, offset / SVP_PAGE_BYTES, bytes / SVP_PAGE_BYTES);
        svp_region_pend(region, offset / SVP_PAGE_BYTES, bytes / SVP_PAGE_BYTES);
        svp_pageset_add(&region->no_base, offset / SVP_PAGE_BYTES, bytes / SVP_PAGE_BYTES);
    }
    return status;
}

/* The region that holds all of [start, start + bytes), NULL when there is none. */
static struct svp_region *region_around(struct savepoint *session, uintptr_t start, size_t bytes)
{
    for (size_t i = 0; i < session->region_count; i++) {
        struct svp_region *region = session->regions[i];
        uintptr_t base = (uintptr_t)region->base;
        if (start >= base && start - base < region->bytes && bytes <= region->bytes - (start - base)) {
            return region;
        }
    }
    return NULL;
}

static enum savepoint_status find_around(struct savepoint *session, struct svp_region **region, const void *address,
                                         size_t bytes, const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, operation, error);
    if (status == SAVEPOINT_OK) {
        *region = region_around(session, (uintptr_t)address, bytes);
        if (*region == NULL || bytes == 0) {
            status = svp_status_fail(error, SAVEPOINT_INVALID, operation,
                                     "[%p, + %zu) does not lie inside one region of this session", address, bytes);
        }
    }
    return status;
}

enum savepoint_status
savepoint_mark(struct savepoint *session, const void *address, size_t bytes, struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_around(session, &region, address, bytes, "mark", error);
    if (status == SAVEPOINT_OK) {
        uint64_t first = ((uintptr_t)address - (uintptr_t)region->base) / SVP_PAGE_BYTES;
        uint64_t last = ((uintptr_t)address + bytes - 1 - (uintptr_t)region->base) / SVP_PAGE_BYTES;
        svp_mutex_lock(session->mutex);
        svp_region_pend(region, first, last - first + 1);
        svp_mutex_unlock(session->mutex);
    }
    return status;
}

enum savepoint_status
savepoint_prepare(struct savepoint *session, void *address, size_t bytes, struct savepoint_error *error)
{
    struct svp_region *region = NULL;
    enum savepoint_status status = find_around(session, &region, address, bytes, "prepare", error);
    uintptr_t host_page = (uintptr_t)svp_vm_page_bytes();
    uintptr_t start = (uintptr_t)address & ~(host_page - 1);
    uintptr_t end = ((uintptr_t)address + bytes + host_page - 1) & ~(host_page - 1);
    if (status == SAVEPOINT_OK) {
        svp_mutex_lock(session->watching);
        status = svp_region_prepare_range(region, start, end, error);
        svp_mutex_unlock(session->watching);
    }
    return status;
}

enum savepoint_status savepoint_region_at(struct savepoint *session, struct savepoint_region *info, size_t index,
                                          struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "region", error);
    if (status == SAVEPOINT_OK && index >= session->region_count) {
        status =
            svp_status_fail(error, SAVEPOINT_NOT_FOUND, "region", "the session has %zu regions", session->region_count);
    }
    if (status == SAVEPOINT_OK) {
        const struct svp_region *region = session->regions[index];
        *info = (struct savepoint_region){
            .id = region->id,
            .flags = region->mapped ? SAVEPOINT_REGION_MAPPED : 0,
            .address = (uint64_t)(uintptr_t)region->base,
            .bytes = region->bytes,
            .excluded_bytes = svp_pageset_count(&region->excluded) * SVP_PAGE_BYTES,
        };
        memcpy(info->name, region->name, sizeof info->name);
        strncpy(info->backend, region->backend->name, sizeof info->backend - 1);
    }
    return status;
}
