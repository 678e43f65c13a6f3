/* report_json.c - what a report tells about an archive, as JSON */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "report_data.h"
#include "text.h"

static void json_offset(struct json *json, const char *key, uint64_t offset)
{
    if (offset == UINT64_MAX) {
        json_null(json, key);
    } else {
        json_number(json, key, offset);
    }
}

static void json_index(struct json *json, const char *key, size_t index)
{
    json_offset(json, key, index == TIMELINE_NONE ? UINT64_MAX : index);
}

static void json_address(struct json *json, const char *key, uint64_t address)
{
    char text[TEXT_SHORT_BYTES];
    snprintf(text, sizeof text, "0x%" PRIx64, address);
    json_text(json, key, text);
}

static void json_time(struct json *json, const char *key, uint64_t time_ns)
{
    char text[TEXT_SHORT_BYTES];
    json_text(json, key, text_time_utc(text, time_ns));
}

static void json_findings(struct json *json, const struct report *report)
{
    json_number(json, "finding_count", report->finding_count);
    json_open_array(json, "findings");
    for (size_t i = 0; i < report->finding_count && i < REPORT_FINDINGS; i++) {
        const struct report_finding *finding = &report->findings[i];
        json_open_object(json, NULL);
        json_offset(json, "file_offset", finding->file_offset);
        json_id(json, "snapshot", &finding->snapshot);
        json_text(json, "message", finding->message);
        json_close_object(json);
    }
    json_close_array(json);
}

static void json_figures(struct json *json, const struct timeline_figures *figures)
{
    json_number(json, "changed_pages", figures->changed_pages);
    json_number(json, "changed_pages_max", figures->changed_pages_max);
    json_number(json, "stored_bytes", figures->stored_bytes);
    json_number(json, "stored_bytes_max", figures->stored_bytes_max);
    json_number(json, "pause_ns_median", figures->pause_ns_median);
    json_number(json, "pause_ns_p90", figures->pause_ns_p90);
    json_number(json, "pause_ns_max", figures->pause_ns_max);
    json_number(json, "dropped_count", figures->dropped_count);
    json_number(json, "damaged_count", figures->damaged_count);
}

static void json_point(struct json *json, const char *key, const struct timeline_point *point)
{
    json_open_object(json, key);
    json_id(json, "id", &point->id);
    json_number(json, "sequence", point->sequence);
    json_time(json, "time", point->time_ns);
    json_text(json, "label", point->label == NULL ? "" : point->label);
    json_close_object(json);
}

static size_t lane_of(const struct report *report, size_t snapshot)
{
    const struct branches *branches = &report->branches;
    return snapshot == TIMELINE_NONE ? TIMELINE_NONE : branches->list[branches->of[snapshot]].lane;
}

static void json_columns(struct json *json, const struct report *report)
{
    const struct heat *heat = &report->heat;
    const struct timeline *timeline = &report->timeline;
    json_open_array(json, "columns");
    for (size_t i = 0; i < heat->column_count; i++) {
        struct timeline_figures figures;
        size_t first = i * heat->column_snapshots;
        size_t left = timeline->count - first;
        size_t count = left < heat->column_snapshots ? left : heat->column_snapshots;
        timeline_figures(timeline, &figures, first, count);
        json_open_object(json, NULL);
        json_number(json, "first_snapshot", first);
        json_number(json, "snapshot_count", count);
        json_point(json, "first", &timeline->points[first]);
        json_point(json, "last", &timeline->points[first + count - 1]);
        json_figures(json, &figures);
        json_index(json, "lane", count == 1 ? lane_of(report, first) : TIMELINE_NONE);
        json_close_object(json);
    }
    json_close_array(json);
}

/* Cells that hold nothing are left out. */
static void json_cells(struct json *json, const struct heat *heat, size_t row, size_t row_count)
{
    json_open_array(json, "cells");
    for (size_t i = 0; i < row_count * heat->column_count; i++) {
        const struct heat_cell *cell = &heat->cells[row * heat->column_count + i];
        if (cell->zero_pages + cell->whole_pages + cell->delta_pages == 0) {
            continue;
        }
        json_open_array(json, NULL);
        json_number(json, NULL, i / heat->column_count);
        json_number(json, NULL, i % heat->column_count);
        json_number(json, NULL, cell->changed_bytes);
        json_number(json, NULL, cell->delta_pages);
        json_number(json, NULL, cell->whole_pages);
        json_number(json, NULL, cell->zero_pages);
        json_close_array(json);
    }
    json_close_array(json);
}

static void json_region(struct json *json, const struct heat *heat, const struct heat_region *region)
{
    json_open_object(json, NULL);
    json_number(json, "region_id", region->region.id);
    json_text(json, "name", region->region.name);
    json_address(json, "address", region->region.address);
    json_bool(json, "mapped", (region->region.flags & SAVEPOINT_REGION_MAPPED) != 0);
    json_number(json, "region_pages", region->pages);
    json_number(json, "first_snapshot", heat->snapshot_count - 1 - region->last_age);
    json_number(json, "last_snapshot", heat->snapshot_count - 1 - region->first_age);
    json_number(json, "written_pages", region->pages_written);
    json_number(json, "changed_bytes", region->changed_bytes);
    json_number(json, "stored_bytes", region->stored_bytes);
    json_number(json, "counter_pages", region->counter_pages);
    json_number(json, "touched_count", heat_touched(region));
    json_number(json, "row_pages", region->row_pages);
    json_number(json, "row_count", region->row_count);
    json_cells(json, heat, region->row, region->row_count);
    json_close_object(json);
}

