/* timeline.c - the snapshots of an archive in the order they were committed, and figures over runs of them */
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

void timeline_open(struct timeline *timeline)
{
    *timeline = (struct timeline){ NULL, 0, 0 };
}

void timeline_close(struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->count; i++) {
        free(timeline->points[i].label);
    }
    free(timeline->points);
    timeline_open(timeline);
}

static char *copy_label(const char *label)
{
    size_t bytes = strlen(label) + 1;
    return bytes == 1 ? NULL : memcpy(fail_alloc(bytes, 1), label, bytes);
}

void timeline_add(struct timeline *timeline, const struct savepoint_snapshot *snapshot)
{
    if (timeline->count == timeline->capacity) {
        timeline->capacity = timeline->capacity == 0 ? 64 : timeline->capacity * 2;
        timeline->points = fail_resize(timeline->points, timeline->capacity, sizeof *timeline->points);
    }
    timeline->points[timeline->count++] = (struct timeline_point){
        .id = snapshot->id,
        .parent_id = snapshot->parent,
        .sequence = snapshot->sequence,
        .time_ns = snapshot->time_ns,
        .changed_pages = snapshot->changed_pages,
        .stored_bytes = snapshot->stored_bytes,
        .pause_ns = snapshot->pause_ns,
        .parent = TIMELINE_NONE,
        .label = copy_label(snapshot->label),
        .flags = snapshot->flags,
    };
}

struct place { /* of an id in the timeline */
    struct savepoint_id id;
    size_t index;
};

static int by_id(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct savepoint_id));
}

static void find_parents(struct timeline *timeline)
{
    struct place *places = fail_alloc(timeline->count, sizeof *places);
    for (size_t i = 0; i < timeline->count; i++) {
        places[i] = (struct place){ timeline->points[i].id, i };
    }
    qsort(places, timeline->count, sizeof *places, by_id);
    for (size_t i = 0; i < timeline->count; i++) {
        struct timeline_point *point = &timeline->points[i];
        const struct place *found = bsearch(&point->parent_id, places, timeline->count, sizeof *places, by_id);
        /* A damaged archive may claim anything; a parent was committed before its child. */
        point->parent = found != NULL && found->index < i ? found->index : TIMELINE_NONE;
    }
    free(places);
}

void timeline_finish(struct timeline *timeline)
{
    for (size_t i = 0, j = timeline->count; i + 1 < j; i++) {
        struct timeline_point swapped = timeline->points[i];
        timeline->points[i] = timeline->points[--j];
        timeline->points[j] = swapped;
    }
    if (timeline->count > 0) {
        find_parents(timeline);
    }
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

uint64_t timeline_percentile(uint64_t *values, size_t count, unsigned hundredths)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof *values, by_value);
    size_t rank = (count * hundredths + 99) / 100;
    return values[rank == 0 ? 0 : rank - 1];
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void timeline_figures(const struct timeline *timeline, struct timeline_figures *figures, size_t first, size_t count)
{
    *figures = (struct timeline_figures){ 0 };
    if (count == 0) {
        return;
    }
    uint64_t *pauses = fail_alloc(count, sizeof *pauses);
    for (size_t i = 0; i < count; i++) {
        const struct timeline_point *point = &timeline->points[first + i];
        figures->changed_pages += point->changed_pages;
        figures->changed_pages_max = larger(figures->changed_pages_max, point->changed_pages);
        figures->stored_bytes += point->stored_bytes;
        figures->stored_bytes_max = larger(figures->stored_bytes_max, point->stored_bytes);
        figures->dropped_count += (point->flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0;
        figures->damaged_count += point->damaged;
        pauses[i] = point->pause_ns;
    }
    figures->pause_ns_median = timeline_percentile(pauses, count, 50);
    figures->pause_ns_p90 = timeline_percentile(pauses, count, 90);
    figures->pause_ns_max = timeline_percentile(pauses, count, 100);
    free(pauses);
}
