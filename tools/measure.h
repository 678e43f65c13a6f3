/* measure.h - what a write-watch costs on this machine, as a program that uses the library pays it */
#ifndef TOOL_MEASURE_H
#define TOOL_MEASURE_H

#include <stdint.h>

#include "savepoint.h"

enum { MEASURE_PAGES = 2048 }; /* of 4096 bytes each */

/* Medians of several sessions; each value is for all `pages` pages together. */
struct measure_costs {
    uint64_t pages;
    uint64_t first_write_ns; /* one store to each page, none of which was written since the last take */
    uint64_t clean_take_ns;  /* savepoint_take, until it returns, when no page was written */
    uint64_t full_take_ns;   /* the same when every page was: finding and copying them */
};

/* Measures on an archive in `folder`. CANCELLED after Ctrl-C. */
enum savepoint_status
measure_backend(struct measure_costs *costs, const char *folder, const char *backend, struct savepoint_error *error);

/* The middle one of `count` values, which are put in order. */
uint64_t measure_median(uint64_t *values, size_t count);

#endif
