/* feed.h - what a growing archive has got since the last look at it
 *
 * Every look opens the archive anew: it may have been cut, compacted or replaced meanwhile. What is read is bounded:
 * the snapshots that are new, FEED_DEPTH of them with their pages, FEED_LOOK_BYTES in all. */
#ifndef TOOL_FEED_H
#define TOOL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

enum { FEED_HISTORY = 256, FEED_DEPTH = 64, FEED_COUNTERS = 2 << 20, FEED_PAGE_BYTES = 4096 };
#define FEED_LOOK_BYTES (UINT64_C(256) << 20)

struct feed_point { /* one snapshot */
    struct savepoint_id id;
    uint64_t sequence, time_ns, changed_pages, stored_bytes, pause_ns;
};

struct feed_region { /* of the newest snapshot */
    struct savepoint_region region;
    uint64_t *written;      /* bit i: written by the i-th newest snapshot; good for i < depth */
    uint64_t counter_pages; /* pages that share one of these */
    size_t counter_count;
};

struct feed {
    const char *path;
    struct savepoint_archive_info info;
    struct feed_point points[FEED_HISTORY]; /* newest first */
    size_t count;
    size_t depth; /* newest snapshots whose pages are known, at most FEED_DEPTH */
    struct feed_region *regions;
    size_t region_count;
    bool begun_anew; /* the last look found nothing that it knew */
    bool damaged;    /* the last look met pages that could not be read */
};

void feed_open(struct feed *feed, const char *path);
void feed_close(struct feed *feed);

/* Looks again; an archive without snapshots is good. Otherwise what was known stays, and the reason is returned: most
 * of them pass by themselves. `stop` (returns true to give up: CANCELLED) is asked now and then. */
enum savepoint_status feed_look(struct feed *feed, bool (*stop)(void), struct savepoint_error *error);

/* How many of the `depth` newest snapshots wrote it. */
unsigned feed_times(const struct feed *feed, uint64_t written);

#endif
