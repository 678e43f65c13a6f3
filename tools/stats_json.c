/* stats_json.c - what snapshots cost, as JSON */
#include <stdio.h>

#include "json.h"
#include "stats.h"
#include "text.h"

static const char *kind_word(uint32_t kind)
{
    static const char *const words[] = { "", "zero", "key", "delta" };
    return words[kind];
}

static void json_region(const struct stats_region *region)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "region");
    json_text(&json, "region", region->name);
    json_number(&json, "bytes", region->bytes);
    json_number(&json, "dirty_pages", region->pages);
    json_number(&json, "delta_pages", region->delta_pages);
    json_number(&json, "changed_bytes", region->changed_bytes);
    json_number(&json, "stored_bytes", region->stored_bytes);
    json_open_array(&json, "coders");
    for (size_t i = 0; i < region->coder_count; i++) {
        json_open_object(&json, NULL);
        json_text(&json, "coder", region->coders[i].name);
        json_text(&json, "kind", kind_word(region->coders[i].kind));
        json_number(&json, "dirty_pages", region->coders[i].pages);
        json_number(&json, "stored_bytes", region->coders[i].bytes);
        json_close_object(&json);
    }
    json_close_array(&json);
    json_end_line(&json);
}

static void json_span(struct json *json, const struct stats_snapshot *first, const struct stats_snapshot *last)
{
    char time[TEXT_SHORT_BYTES];
    json_number(json, "first_sequence", first->sequence);
    json_number(json, "last_sequence", last->sequence);
    json_text(json, "first_time", text_time_utc(time, first->time_ns));
    json_text(json, "last_time", text_time_utc(time, last->time_ns));
}

static void json_pauses(struct json *json, const struct stats_pauses *pauses)
{
    json_number(json, "pause_median_ns", pauses->median_ns);
    json_number(json, "pause_ninth_decile_ns", pauses->ninth_decile_ns);
    json_number(json, "pause_longest_ns", pauses->longest_ns);
}

static void json_interval(const struct stats_interval *interval)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "interval");
    json_number(&json, "snapshot_count", interval->count);
    json_span(&json, interval->first, interval->last);
    json_number(&json, "dirty_pages", interval->pages);
    json_number(&json, "stored_bytes", interval->stored_bytes);
    json_pauses(&json, &interval->pauses);
    json_end_line(&json);
}

static void json_summary(const struct stats *stats)
{
    struct json json = { stdout, false };
    uint64_t pages = 0;
    for (size_t i = 0; i < stats->snapshot_count; i++) {
        pages += stats->snapshots[i].pages;
    }
    json_open_object(&json, NULL);
    json_text(&json, "type", "summary");
    json_number(&json, "snapshot_count", stats->snapshot_count);
    json_bool(&json, "cut", stats->cut || stats->broken);
    if (stats->snapshot_count > 0) {
        const struct stats_pauses pauses = stats_pauses_of(stats->snapshots, stats->snapshot_count);
        json_span(&json, &stats->snapshots[0], &stats->snapshots[stats->snapshot_count - 1]);
        json_pauses(&json, &pauses);
    }
    json_number(&json, "dirty_pages", pages);
    json_number(&json, "delta_pages", stats->kinds[SAVEPOINT_CHANGE_DELTA].pages);
    json_number(&json, "delta_bytes", stats->kinds[SAVEPOINT_CHANGE_DELTA].bytes);
    json_number(&json, "key_pages", stats->kinds[SAVEPOINT_CHANGE_WHOLE].pages);
    json_number(&json, "key_bytes", stats->kinds[SAVEPOINT_CHANGE_WHOLE].bytes);
    json_number(&json, "zero_pages", stats->kinds[SAVEPOINT_CHANGE_ZERO].pages);
    json_number(&json, "overhead_bytes", stats->overhead_bytes);
    json_number(&json, "stored_bytes", stats->stored_bytes);
    json_number(&json, "full_bytes", stats->full_bytes);
    json_number(&json, "unread_count", stats->snapshot_count - stats->read_count);
    json_end_line(&json);
}

void stats_json(const struct stats *stats)
{
    for (size_t i = 0; i < stats->region_count; i++) {
        json_region(&stats->regions[i]);
    }
    for (size_t i = 0; i < stats_interval_count(stats); i++) {
        const struct stats_interval interval = stats_interval_at(stats, i);
        json_interval(&interval);
    }
    json_summary(stats);
}
