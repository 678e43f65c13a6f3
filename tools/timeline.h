/* timeline.h - the snapshots of an archive in the order they were committed, and figures over runs of them */
#ifndef TOOL_TIMELINE_H
#define TOOL_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

#define TIMELINE_NONE SIZE_MAX

struct timeline_point {
    struct savepoint_id id, parent_id;
    uint64_t sequence, time_ns, changed_pages, stored_bytes, pause_ns;
    size_t parent; /* index of the parent in the timeline, always smaller; TIMELINE_NONE where it is not there */
    char *label;   /* NULL for none */
    uint32_t flags;
    uint32_t damaged; /* 1: not all of its pages could be read */
};

struct timeline {
    struct timeline_point *points; /* once closed for adding: oldest first */
    size_t count, capacity;
};

void timeline_open(struct timeline *timeline);
void timeline_close(struct timeline *timeline);

/* Adds snapshots newest first, as savepoint_archive_previous() gives them; then finish turns them round and finds the
 * parents. */
void timeline_add(struct timeline *timeline, const struct savepoint_snapshot *snapshot);
void timeline_finish(struct timeline *timeline);

/* What the snapshots [first, first + count) have in common. */
struct timeline_figures {
    uint64_t changed_pages, changed_pages_max;
    uint64_t stored_bytes, stored_bytes_max;
    uint64_t pause_ns_median, pause_ns_p90, pause_ns_max;
    size_t dropped_count, damaged_count;
};
void timeline_figures(const struct timeline *timeline, struct timeline_figures *figures, size_t first, size_t count);

/* The value below which `hundredths` of `count` values lie (nearest rank); sorts them. 0 for none. */
uint64_t timeline_percentile(uint64_t *values, size_t count, unsigned hundredths);

#endif
