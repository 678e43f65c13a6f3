/* send.c - savepoint send: snapshots as a stream, for another archive */
#include <inttypes.h>
#include <stdio.h>

#include "archive.h"
#include "fail.h"
#include "options.h"
#include "outfile.h"
#include "progress.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint send game.svp | ssh backup savepoint receive game.svp\n"
    "  savepoint send game.svp --since 1a2b3c4d | ssh backup savepoint receive game.svp\n"
    "  savepoint send game.svp best >best.stream             up to a snapshot, into a file\n"
    "\n"
    "Usage: savepoint send [OPTIONS] ARCHIVE [SNAPSHOT]\n"
    "\n"
    "Writes SNAPSHOT (HEAD where none is told) and all before it on its branch to the standard output\n"
    "as a stream, which 'savepoint receive' appends to another archive. With --since only what comes\n"
    "after, as changes against it. Snapshots keep their ids; names, pins and what was dropped are\n"
    "not sent. A program may have the archive open meanwhile.\n"
    "\n"
    "Exit code: 2 no such snapshot, 6 damage: what was sent before it can be received.\n"
    "\n"
    "Options:\n"
    "  -s, --since SNAPSHOT  what the receiver has already, or any that comes after it\n"
    "  -q, --quiet           say nothing unless it fails\n"
    "      --color WHEN      auto, always, or never\n"
    "  -h, --help            this text\n";

static int write_stream(void *user, const void *from, size_t bytes)
{
    return outfile_write(user, from, bytes);
}

static void print_result(const struct tool *tool, const char *path, const struct savepoint_stream_result *result)
{
    char size[TEXT_SHORT_BYTES];
    if (result->snapshots == 0) {
        fail_note(tool, path, "nothing to send: what --since names holds all of it");
    } else {
        fail_note(tool, path, "%" PRIu64 " snapshot%s sent, %s", result->snapshots, result->snapshots == 1 ? "" : "s",
                  text_size(size, result->stream_bytes));
    }
}

static int send_from(const struct archive *archive, const char *expression, const char *since_expression)
{
    struct savepoint_send_options options = SAVEPOINT_SEND_OPTIONS_INIT;
    struct savepoint_stream_result result = { 0 };
    struct savepoint_snapshot snapshot, since;
    struct savepoint_error error;
    struct progress progress;
    struct outfile output;
    int code = archive_find(archive, &snapshot, expression);
    if (code == TOOL_GO_ON && since_expression != NULL) {
        code = archive_find(archive, &since, since_expression);
        options.since = &since;
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    outfile_standard(&output);
    progress_open(&progress, archive->tool);
    options.progress = progress_step;
    options.progress_user = &progress;
    enum savepoint_status status =
        savepoint_archive_send(archive->reader, &result, &snapshot, write_stream, &output, &options, &error);
    progress_clear(&progress);
    if (status != SAVEPOINT_OK) {
        return terminal_pipe_broken() ? TOOL_ENVIRONMENT : fail_with(archive->tool, archive->path, &error);
    }
    print_result(archive->tool, archive->path, &result);
    return TOOL_DONE;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct archive archive;
    const char *since = NULL;
    const struct option options[] = {
        { 's', "since", OPTION_TEXT, &since },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 2);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (terminal_is(stdout)) {
        return fail_usage(tool,
                          "this would write a stream to the terminal: give it to 'savepoint receive', or redirect "
                          "it to a file");
    }
    code = archive_open(&archive, tool, argv[0]);
    if (code == TOOL_GO_ON) {
        code = send_from(&archive, argc > 1 ? argv[1] : "HEAD", since);
        archive_close(&archive);
    }
    return code;
}

const struct verb verb_send = { "send", "write snapshots as a stream, for another archive", help, run };
