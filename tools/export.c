/* export.c - savepoint export: the bytes of regions, as files */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "outfile.h"
#include "place.h"
#include "progress.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint export game.svp HEAD -o dump           every region: dump/NAME.bin\n"
    "  savepoint export game.svp HEAD~1 heap -o dump    one region\n"
    "  savepoint export game.svp HEAD heap --output heap.bin\n"
    "  savepoint export game.svp HEAD heap --output - | hexdump -C | less\n"
    "\n"
    "Usage: savepoint export [OPTIONS] ARCHIVE SNAPSHOT [REGION...] -o DIRECTORY\n"
    "       savepoint export [OPTIONS] ARCHIVE SNAPSHOT [REGION] --output FILE\n"
    "\n"
    "Writes the memory of regions as it was in SNAPSHOT; every page is verified. A file appears\n"
    "whole or not at all. Excluded pages are zeros. Where a file cannot be written, as on a full disk,\n"
    "all that it made is removed again; where damage, a read that fails, or Ctrl-C stops it, the\n"
    "files before stay.\n"
    "\n"
    "Options:\n"
    "  -o, --directory DIRECTORY   write DIRECTORY/NAME.bin for each region; made where missing\n"
    "      --output FILE           write a single region to FILE; '-' is the standard output\n"
    "  -f, --force                 replace files that are there\n"
    "  -j, --json                  one JSON object a line, for each file written\n"
    "  -q, --quiet                 say nothing unless it fails\n"
    "      --color WHEN            auto, always, or never\n"
    "  -h, --help                  this text\n";

enum { CHUNK_BYTES = 1 << 20 };

struct item {
    const struct savepoint_region *region;
    char *path;     /* NULL: the standard output */
    char *stem;     /* of its file's name; NULL: it was not made of the region's */
    unsigned tried; /* numbers behind such a stem, 1 for none: all up to here are taken */
    bool was_there; /* and is replaced */
    struct outfile_mark mark;
};

struct export
{
    struct tool *tool;
    struct archive archive;
    struct savepoint_snapshot snapshot;
    struct savepoint_region *regions;
    size_t region_count;
    struct item *items;
    size_t item_count;
    const char *directory, *output;
    bool force, json, made_directory, write_failed;
    struct progress progress;
    uint64_t done_bytes, total_bytes;
    char *chunk;
};

/* The regions named, or all of them, each once and in the order of the snapshot. */
static int select_regions(struct export *export, int name_count, char **names)
{
    bool *wanted = fail_alloc(export->region_count + 1, sizeof *wanted);
    int code = TOOL_GO_ON;
    for (size_t i = 0; i < export->region_count; i++) {
        wanted[i] = name_count == 0;
    }
    for (int n = 0; n < name_count && code == TOOL_GO_ON; n++) {
        size_t i = 0;
        while (i < export->region_count && strcmp(export->regions[i].name, names[n]) != 0) {
            i++;
        }
        if (i == export->region_count) {
            code = place_unknown_region(export->tool, export->regions, export->region_count, names[n]);
        }
        wanted[i] = true;
    }
    for (size_t i = 0; i < export->region_count && code == TOOL_GO_ON; i++) {
        if (wanted[i]) {
            export->items[export->item_count++] = (struct item){ .region = &export->regions[i] };
            export->total_bytes += export->regions[i].bytes;
        }
    }
    free(wanted);
    return code;
}

static bool same_ignoring_case(const char *left, const char *right)
{
    while (*left != '\0' && tolower((unsigned char)*left) == tolower((unsigned char)*right)) {
        left++;
        right++;
    }
    return *left == *right;
}

static bool is_taken(const struct export *export, const char *path, size_t item_count)
{
    for (size_t i = 0; i < item_count; i++) {
        if (same_ignoring_case(export->items[i].path, path)) {
            return true;
        }
    }
    return false;
}

/* The numbers that the last of so many items with this stem found taken, with its own. */
static unsigned tried_before(const struct export *export, const char *stem, size_t item_count)
{
    while (item_count > 0 && !same_ignoring_case(export->items[item_count - 1].stem, stem)) {
        item_count--;
    }
    return item_count > 0 ? export->items[item_count - 1].tried : 0;
}

/* Two regions may come to the same file name: "a/b" and "a_b". The later ones get a number, too: looked for behind that
 * of the one before, for all of thousands may come to the same. */
