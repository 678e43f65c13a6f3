/* show.c - savepoint show: everything about one snapshot */
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "options.h"
#include "snapshot.h"
#include "table.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint show game.svp                what a program would resume from\n"
    "  savepoint show game.svp HEAD~3         three snapshots before it\n"
    "  savepoint show game.svp 1a2b3c4d       by the first digits of its id\n"
    "  savepoint show game.svp 'before boss'  by label\n"
    "\n"
    "Usage: savepoint show [OPTIONS] ARCHIVE [SNAPSHOT]\n"
    "\n"
    "Shows one snapshot (HEAD where none is named): ids, time, flags, metadata, regions, sizes;\n"
    "then the facts of the archive.\n"
    "\n"
    "Options:\n"
    "  -j, --json         one JSON object\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

enum { PAGE_BYTES = 4096 };

struct show {
    struct archive archive;
    struct snapshot_names names;
    struct savepoint_snapshot snapshot;
    struct savepoint_region *regions;
    size_t region_count;
};

FAIL_PRINTF(2, 3)
static void fact(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-10s  ", name);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static void fact_id(const char *name, const struct savepoint_id *id)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(id, text);
    fact(name, "%s", text);
}

/* A metadata value, NULL where there is none; to be freed. Returns TOOL_GO_ON, or an exit code. */
static int load_metadata(const struct show *show, char **value, size_t *bytes, uint16_t type)
{
    struct savepoint_error error;
    struct savepoint_archive *reader = show->archive.reader;
    enum savepoint_status status = savepoint_archive_metadata(reader, NULL, bytes, 0, &show->snapshot, type, &error);
    *value = NULL;
    if (status == SAVEPOINT_NOT_FOUND) {
        *bytes = 0;
        return TOOL_GO_ON;
    }
    if (status == SAVEPOINT_OK) {
        *value = fail_alloc(*bytes + 1, 1);
        status = savepoint_archive_metadata(reader, *value, bytes, *bytes, &show->snapshot, type, &error);
    }
    if (status != SAVEPOINT_OK) {
        free(*value);
        *value = NULL;
        return fail_with(show->archive.tool, show->archive.path, &error);
    }
    return TOOL_GO_ON;
}

static void print_flags(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *word;
    } words[] = {
        { SAVEPOINT_SNAPSHOT_SEALED, "sealed" },     { SAVEPOINT_SNAPSHOT_UNSYNCED, "unsynced" },
        { SAVEPOINT_SNAPSHOT_AUTOSAVE, "autosave" }, { SAVEPOINT_SNAPSHOT_NO_HEAD, "did not move HEAD" },
        { SAVEPOINT_SNAPSHOT_DROPPED, "dropped" },   { SAVEPOINT_SNAPSHOT_ROOT, "root" },
    };
    const char *separator = "";
    printf("%-10s  ", "flags");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (flags & words[i].flag) {
            printf("%s%s", separator, words[i].word);
            separator = ", ";
        }
    }
    puts(*separator == '\0' ? "none" : "");
}

static int print_metadata(const struct show *show)
{
    static const struct {
        uint16_t type;
        const char *name;
    } kinds[] = {
        { SAVEPOINT_METADATA_MESSAGE, "message" },
        { SAVEPOINT_METADATA_ORIGIN, "origin" },
        { SAVEPOINT_METADATA_THUMBNAIL, "thumbnail" },
    };
    char size[TEXT_SHORT_BYTES];
    if (show->snapshot.metadata_bytes > 0) {
        fact("metadata", "%s", text_size(size, show->snapshot.metadata_bytes));
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char *value = NULL;
        size_t bytes = 0;
        int code = load_metadata(show, &value, &bytes, kinds[i].type);
        if (code != TOOL_GO_ON) {
            return code;
        }
        if (value == NULL) {
            continue;
        }
        if (kinds[i].type == SAVEPOINT_METADATA_MESSAGE) {
            printf("%-10s  ", kinds[i].name);
            text_print(stdout, value, bytes, "            "); /* under the first line */
            putchar('\n');
        } else if (kinds[i].type == SAVEPOINT_METADATA_ORIGIN && bytes == sizeof(struct savepoint_id)) {
            struct savepoint_id origin;
            memcpy(&origin, value, sizeof origin);
            fact_id(kinds[i].name, &origin);
        } else {
            fact(kinds[i].name, "%s", text_size(size, bytes));
        }
        free(value);
    }
    return TOOL_GO_ON;
}

static int print_snapshot(const struct show *show)
{
    const struct savepoint_snapshot *snapshot = &show->snapshot;
    char names[TEXT_ESCAPED_BYTES], text[TEXT_ESCAPED_BYTES], time[TEXT_SHORT_BYTES], size[TEXT_SHORT_BYTES];
    snapshot_print_names(names, sizeof names, &show->names, snapshot);
    fact_id("snapshot", &snapshot->id);
    if (snapshot->flags & SAVEPOINT_SNAPSHOT_ROOT) {
        fact("parent", "none");
    } else {
        fact_id("parent", &snapshot->parent);
    }
    fact_id("digest", &snapshot->digest);
    fact("sequence", "%" PRIu64, snapshot->sequence);
    fact("time", "%s (%s)", text_time(time, snapshot->time_ns), text_time_utc(text, snapshot->time_ns));
    if (snapshot->label[0] != '\0') {
        fact("label", "%s", text_escape(text, snapshot->label));
    }
    if (names[0] != '\0') {
        fact("names", "%s", names);
    }
    print_flags(snapshot->flags);
    int code = print_metadata(show);
    double part = snapshot->region_pages == 0 ? 0 : (double)snapshot->changed_pages / (double)snapshot->region_pages;
    fact("changed", "%" PRIu64 " of %" PRIu64 " pages (%.1f%%)", snapshot->changed_pages, snapshot->region_pages,
         part * 100);
    fact("stored", "%s for %s of pages", text_size(size, snapshot->stored_bytes),
         text_size(text, snapshot->changed_pages * PAGE_BYTES));
    fact("pause", "%s", text_pause(time, snapshot->pause_ns));
    return code;
}

