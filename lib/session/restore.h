/* restore.h - the state of one restore */
#ifndef SVP_RESTORE_H
#define SVP_RESTORE_H

#include "session/session.h"

struct svp_restore_part { /* one region of the snapshot and its memory here */
    struct svp_region *region;
    const struct svp_region_entry *entry;
    struct svp_page_map map; /* where its pages are at the target */
    struct svp_pageset differing;
    uint64_t differing_pages;
};

struct svp_decoded { /* one page kept between the two passes */
    uint8_t bytes[SVP_PAGE_BYTES];
    struct svp_page_origin origin;
};

struct svp_restore {
    struct savepoint_restore_options options;
    uint64_t commit_offset;
    struct svp_commit commit;
    struct svp_region_table table;
    size_t part_count;
    struct svp_restore_part *parts;
    uint64_t differing_pages, done_pages, written_pages;
    struct svp_decoded *decoded; /* all differing pages; NULL when they are above the budget */
};

#endif
