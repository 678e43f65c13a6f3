/* restore.h - the state of one restore */
#ifndef SVP_RESTORE_H
#define SVP_RESTORE_H

#include "archive/bulk.h"
#include "session/session.h"

struct svp_restore_part { /* one region of the snapshot and its memory here */
    struct svp_region *region;
    const struct svp_region_entry *entry;
    struct svp_page_map map; /* where its pages are at the target */
    struct svp_pageset differing;
    uint64_t differing_pages;
    struct svp_pageset blank;    /* pages of a mapped region that are the zeros they were mapped with */
    struct svp_bulk_page *pages; /* of the region; the differing ones are filled in */
};

struct svp_restore {
    struct savepoint_restore_options options;
    uint64_t commit_offset;
    struct svp_commit commit;
    struct svp_region_table table;
    size_t part_count;
    struct svp_restore_part *parts;
    uint64_t differing_pages, written_pages;
    uint64_t told_ns;    /* when progress was last told */
    uint64_t told_pages; /* and what */
    bool around;         /* what the session stood on is damaged, or not what it was thought to be */
};

#endif