/* Those that share a row are listed only when they were written. */
static void json_regions(struct json *json, const struct report *report)
{
    const struct heat *heat = &report->heat;
    const struct heat_region **order = heat_by_address(heat);
    size_t omitted = 0;
    size_t shared = 0;
    json_open_array(json, "regions");
    for (size_t i = 0; i < heat->region_count; i++) {
        bool wanted = order[i]->row_count > 0 || (order[i]->pages_written > 0 && shared++ < HEAT_REGIONS);
        omitted += !wanted;
        if (wanted) {
            json_region(json, heat, order[i]);
        }
    }
    json_close_array(json);
    json_number(json, "regions_omitted", omitted);
    json_open_object(json, "shared_row");
    json_cells(json, heat, heat->row_count - 1, 1);
    json_close_object(json);
    free(order);
}

static void json_hottest(struct json *json, const struct heat *heat)
{
    struct heat_page pages[REPORT_HOTTEST];
    size_t count = heat_hottest(heat, pages, REPORT_HOTTEST);
    json_open_array(json, "hottest");
    for (size_t i = 0; i < count; i++) {
        const struct savepoint_region *region = &pages[i].region->region;
        json_open_object(json, NULL);
        json_number(json, "region_id", region->id);
        json_text(json, "region", region->name);
        json_number(json, "page", pages[i].page);
        json_number(json, "counter_pages", pages[i].region->counter_pages);
        json_address(json, "address", region->address + pages[i].page * HEAT_PAGE_BYTES);
        json_number(json, "written_pages", pages[i].counter.times);
        json_number(json, "changed_bytes", pages[i].counter.changed_bytes);
        json_close_object(json);
    }
    json_close_array(json);
}

static void json_branches(struct json *json, const struct report *report)
{
    const struct branches *branches = &report->branches;
    json_open_array(json, "branches");
    for (size_t i = 0; i < branches->count; i++) {
        const struct branch *branch = &branches->list[i];
        if (branch->lane == TIMELINE_NONE) {
            continue;
        }
        json_open_object(json, NULL);
        json_number(json, "lane", branch->lane);
        json_number(json, "first_snapshot", branch->first);
        json_number(json, "last_snapshot", branch->last);
        json_number(json, "snapshot_count", branch->count);
        json_index(json, "parent_snapshot", branch->parent);
        json_index(json, "parent_lane", lane_of(report, branch->parent));
        json_close_object(json);
    }
    json_close_array(json);
    json_number(json, "branches_omitted", branches->omitted);
}

static void json_mark(struct json *json, const struct report *report, size_t index)
{
    const struct timeline_point *point = &report->timeline.points[index];
    json_open_object(json, NULL);
    json_number(json, "snapshot", index);
    json_index(json, "lane", lane_of(report, index));
    json_point(json, "point", point);
    snapshot_json_names(json, &report->names, &point->id);
    json_bool(json, "head", (point->flags & SAVEPOINT_SNAPSHOT_HEAD) != 0);
    json_bool(json, "dropped", (point->flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0);
    json_close_object(json);
}

static bool is_marked(const struct report *report, size_t index, bool dropped)
{
    const struct timeline_point *point = &report->timeline.points[index];
    size_t count = 0;
    snapshot_refs(&count, &report->names, &point->id);
    return dropped ? (point->flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0
                   : count > 0 || (point->flags & SAVEPOINT_SNAPSHOT_HEAD) != 0;
}

/* Named ones first: where there are too many, those that were dropped are left out. */
static void json_marks(struct json *json, const struct report *report)
{
    size_t written = 0;
    size_t omitted = 0;
    json_open_array(json, "marks");
    for (int dropped = 0; dropped <= 1; dropped++) {
        for (size_t i = report->timeline.count; i-- > 0;) {
            if (!is_marked(report, i, dropped != 0)) {
                continue;
            }
            if (written < REPORT_MARKS) {
                json_mark(json, report, i);
                written++;
            } else {
                omitted++;
            }
        }
    }
    json_close_array(json);
    json_number(json, "marks_omitted", omitted);
}

static void json_head(struct json *json, const struct report *report)
{
    if (!report->has_head) {
        json_null(json, "head");
        return;
    }
    json_open_object(json, "head");
    snapshot_json(json, &report->names, &report->head);
    json_close_object(json);
}

void report_json(FILE *stream, const struct report *report)
{
    struct json json = { stream, false };
    struct timeline_figures figures;
    timeline_figures(&report->timeline, &figures, 0, report->timeline.count);
    json_open_object(&json, NULL);
    json_text(&json, "title", report->title);
    json_text(&json, "version", savepoint_version());
    archive_json(&json, "archive", &report->archive);
    json_findings(&json, report);
    json_head(&json, report);
    json_number(&json, "snapshot_count", report->timeline.count);
    json_bool(&json, "has_older", report->has_older);
    json_number(&json, "column_snapshots", report->heat.column_snapshots);
    json_open_object(&json, "total");
    json_figures(&json, &figures);
    json_close_object(&json);
    json_columns(&json, report);
    json_regions(&json, report);
    json_hottest(&json, &report->heat);
    json_branches(&json, report);
    json_marks(&json, report);
    json_end_line(&json);
}
