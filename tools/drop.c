/* drop.c - savepoint drop: hides snapshots that are not needed any more */
#include <stdio.h>
#include <stdlib.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "snapshot.h"

static const char help[] =
    "Examples:\n"
    "  savepoint drop game.svp 'before boss'     one that is not needed any more\n"
    "  savepoint drop game.svp HEAD~3 HEAD~4     several, all or none\n"
    "  savepoint compact game.svp                then make the file smaller\n"
    "\n"
    "Usage: savepoint drop [OPTIONS] ARCHIVE SNAPSHOT...\n"
    "\n"
    "Hides snapshots from names and lists. Their bytes stay in the file until 'savepoint compact',\n"
    "for later snapshots may rest on them; 'savepoint log --dropped' still shows them. HEAD, and\n"
    "what has a label or a pin, is not dropped. No program may have the archive open meanwhile.\n"
    "There is no way back: pin what you are not sure of.\n"
    "\n"
    "Exit code: 2 no such snapshot, or it is protected, 4 a program has the archive open.\n"
    "\n"
    "Options:\n"
    "  -q, --quiet        say nothing unless it fails\n"
    "  -j, --json         one JSON object a line, for each snapshot\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

enum { SNAPSHOTS_MAX = 10000 };

static int find_all(const struct archive *archive, struct savepoint_snapshot *snapshots, struct savepoint_id *ids,
                    char **expressions, int count)
{
    int code = TOOL_GO_ON;
    for (int i = 0; code == TOOL_GO_ON && i < count; i++) {
        code = archive_find(archive, &snapshots[i], expressions[i]);
        ids[i] = snapshots[i].id;
    }
    return code;
}

static void print_result(const struct savepoint_snapshot *snapshot, bool json_wanted)
{
    if (json_wanted) {
        struct json json = { stdout, false };
        json_open_object(&json, NULL);
        json_id(&json, "dropped", &snapshot->id);
        json_number(&json, "sequence", snapshot->sequence);
        json_text(&json, "label", snapshot->label);
        json_end_line(&json);
    } else {
        fputs("dropped: ", stdout);
        snapshot_print_line(snapshot);
    }
}

static int drop(const struct tool *tool, const char *path, char **expressions, int count, bool json)
{
    struct archive archive;
    struct savepoint_error error;
    int code = archive_open(&archive, tool, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    struct savepoint_snapshot *snapshots = fail_alloc((size_t)count, sizeof *snapshots);
    struct savepoint_id *ids = fail_alloc((size_t)count, sizeof *ids);
    code = find_all(&archive, snapshots, ids, expressions, count);
    archive_close(&archive);
    if (code == TOOL_GO_ON && savepoint_archive_drop(path, ids, (size_t)count, &error) != SAVEPOINT_OK) {
        code = fail_with(tool, path, &error);
    }
    for (int i = 0; code == TOOL_GO_ON && i < count; i++) {
        if (json || !tool->quiet) {
            print_result(&snapshots[i], json);
        }
    }
    free(snapshots);
    free(ids);
    return code == TOOL_GO_ON ? TOOL_DONE : code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    bool json = false;
    const struct option options[] = {
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 2, SNAPSHOTS_MAX);
    return code == TOOL_GO_ON ? drop(tool, argv[0], argv + 1, argc - 1, json) : code;
}

const struct verb verb_drop = { "drop", "hide snapshots that are not needed any more", help, run };
