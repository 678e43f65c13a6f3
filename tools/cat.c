/* cat.c - savepoint cat: the bytes of a region, to the standard output */
#include <stdio.h>

#include "archive.h"
#include "fail.h"
#include "options.h"
#include "outfile.h"
#include "place.h"
#include "terminal.h"

static const char help[] = "Examples:\n"
                           "  savepoint cat game.svp HEAD heap > heap.bin        a region\n"
                           "  savepoint cat game.svp HEAD~3 heap:0x1000+64 | xxd  64 bytes of it\n"
                           "  savepoint cat game.svp 'before boss' heap:4K+1M | sha256sum\n"
                           "\n"
                           "Usage: savepoint cat [OPTIONS] ARCHIVE SNAPSHOT REGION[:OFFSET[+LENGTH]]\n"
                           "\n"
                           "Writes the memory of a region as it was in SNAPSHOT to the standard output; every page is\n"
                           "verified, and nothing behind damage is written. Excluded pages are zeros.\n"
                           "\n" PLACE_HELP "\n"
                           "Options:\n"
                           "  -f, --force        write to a terminal, too\n"
                           "  -q, --quiet        say nothing unless it fails\n"
                           "      --color WHEN   auto, always, or never\n"
                           "  -h, --help         this text\n";

static int write_block(void *user, const unsigned char *bytes, size_t count)
{
    const struct tool *tool = user;
    struct outfile output;
    outfile_standard(&output);
    int code = outfile_write(&output, bytes, count);
    if (code == 0) {
        return TOOL_GO_ON;
    }
    return terminal_pipe_broken() ? TOOL_ENVIRONMENT : fail_system(tool, NULL, "cannot write the output", code);
}

static int cat_place(struct tool *tool, const struct archive *archive, const char *expression, const char *text)
{
    struct savepoint_snapshot snapshot;
    struct place place;
    int code = archive_find(archive, &snapshot, expression);
    if (code == TOOL_GO_ON) {
        code = place_find(&place, archive, &snapshot, text);
    }
    if (code == TOOL_GO_ON) {
        code = place_read(&place, write_block, tool);
        if (code != TOOL_DAMAGED) {
            archive_report(archive);
        }
    }
    return code == TOOL_GO_ON ? TOOL_DONE : code;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct archive archive;
    bool force = false;
    const struct option options[] = { { 'f', "force", OPTION_FLAG, &force },
                                      { 'q', "quiet", OPTION_FLAG, &tool->quiet } };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 3, 3);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (terminal_is(stdout) && !force) {
        return fail_usage(tool, "this would write memory to the terminal: redirect it, use --force, or look at it "
                                "with 'savepoint hexdump'");
    }
    code = archive_open(&archive, tool, argv[0]);
    if (code == TOOL_GO_ON) {
        code = cat_place(tool, &archive, argv[1], argv[2]);
        archive_close(&archive);
    }
    return code;
}

const struct verb verb_cat = { "cat", "write the bytes of a region to the standard output", help, run };
