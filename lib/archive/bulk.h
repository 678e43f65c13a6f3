/* bulk.h - bringing many pages to other versions at once, each record read and unpacked once */
#ifndef SVP_BULK_H
#define SVP_BULK_H

#include "archive/reader.h"
#include "pageset.h"

struct svp_bulk_page {
    uint64_t held; /* the record whose version of the page its memory holds; 0: none, the memory may be anything */
    bool touched;  /* its memory may have been written */
    struct svp_page_origin origin; /* of the version held; then of the one wanted */
};

struct svp_bulk_part {              /* pages of one region */
    const struct svp_page_map *map; /* where their wanted versions are */
    const struct svp_pageset *wanted;
    uint8_t *memory;             /* page i is at memory + i * 4096 */
    struct svp_bulk_page *pages; /* page i at [i] */
};

/* Called now and then with the pages done so far; anything but OK ends the work with that status. */
typedef enum savepoint_status svp_bulk_progress(void *user, uint64_t done_pages, struct savepoint_error *error);

/* Brings all wanted pages to their wanted versions and verifies them. After a failure their memory holds anything, the
 * rest is untouched. */
enum savepoint_status svp_bulk_decode(struct svp_reader *reader, const struct svp_bulk_part *parts, size_t part_count,
                                      svp_bulk_progress *progress, void *user, struct savepoint_error *error);

#endif
