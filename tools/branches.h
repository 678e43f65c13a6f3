/* branches.h - the tree of a history as lines beside each other, to be drawn over time */
#ifndef TOOL_BRANCHES_H
#define TOOL_BRANCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "timeline.h"

enum { BRANCHES_LANES_MAX = 24, BRANCHES_MAX = 256 };

/* A chain of snapshots; the branch that leads to HEAD has lane 0. All members are indexes of a timeline. */
struct branch {
    size_t first, last, count;
    size_t parent; /* where it leaves another one; TIMELINE_NONE for a root, or where the parent is not there */
    size_t lane;   /* TIMELINE_NONE: left out, there is no room for it */
};

struct branches {
    struct branch *list; /* ordered by `first` */
    size_t count, capacity;
    size_t omitted;    /* of them, without a lane */
    size_t lane_count; /* used */
    size_t *of;        /* for each snapshot, the branch it is on */
};

void branches_open(struct branches *branches, const struct timeline *timeline);
void branches_close(struct branches *branches);

#endif
