/* retention.c - which snapshots a compaction keeps
 *
 * The rules look at nothing but the archive, not at the clock: doing it again changes nothing. */
#include "archive/retention.h"

static bool has_rule(const struct savepoint_compact_options *options)
{
    return options->keep_last != 0 || options->keep_every_ns != 0 || (options->flags & SAVEPOINT_COMPACT_KEEP_LOG) != 0;
}

static uint64_t newest_time(const struct svp_lineage *lineage)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < lineage->count; i++) {
        const struct svp_line *line = &lineage->lines[i];
        newest = !line->dropped && line->time_ns > newest ? line->time_ns : newest;
    }
    return newest;
}

/* Intervals double with age: the first is the newest second, then 1, 2, 4 ... seconds. */
static unsigned age_class(uint64_t age_ns)
{
    unsigned rank = 0;
    for (uint64_t seconds = age_ns / UINT64_C(1000000000); seconds > 0; seconds /= 2) {
        rank++;
    }
    return rank;
}

/* Of each interval the newest; of each class of ages the oldest, since that is what grows into the next one. The last
 * snapshot met, newest first, is the oldest. */
static void keep_thinned(struct svp_lineage *lineage, const struct savepoint_compact_options *options)
{
    struct svp_line *candidate = NULL;
    uint64_t interval = UINT64_MAX;
    uint64_t newest = newest_time(lineage);
    for (size_t i = lineage->count; i-- > 0;) {
        struct svp_line *line = &lineage->lines[i];
        if (line->dropped) {
            continue;
        }
        if (options->keep_every_ns != 0 && line->time_ns / options->keep_every_ns != interval) {
            interval = line->time_ns / options->keep_every_ns;
            line->kept = true;
        }
        if ((options->flags & SAVEPOINT_COMPACT_KEEP_LOG) == 0) {
            continue;
        }
        if (candidate != NULL && age_class(newest - line->time_ns) != age_class(newest - candidate->time_ns)) {
            candidate->kept = true;
        }
        candidate = line;
    }
    if (candidate != NULL) {
        candidate->kept = true;
    }
}

void svp_retention_choose(struct svp_lineage *lineage, const struct savepoint_compact_options *options)
{
    uint32_t last = options->keep_last;
    bool ruled = has_rule(options);
    for (size_t i = lineage->count; i-- > 0;) {
        struct svp_line *line = &lineage->lines[i];
        line->kept = !line->dropped && (!ruled || line->bound || last > 0);
        last -= !line->dropped && last > 0 ? 1 : 0;
    }
    if (ruled) {
        keep_thinned(lineage, options);
    }
}

size_t svp_retention_spare(const struct svp_lineage *lineage)
{
    size_t spare = 0;
    for (size_t i = 0; i < lineage->count; i++) {
        spare += lineage->lines[i].kept && !lineage->lines[i].bound ? 1 : 0;
    }
    return spare;
}

void svp_retention_drop_oldest(struct svp_lineage *lineage, size_t count)
{
    for (size_t i = 0; count > 0 && i < lineage->count; i++) {
        struct svp_line *line = &lineage->lines[i];
        if (line->kept && !line->bound) {
            line->kept = false;
            count--;
        }
    }
}
