/* stats.c - savepoint stats: what snapshots cost, by region and over time */
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "options.h"
#include "terminal.h"

static const char help[] =
    "Examples:\n"
    "  savepoint stats game.svp                   the newest 1000 snapshots that lead to HEAD\n"
    "  savepoint stats --last 50 game.svp         the newest 50 of them\n"
    "  savepoint stats game.svp 'level 1'..HEAD   those behind one snapshot, up to another\n"
    "  savepoint stats --json game.svp | jq 'select(.type == \"region\")'\n"
    "\n"
    "Usage: savepoint stats [OPTIONS] ARCHIVE [[SNAPSHOT]..[SNAPSHOT]]\n"
    "\n"
    "Tells what snapshots stored: totals, then by region and coder, then over time. One SNAPSHOT\n"
    "alone means those that lead to it. A page counts each time it is stored. Of pages stored as\n"
    "deltas, CHANGED tells how many bytes differed, and AMPL how many times more bytes they hold;\n"
    "others were not compared. RATIO is that of the pages to what was stored for them; in the\n"
    "totals, that of full copies of all regions. Overhead is growth of the archive beyond pages.\n"
    "\n"
    "Exit code: 1 some snapshots could not be read, 6 nor what is older than the damage.\n"
    "\n"
    "Options:\n"
    "  -n, --last N       at most the newest N snapshots of the range\n"
    "  -j, --json         one JSON object a line: regions, intervals of time, then the summary\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

enum { LAST_DEFAULT = 1000 };
#define NO_LIMIT UINT64_MAX

struct range {
    struct savepoint_snapshot newest, base; /* those behind `base`, up to `newest` */
    bool has_base;
    uint64_t limit;
};

static bool same_id(const struct savepoint_id *left, const struct savepoint_id *right)
{
    return memcmp(left, right, sizeof *left) == 0;
}

/* "A..B", "A..", "..B", "B", or NULL. */
static int parse_range(struct range *range, const struct archive *archive, char *text)
{
    char *dots = text == NULL ? NULL : strstr(text, "..");
    const char *newest = text;
    if (dots != NULL) {
        *dots = '\0';
        newest = dots + 2;
    }
    range->has_base = dots != NULL && text[0] != '\0';
    if (range->limit == NO_LIMIT && !range->has_base) {
        range->limit = LAST_DEFAULT;
    }
    int code = range->has_base ? archive_find(archive, &range->base, text) : TOOL_GO_ON;
    return code == TOOL_GO_ON
               ? archive_find(archive, &range->newest, newest == NULL || newest[0] == '\0' ? "HEAD" : newest)
               : code;
}

static void add_snapshot(struct stats *stats, const struct savepoint_snapshot *snapshot, size_t *capacity)
{
    if (stats->snapshot_count == *capacity) {
        *capacity = *capacity == 0 ? 256 : *capacity * 2;
        stats->snapshots = fail_resize(stats->snapshots, *capacity, sizeof *stats->snapshots);
    }
    stats->snapshots[stats->snapshot_count++] =
        (struct stats_snapshot){ snapshot->sequence, snapshot->time_ns, snapshot->changed_pages, snapshot->stored_bytes,
                                 snapshot->pause_ns };
    stats->stored_bytes += snapshot->stored_bytes;
    stats->full_bytes += snapshot->region_pages * STATS_PAGE_BYTES;
}

static void reverse(struct stats_snapshot *snapshots, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        const struct stats_snapshot kept = snapshots[i];
        snapshots[i] = snapshots[count - 1 - i];
        snapshots[count - 1 - i] = kept;
    }
}

/* Notes the snapshots of the range. Returns what ended the walk: OK at the base or the limit, NOT_FOUND at a root. */
static enum savepoint_status list(struct stats *stats, const struct range *range, struct savepoint_error *error)
{
    struct savepoint_snapshot snapshot = range->newest;
    enum savepoint_status status = SAVEPOINT_OK;
    size_t capacity = 0;
    bool met_base = false;
    while (status == SAVEPOINT_OK && !terminal_stopped()) {
        met_base = range->has_base && same_id(&snapshot.id, &range->base.id);
        if (met_base || stats->snapshot_count == range->limit) {
            break;
        }
        add_snapshot(stats, &snapshot, &capacity);
        status = savepoint_archive_parent(stats->archive.reader, &snapshot, error);
    }
    stats->cut = status == SAVEPOINT_OK && !met_base;
    stats->broken = status != SAVEPOINT_OK && status != SAVEPOINT_NOT_FOUND;
    reverse(stats->snapshots, stats->snapshot_count);
    return status;
}

/* Reads what the snapshots of the list stored, newest first. */
static int read_all(struct stats *stats, const struct range *range)
{
    struct savepoint_snapshot snapshot = range->newest;
    struct savepoint_error error;
    uint64_t done_bytes = 0;
    int code = TOOL_GO_ON;
    if (stats->snapshot_count > 0) {
        stats_begin_regions(stats, &snapshot);
    }
    for (size_t left = stats->snapshot_count; code == TOOL_GO_ON && left > 0; left--) {
        code = stats_count_pages(stats, &snapshot);
        done_bytes += snapshot.stored_bytes;
        if (code == TOOL_GO_ON && progress_step(&stats->progress, done_bytes, stats->stored_bytes) != 0) {
            code = TOOL_INTERRUPTED;
        } else if (code == TOOL_GO_ON && left > 1 &&
                   savepoint_archive_parent(stats->archive.reader, &snapshot, &error) != SAVEPOINT_OK) {
            code = fail_with(stats->tool, stats->archive.path, &error);
        }
    }
    progress_clear(&stats->progress);
    stats_finish_regions(stats);
    return code;
}

static int tell(struct stats *stats, const struct range *range, bool json)
{
    struct savepoint_error error;
    progress_open(&stats->progress, stats->tool);
    enum savepoint_status walked = list(stats, range, &error);
    if (range->has_base && walked == SAVEPOINT_NOT_FOUND) {
        return fail_usage(stats->tool, "the range begins with a snapshot that does not lead to its end");
    }
    int code = read_all(stats, range);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (json) {
        stats_json(stats);
    } else {
        stats_print(stats);
    }
    int found = archive_report(&stats->archive);
    if (stats->broken) {
        return fail_with(stats->tool, stats->archive.path, &error);
    }
    return stats->complaint_count > 0 ? TOOL_FINDING : found;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct stats stats = { .tool = tool };
    struct range range = { .limit = NO_LIMIT };
    bool json = false;
    const struct option options[] = {
        { 'n', "last", OPTION_NUMBER, &range.limit },
        { 'j', "json", OPTION_FLAG, &json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 2);
    if (code == TOOL_GO_ON) {
        code = archive_open(&stats.archive, tool, argv[0]);
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (stats.archive.info.snapshot_count == 0) {
        fail_note(tool, argv[0], "no snapshots yet");
        code = TOOL_DONE;
    } else {
        code = parse_range(&range, &stats.archive, argc > 1 ? argv[1] : NULL);
    }
    code = code == TOOL_GO_ON ? tell(&stats, &range, json) : code;
    free(stats.snapshots);
    free(stats.regions);
    archive_close(&stats.archive);
    return code;
}

const struct verb verb_stats = { "stats", "what snapshots cost, by region and over time", help, run };
