/* public.c - a write-watch by itself: open, close, its ranges */
#include "public.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/memory.h"
#include "options.h"
#include "os/host.h"
#include "status.h"

/* ---- what a backend can do */

static struct savepoint_watch_capabilities capabilities_of(const struct svp_watch_caps *caps)
{
    return (struct savepoint_watch_capabilities){
        .page_bytes = caps->page_bytes,
        .kernel_writes_counted = caps->kernel_writes_counted,
        .atomic_rearm = caps->atomic_rearm,
        .concurrent_writers_safe = caps->concurrent_writers_safe,
        .concurrent_collects = caps->concurrent_collects,
        .arms_memory = caps->arms_memory,
        .exclusive = caps->exclusive,
        .cost = (uint32_t)caps->cost,
    };
}

enum savepoint_status
savepoint_watch_backend_at(struct savepoint_watch_backend *backend, size_t index, struct savepoint_error *error)
{
    const struct svp_watch_backend *found = svp_watch_backend_at(index);
    struct svp_watch_caps caps = { 0 };
    struct savepoint_error why = { .message = "" };
    if (backend == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "backends", "the backend is NULL");
    }
    if (found == NULL) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "backends", "this system has no write-watch number %zu",
                               index);
    }
    *backend = (struct savepoint_watch_backend){ .name = "" };
    snprintf(backend->name, sizeof backend->name, "%s", found->name);
    snprintf(backend->mechanism, sizeof backend->mechanism, "%s", found->mechanism);
    if (found->probe(&caps, &why) == SAVEPOINT_OK) {
        backend->available = 1;
        backend->capabilities = capabilities_of(&caps);
    } else {
        snprintf(backend->problem, sizeof backend->problem, "%s", why.message);
    }
    return SAVEPOINT_OK;
}

/* ---- open and close */

/* Says that it was not the program that asked for this write-watch. */
static enum savepoint_status
blame_environment(enum savepoint_status status, const struct savepoint_error *found, struct savepoint_error *error)
{
    if (error != NULL) {
        *error = *found;
        snprintf(error->message, sizeof error->message, "SAVEPOINT_WATCH=%.40s in the environment: %.280s",
                 getenv("SAVEPOINT_WATCH"), found->message);
    }
    return status;
}

static enum savepoint_status read_options(struct savepoint_watch_options *own,
                                          const struct savepoint_watch_options *options, struct savepoint_error *error)
{
    *own = (struct savepoint_watch_options)SAVEPOINT_WATCH_OPTIONS_INIT;
    enum savepoint_status status = svp_options_copy(own, sizeof *own, options, "watch", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if ((own->flags & ~(uint32_t)SAVEPOINT_WATCH_KERNEL_WRITES) != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "flags %#x are not known", own->flags);
    }
    if (own->reserved != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "the field 'reserved' of the options is not 0");
    }
    return SAVEPOINT_OK;
}

/* Where the primary is missing, `compare` serves ranges of any size when kernel writes have to work, else none. */
static enum savepoint_status choose(struct savepoint_write_watch *watch, const struct savepoint_watch_options *options,
                                    struct savepoint_error *error)
{
    bool kernel_writes = (options->flags & SAVEPOINT_WATCH_KERNEL_WRITES) != 0;
    const char *wanted = options->backend == NULL ? getenv("SAVEPOINT_WATCH") : NULL;
    const char *forced = wanted != NULL && wanted[0] != '\0' ? wanted : options->backend;
    struct svp_watch_choice choice;
    struct savepoint_error found = { .message = "" };
    enum savepoint_status status = svp_watch_choose(&choice, forced, 1, kernel_writes ? 1 : 0, &found);
    if (status != SAVEPOINT_OK && forced == wanted && wanted != NULL) {
        return blame_environment(status, &found, error);
    }
    if (status != SAVEPOINT_OK) {
        if (error != NULL) {
            *error = found;
        }
        return status;
    }
    if (kernel_writes && !choice.caps.kernel_writes_counted) {
        return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "watch",
                               "the %s write-watch does not count kernel writes, which were asked for",
                               choice.backend->name);
    }
    watch->backend = choice.backend;
    watch->caps = choice.caps;
    watch->fallback = choice.fallback;
    return SAVEPOINT_OK;
}

