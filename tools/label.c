/* label.c - savepoint label: names for snapshots, given afterwards */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "refs.h"
#include "snapshot.h"
#include "text.h"

static const char help[] = "Examples:\n"
                           "  savepoint label game.svp                     the names, newest snapshot first\n"
                           "  savepoint label game.svp 'before boss'       names HEAD\n"
                           "  savepoint label game.svp best 1a2b3c4d       names any snapshot\n"
                           "  savepoint label --move game.svp best HEAD~2  makes the name point elsewhere\n"
                           "  savepoint label --delete game.svp best       the snapshot stays\n"
                           "\n"
                           "Usage: savepoint label [OPTIONS] ARCHIVE [NAME [SNAPSHOT]]\n"
                           "\n"
                           "Gives SNAPSHOT (HEAD where none is named) a name of its own, by which all verbs find it.\n"
                           "Any text of up to 255 bytes is good, but HEAD, 4 to 32 hex digits, which would be taken\n"
                           "for an id, and what has ~ : @{ or control characters in it. A name that is taken is moved\n"
                           "only with --move. No program may have the archive open meanwhile.\n"
                           "\n"
                           "Exit code: 2 the name is refused, taken or not there, 4 a program has the archive open.\n"
                           "\n"
                           "Options:\n"
                           "  -d, --delete       forget the name\n"
                           "  -m, --move         also a name that names another snapshot\n"
                           "  -q, --quiet        say nothing unless it fails\n"
                           "  -j, --json         one JSON object; for the list one a line\n"
                           "      --color WHEN   auto, always, or never\n"
                           "  -h, --help         this text\n";

struct label {
    struct archive archive;
    struct snapshot_names names;
    bool delete, move, json;
    const char *name;
    struct savepoint_snapshot snapshot; /* to be named */
    struct savepoint_ref before;        /* where the name pointed, */
    bool was_there;                     /* if it did */
};

static bool is_same(const struct savepoint_id *left, const struct savepoint_id *right)
{
    return memcmp(left, right, sizeof *left) == 0;
}

static void json_result(const struct label *label)
{
    static const struct savepoint_id none;
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "name", label->name);
    json_id(&json, "id", label->delete ? &none : &label->snapshot.id);
    json_id(&json, "previous", label->was_there ? &label->before.target : &none);
    json_end_line(&json);
}

static void print_result(const struct label *label)
{
    char name[TEXT_ESCAPED_BYTES], id[SAVEPOINT_ID_TEXT_BYTES];
    const char *path = label->archive.path;
    text_escape(name, label->name);
    if (label->delete) {
        printf("'%s' is forgotten; its snapshot stays.\n", name);
    } else {
        printf("'%s' is ", name);
        snapshot_print_line(&label->snapshot);
    }
    if (label->was_there && (label->delete || !is_same(&label->before.target, &label->snapshot.id))) {
        const char *const give_back[] = { "label", path, label->name, id, NULL };
        const char *const move_back[] = { "label", "--move", path, label->name, id, NULL };
        savepoint_id_format(&label->before.target, id);
        refs_print_undo(label->delete ? give_back : move_back);
    }
}

static int refuse_to_move(const struct label *label)
{
    char id[TEXT_SHORT_BYTES];
    fail_warn(label->archive.tool, label->archive.path,
              "'%s' names snapshot %s already; --move makes it name this one instead", label->name,
              text_short_id(id, &label->before.target));
    return TOOL_USAGE;
}

static int unknown_name(const struct label *label)
{
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; i < label->names.count; i++) {
        const struct savepoint_ref *ref = &label->names.refs[i];
        if (ref->kind == SAVEPOINT_REF_LABEL && text_is_nearer(&best, label->name, ref->name)) {
            nearest = ref->name;
        }
    }
    fail_warn(label->archive.tool, label->archive.path, "no snapshot has been given the name '%s'%s%s%s", label->name,
              nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    return TOOL_USAGE;
}

/* The other verbs want the snapshot first. */
static void advise_on_order(const struct label *label)
{
    struct savepoint_snapshot found;
    if (savepoint_archive_find(label->archive.reader, &found, label->name, NULL) == SAVEPOINT_OK) {
        fail_note(label->archive.tool, NULL, "the name comes first: savepoint label ARCHIVE NAME SNAPSHOT");
    }
}

/* What has to be known of the archive before it is written to. */
static int prepare(struct label *label, const char *expression)
{
    const struct savepoint_ref *found = refs_find(&label->names, SAVEPOINT_REF_LABEL, label->name);
    label->was_there = found != NULL;
    if (found != NULL) {
        label->before = *found;
    }
    if (label->delete) {
        return label->was_there ? TOOL_GO_ON : unknown_name(label);
    }
    int code = archive_find(&label->archive, &label->snapshot, expression);
    if (code != TOOL_GO_ON) {
        advise_on_order(label);
        return code;
    }
    bool moves = label->was_there && !is_same(&label->before.target, &label->snapshot.id);
    return moves && !label->move ? refuse_to_move(label) : TOOL_GO_ON;
}

static int write_name(struct label *label)
{
    const struct tool *tool = label->archive.tool;
    const struct savepoint_id *target = label->delete ? NULL : &label->snapshot.id;
    bool stays = label->was_there && target != NULL && is_same(&label->before.target, target);
    int code = stays ? TOOL_GO_ON : refs_set(tool, label->archive.path, SAVEPOINT_REF_LABEL, label->name, target);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (label->json) {
        json_result(label);
    } else if (!tool->quiet) {
        print_result(label);
    }
    return TOOL_DONE;
}

static int check_usage(const struct label *label, const struct tool *tool, int operand_count)
{
    if (label->delete &&label->move) {
        return fail_usage(tool, "--delete and --move exclude each other");
    }
    if ((label->delete || label->move) && operand_count < 2) {
        return fail_usage(tool, "which name? 'savepoint label ARCHIVE' lists them");
    }
    if (label->delete &&operand_count > 2) {
        return fail_usage(tool, "--delete takes a name and no snapshot");
    }
    return TOOL_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct refs_style style = { SAVEPOINT_REF_LABEL, "NAME", "name", "no names yet" };
    struct label label = { .delete = false };
    const struct option options[] = {
        { 'd', "delete", OPTION_FLAG, &label.delete },
        { 'm', "move", OPTION_FLAG, &label.move },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &label.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 3);
    code = code == TOOL_GO_ON ? check_usage(&label, tool, argc) : code;
    code = code == TOOL_GO_ON ? archive_open(&label.archive, tool, argv[0]) : code;
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = snapshot_load_names(&label.names, &label.archive);
    if (code == TOOL_GO_ON && argc == 1) {
        code = refs_list(&label.archive, &label.names, &style, label.json);
    } else if (code == TOOL_GO_ON) {
        label.name = argv[1];
        code = prepare(&label, argc > 2 ? argv[2] : "HEAD");
    }
    snapshot_free_names(&label.names);
    archive_close(&label.archive);
    return code == TOOL_GO_ON ? write_name(&label) : code;
}

const struct verb verb_label = { "label", "name snapshots, list and delete names", help, run };
