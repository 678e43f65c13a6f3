/* branches.c - the tree of a history as lines beside each other, to be drawn over time */
#include "branches.h"

#include <stdint.h>
#include <stdlib.h>

#include "fail.h"

/* Where HEAD is not in the timeline, the newest snapshot stands in for it. */
static bool *mark_way_to_head(const struct timeline *timeline)
{
    bool *marked = fail_alloc(timeline->count, sizeof *marked);
    size_t at = timeline->count - 1;
    for (size_t i = 0; i < timeline->count; i++) {
        marked[i] = false;
        at = timeline->points[i].flags & SAVEPOINT_SNAPSHOT_HEAD ? i : at;
    }
    for (; at != TIMELINE_NONE; at = timeline->points[at].parent) {
        marked[at] = true;
    }
    return marked;
}

/* Of several children the one on the way to HEAD goes on with the line of its parent, else the oldest. */
static size_t *choose_heirs(const struct timeline *timeline, const bool *to_head)
{
    size_t *heir = fail_alloc(timeline->count, sizeof *heir);
    for (size_t i = 0; i < timeline->count; i++) {
        size_t parent = timeline->points[i].parent;
        heir[i] = TIMELINE_NONE;
        if (parent != TIMELINE_NONE && (heir[parent] == TIMELINE_NONE || (to_head[i] && !to_head[heir[parent]]))) {
            heir[parent] = i;
        }
    }
    return heir;
}

static void add(struct branches *branches, size_t first, size_t parent, size_t lane)
{
    if (branches->count == branches->capacity) {
        branches->capacity = branches->capacity == 0 ? 16 : branches->capacity * 2;
        branches->list = fail_resize(branches->list, branches->capacity, sizeof *branches->list);
    }
    branches->list[branches->count++] = (struct branch){ first, first, 0, parent, lane };
}

static void follow(struct branches *branches, const struct timeline *timeline)
{
    bool *to_head = mark_way_to_head(timeline);
    size_t *heir = choose_heirs(timeline, to_head);
    for (size_t i = 0; i < timeline->count; i++) {
        size_t parent = timeline->points[i].parent;
        if (parent != TIMELINE_NONE && heir[parent] == i) {
            branches->of[i] = branches->of[parent];
        } else {
            branches->of[i] = branches->count;
            add(branches, i, parent, to_head[i] ? 0 : TIMELINE_NONE);
        }
        struct branch *branch = &branches->list[branches->of[i]];
        branch->last = i;
        branch->count++;
    }
    free(to_head);
    free(heir);
}

static int by_size(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    return (a < b) - (a > b);
}

/* Branches shorter than this are left out, so that at most BRANCHES_MAX remain. */
static size_t least_count(const struct branches *branches)
{
    if (branches->count <= BRANCHES_MAX) {
        return 0;
    }
    size_t *counts = fail_alloc(branches->count, sizeof *counts);
    for (size_t i = 0; i < branches->count; i++) {
        counts[i] = branches->list[i].count;
    }
    qsort(counts, branches->count, sizeof *counts, by_size);
    size_t least = counts[BRANCHES_MAX];
    free(counts);
    return least + 1;
}

/* Each gets the lowest lane that is free from where it leaves its parent to its end; lane 0 is HEAD's alone. */
static void choose_lanes(struct branches *branches)
{
    size_t busy_until[BRANCHES_LANES_MAX] = { 0 }; /* first index that is free */
    size_t least = least_count(branches);
    branches->lane_count = 1;
    for (size_t i = 0; i < branches->count; i++) {
        struct branch *branch = &branches->list[i];
        size_t from = branch->parent == TIMELINE_NONE ? branch->first : branch->parent;
        if (branch->lane == 0) {
            continue;
        }
        size_t lane = 1;
        while (lane < BRANCHES_LANES_MAX && busy_until[lane] > from) {
            lane++;
        }
        if (lane == BRANCHES_LANES_MAX || branch->count < least) {
            branches->omitted++;
            continue;
        }
        branch->lane = lane;
        busy_until[lane] = branch->last + 1;
        branches->lane_count = lane + 1 > branches->lane_count ? lane + 1 : branches->lane_count;
    }
}

void branches_open(struct branches *branches, const struct timeline *timeline)
{
    *branches = (struct branches){ NULL, 0, 0, 0, 0, NULL };
    if (timeline->count == 0) {
        return;
    }
    branches->of = fail_alloc(timeline->count, sizeof *branches->of);
    follow(branches, timeline);
    choose_lanes(branches);
}

void branches_close(struct branches *branches)
{
    free(branches->list);
    free(branches->of);
    *branches = (struct branches){ NULL, 0, 0, 0, 0, NULL };
}