static enum savepoint_status open_backend(struct savepoint_write_watch *watch,
                                          const struct savepoint_watch_options *options, struct savepoint_error *error)
{
    enum savepoint_status status = choose(watch, options, error);
    if (status == SAVEPOINT_OK) {
        status = watch->backend->open(&watch->watch, error);
    }
    if (status == SAVEPOINT_OK && !svp_gate_open(&watch->gate)) {
        watch->backend->close(watch->watch);
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    return status;
}

enum savepoint_status savepoint_watch_open(struct savepoint_write_watch **watch,
                                           const struct savepoint_watch_options *options, struct savepoint_error *error)
{
    struct savepoint_watch_options own;
    if (watch == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "the watch is NULL");
    }
    enum savepoint_status status = read_options(&own, options, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct savepoint_write_watch *opened = svp_memory_zalloc(1, sizeof *opened);
    if (opened == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for a write-watch");
    }
    opened->process = svp_host_process();
    status = open_backend(opened, &own, error);
    if (status != SAVEPOINT_OK) {
        svp_memory_free(opened);
        return status;
    }
    *watch = opened;
    return SAVEPOINT_OK;
}

void savepoint_watch_close(struct savepoint_write_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    watch->backend->close(watch->watch);
    /* In a child the gate may be held by threads that do not exist there: it is left alone. */
    if (watch->process == svp_host_process()) {
        svp_gate_close(&watch->gate);
    }
    svp_memory_free(watch->ranges);
    svp_memory_free(watch);
}

enum savepoint_status savepoint_watch_describe(struct savepoint_write_watch *watch, struct savepoint_watch_info *info,
                                               struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check(watch, "describe", error);
    if (status == SAVEPOINT_OK && info == NULL) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "describe", "the info is NULL");
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    *info = (struct savepoint_watch_info){ .fallback = watch->fallback, .capabilities = capabilities_of(&watch->caps) };
    snprintf(info->backend, sizeof info->backend, "%s", watch->backend->name);
    svp_gate_enter(&watch->gate, false);
    info->widened = watch->backend->widened(watch->watch);
    info->range_count = watch->range_count;
    for (size_t i = 0; i < watch->range_count; i++) {
        info->watched_bytes += watch->ranges[i].bytes;
    }
    svp_gate_leave(&watch->gate, false);
    return SAVEPOINT_OK;
}

/* ---- checks */

enum savepoint_status
svp_public_check(const struct savepoint_write_watch *watch, const char *operation, struct savepoint_error *error)
{
    if (watch == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation, "the watch is NULL");
    }
    if (watch->process != svp_host_process()) {
        return svp_status_fail(error, SAVEPOINT_FORKED, operation, "this write-watch belongs to the parent process");
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_public_check_part(const struct savepoint_write_watch *watch, uintptr_t start, size_t bytes,
                                            const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check(watch, operation, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (start % watch->caps.page_bytes != 0 || bytes % watch->caps.page_bytes != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation,
                               "0x%" PRIxPTR " and %zu bytes are not multiples of the page size, %zu", start, bytes,
                               watch->caps.page_bytes);
    }
    if (bytes == 0 || bytes > UINTPTR_MAX - start) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation,
                               "%zu bytes at 0x%" PRIxPTR " are nothing, or reach beyond the address space", bytes,
                               start);
    }
    return SAVEPOINT_OK;
}

/* ---- ranges */

