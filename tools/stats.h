/* stats.h - what the files of the stats verb share: what a range of snapshots stored */
#ifndef TOOL_STATS_H
#define TOOL_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive.h"
#include "progress.h"

enum { STATS_PAGE_BYTES = 4096, STATS_CODERS_MAX = 16, STATS_INTERVALS_MAX = 20 };

struct stats_coder {
    const char *name;
    uint32_t kind; /* enum savepoint_change_kind */
    uint64_t pages, bytes;
};

struct stats_region {
    uint32_t id;
    char name[SAVEPOINT_NAME_BYTES]; /* empty: not known yet */
    uint64_t bytes;                  /* in the newest snapshot of the range; 0: not there */
    uint64_t pages;                  /* each time one was stored */
    uint64_t delta_pages;            /* those of them that were compared with their version before, */
    uint64_t changed_bytes;          /* and so many of their bytes differed */
    uint64_t stored_bytes;           /* payload */
    size_t coder_count;
    struct stats_coder coders[STATS_CODERS_MAX];
};

struct stats_snapshot {
    uint64_t sequence, time_ns, pages, stored_bytes, pause_ns;
};

struct stats_pauses {
    uint64_t median_ns, ninth_decile_ns, longest_ns;
};

struct stats_interval { /* snapshots that follow each other */
    const struct stats_snapshot *first, *last;
    uint64_t count, pages, stored_bytes;
    struct stats_pauses pauses;
};

struct stats {
    const struct tool *tool;
    struct archive archive;
    struct progress progress;
    struct stats_snapshot *snapshots; /* oldest first */
    size_t snapshot_count;
    bool cut, broken; /* there are older ones in the range: left out, or damage keeps them from being read */
    bool sizes_known; /* of the regions */
    uint64_t stored_bytes, full_bytes; /* growth of the archive; what full copies would take */
    struct stats_region *regions;      /* by id while reading, then by bytes stored */
    size_t region_count, region_capacity;
    struct stats_coder kinds[SAVEPOINT_CHANGE_DELTA + 1];
    uint64_t read_count, read_pages; /* snapshots read whole, and their pages */
    uint64_t overhead_bytes;         /* their growth that is no payload */
    uint64_t complaint_count;        /* about what could not be read */
};

/* ---- stats_pages.c: what the pages of snapshots come to */

/* Counts the pages that a snapshot stored. Returns TOOL_GO_ON, or an exit code after having said why; damage is told,
 * counted and no reason to stop. */
int stats_count_pages(struct stats *stats, const struct savepoint_snapshot *snapshot);

/* Notes the regions of the newest snapshot, before all others are read. */
void stats_begin_regions(struct stats *stats, const struct savepoint_snapshot *newest);

/* Joins regions of one name and orders them, once all is read. */
void stats_finish_regions(struct stats *stats);

/* ---- stats_time.c: what snapshots come to over time */

struct stats_pauses stats_pauses_of(const struct stats_snapshot *snapshots, size_t count);
size_t stats_interval_count(const struct stats *stats);
struct stats_interval stats_interval_at(const struct stats *stats, size_t index);

/* ---- stats_text.c, stats_json.c */

void stats_print(const struct stats *stats);
void stats_json(const struct stats *stats);

#endif
