/* pin.c - savepoint pin: snapshots that are to be kept */
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "refs.h"
#include "snapshot.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint pin game.svp                              what is pinned, newest first\n"
    "  savepoint pin game.svp HEAD                         to be kept, whatever is dropped\n"
    "  savepoint pin game.svp best --note 'for the report'\n"
    "  savepoint pin --delete game.svp best                may be dropped again\n"
    "\n"
    "Usage: savepoint pin [OPTIONS] ARCHIVE [SNAPSHOT]\n"
    "\n"
    "A pinned snapshot is never dropped to make room. A note tells why; it is any text of up to\n"
    "255 bytes without control characters, and no two pins have the same one. Pinning with\n"
    "another note replaces the note. No program may have the archive open meanwhile.\n"
    "\n"
    "Exit code: 2 no such snapshot, or it is not pinned, 4 a program has the archive open.\n"
    "\n"
    "Options:\n"
    "  -d, --delete       take the pin out again; the snapshot stays\n"
    "  -n, --note TEXT    why it is kept\n"
    "  -q, --quiet        say nothing unless it fails\n"
    "  -j, --json         one JSON object; for the list one a line\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

struct pin {
    struct archive archive;
    struct snapshot_names names;
    bool delete, json;
    const char *note; /* NULL: none was told */
    struct savepoint_snapshot snapshot;
};

/* The next pin of the snapshot at or behind *index, which is moved behind it; NULL at the end. */
static const struct savepoint_ref *next_pin(const struct pin *pin, size_t *index)
{
    size_t count = 0;
    const struct savepoint_ref *refs = snapshot_refs(&count, &pin->names, &pin->snapshot.id);
    while (*index < count) {
        const struct savepoint_ref *ref = &refs[(*index)++];
        if (ref->kind == SAVEPOINT_REF_PIN) {
            return ref;
        }
    }
    return NULL;
}

static int refuse_note(const struct pin *pin, const struct savepoint_ref *other)
{
    char id[TEXT_SHORT_BYTES];
    fail_warn(pin->archive.tool, pin->archive.path, "the pin of snapshot %s has this note already: choose another",
              text_short_id(id, &other->target));
    return TOOL_USAGE;
}

static int not_pinned(const struct pin *pin)
{
    char id[TEXT_SHORT_BYTES];
    fail_warn(pin->archive.tool, pin->archive.path, "snapshot %s is not pinned", text_short_id(id, &pin->snapshot.id));
    return TOOL_USAGE;
}

static int prepare(struct pin *pin, const char *expression)
{
    size_t index = 0;
    int code = archive_find(&pin->archive, &pin->snapshot, expression);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (pin->delete &&next_pin(pin, &index) == NULL) {
        return not_pinned(pin);
    }
    const struct savepoint_ref *same = pin->note != NULL ? refs_find(&pin->names, SAVEPOINT_REF_PIN, pin->note) : NULL;
    bool elsewhere = same != NULL && memcmp(&same->target, &pin->snapshot.id, sizeof same->target) != 0;
    return elsewhere ? refuse_note(pin, same) : TOOL_GO_ON;
}

/* The new pin first, so that there is one at any time; then the old ones go, but for that of the same name. */
static int write_pins(const struct pin *pin)
{
    const struct tool *tool = pin->archive.tool;
    const struct savepoint_ref *old = NULL;
    size_t index = 0;
    bool pinned = next_pin(pin, &index) != NULL;
    int code = TOOL_GO_ON;
    if (!pin->delete &&(pin->note != NULL || !pinned)) {
        const char *note = pin->note == NULL ? "" : pin->note;
        code = refs_set(tool, pin->archive.path, SAVEPOINT_REF_PIN, note, &pin->snapshot.id);
    }
    index = 0;
    while (code == TOOL_GO_ON && (old = next_pin(pin, &index)) != NULL) {
        bool replaced = pin->note != NULL && strcmp(snapshot_ref_name(old), pin->note) != 0;
        if (pin->delete || replaced) {
            code = refs_set(tool, pin->archive.path, SAVEPOINT_REF_PIN, old->name, NULL);
        }
    }
    return code;
}

/* The note that the pin has now. */
static const char *note_of(const struct pin *pin)
{
    size_t index = 0;
    const struct savepoint_ref *old = next_pin(pin, &index);
    return pin->note != NULL ? pin->note : old != NULL ? snapshot_ref_name(old) : "";
}

static void json_result(const struct pin *pin)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_id(&json, "id", &pin->snapshot.id);
    json_bool(&json, "pinned", !pin->delete);
    json_text(&json, "note", pin->delete ? "" : note_of(pin));
    json_end_line(&json);
}

static void print_result(const struct pin *pin)
{
    char note[TEXT_ESCAPED_BYTES];
    fputs(pin->delete ? "no longer pinned: " : "pinned: ", stdout);
    snapshot_print_line(&pin->snapshot);
    if (!pin->delete &&note_of(pin)[0] != '\0') {
        printf("note: %s\n", text_escape(note, note_of(pin)));
    }
}

static int pin_snapshot(struct pin *pin, const char *expression)
{
    int code = prepare(pin, expression);
    code = code == TOOL_GO_ON ? write_pins(pin) : code;
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (pin->json) {
        json_result(pin);
    } else if (!pin->archive.tool->quiet) {
        print_result(pin);
    }
    return TOOL_DONE;
}

static int check_usage(const struct pin *pin, const struct tool *tool, int operand_count)
{
    if (pin->delete &&pin->note != NULL) {
        return fail_usage(tool, "--delete and --note exclude each other");
    }
    if ((pin->delete || pin->note != NULL) && operand_count < 2) {
        return fail_usage(tool, "which snapshot? 'savepoint pin ARCHIVE' lists those that are pinned");
    }
    return TOOL_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const struct refs_style style = { SAVEPOINT_REF_PIN, "NOTE", "note", "nothing is pinned" };
    struct pin pin = { .delete = false };
    const struct option options[] = {
        { 'd', "delete", OPTION_FLAG, &pin.delete },
        { 'n', "note", OPTION_TEXT, &pin.note },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &pin.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 2);
    code = code == TOOL_GO_ON ? check_usage(&pin, tool, argc) : code;
    code = code == TOOL_GO_ON ? archive_open(&pin.archive, tool, argv[0]) : code;
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = snapshot_load_names(&pin.names, &pin.archive);
    if (code == TOOL_GO_ON && argc == 1) {
        code = refs_list(&pin.archive, &pin.names, &style, pin.json);
    } else if (code == TOOL_GO_ON) {
        code = pin_snapshot(&pin, argv[1]);
    }
    snapshot_free_names(&pin.names);
    archive_close(&pin.archive);
    return code;
}

const struct verb verb_pin = { "pin", "keep snapshots, list what is kept", help, run };
