/* place.h - REGION[:OFFSET[+LENGTH]]: a part of a region, found by what the user wrote and read in blocks */
#ifndef TOOL_PLACE_H
#define TOOL_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "archive.h"

/* For the help of the verbs that take a place. */
#define PLACE_HELP                                                                                                     \
    "OFFSET and LENGTH are decimal or begin with 0x; K, M or G behind them stands for 2^10, 2^20\n"                    \
    "or 2^30. Without LENGTH the place reaches to the end of the region. Where a region is called\n"                   \
    "as a whole like what was written, ':' and '+' included, that one is meant.\n"

struct place {
    const struct archive *archive;
    const struct savepoint_snapshot *snapshot;
    struct savepoint_region region;
    uint64_t offset, bytes; /* inside the region */
};

/* Returns TOOL_GO_ON, or an exit code after having said why. */
int place_find(struct place *place, const struct archive *archive, const struct savepoint_snapshot *snapshot,
               const char *text);

/* Is given the bytes in order; returns TOOL_GO_ON, or the exit code to stop with. */
typedef int place_sink(void *user, const unsigned char *bytes, size_t count);

/* Reads the place to its end, or up to the first page that cannot be read: every byte in front of that one has gone
 * to `sink`. Returns TOOL_GO_ON, or an exit code after having said why. */
int place_read(const struct place *place, place_sink *sink, void *user);

/* Says that the snapshot has no region of this name; returns TOOL_USAGE. */
int place_unknown_region(const struct tool *tool, const struct savepoint_region *regions, size_t region_count,
                         const char *name);

#endif
