/* bulk.h - bringing many pages to other versions at once, on several threads */
#ifndef SVP_BULK_H
#define SVP_BULK_H

#include "archive/reader.h"
#include "pageset.h"

struct svp_bulk_page {
    uint64_t held;  /* the record whose version of the page its memory holds; 0: none, the memory may be anything */
    uint64_t lines; /* of its memory that may have been written (format/coder.h) */
    struct svp_page_origin origin; /* of the version held; then of the one wanted */
};

struct svp_bulk_part {              /* pages of one region */
    const struct svp_page_map *map; /* where their wanted versions are */
    const struct svp_pageset *wanted;
    struct svp_bulk_page *pages; /* page i at [i] */
    uint8_t *memory;             /* page i is at memory + i * 4096 */
    bool blank;                  /* all of that is zeros, and most likely not there yet */
    uint8_t *other;              /* but these pages are at other + i * 4096, where they are zeros and not there yet */
    const struct svp_pageset *others;
};

static inline uint8_t *svp_bulk_place(const struct svp_bulk_part *part, uint64_t page)
{
    return (svp_pageset_has(part->others, page) ? part->other : part->memory) + page * SVP_PAGE_BYTES;
}

static inline bool svp_bulk_blank(const struct svp_bulk_part *part, uint64_t page)
{
    return part->blank || svp_pageset_has(part->others, page);
}

struct svp_bulk_team {
    unsigned workers; /* threads, the caller's among them; 1 or more */
    /* Called now and then, on the calling thread, with the pages done so far; anything but OK ends the work with that
     * status. */
    enum savepoint_status (*progress)(void *user, uint64_t done_pages, struct savepoint_error *error);
    void *user;
};

/* Brings all wanted pages to their wanted versions and verifies them. After a failure their written `lines` hold
 * anything; the rest is as it was. */
enum savepoint_status
svp_bulk_decode(const struct svp_source *source, const struct svp_bulk_part *parts, size_t part_count,
                const struct svp_bulk_team *team, struct savepoint_error *error);

#endif