/* The number of ranges that begin at or below `address`. */
static size_t count_below(const struct savepoint_write_watch *watch, uintptr_t address)
{
    size_t low = 0;
    size_t high = watch->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (watch->ranges[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct svp_public_range *svp_public_find(const struct savepoint_write_watch *watch, uintptr_t start, size_t bytes)
{
    size_t below = count_below(watch, start);
    struct svp_public_range *range = below > 0 ? &watch->ranges[below - 1] : NULL;
    bool holds = range != NULL && start - range->start < range->bytes && bytes <= range->bytes - (start - range->start);
    return holds ? range : NULL;
}

/* Makes sure that a range can be put in at `below`. */
static enum savepoint_status make_room(struct savepoint_write_watch *watch, size_t below, uintptr_t start, size_t bytes,
                                       struct savepoint_error *error)
{
    const struct svp_public_range *before = below > 0 ? &watch->ranges[below - 1] : NULL;
    const struct svp_public_range *behind = below < watch->range_count ? &watch->ranges[below] : NULL;
    if ((before != NULL && start - before->start < before->bytes) ||
        (behind != NULL && behind->start - start < bytes)) {
        return svp_status_fail(error, SAVEPOINT_OVERLAP, "watch",
                               "a part of %zu bytes at 0x%" PRIxPTR " is in this write-watch already", bytes, start);
    }
    if (watch->range_count == watch->range_capacity) {
        size_t capacity = watch->range_capacity == 0 ? 8 : 2 * watch->range_capacity;
        struct svp_public_range *grown = svp_memory_resize(watch->ranges, capacity, sizeof *grown);
        if (grown == NULL) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "watch", "no memory for another watched range");
        }
        watch->ranges = grown;
        watch->range_capacity = capacity;
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_public_add(struct savepoint_write_watch *watch, uintptr_t start, size_t bytes, bool allocated,
                                     struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check_part(watch, start, bytes, "watch", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_gate_enter(&watch->gate, true);
    size_t below = count_below(watch, start);
    status = make_room(watch, below, start, bytes, error);
    if (status == SAVEPOINT_OK) {
        status = watch->backend->add(watch->watch, start, bytes, error);
    }
    if (status == SAVEPOINT_OK) {
        struct svp_public_range *at = &watch->ranges[below];
        memmove(at + 1, at, (watch->range_count - below) * sizeof *at);
        *at = (struct svp_public_range){ start, bytes, allocated };
        watch->range_count++;
    }
    svp_gate_leave(&watch->gate, true);
    return status;
}

enum savepoint_status
savepoint_watch_add(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    return svp_public_add(watch, (uintptr_t)start, bytes, false, error);
}

static void forget_range(struct savepoint_write_watch *watch, struct svp_public_range *range)
{
    watch->backend->remove(watch->watch, range->start, range->bytes);
    watch->range_count--;
    memmove(range, range + 1, (size_t)(&watch->ranges[watch->range_count] - range) * sizeof *range);
}

static enum savepoint_status
remove_range(struct savepoint_write_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    struct svp_public_range *range = svp_public_find(watch, start, bytes);
    if (range == NULL) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "remove",
                               "%zu bytes at 0x%" PRIxPTR " are not in this write-watch", bytes, start);
    }
    if (range->start != start || range->bytes != bytes) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "remove",
                               "a range is removed as it was added: %zu bytes at 0x%" PRIxPTR, range->bytes,
                               range->start);
    }
    forget_range(watch, range);
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_watch_remove(struct savepoint_write_watch *watch, void *start, size_t bytes, struct savepoint_error *error)
{
    enum savepoint_status status = svp_public_check_part(watch, (uintptr_t)start, bytes, "remove", error);
    if (status == SAVEPOINT_OK) {
        svp_gate_enter(&watch->gate, true);
        status = remove_range(watch, (uintptr_t)start, bytes, error);
        svp_gate_leave(&watch->gate, true);
    }
    return status;
}

enum savepoint_status svp_public_remove_allocated(struct savepoint_write_watch *watch, uintptr_t start, size_t *bytes)
{
    enum savepoint_status status = svp_public_check(watch, "free", NULL);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_gate_enter(&watch->gate, true);
    struct svp_public_range *range = svp_public_find(watch, start, 1);
    if (range != NULL && range->start == start && range->allocated) {
        *bytes = range->bytes;
        forget_range(watch, range);
    } else {
        status = SAVEPOINT_INVALID;
    }
    svp_gate_leave(&watch->gate, true);
    return status;
}
