/* stats_time.c - what snapshots stored, and how long they held the program, over time */
#include <stdlib.h>

#include "fail.h"
#include "stats.h"

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

struct stats_pauses stats_pauses_of(const struct stats_snapshot *snapshots, size_t count)
{
    uint64_t *sorted = fail_alloc(count + 1, sizeof *sorted);
    sorted[0] = 0;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = snapshots[i].pause_ns;
    }
    if (count > 1) {
        qsort(sorted, count, sizeof *sorted, ascending);
    }
    size_t last = count > 0 ? count - 1 : 0;
    const struct stats_pauses pauses = { sorted[last / 2], sorted[count > 0 ? (9 * count + 9) / 10 - 1 : 0],
                                         sorted[last] };
    free(sorted);
    return pauses;
}

size_t stats_interval_count(const struct stats *stats)
{
    return stats->snapshot_count < STATS_INTERVALS_MAX ? stats->snapshot_count : STATS_INTERVALS_MAX;
}

struct stats_interval stats_interval_at(const struct stats *stats, size_t index)
{
    size_t intervals = stats_interval_count(stats);
    size_t from = stats->snapshot_count * index / intervals;
    size_t to = stats->snapshot_count * (index + 1) / intervals;
    struct stats_interval interval = { .first = &stats->snapshots[from],
                                       .last = &stats->snapshots[to - 1],
                                       .count = to - from };
    for (size_t i = from; i < to; i++) {
        interval.pages += stats->snapshots[i].pages;
        interval.stored_bytes += stats->snapshots[i].stored_bytes;
    }
    interval.pauses = stats_pauses_of(interval.first, to - from);
    return interval;
}