static void name_files(struct export *export)
{
    for (size_t i = 0; i < export->item_count; i++) {
        struct item *item = &export->items[i];
        char stem[TEXT_FILE_NAME_BYTES];
        char number[16], name[TEXT_FILE_NAME_BYTES + 32];
        text_file_name(stem, item->region->name);
        item->tried = tried_before(export, stem, i);
        item->stem = memcpy(fail_alloc(sizeof stem, 1), stem, sizeof stem);
        do {
            free(item->path);
            snprintf(number, sizeof number, "-%u", ++item->tried);
            snprintf(name, sizeof name, "%s%s.bin", stem, item->tried > 1 ? number : "");
            item->path = outfile_join(export->directory, name);
        } while (is_taken(export, item->path, i));
    }
}

static int fail_to_write(struct export *export, const char *path, int os_code)
{
    export->write_failed = true;
    if (os_code == EEXIST) {
        fail_warn(export->tool, path, "is there already; --force replaces it");
        return TOOL_USAGE;
    }
    if (os_code == EISDIR) {
        fail_warn(export->tool, path, "is a directory; -o writes one file for each region into it");
        return TOOL_USAGE;
    }
    if (os_code == EINVAL) {
        fail_warn(export->tool, path, "is no regular file; use --output - and redirect it there");
        return TOOL_USAGE;
    }
    return fail_system(export->tool, path, "cannot write", os_code);
}

/* Decides where everything goes, and refuses before anything is written. */
static int choose_places(struct export *export)
{
    if (export->output != NULL && export->item_count != 1) {
        return fail_usage(export->tool, "--output takes one region, and the snapshot has %zu: name one, or use -o",
                          export->item_count);
    }
    if (export->output != NULL && strcmp(export->output, "-") == 0) {
        if (terminal_is(stdout) && !export->force) {
            return fail_usage(export->tool, "this would write memory to the terminal: redirect it, or use --force");
        }
        return TOOL_GO_ON;
    }
    if (export->output != NULL) {
        size_t bytes = strlen(export->output) + 1;
        export->items[0].path = memcpy(fail_alloc(bytes, 1), export->output, bytes);
    } else {
        int code = outfile_make_directory(export->directory, &export->made_directory);
        if (code != 0) {
            return fail_system(export->tool, export->directory, "cannot make this directory", code);
        }
        name_files(export);
    }
    for (size_t i = 0; i < export->item_count; i++) {
        struct item *item = &export->items[i];
        int code = outfile_check(item->path, export->force);
        if (code != 0) {
            return fail_to_write(export, item->path, code);
        }
        item->was_there = outfile_check(item->path, false) != 0;
    }
    return TOOL_GO_ON;
}

static int
copy_region(struct export *export, const struct savepoint_region *region, struct outfile *file, const char *path)
{
    struct savepoint_error error;
    for (uint64_t offset = 0; offset < region->bytes;) {
        uint64_t left = region->bytes - offset;
        size_t count = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        if (savepoint_archive_read(export->archive.reader, export->chunk, &export->snapshot, region->name, offset,
                                   count, &error) != SAVEPOINT_OK) {
            progress_clear(&export->progress);
            return fail_with(export->tool, export->archive.path, &error);
        }
        int code = outfile_write(file, export->chunk, count);
        if (code != 0) {
            progress_clear(&export->progress);
            int silent = code == EINTR ? TOOL_INTERRUPTED : TOOL_ENVIRONMENT;
            return code == EINTR || terminal_pipe_broken() ? silent : fail_to_write(export, path, code);
        }
        offset += count;
        export->done_bytes += count;
        if (progress_step(&export->progress, export->done_bytes, export->total_bytes) != 0) {
            progress_clear(&export->progress);
            return TOOL_INTERRUPTED;
        }
    }
    return TOOL_GO_ON;
}

static int export_item(struct export *export, struct item *item)
{
    struct outfile file;
    if (item->path == NULL) {
        outfile_standard(&file);
        return copy_region(export, item->region, &file, "the standard output");
    }
    int os_code = outfile_open(&file, item->path);
    if (os_code != 0) {
        return fail_to_write(export, item->path, os_code);
    }
    int code = copy_region(export, item->region, &file, item->path);
    if (code != TOOL_GO_ON) {
        outfile_discard(&file);
        return code;
    }
    item->mark = outfile_mark(&file);
    os_code = outfile_commit(&file, export->force);
    return os_code == 0 ? TOOL_GO_ON : fail_to_write(export, item->path, os_code);
}

static void json_written(const struct item *item)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "region", item->region->name);
    json_number(&json, "bytes", item->region->bytes);
    json_text(&json, "file", item->path);
    json_end_line(&json);
}

/* On a full disk the files of some regions are in the way of who tries again. What was replaced is gone, and its new
 * file whole: it stays. Returns how many of the items written do, which are the first then. */
