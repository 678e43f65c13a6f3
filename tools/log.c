/* log.c - savepoint log: snapshots, newest first */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "archive.h"
#include "fail.h"
#include "graph.h"
#include "options.h"
#include "snapshot.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint log game.svp                 what a program would resume from, and all before it\n"
    "  savepoint log -n 20 game.svp           the newest 20 of them\n"
    "  savepoint log --all game.svp           all branches, drawn\n"
    "  savepoint log --json game.svp | jq -r .id\n"
    "\n"
    "Usage: savepoint log [OPTIONS] ARCHIVE\n"
    "\n"
    "Lists the snapshots that lead to HEAD, newest first: short id, sequence number, local time,\n"
    "pages changed, bytes stored, whether it is known to be durable (sealed), names, label.\n"
    "\n"
    "Options:\n"
    "  -n, --count N      at most N snapshots\n"
    "  -a, --all          snapshots of all branches\n"
    "      --dropped      with those that were dropped (implies --all)\n"
    "  -j, --json         one JSON object a line\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

struct log {
    const struct tool *tool;
    struct archive archive;
    struct snapshot_names names;
    struct table table;
    struct graph graph;
    uint64_t limit;
    bool all, dropped, json;
    uint64_t shown;
    uint64_t kept; /* of them; the others were dropped */
    bool complete; /* the walk came to its end, not to the limit */
};

enum { GRAPH, ID, SEQUENCE, TIME, PAGES, SIZE, STATE, NAMES, LABEL, COLUMN_COUNT };
static const struct table_column columns[] = {
    { "", false, 4, 0, TABLE_PLAIN },       { "ID", false, 0, 0, TABLE_ID },
    { "SEQ", true, 0, 1, TABLE_PLAIN },     { "TIME", false, 0, 2, TABLE_PLAIN },
    { "PAGES", true, 0, 5, TABLE_PLAIN },   { "SIZE", true, 0, 4, TABLE_PLAIN },
    { "STATE", false, 0, 6, TABLE_PLAIN },  { "NAMES", false, 6, 0, TABLE_NAMES },
    { "LABEL", false, 12, 0, TABLE_PLAIN },
};

static size_t first_column(const struct log *log)
{
    return log->all ? GRAPH : ID; /* without branches there is nothing to draw */
}

static void print_row(struct log *log, const struct savepoint_snapshot *snapshot, const char *drawing)
{
    char id[TEXT_SHORT_BYTES], sequence[TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES], pages[TEXT_SHORT_BYTES],
        size[TEXT_SHORT_BYTES], names[TEXT_ESCAPED_BYTES], label[TEXT_ESCAPED_BYTES];
    snprintf(sequence, sizeof sequence, "%" PRIu64, snapshot->sequence);
    snprintf(pages, sizeof pages, "%" PRIu64, snapshot->changed_pages);
    snapshot_print_names(names, sizeof names, &log->names, snapshot);
    const char *cells[COLUMN_COUNT] = {
        [GRAPH] = drawing,
        [ID] = text_short_id(id, &snapshot->id),
        [SEQUENCE] = sequence,
        [TIME] = text_time(time, snapshot->time_ns),
        [PAGES] = pages,
        [SIZE] = text_size(size, snapshot->stored_bytes),
        [STATE] = snapshot_state(snapshot),
        [NAMES] = names,
        [LABEL] = text_escape(label, snapshot->label),
    };
    table_row(&log->table, cells + first_column(log));
}

static void print_drawing(void *user, const char *text)
{
    struct log *log = user;
    const char *cells[COLUMN_COUNT] = { [GRAPH] = text };
    table_row(&log->table, cells);
}

static void print_json(struct log *log, const struct savepoint_snapshot *snapshot)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    snapshot_json(&json, &log->names, snapshot);
    json_end_line(&json);
}

static int walk_ancestors(struct log *log)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    struct savepoint_archive *reader = log->archive.reader;
    enum savepoint_status status = savepoint_archive_find(reader, &snapshot, "HEAD", &error);
    while (status == SAVEPOINT_OK && log->shown < log->limit && !terminal_stopped()) {
        if (log->json) {
            print_json(log, &snapshot);
        } else {
            print_row(log, &snapshot, NULL);
        }
        log->shown++;
        log->kept++;
        status = savepoint_archive_parent(reader, &snapshot, &error);
    }
    log->complete = status == SAVEPOINT_NOT_FOUND || status == SAVEPOINT_EMPTY;
    return status == SAVEPOINT_OK || log->complete ? TOOL_DONE : fail_with(log->tool, log->archive.path, &error);
}

