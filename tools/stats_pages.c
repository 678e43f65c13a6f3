/* stats_pages.c - the pages that snapshots stored, counted by region and coder */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "stats.h"
#include "terminal.h"
#include "text.h"

enum { COMPLAINTS_MAX = 10 };

static void complain(struct stats *stats, const char *what, const struct savepoint_snapshot *snapshot,
                     const struct savepoint_error *error)
{
    char id[TEXT_SHORT_BYTES];
    progress_clear(&stats->progress);
    if (stats->complaint_count++ < COMPLAINTS_MAX) {
        fail_warn(stats->tool, stats->archive.path, "%s %s cannot be read: %s", what, text_short_id(id, &snapshot->id),
                  fail_message(error->message, stats->archive.path, error->status));
    }
}

/* ---- regions */

/* The region of an id, new where it has not been met. */
static struct stats_region *region_of(struct stats *stats, uint32_t id)
{
    size_t low = 0;
    size_t high = stats->region_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool before = stats->regions[middle].id < id;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    if (low < stats->region_count && stats->regions[low].id == id) {
        return &stats->regions[low];
    }
    if (stats->region_count == stats->region_capacity) {
        stats->region_capacity = stats->region_capacity == 0 ? 16 : stats->region_capacity * 2;
        stats->regions = fail_resize(stats->regions, stats->region_capacity, sizeof *stats->regions);
    }
    struct stats_region *region = &stats->regions[low];
    memmove(region + 1, region, (stats->region_count - low) * sizeof *region);
    stats->region_count++;
    *region = (struct stats_region){ .id = id };
    return region;
}

/* Names the regions of a snapshot; where their table is lost (false), the number has to do. */
static bool name_regions(struct stats *stats, const struct savepoint_snapshot *snapshot, bool newest)
{
    struct savepoint_region one;
    struct savepoint_error error;
    struct savepoint_archive *reader = stats->archive.reader;
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; (status = savepoint_archive_region_at(reader, &one, snapshot, i, &error)) == SAVEPOINT_OK; i++) {
        struct stats_region *region = region_of(stats, one.id);
        memcpy(region->name, one.name, sizeof region->name);
        region->bytes = newest ? one.bytes : region->bytes;
    }
    if (status != SAVEPOINT_NOT_FOUND) {
        complain(stats, "the regions of snapshot", snapshot, &error);
    }
    for (size_t i = 0; i < stats->region_count; i++) {
        struct stats_region *region = &stats->regions[i];
        if (region->name[0] == '\0') {
            snprintf(region->name, sizeof region->name, "(region %" PRIu32 ")", region->id);
        }
    }
    return status == SAVEPOINT_NOT_FOUND;
}

static bool all_named(const struct stats *stats)
{
    bool named = true;
    for (size_t i = 0; named && i < stats->region_count; i++) {
        named = stats->regions[i].name[0] != '\0';
    }
    return named;
}

void stats_begin_regions(struct stats *stats, const struct savepoint_snapshot *newest)
{
    stats->sizes_known = name_regions(stats, newest, true);
}

/* ---- pages */

/* `from` counts for the coder of the same name; more than there is room for are left out. */
static void add_coder(struct stats_region *region, const struct stats_coder *from)
{
    size_t i = 0;
    while (i < region->coder_count && strcmp(region->coders[i].name, from->name) != 0) {
        i++;
    }
    if (i == STATS_CODERS_MAX) {
        return;
    }
    if (i == region->coder_count) {
        region->coders[region->coder_count++] = (struct stats_coder){ from->name, from->kind, 0, 0 };
    }
    region->coders[i].pages += from->pages;
    region->coders[i].bytes += from->bytes;
}

static int count_page(void *user, const struct savepoint_change *change)
{
    struct stats *stats = user;
    struct stats_region *region = region_of(stats, change->region_id);
    const struct stats_coder coder = { change->coder, change->kind, 1, change->stored_bytes };
    add_coder(region, &coder);
    stats->kinds[change->kind].pages++;
    stats->kinds[change->kind].bytes += change->stored_bytes;
    region->pages++;
    region->stored_bytes += change->stored_bytes;
    if (change->kind == SAVEPOINT_CHANGE_DELTA) {
        region->delta_pages++;
        region->changed_bytes += change->changed_bytes;
    }
    return terminal_stopped();
}

static uint64_t payload_bytes(const struct stats *stats)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof stats->kinds / sizeof stats->kinds[0]; i++) {
        bytes += stats->kinds[i].bytes;
    }
    return bytes;
}

int stats_count_pages(struct stats *stats, const struct savepoint_snapshot *snapshot)
{
    struct savepoint_error error;
    uint64_t payload_before = payload_bytes(stats);
    enum savepoint_status status =
        savepoint_archive_changes(stats->archive.reader, snapshot, count_page, stats, &error);
    if (status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED) {
        complain(stats, "all of snapshot", snapshot, &error);
    } else if (status != SAVEPOINT_OK) {
        progress_clear(&stats->progress);
        return fail_with(stats->tool, stats->archive.path, &error);
    } else {
        stats->overhead_bytes += snapshot->stored_bytes - (payload_bytes(stats) - payload_before);
        stats->read_count++;
        stats->read_pages += snapshot->changed_pages;
    }
    if (!all_named(stats)) {
        name_regions(stats, snapshot, false);
    }
    return TOOL_GO_ON;
}

/* ---- the end */

static int by_name(const void *left, const void *right)
{
    const struct stats_region *a = left;
    const struct stats_region *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

static int by_bytes(const void *left, const void *right)
{
    const struct stats_region *a = left;
    const struct stats_region *b = right;
    int order = (a->stored_bytes < b->stored_bytes) - (a->stored_bytes > b->stored_bytes);
    return order != 0 ? order : strcmp(a->name, b->name);
}

/* A region that was removed and added again has two ids. */
static void join(struct stats_region *region, const struct stats_region *other)
{
    region->bytes += other->bytes; /* at most one of them is there */
    region->pages += other->pages;
    region->delta_pages += other->delta_pages;
    region->changed_bytes += other->changed_bytes;
    region->stored_bytes += other->stored_bytes;
    for (size_t i = 0; i < other->coder_count; i++) {
        add_coder(region, &other->coders[i]);
    }
}

void stats_finish_regions(struct stats *stats)
{
    struct stats_region *regions = stats->regions;
    size_t kept = 0;
    if (stats->region_count > 1) {
        qsort(regions, stats->region_count, sizeof *regions, by_name);
    }
    for (size_t i = 0; i < stats->region_count; i++) {
        if (kept > 0 && strcmp(regions[kept - 1].name, regions[i].name) == 0) {
            join(&regions[kept - 1], &regions[i]);
        } else {
            regions[kept++] = regions[i];
        }
    }
    stats->region_count = kept;
    if (kept > 1) {
        qsort(regions, kept, sizeof *regions, by_bytes);
    }
}
