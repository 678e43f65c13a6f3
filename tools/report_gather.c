/* report_gather.c - what a report tells about an archive, gathered from it in two walks */
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "progress.h"
#include "report_data.h"
#include "terminal.h"

enum {
    FEW_REGIONS = 8,       /* so few are looked up for every snapshot */
    PAGES_PER_STEP = 1024, /* between two looks at the clock */
};

struct walk {
    struct report *report;
    struct progress progress;
    uint64_t done_bytes, total_bytes;
    /* first walk */
    uint64_t region_pages; /* of the snapshot whose regions were looked up last */
    uint32_t region_count;
    /* second walk */
    size_t age; /* 0: the newest snapshot */
    uint64_t pages_seen;
    struct savepoint_change *strange; /* pages of regions not known yet */
    size_t strange_count, strange_capacity;
};

/* Returns TOOL_GO_ON or an exit code. */
typedef int visit_snapshot(struct walk *walk, const struct savepoint_snapshot *snapshot);

static void add_finding(struct report *report, const struct savepoint_id *snapshot, const struct savepoint_error *error)
{
    if (report->finding_count++ >= REPORT_FINDINGS) {
        return;
    }
    const char *message = fail_message(error->message, report->archive.path, error->status);
    size_t bytes = strlen(message) + 1;
    struct report_finding *finding = &report->findings[report->finding_count - 1];
    finding->snapshot = *snapshot;
    finding->file_offset = error->file_offset;
    finding->message = memcpy(fail_alloc(bytes, 1), message, bytes);
}

/* What only some snapshots suffer from; the others are worth a report. */
static bool is_finding(enum savepoint_status status)
{
    return status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED;
}

/* Visits the newest `limit` snapshots, newest first. Damage that hides the older ones is a finding. */
static int walk_back(struct walk *walk, visit_snapshot *visit, uint64_t limit)
{
    struct report *report = walk->report;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    enum savepoint_status status = savepoint_archive_newest(report->archive.reader, &snapshot, &error);
    if (status == SAVEPOINT_EMPTY || limit == 0) {
        return TOOL_GO_ON;
    }
    for (walk->age = 0; status == SAVEPOINT_OK && walk->age < limit; walk->age++) {
        int code = terminal_interrupted() ? TOOL_INTERRUPTED : visit(walk, &snapshot);
        if (code != TOOL_GO_ON) {
            return code;
        }
        status = savepoint_archive_previous(report->archive.reader, &snapshot, &error);
    }
    report->has_older = status == SAVEPOINT_OK;
    if (walk->age > 0 && is_finding(status)) {
        add_finding(report, &snapshot.id, &error);
        return TOOL_GO_ON;
    }
    return status == SAVEPOINT_OK || status == SAVEPOINT_NOT_FOUND
               ? TOOL_GO_ON
               : fail_with(report->archive.tool, report->archive.path, &error);
}

static int survey(struct walk *walk, const struct savepoint_snapshot *snapshot)
{
    struct report *report = walk->report;
    struct savepoint_region *regions = NULL;
    struct savepoint_error error;
    size_t count = 0;
    enum savepoint_status status = archive_load_regions(&report->archive, &regions, &count, snapshot, &error);
    if (status == SAVEPOINT_OK) {
        heat_survey(&report->heat, regions, count, walk->age);
        free(regions);
        return TOOL_GO_ON;
    }
    if (is_finding(status)) {
        add_finding(report, &snapshot->id, &error);
        return TOOL_GO_ON;
    }
    return fail_with(report->archive.tool, report->archive.path, &error);
}

/* Looking all regions up takes a call for each: with many, a snapshot whose regions come to the same number and size as
 * those of the one before is taken to have the same. The second walk meets those that it has not. */
static int visit_facts(struct walk *walk, const struct savepoint_snapshot *snapshot)
{
    timeline_add(&walk->report->timeline, snapshot);
    walk->total_bytes += snapshot->stored_bytes;
    bool same =
        walk->age > 0 && snapshot->region_count == walk->region_count && snapshot->region_pages == walk->region_pages;
    walk->region_count = snapshot->region_count;
    walk->region_pages = snapshot->region_pages;
    return same && snapshot->region_count > FEW_REGIONS ? TOOL_GO_ON : survey(walk, snapshot);
}

static int count_page(void *user, const struct savepoint_change *change)
{
    struct walk *walk = user;
    if (!heat_add(&walk->report->heat, change, walk->age)) {
        if (walk->strange_count == walk->strange_capacity) {
            walk->strange_capacity = walk->strange_capacity == 0 ? 64 : walk->strange_capacity * 2;
            walk->strange = fail_resize(walk->strange, walk->strange_capacity, sizeof *walk->strange);
        }
        walk->strange[walk->strange_count++] = *change;
    }
    if (++walk->pages_seen % PAGES_PER_STEP != 0) {
        return 0;
    }
    return progress_step(&walk->progress, walk->done_bytes, walk->total_bytes);
}

/* What is still unknown after its snapshot was asked breaks the format: verify tells about that. */
static int count_strange(struct walk *walk, const struct savepoint_snapshot *snapshot)
{
    int code = walk->strange_count == 0 ? TOOL_GO_ON : survey(walk, snapshot);
    for (size_t i = 0; i < walk->strange_count; i++) {
        heat_add(&walk->report->heat, &walk->strange[i], walk->age);
    }
    walk->strange_count = 0;
    return code;
}

static int visit_pages(struct walk *walk, const struct savepoint_snapshot *snapshot)
{
    struct report *report = walk->report;
    struct savepoint_error error;
    enum savepoint_status status =
        savepoint_archive_changes(report->archive.reader, snapshot, count_page, walk, &error);
    if (is_finding(status)) {
        add_finding(report, &snapshot->id, &error);
        report->timeline.points[report->timeline.count - 1 - walk->age].damaged = 1;
    } else if (status != SAVEPOINT_OK) {
        progress_clear(&walk->progress);
        return fail_with(report->archive.tool, report->archive.path, &error);
    }
    walk->done_bytes += snapshot->stored_bytes;
    int code = count_strange(walk, snapshot);
    return code == TOOL_GO_ON && progress_step(&walk->progress, walk->done_bytes, walk->total_bytes) != 0
               ? TOOL_INTERRUPTED
               : code;
}

static void find_head(struct report *report)
{
    struct savepoint_error error;
    enum savepoint_status status = savepoint_archive_find(report->archive.reader, &report->head, "HEAD", &error);
    report->has_head = status == SAVEPOINT_OK;
    if (is_finding(status)) {
        static const struct savepoint_id none;
        add_finding(report, &none, &error);
    }
}

int report_gather(struct report *report, uint64_t limit)
{
    struct walk walk = { .report = report };
    timeline_open(&report->timeline);
    heat_open(&report->heat);
    progress_open(&walk.progress, report->archive.tool);
    int code = walk_back(&walk, visit_facts, limit);
    bool has_older = report->has_older;
    timeline_finish(&report->timeline);
    branches_open(&report->branches, &report->timeline);
    if (code == TOOL_GO_ON) {
        heat_layout(&report->heat, report->timeline.count);
        code = walk_back(&walk, visit_pages, report->timeline.count);
        report->has_older = has_older;
        find_head(report);
    }
    progress_clear(&walk.progress);
    free(walk.strange);
    return code;
}

void report_free(struct report *report)
{
    for (size_t i = 0; i < report->finding_count && i < REPORT_FINDINGS; i++) {
        free(report->findings[i].message);
    }
    branches_close(&report->branches);
    heat_close(&report->heat);
    timeline_close(&report->timeline);
}