/* A snapshot of any branch, with the drawing that leads to its parent. */
static enum savepoint_status
show_drawn(struct log *log, const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    char drawing[GRAPH_TEXT_BYTES];
    struct savepoint_snapshot parent = *snapshot;
    if (log->json) {
        print_json(log, snapshot);
        return SAVEPOINT_OK;
    }
    /* parent() steps over snapshots that were dropped; their rows, where wanted, hang on their own. */
    enum savepoint_status status = savepoint_archive_parent(log->archive.reader, &parent, error);
    if (status != SAVEPOINT_OK && status != SAVEPOINT_NOT_FOUND && status != SAVEPOINT_CORRUPT) {
        return status;
    }
    graph_before(&log->graph, &snapshot->id, print_drawing, log);
    graph_row(&log->graph, drawing);
    print_row(log, snapshot, drawing);
    graph_after(&log->graph, status == SAVEPOINT_OK ? &parent.id : NULL, print_drawing, log);
    return SAVEPOINT_OK;
}

static int walk_all(struct log *log)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    struct savepoint_archive *reader = log->archive.reader;
    enum savepoint_status status = savepoint_archive_newest(reader, &snapshot, &error);
    while (status == SAVEPOINT_OK && log->shown < log->limit && !terminal_stopped()) {
        if (log->dropped || !(snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED)) {
            status = show_drawn(log, &snapshot, &error);
            log->shown++;
            log->kept += snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED ? 0 : 1;
        }
        if (status == SAVEPOINT_OK) {
            status = savepoint_archive_previous(reader, &snapshot, &error);
        }
    }
    log->complete = status == SAVEPOINT_NOT_FOUND || status == SAVEPOINT_EMPTY;
    return status == SAVEPOINT_OK || log->complete ? TOOL_DONE : fail_with(log->tool, log->archive.path, &error);
}

/* Counting the other branches costs nothing once the walk has met every ancestor. */
static void print_summary(const struct log *log)
{
    uint64_t counted = log->archive.info.snapshot_count;
    uint64_t others = counted > log->kept ? counted - log->kept : 0; /* less where the record of a drop is damaged */
    if (log->all && log->complete && others > 0) {
        fail_warn(log->tool, log->archive.path,
                  "%" PRIu64
                  " more snapshot%s cannot be listed: damage took %s own record%s. 'savepoint verify' tells where",
                  others, others == 1 ? "" : "s", others == 1 ? "its" : "their", others == 1 ? "" : "s");
    } else if (counted == 0) {
        fail_note(log->tool, log->archive.path, "no snapshots yet");
    } else if (!log->all && log->complete && others > 0) {
        printf("%" PRIu64 " snapshot%s on other branches (--all)\n", others, others == 1 ? "" : "s");
    }
}

static int list(struct log *log)
{
    size_t first = first_column(log);
    table_open(&log->table, log->tool, columns + first, COLUMN_COUNT - first);
    graph_open(&log->graph);
    int code = log->all ? walk_all(log) : walk_ancestors(log);
    table_close(&log->table);
    graph_close(&log->graph);
    if (terminal_interrupted()) {
        return TOOL_INTERRUPTED;
    }
    if (code == TOOL_DONE && !log->json) {
        print_summary(log);
    }
    int found = archive_report(&log->archive);
    return code == TOOL_DONE ? found : code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct log log = { .tool = tool, .limit = UINT64_MAX };
    const struct option options[] = {
        { 'n', "count", OPTION_NUMBER, &log.limit },
        { 'a', "all", OPTION_FLAG, &log.all },
        { 0, "dropped", OPTION_FLAG, &log.dropped },
        { 'j', "json", OPTION_FLAG, &log.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 1);
    if (code != TOOL_GO_ON) {
        return code;
    }
    log.all = log.all || log.dropped;
    code = archive_open(&log.archive, tool, argv[0]);
    if (code != TOOL_GO_ON) {
        return code;
    }
    terminal_catch_interrupt();
    code = snapshot_load_names(&log.names, &log.archive);
    if (code == TOOL_GO_ON) {
        code = list(&log);
        snapshot_free_names(&log.names);
    }
    archive_close(&log.archive);
    return code;
}

const struct verb verb_log = { "log", "list snapshots, newest first", help, run };
