/* receive.c - savepoint receive: snapshots from a stream */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "fail.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "savepoint.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint send game.svp | ssh backup savepoint receive game.svp\n"
    "  savepoint receive copy.svp <game.stream\n"
    "\n"
    "Usage: savepoint receive [OPTIONS] ARCHIVE\n"
    "\n"
    "Reads a stream that 'savepoint send' wrote from the standard input and appends its snapshots to\n"
    "ARCHIVE, which is made where it is missing. Each is checked before it is committed, and keeps\n"
    "its id. HEAD stays where it is, unless the archive was empty; snapshots that are there are\n"
    "passed over. When the stream ends early or is damaged, what came before is kept: send the rest\n"
    "with --since. No program may have the archive open meanwhile.\n"
    "\n"
    "Exit code: 1 the stream ended early, 2 it goes on from a snapshot that is not here, or is of\n"
    "another history, 4 a program has the archive open, 5 no stream, 6 the stream is damaged.\n"
    "\n"
    "Options:\n"
    "  -q, --quiet        say nothing unless it fails\n"
    "  -j, --json         one JSON object\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

static int read_stream(void *user, void *to, size_t capacity, size_t *bytes)
{
    FILE *stream = user;
    errno = 0;
    *bytes = fread(to, 1, capacity, stream);
    bool last = *bytes == 0 || terminal_interrupted(); /* who asks again would wait again */
    return last && ferror(stream) ? (errno != 0 ? errno : EIO) : 0;
}

static void print_result(const struct savepoint_stream_result *result)
{
    char id[TEXT_SHORT_BYTES];
    if (result->snapshots == 0) {
        puts(result->snapshots_present > 0 ? "nothing to receive: all snapshots of the stream are here"
                                           : "nothing to receive: the stream holds no snapshot");
        return;
    }
    printf("%" PRIu64 " snapshot%s received, the last is %s", result->snapshots, result->snapshots == 1 ? "" : "s",
           text_short_id(id, &result->newest));
    if (result->snapshots_present > 0) {
        printf("; %" PRIu64 " %s here already", result->snapshots_present,
               result->snapshots_present == 1 ? "was" : "were");
    }
    putchar('\n');
}

static void json_result(const struct savepoint_stream_result *result, bool complete)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_bool(&json, "complete", complete);
    json_number(&json, "snapshots_received", result->snapshots);
    json_number(&json, "snapshots_present", result->snapshots_present);
    json_id(&json, "newest", &result->newest);
    json_number(&json, "stream_bytes", result->stream_bytes);
    json_end_line(&json);
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct savepoint_receive_options receive = SAVEPOINT_RECEIVE_OPTIONS_INIT;
    struct savepoint_stream_result result = { 0 };
    struct savepoint_error error;
    struct progress progress;
    bool json = false;
    const struct option options[] = {
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 1);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (terminal_is(stdin)) {
        return fail_usage(tool,
                          "the stream comes from the standard input: savepoint send ARCHIVE | savepoint receive ...");
    }
    progress_open(&progress, tool);
    receive.progress = progress_step;
    receive.progress_user = &progress;
    enum savepoint_status status = savepoint_archive_receive(argv[0], &result, read_stream, stdin, &receive, &error);
    progress_clear(&progress);
    if (status == SAVEPOINT_OK || result.snapshots > 0) { /* what came before a failure is kept */
        if (json) {
            json_result(&result, status == SAVEPOINT_OK);
        } else if (!tool->quiet) {
            print_result(&result);
        }
    }
    if (status == SAVEPOINT_OK) {
        return TOOL_DONE;
    }
    /* What is said of the stream tells what to do; the advice is for an archive. */
    bool advise = status != SAVEPOINT_NO_SPACE && fail_is_about(error.message, argv[0]);
    return advise ? fail_with(tool, argv[0], &error) : fail_without_advice(tool, argv[0], &error);
}

const struct verb verb_receive = { "receive", "append the snapshots of a stream to an archive", help, run };
