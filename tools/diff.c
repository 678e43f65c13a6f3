/* diff.c - savepoint diff: what differs between two snapshots */
#include "diff.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "options.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint diff game.svp                      what the newest snapshot changed\n"
    "  savepoint diff game.svp HEAD~10 HEAD --stat  counts for each region\n"
    "  savepoint diff game.svp 'before boss' --hex  old and new bytes, up to HEAD\n"
    "  savepoint diff -q game.svp 1a2b3c4d HEAD && echo the same\n"
    "\n"
    "Usage: savepoint diff [OPTIONS] ARCHIVE [A [B]]\n"
    "\n"
    "Compares two snapshots, of any branches: A (HEAD~1 where none is named) and B (HEAD). For each\n"
    "region it lists the ranges of bytes that changed, those less than 8 bytes apart as one; behind\n"
    "'-' are pages that only A has, behind '+' those that only B has. Excluded pages count as zeros.\n"
    "Nothing is printed for equal ones.\n"
    "\n"
    "Exit code: 0 equal, 1 different, 2 no such snapshot or region, 6 damage prevents the answer.\n"
    "\n"
    "Options:\n"
    "  -a, --all          every range, not just the first 20 of a region\n"
    "  -x, --hex          the bytes before (-) and after (+), in hexadecimal\n"
    "  -s, --stat         for each region pages, bytes, and how many times more the pages hold than\n"
    "                     changed; a bar as long as the pages, '#' for what changed of them\n"
    "      --regions      only which regions are new, gone, grown, shrunk or changed\n"
    "  -r, --region NAME  this region only\n"
    "  -q, --quiet        only the exit code\n"
    "  -j, --json         one JSON object a line: every range (with --stat or --regions: regions), then\n"
    "                     a summary\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

/* ---- regions of both snapshots, by name */

struct tables {
    struct savepoint_region *left, *right;
    size_t left_count, right_count;
};

static int load_tables(const struct diff *diff, struct tables *tables)
{
    int code = archive_regions(&diff->archive, &tables->left, &tables->left_count, &diff->left);
    return code == TOOL_GO_ON ? archive_regions(&diff->archive, &tables->right, &tables->right_count, &diff->right)
                              : code;
}

/* Both tables are ordered by name. */
static void merge_tables(struct diff *diff, const struct tables *tables, const char *only)
{
    size_t left = 0;
    size_t right = 0;
    diff->regions = fail_alloc(tables->left_count + tables->right_count + 1, sizeof *diff->regions);
    while (left < tables->left_count || right < tables->right_count) {
        const struct savepoint_region *a = left < tables->left_count ? &tables->left[left] : NULL;
        const struct savepoint_region *b = right < tables->right_count ? &tables->right[right] : NULL;
        int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->name, b->name);
        struct diff_region region = { .name = order <= 0 ? a->name : b->name };
        if (order <= 0) {
            region.left_bytes = a->bytes;
            left++;
        }
        if (order >= 0) {
            region.right_bytes = b->bytes;
            right++;
        }
        if (only == NULL || strcmp(only, region.name) == 0) {
            diff->regions[diff->region_count++] = region;
        }
    }
}

static int unknown_region(const struct diff *diff, const struct tables *tables, const char *name)
{
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; i < tables->left_count + tables->right_count; i++) {
        const struct savepoint_region *region =
            i < tables->left_count ? &tables->left[i] : &tables->right[i - tables->left_count];
        nearest = text_is_nearer(&best, name, region->name) ? region->name : nearest;
    }
    if (nearest != NULL) {
        return fail_usage(diff->tool, "neither snapshot has a region '%s'; did you mean '%s'?", name, nearest);
    }
    return fail_usage(diff->tool, "neither snapshot has a region '%s'; 'savepoint show' lists them", name);
}

/* ---- the comparison */

struct walk {
    struct diff *diff;
    struct diff_lines lines;
    size_t at; /* region in hand */
    bool differs;
};