static size_t take_back(struct export *export, size_t written)
{
    size_t kept = 0, removed = 0;
    for (size_t i = 0; i < written; i++) {
        struct item item = export->items[i];
        if (item.was_there) {
            export->items[i] = export->items[kept];
            export->items[kept++] = item;
        } else if (outfile_take_back(item.path, &item.mark)) {
            removed++;
        }
    }
    if (removed > 0) {
        fail_warn(export->tool, export->directory, "removed again what had been written before: %zu file%s", removed,
                  removed == 1 ? "" : "s");
    }
    return kept;
}

static void print_written(const struct export *export, size_t count)
{
    static const struct table_column columns[] = {
        { "REGION", false, 8, 0, TABLE_ID },
        { "SIZE", true, 0, 1, TABLE_PLAIN },
        { "FILE", false, 8, 0, TABLE_PLAIN },
    };
    struct table table;
    if (export->tool->quiet || (export->output != NULL && strcmp(export->output, "-") == 0)) {
        return;
    }
    for (size_t i = 0; i < count && export->json; i++) {
        json_written(&export->items[i]);
    }
    if (export->json) {
        return;
    }
    table_open(&table, export->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        char name[TEXT_ESCAPED_BYTES], size[TEXT_SHORT_BYTES], path[TEXT_ESCAPED_BYTES];
        const char *cells[] = {
            text_escape(name, export->items[i].region->name),
            text_size(size, export->items[i].region->bytes),
            text_escape(path, export->items[i].path),
        };
        table_row(&table, cells);
    }
    table_close(&table);
}

static int export_all(struct export *export)
{
    size_t written = 0;
    int code = TOOL_GO_ON;
    export->chunk = fail_alloc(CHUNK_BYTES, 1);
    progress_open(&export->progress, export->tool);
    while (written < export->item_count && code == TOOL_GO_ON) {
        code = export_item(export, &export->items[written]);
        written += code == TOOL_GO_ON;
    }
    progress_clear(&export->progress);
    free(export->chunk);
    if (export->write_failed) { /* of an archive that cannot be read on, what was read may be all that there is */
        written = take_back(export, written);
    }
    print_written(export, written);
    return code;
}

static int export_regions(struct export *export, int name_count, char **names)
{
    int code = archive_regions(&export->archive, &export->regions, &export->region_count, &export->snapshot);
    if (code != TOOL_GO_ON) {
        return code;
    }
    export->items = fail_alloc(export->region_count + 1, sizeof *export->items);
    code = select_regions(export, name_count, names);
    if (code == TOOL_GO_ON) {
        code = choose_places(export);
    }
    if (code == TOOL_GO_ON) {
        code = export_all(export);
    }
    if (code != TOOL_GO_ON && export->made_directory) {
        outfile_remove_directory(export->directory);
    }
    for (size_t i = 0; i < export->item_count; i++) {
        free(export->items[i].path);
        free(export->items[i].stem);
    }
    free(export->items);
    free(export->regions);
    return code == TOOL_GO_ON ? TOOL_DONE : code;
}

static int check_destination(struct export *export)
{
    if (export->directory != NULL && strcmp(export->directory, "-") == 0 && export->output == NULL) {
        export->output = export->directory; /* "-o -" can mean nothing else */
        export->directory = NULL;
    }
    if (export->directory != NULL && export->output != NULL) {
        return fail_usage(export->tool, "-o and --output exclude each other");
    }
    if (export->directory == NULL && export->output == NULL) {
        return fail_usage(export->tool, "where to? -o DIRECTORY, or --output FILE for one region");
    }
    return TOOL_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct export export = { .tool = tool };
    const struct option options[] = {
        { 'o', "directory", OPTION_TEXT, &export.directory }, { 0, "output", OPTION_TEXT, &export.output },
        { 'f', "force", OPTION_FLAG, &export.force },         { 'j', "json", OPTION_FLAG, &export.json },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 2, INT_MAX);
    if (code == TOOL_GO_ON) {
        code = check_destination(&export);
    }
    if (code == TOOL_GO_ON) {
        code = archive_open(&export.archive, tool, argv[0]);
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_find(&export.archive, &export.snapshot, argv[1]);
    if (code == TOOL_GO_ON) {
        code = export_regions(&export, argc - 2, argv + 2);
        if (code != TOOL_DAMAGED) {
            archive_report(&export.archive);
        }
    }
    archive_close(&export.archive);
    return code;
}

const struct verb verb_export = { "export", "write the memory of regions to files", help, run };
