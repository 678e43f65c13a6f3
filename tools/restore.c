/* restore.c - savepoint restore: choose what a program resumes from */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "snapshot.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint restore game.svp HEAD~1         one snapshot back\n"
    "  savepoint restore game.svp 1a2b3c4d       by the first digits of its id\n"
    "  savepoint restore game.svp 'before boss'  by label\n"
    "\n"
    "Usage: savepoint restore [OPTIONS] ARCHIVE SNAPSHOT\n"
    "\n"
    "Makes SNAPSHOT the one a program resumes from when it opens the archive. Nothing is lost:\n"
    "later snapshots stay as a branch, and the command to go back is printed. No program may\n"
    "have the archive open meanwhile.\n"
    "\n"
    "Exit code: 2 no such snapshot, 4 a program has the archive open, 6 the snapshot is damaged.\n"
    "\n"
    "Options:\n"
    "  -q, --quiet        say nothing unless it fails\n"
    "  -j, --json         one JSON object\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

struct restore {
    struct archive archive;
    struct savepoint_snapshot target, old_head;
    bool had_head;       /* false where HEAD names nothing that can be read */
    uint64_t left_count; /* ancestors of the old HEAD, itself included, that the new one does not have */
    char undo[SAVEPOINT_ID_TEXT_BYTES];
};

/* A child has the higher sequence, so stepping from the higher of the two meets their nearest common ancestor. Damage
 * on the way ends the count, which only informs. */
static void count_left(struct restore *restore)
{
    struct savepoint_archive *reader = restore->archive.reader;
    struct savepoint_snapshot old = restore->old_head;
    struct savepoint_snapshot new = restore->target;
    enum savepoint_status status = SAVEPOINT_OK;
    bool new_ended = false;
    while (status == SAVEPOINT_OK && memcmp(&old.id, &new.id, sizeof old.id) != 0) {
        if (new_ended || old.sequence >= new.sequence) {
            restore->left_count++;
            status = savepoint_archive_parent(reader, &old, NULL);
        } else {
            status = savepoint_archive_parent(reader, &new, NULL);
            new_ended = status != SAVEPOINT_OK;
            status = SAVEPOINT_OK;
        }
    }
}

/* The short id where it is enough to find the snapshot, else the whole. */
static void name_old_head(struct restore *restore)
{
    struct savepoint_snapshot found;
    char short_id[TEXT_SHORT_BYTES];
    text_short_id(short_id, &restore->old_head.id);
    savepoint_id_format(&restore->old_head.id, restore->undo);
    if (savepoint_archive_find(restore->archive.reader, &found, short_id, NULL) == SAVEPOINT_OK &&
        memcmp(&found.id, &restore->old_head.id, sizeof found.id) == 0) {
        memcpy(restore->undo, short_id, TEXT_SHORT_ID_DIGITS + 1);
    }
}

/* A command to copy and paste. */
static void print_command(const char *command, const char *path, const char *snapshot)
{
    fputs(command, stdout);
    text_print_argument(stdout, path);
    printf("%s%s\n", snapshot[0] == '\0' ? "" : " ", snapshot);
}

static void print_result(const struct restore *restore)
{
    const char *path = restore->archive.path;
    fputs("HEAD is now ", stdout);
    snapshot_print_line(&restore->target);
    puts("A program that opens the archive resumes from it.");
    if (!restore->had_head || memcmp(&restore->old_head.id, &restore->target.id, sizeof restore->target.id) == 0) {
        return;
    }
    if (restore->left_count > 0) {
        printf("%" PRIu64 " snapshot%s as a branch: ", restore->left_count,
               restore->left_count == 1 ? " stays" : "s stay");
        print_command("savepoint log --all ", path, "");
    }
    print_command("To undo: savepoint restore ", path, restore->undo);
}

static void json_result(const struct restore *restore)
{
    static const struct savepoint_id none;
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_id(&json, "head", &restore->target.id);
    json_id(&json, "previous_head", restore->had_head ? &restore->old_head.id : &none);
    json_number(&json, "snapshots_on_branch", restore->left_count);
    json_end_line(&json);
}

static int prepare(struct restore *restore, const char *expression)
{
    int code = archive_find(&restore->archive, &restore->target, expression);
    if (code != TOOL_GO_ON) {
        return code;
    }
    /* A HEAD that cannot be read is a reason to restore, not an obstacle. */
    restore->had_head =
        savepoint_archive_find(restore->archive.reader, &restore->old_head, "HEAD", NULL) == SAVEPOINT_OK;
    if (restore->had_head) {
        name_old_head(restore);
        count_left(restore);
    }
    return TOOL_GO_ON;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct restore restore = { .left_count = 0 };
    struct savepoint_error error;
    bool json = false;
    const struct option options[] = {
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 2, 2);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_open(&restore.archive, tool, argv[0]);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = prepare(&restore, argv[1]);
    archive_close(&restore.archive);
    if (code != TOOL_GO_ON) {
        return code;
    }
    const struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = restore.target.id };
    if (savepoint_archive_set_ref(argv[0], &head, &error) != SAVEPOINT_OK) {
        return fail_with(tool, argv[0], &error);
    }
    if (json) {
        json_result(&restore);
    } else if (!tool->quiet) {
        print_result(&restore);
    }
    return TOOL_DONE;
}

const struct verb verb_restore = { "restore", "choose the snapshot that programs resume from", help, run };
