/* diff.h - what the files of the diff verb share: the two snapshots, their regions, and how differences are shown */
#ifndef TOOL_DIFF_H
#define TOOL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive.h"
#include "progress.h"

enum { DIFF_PAGE_BYTES = 4096 };

enum diff_mode {
    DIFF_RUNS,    /* ranges of changed bytes */
    DIFF_HEX,     /* the bytes themselves */
    DIFF_STAT,    /* counts for each region */
    DIFF_REGIONS, /* one word for each region */
    DIFF_QUIET    /* the exit code */
};

struct diff_region { /* of one of the snapshots, or of both */
    const char *name;
    uint64_t left_bytes, right_bytes; /* 0: not there */
    uint64_t pages_changed, changed_bytes;
};

struct diff {
    const struct tool *tool;
    struct archive archive;
    struct savepoint_snapshot left, right;
    struct diff_region *regions; /* those asked about, ordered by name */
    size_t region_count;
    enum diff_mode mode;
    bool all, json;
    struct progress progress;
};

/* ---- diff_lines.c: differences as they come */

struct diff_run {  /* bytes of a region one after the other */
    uint32_t kind; /* enum savepoint_difference_kind */
    uint64_t offset, bytes;
    uint64_t changed_bytes; /* fewer than `bytes` where short gaps are bridged */
};

struct diff_lines {
    struct diff *diff;
    const struct diff_region *region; /* in hand; NULL: none yet */
    struct diff_run run;              /* may go on with the next page; 0 bytes: none */
    uint64_t shown, hidden;           /* lines of the region in hand */
    int width, row_bytes, digits;
    bool text, coloured; /* text: the bytes also as characters */
};

void diff_lines_open(struct diff_lines *lines, struct diff *diff);
void diff_lines_add(struct diff_lines *lines, const struct diff_region *region,
                    const struct savepoint_difference *difference);
void diff_lines_close(struct diff_lines *lines);

/* ---- diff_regions.c: what came together */

/* The table of --stat or --regions, or the JSON of both. */
void diff_regions_print(const struct diff *diff);

/* The last lines: sums over all regions. */
void diff_summary_print(const struct diff *diff, const struct savepoint_diff_result *result);

#endif