static void print_regions(const struct show *show)
{
    static const struct table_column columns[] = {
        { "REGION", false, 8, 0, TABLE_ID },    { "ADDRESS", true, 0, 2, TABLE_PLAIN },
        { "SIZE", true, 0, 0, TABLE_PLAIN },    { "EXCLUDED", true, 0, 1, TABLE_PLAIN },
        { "MEMORY", false, 0, 3, TABLE_PLAIN },
    };
    struct table table;
    table_open(&table, show->archive.tool, columns, sizeof columns / sizeof columns[0]);
    putchar('\n');
    for (size_t i = 0; i < show->region_count; i++) {
        const struct savepoint_region *region = &show->regions[i];
        char name[TEXT_ESCAPED_BYTES], address[TEXT_SHORT_BYTES], size[TEXT_SHORT_BYTES], excluded[TEXT_SHORT_BYTES];
        snprintf(address, sizeof address, "0x%" PRIx64, region->address);
        const char *cells[] = {
            text_escape(name, region->name),
            address,
            text_size(size, region->bytes),
            text_size(excluded, region->excluded_bytes),
            region->flags & SAVEPOINT_REGION_MAPPED ? "mapped" : "the program's",
        };
        table_row(&table, cells);
    }
    table_close(&table);
}

static void print_archive(const struct archive *archive)
{
    const struct savepoint_archive_info *info = &archive->info;
    char text[TEXT_ESCAPED_BYTES], size[TEXT_SHORT_BYTES], other[TEXT_SHORT_BYTES];
    struct savepoint_id history;
    memcpy(&history, info->history_uuid, sizeof history);
    printf("\n%-10s  ", "archive");
    text_print(stdout, archive->path, strlen(archive->path), NULL);
    putchar('\n');
    fact("snapshots", "%" PRIu64, info->snapshot_count);
    fact_id("history id", &history);
    fact("size", "%s, durable up to %s", text_size(size, info->file_bytes), text_size(other, info->sealed_bytes));
    fact("format", "%" PRIu32 ", written by %s", info->format_version, text_escape(text, info->creator));
    fact("written on", "%s, host pages of %s", text_escape(text, info->abi), text_size(size, info->host_page_bytes));
    fact("writer", "%s", info->writer_active ? "at work now" : "none now");
}

static void json_regions(struct json *json, const struct show *show)
{
    json_open_array(json, "regions");
    for (size_t i = 0; i < show->region_count; i++) {
        const struct savepoint_region *region = &show->regions[i];
        char address[TEXT_SHORT_BYTES];
        snprintf(address, sizeof address, "0x%" PRIx64, region->address);
        json_open_object(json, NULL);
        json_text(json, "name", region->name);
        json_text(json, "address", address);
        json_number(json, "bytes", region->bytes);
        json_number(json, "excluded_bytes", region->excluded_bytes);
        json_bool(json, "mapped", (region->flags & SAVEPOINT_REGION_MAPPED) != 0);
        json_close_object(json);
    }
    json_close_array(json);
}

static int print_json(const struct show *show)
{
    struct json json = { stdout, false };
    char *message = NULL;
    size_t bytes = 0;
    int code = load_metadata(show, &message, &bytes, SAVEPOINT_METADATA_MESSAGE);
    if (code != TOOL_GO_ON) {
        return code;
    }
    json_open_object(&json, NULL);
    snapshot_json(&json, &show->names, &show->snapshot);
    if (message == NULL) {
        json_null(&json, "message");
    } else {
        json_text_bytes(&json, "message", message, bytes);
    }
    json_regions(&json, show);
    archive_json(&json, "archive", &show->archive);
    json_end_line(&json);
    free(message);
    return TOOL_GO_ON;
}

static int show_snapshot(struct show *show, bool json)
{
    int code = archive_regions(&show->archive, &show->regions, &show->region_count, &show->snapshot);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (json) {
        code = print_json(show);
    } else {
        code = print_snapshot(show);
        print_regions(show);
        print_archive(&show->archive);
    }
    free(show->regions);
    archive_report(&show->archive);
    return code == TOOL_GO_ON ? TOOL_DONE : code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct show show;
    bool json = false;
    const struct option options[] = { { 'j', "json", OPTION_FLAG, &json } };
    int code = options_parse(tool, &argc, argv, options, 1, 1, 2);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_open(&show.archive, tool, argv[0]);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_find(&show.archive, &show.snapshot, argc > 1 ? argv[1] : "HEAD");
    if (code == TOOL_GO_ON) {
        code = snapshot_load_names(&show.names, &show.archive);
    }
    if (code == TOOL_GO_ON) {
        code = show_snapshot(&show, json);
        snapshot_free_names(&show.names);
    }
    archive_close(&show.archive);
    return code;
}

const struct verb verb_show = { "show", "everything about one snapshot", help, run };
