/* heat.h - which pages of which regions were written when, counted on a grid of fixed size
 *
 * Memory is bounded whatever the archive holds: HEAT_ROWS * HEAT_COLUMNS cells, and about HEAT_COUNTERS counters of
 * pages; where the regions have more pages than that, a counter stands for a run of pages.
 *
 * First heat_survey for the regions of the snapshots, newest first; then heat_layout; then heat_add for every page. */
#ifndef TOOL_HEAT_H
#define TOOL_HEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

enum { HEAT_PAGE_BYTES = 4096, HEAT_ROWS = 256, HEAT_COLUMNS = 128, HEAT_REGIONS = 64, HEAT_COUNTERS = 4 << 20 };

struct heat_cell {
    uint64_t changed_bytes;
    uint64_t zero_pages, whole_pages, delta_pages; /* a page written in two snapshots counts twice */
};

struct heat_counter { /* of a page, or of a run of them */
    uint64_t changed_bytes;
    uint64_t times;
};

struct heat_region {
    struct savepoint_region region; /* as the newest snapshot has it */
    uint64_t pages;                 /* as many as it ever had */
    size_t first_age, last_age;     /* of the snapshots that have it; 0 is the newest */
    size_t row, row_count;          /* of the grid; none of its own: it shares the last row with others */
    uint64_t row_pages;
    struct heat_counter *counters;
    uint64_t counter_count, counter_pages;
    uint64_t pages_written, changed_bytes, stored_bytes;
    bool present; /* in the snapshot surveyed last */
};

struct heat {
    struct heat_region *regions; /* ordered by id */
    size_t region_count, region_capacity;
    size_t recent; /* the region found last */
    /* From heat_layout on: */
    size_t snapshot_count, column_snapshots, column_count;
    size_t row_count;        /* the last row is shared */
    struct heat_cell *cells; /* row by row */
};

void heat_open(struct heat *heat);
void heat_close(struct heat *heat);

/* Takes note of the regions that the snapshot of this age has, and of their sizes. Those that are new after heat_layout
 * share the last row, and few counters. */
void heat_survey(struct heat *heat, const struct savepoint_region *regions, size_t count, size_t age);

/* Fixes the grid. */
void heat_layout(struct heat *heat, size_t snapshot_count);

/* Counts one page. False: neither region nor page is known, and nothing was counted. */
bool heat_add(struct heat *heat, const struct savepoint_change *change, size_t age);

size_t heat_column(const struct heat *heat, size_t age);

/* The regions by address; to be freed. */
const struct heat_region **heat_by_address(const struct heat *heat);

struct heat_page {
    const struct heat_region *region;
    uint64_t page; /* the first of region->counter_pages */
    struct heat_counter counter;
};
/* The `most` pages written most often, then by bytes changed. Returns how many there are. */
size_t heat_hottest(const struct heat *heat, struct heat_page *pages, size_t most);

/* How many counters of a region are not zero. */
uint64_t heat_touched(const struct heat_region *region);

#endif
