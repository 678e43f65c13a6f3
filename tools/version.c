/* version.c - savepoint version: what this build can do on this machine */
#include <stdio.h>

#include "backend.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "savepoint.h"
#include "table.h"
#include "text.h"

static const char help[] = "Examples:\n"
                           "  savepoint version\n"
                           "  savepoint version --json | jq '.backends[] | select(.available)'\n"
                           "\n"
                           "Usage: savepoint version [OPTIONS]\n"
                           "\n"
                           "Tells the versions of the library and of the archive format, and which write-watches work\n"
                           "here, best first: each is tried on a real page.\n"
                           "\n"
                           "Options:\n"
                           "  -j, --json         one JSON object\n"
                           "      --color WHEN   auto, always, or never\n"
                           "  -h, --help         this text\n";

static void print_backend(struct table *table, const struct savepoint_backend *backend)
{
    char detail[TEXT_ESCAPED_BYTES];
    struct backend_cells told;
    backend_describe(&told, backend);
    const char *cells[] = { told.name, told.works, told.unit, told.system_calls, text_escape(detail, backend->detail) };
    table_row(table, cells);
}

static void print_text(const struct tool *tool)
{
    static const struct table_column columns[] = {
        { "WATCH", false, 0, 0, TABLE_ID },      { "WORKS", false, 0, 0, TABLE_PLAIN },
        { "UNIT", true, 0, 3, TABLE_PLAIN },     { "SYSTEM CALLS", false, 0, 2, TABLE_PLAIN },
        { "DETAIL", false, 20, 1, TABLE_PLAIN },
    };
    struct savepoint_backend backend;
    struct table table;
    printf("savepoint %s (archive format %d)\n\n", savepoint_version(), SAVEPOINT_FORMAT_VERSION);
    table_open(&table, tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        print_backend(&table, &backend);
    }
    table_close(&table);
}

static void print_json(void)
{
    struct savepoint_backend backend;
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "version", savepoint_version());
    json_number(&json, "format_version", SAVEPOINT_FORMAT_VERSION);
    json_open_array(&json, "backends");
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        json_open_object(&json, NULL);
        backend_json(&json, &backend);
        json_close_object(&json);
    }
    json_close_array(&json);
    json_end_line(&json);
}

static int run(struct tool *tool, int argc, char **argv)
{
    bool json = false;
    const struct option options[] = { { 'j', "json", OPTION_FLAG, &json } };
    int code = options_parse(tool, &argc, argv, options, 1, 0, 0);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (json) {
        print_json();
    } else {
        print_text(tool);
    }
    return TOOL_DONE;
}

const struct verb verb_version = { "version", "versions, and the write-watches that work here", help, run };
