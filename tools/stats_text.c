/* stats_text.c - what snapshots cost, as tables */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "stats.h"
#include "table.h"
#include "text.h"

enum { REGIONS_SHOWN = 20, BAR_COLUMNS = 24 };

FAIL_PRINTF(2, 3)
static void fact(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-9s  ", name);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static double quotient(uint64_t dividend, uint64_t divisor)
{
    return divisor == 0 ? 0 : (double)dividend / (double)divisor;
}

/* "12.3x"; nothing where there is nothing to divide by. */
static const char *times(char out[TEXT_SHORT_BYTES], uint64_t dividend, uint64_t divisor)
{
    double value = quotient(dividend, divisor);
    snprintf(out, TEXT_SHORT_BYTES, value < 99.95 ? "%.1fx" : "%.0fx", value);
    if (divisor == 0) {
        out[0] = '\0';
    }
    return out;
}

static const char *number(char out[TEXT_SHORT_BYTES], double value)
{
    snprintf(out, TEXT_SHORT_BYTES, value < 99.95 ? "%.1f" : "%.0f", value);
    return out;
}

/* ---- totals */

static void print_kind(const char *name, const struct stats_coder *kind)
{
    char size[TEXT_SHORT_BYTES];
    if (kind->pages > 0) {
        fact(name, "%" PRIu64 " page%s, %s each", kind->pages, plural(kind->pages),
             text_size(size, (uint64_t)(quotient(kind->bytes, kind->pages) + 0.5)));
    }
}

static void print_totals(const struct stats *stats)
{
    char size[TEXT_SHORT_BYTES], text[TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES];
    const struct stats_snapshot *first = &stats->snapshots[0];
    const struct stats_snapshot *last = &stats->snapshots[stats->snapshot_count - 1];
    const struct stats_pauses pauses = stats_pauses_of(first, stats->snapshot_count);
    uint64_t pages = 0;
    for (size_t i = 0; i < stats->snapshot_count; i++) {
        pages += stats->snapshots[i].pages;
    }
    fact("snapshots", "%zu%s", stats->snapshot_count,
         stats->cut      ? ", the newest (--last N)"
         : stats->broken ? ", the newest: damage"
                         : "");
    fact("sequence", "%" PRIu64 " to %" PRIu64, first->sequence, last->sequence);
    fact("first", "%s", text_time(time, first->time_ns));
    fact("last", "%s", text_time(time, last->time_ns));
    fact("pages", "%" PRIu64 ", %s a snapshot", pages, number(text, quotient(pages, stats->snapshot_count)));
    fact("stored", "%s", text_size(size, stats->stored_bytes));
    fact("ratio", "%s against full copies", times(text, stats->full_bytes, stats->stored_bytes));
    print_kind("deltas", &stats->kinds[SAVEPOINT_CHANGE_DELTA]);
    print_kind("keys", &stats->kinds[SAVEPOINT_CHANGE_WHOLE]);
    print_kind("zero", &stats->kinds[SAVEPOINT_CHANGE_ZERO]);
    if (stats->read_pages > 0) {
        fact("overhead", "%s for each page",
             text_size(size, (uint64_t)(quotient(stats->overhead_bytes, stats->read_pages) + 0.5)));
    }
    fact("pause", "%s in the middle", text_pause(text, pauses.median_ns));
    fact("", "%s for 9 of 10", text_pause(text, pauses.ninth_decile_ns));
    fact("", "%s at most", text_pause(text, pauses.longest_ns));
}

/* ---- regions and coders */

static size_t shown_regions(const struct stats *stats)
{
    return stats->region_count < REGIONS_SHOWN ? stats->region_count : REGIONS_SHOWN;
}

static void print_regions(const struct stats *stats)
{
    enum { COLUMN_CHANGED = 3, COLUMN_AMPL = 4 };
    static const struct table_column columns[] = {
        { "REGION", false, 8, 0, TABLE_ID },  { "SIZE", true, 0, 4, TABLE_PLAIN },
        { "DIRTY", true, 0, 1, TABLE_PLAIN }, { "CHANGED", true, 0, 5, TABLE_PLAIN },
        { "AMPL", true, 0, 2, TABLE_PLAIN },  { "STORED", true, 0, 0, TABLE_PLAIN },
        { "RATIO", true, 0, 3, TABLE_PLAIN },
    };
    struct table table;
    putchar('\n');
    table_open(&table, stats->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown_regions(stats); i++) {
        const struct stats_region *region = &stats->regions[i];
        char name[TEXT_ESCAPED_BYTES], size[TEXT_SHORT_BYTES], dirty[TEXT_SHORT_BYTES], changed[TEXT_SHORT_BYTES],
            amplification[TEXT_SHORT_BYTES], stored[TEXT_SHORT_BYTES], ratio[TEXT_SHORT_BYTES];
        const char *cells[] = {
            text_escape(name, region->name),
            region->bytes > 0    ? text_size(size, region->bytes)
            : stats->sizes_known ? "gone"
                                 : "?",
            number(dirty, quotient(region->pages, stats->read_count)),
            region->delta_pages > 0 ? text_size(changed, region->changed_bytes) : "",
            times(amplification, region->delta_pages * STATS_PAGE_BYTES, region->changed_bytes),
            text_size(stored, region->stored_bytes),
            times(ratio, region->pages * STATS_PAGE_BYTES, region->stored_bytes),
        };
        table_row(&table, cells);
    }
    table_close(&table);
    if (shown_regions(stats) < stats->region_count) {
        printf("... %zu more (--json)\n", stats->region_count - shown_regions(stats));
    }
    if (table.fitted[COLUMN_CHANGED] >= 0) {
        puts("CHANGED and AMPL: of deltas only");
    } else if (table.fitted[COLUMN_AMPL] >= 0) {
        puts("AMPL: of deltas only");
    }
}

static void print_coders(const struct stats *stats)
{
    static const struct table_column columns[] = {
        { "REGION", false, 8, 0, TABLE_ID },  { "CODER", false, 0, 0, TABLE_PLAIN },
        { "PAGES", true, 0, 1, TABLE_PLAIN }, { "STORED", true, 0, 0, TABLE_PLAIN },
        { "EACH", true, 0, 2, TABLE_PLAIN },
    };
    struct table table;
    if (stats->read_pages == 0) {
        return;
    }
    putchar('\n');
    table_open(&table, stats->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown_regions(stats); i++) {
        const struct stats_region *region = &stats->regions[i];
        for (size_t k = 0; k < region->coder_count; k++) {
            const struct stats_coder *coder = &region->coders[k];
            char name[TEXT_ESCAPED_BYTES], pages[TEXT_SHORT_BYTES], stored[TEXT_SHORT_BYTES], each[TEXT_SHORT_BYTES];
            snprintf(pages, sizeof pages, "%" PRIu64, coder->pages);
            const char *cells[] = {
                k == 0 ? text_escape(name, region->name) : "",
                coder->name,
                pages,
                text_size(stored, coder->bytes),
                text_size(each, (uint64_t)(quotient(coder->bytes, coder->pages) + 0.5)),
            };
            table_row(&table, cells);
        }
    }
    table_close(&table);
}

/* ---- over time */

static const char *bar(char out[BAR_COLUMNS + 1], double pages, double pages_most)
{
    size_t columns = pages_most > 0 ? (size_t)(pages / pages_most * BAR_COLUMNS + 0.5) : 0;
    memset(out, '#', columns);
    out[columns] = '\0';
    return out;
}

static void print_interval(struct table *table, const struct stats_interval *interval, double pages_most)
{
    char sequence[TEXT_SHORT_BYTES + TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES], pages[TEXT_SHORT_BYTES],
        stored[TEXT_SHORT_BYTES], median[TEXT_SHORT_BYTES], longest[TEXT_SHORT_BYTES], drawn[BAR_COLUMNS + 1];
    int used = snprintf(sequence, sizeof sequence, "%" PRIu64, interval->first->sequence);
    if (interval->count > 1) {
        snprintf(sequence + used, sizeof sequence - (size_t)used, "-%" PRIu64, interval->last->sequence);
    }
    double mean = quotient(interval->pages, interval->count);
    const char *cells[] = {
        sequence,
        text_time(time, interval->first->time_ns),
        number(pages, mean),
        text_size(stored, interval->stored_bytes),
        text_pause(median, interval->pauses.median_ns),
        text_pause(longest, interval->pauses.longest_ns),
        bar(drawn, mean, pages_most),
    };
    table_row(table, cells);
}

static void print_time(const struct stats *stats)
{
    static const struct table_column columns[] = {
        { "SEQ", true, 0, 0, TABLE_PLAIN },   { "FROM", false, 0, 4, TABLE_PLAIN },
        { "DIRTY", true, 0, 0, TABLE_PLAIN }, { "STORED", true, 0, 2, TABLE_PLAIN },
        { "PAUSE", true, 0, 1, TABLE_PLAIN }, { "LONGEST", true, 0, 3, TABLE_PLAIN },
        { "", false, 0, 5, TABLE_NAMES },
    };
    struct table table;
    double pages_most = 0;
    for (size_t i = 0; i < stats_interval_count(stats); i++) {
        const struct stats_interval interval = stats_interval_at(stats, i);
        double mean = quotient(interval.pages, interval.count);
        pages_most = mean > pages_most ? mean : pages_most;
    }
    putchar('\n');
    table_open(&table, stats->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < stats_interval_count(stats); i++) {
        const struct stats_interval interval = stats_interval_at(stats, i);
        print_interval(&table, &interval, pages_most);
    }
    table_close(&table);
}

void stats_print(const struct stats *stats)
{
    if (stats->snapshot_count == 0) {
        fail_note(stats->tool, stats->archive.path, "the range holds no snapshots");
        return;
    }
    print_totals(stats);
    print_regions(stats);
    print_coders(stats);
    print_time(stats);
}