static int report(void *user, const struct savepoint_difference *difference)
{
    struct walk *walk = user;
    struct diff *diff = walk->diff;
    walk->differs = true;
    if (diff->mode == DIFF_QUIET) {
        return 1; /* the answer is known */
    }
    while (strcmp(diff->regions[walk->at].name, difference->region) != 0) {
        walk->at++; /* the library follows the same order */
    }
    struct diff_region *region = &diff->regions[walk->at];
    if (difference->kind == SAVEPOINT_DIFFERENCE_CHANGED) {
        region->pages_changed++;
        region->changed_bytes += difference->changed_bytes;
    }
    if (diff->mode == DIFF_RUNS || diff->mode == DIFF_HEX) {
        progress_clear(&diff->progress);
        diff_lines_add(&walk->lines, region, difference);
    }
    return terminal_stopped();
}

static int compare(struct diff *diff, const char *only)
{
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result;
    struct savepoint_error error;
    struct walk walk = { .diff = diff };
    options.region = only;
    options.report = report;
    options.report_user = &walk;
    options.progress = progress_step;
    options.progress_user = &diff->progress;
    diff_lines_open(&walk.lines, diff);
    progress_open(&diff->progress, diff->tool);
    enum savepoint_status status =
        savepoint_archive_diff(diff->archive.reader, &result, &diff->left, &diff->right, &options, &error);
    progress_clear(&diff->progress);
    diff_lines_close(&walk.lines);
    if (status == SAVEPOINT_CANCELLED && diff->mode == DIFF_QUIET && walk.differs) {
        return TOOL_FINDING;
    }
    if (status != SAVEPOINT_OK) {
        return fail_with(diff->tool, diff->archive.path, &error);
    }
    if (diff->mode == DIFF_STAT || diff->mode == DIFF_REGIONS) {
        diff_regions_print(diff);
    }
    if (diff->json || diff->mode != DIFF_REGIONS) {
        diff_summary_print(diff, &result);
    }
    return walk.differs ? TOOL_FINDING : TOOL_DONE;
}

static int compare_regions(struct diff *diff, const char *only)
{
    struct tables tables = { NULL, NULL, 0, 0 };
    int code = load_tables(diff, &tables);
    if (code == TOOL_GO_ON) {
        merge_tables(diff, &tables, only);
        code = only != NULL && diff->region_count == 0 ? unknown_region(diff, &tables, only) : compare(diff, only);
    }
    free(diff->regions);
    free(tables.left);
    free(tables.right);
    return code;
}

/* ---- the command line */

struct flags {
    bool hex, stat, regions;
    const char *region;
};

static int choose_mode(struct diff *diff, const struct flags *flags, bool quiet)
{
    if (flags->hex + flags->stat + flags->regions + quiet > 1) {
        return fail_usage(diff->tool, "--hex, --stat, --regions and --quiet exclude each other");
    }
    if (diff->json && (flags->hex || quiet)) {
        return fail_usage(diff->tool, "--json and %s exclude each other", quiet ? "--quiet" : "--hex");
    }
    diff->mode = flags->hex       ? DIFF_HEX
                 : flags->stat    ? DIFF_STAT
                 : flags->regions ? DIFF_REGIONS
                 : quiet          ? DIFF_QUIET
                                  : DIFF_RUNS;
    return TOOL_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct diff diff = { .tool = tool };
    struct flags flags = { .region = NULL };
    const struct option options[] = {
        { 'a', "all", OPTION_FLAG, &diff.all },        { 'x', "hex", OPTION_FLAG, &flags.hex },
        { 's', "stat", OPTION_FLAG, &flags.stat },     { 0, "regions", OPTION_FLAG, &flags.regions },
        { 'r', "region", OPTION_TEXT, &flags.region }, { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &diff.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 3);
    if (code == TOOL_GO_ON) {
        code = choose_mode(&diff, &flags, tool->quiet);
    }
    if (code == TOOL_GO_ON) {
        code = archive_open(&diff.archive, tool, argv[0]);
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_find(&diff.archive, &diff.left, argc > 1 ? argv[1] : "HEAD~1");
    if (code == TOOL_GO_ON) {
        code = archive_find(&diff.archive, &diff.right, argc > 2 ? argv[2] : "HEAD");
    }
    if (code == TOOL_GO_ON) {
        code = compare_regions(&diff, flags.region);
        if (code == TOOL_DONE || code == TOOL_FINDING) {
            archive_report(&diff.archive);
        }
    }
    archive_close(&diff.archive);
    return code;
}

const struct verb verb_diff = { "diff", "what differs between two snapshots", help, run };
