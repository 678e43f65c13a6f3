/* report.c - savepoint report: memory over time, as a page for the browser */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "options.h"
#include "outfile.h"
#include "report_data.h"
#include "report_page.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint report game.svp -o report.html            then open report.html in a browser\n"
    "  savepoint report --last 500 game.svp -o report.html the newest 500 snapshots\n"
    "  savepoint report --json game.svp | jq '.hottest[0]' the page written most often\n"
    "\n"
    "Usage: savepoint report [OPTIONS] ARCHIVE -o FILE\n"
    "\n"
    "Makes one page that shows which pages of memory were written when, what the snapshots cost,\n"
    "how they hang together, and which pages and regions are the hottest. The page needs nothing\n"
    "from the network. Large archives are shown on a grid of at most 128 columns and 256 rows.\n"
    "\n"
    "Exit code: 0 done, 1 some of the archive is damaged: the page says what, and shows the rest.\n"
    "\n"
    "Options:\n"
    "  -o, --output FILE  write the page to FILE; '-' is the standard output\n"
    "      --last N       the newest N snapshots, on any branch\n"
    "      --title TEXT   the title of the page; the name of the archive otherwise\n"
    "  -f, --force        replace a file that is there\n"
    "  -j, --json         the figures of the page as one JSON object; without -o to the standard output\n"
    "  -q, --quiet        say nothing unless it fails\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

struct request {
    struct tool *tool;
    const char *output;
    const char *title;
    uint64_t last;
    bool force, json;
};

static int fail_to_write(const struct request *request, int os_code)
{
    if (os_code == EEXIST) {
        fail_warn(request->tool, request->output, "is there already; --force replaces it");
        return TOOL_USAGE;
    }
    if (os_code == EISDIR || os_code == EINVAL) {
        fail_warn(request->tool, request->output, "is no regular file; use -o - and redirect it there");
        return TOOL_USAGE;
    }
    return fail_system(request->tool, request->output, "cannot write", os_code);
}

static void print(FILE *stream, const struct request *request, const struct report *report)
{
    if (request->json) {
        report_json(stream, report);
        return;
    }
    fwrite(report_page_before, 1, report_page_before_bytes, stream);
    report_json(stream, report);
    fwrite(report_page_after, 1, report_page_after_bytes, stream);
}

static int print_to(const struct request *request, const struct report *report, struct outfile *file)
{
    FILE *stream = outfile_stream(file);
    if (stream == NULL) {
        return errno;
    }
    errno = 0;
    print(stream, request, report);
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
    return !failed ? 0 : errno == 0 ? EIO : errno;
}

static int write_file(const struct request *request, const struct report *report)
{
    struct outfile file;
    int os_code = outfile_open(&file, request->output);
    if (os_code != 0) {
        return fail_to_write(request, os_code);
    }
    os_code = print_to(request, report, &file);
    if (os_code != 0 || terminal_interrupted()) {
        outfile_discard(&file);
        return os_code != 0 ? fail_to_write(request, os_code) : TOOL_INTERRUPTED;
    }
    os_code = outfile_commit(&file, request->force);
    if (os_code != 0) {
        return fail_to_write(request, os_code);
    }
    if (!request->tool->quiet) {
        text_print(stdout, request->output, strlen(request->output), NULL);
        printf(": %zu snapshot%s\n", report->timeline.count, report->timeline.count == 1 ? "" : "s");
    }
    return TOOL_GO_ON;
}

static bool to_stdout(const struct request *request)
{
    return request->output == NULL || strcmp(request->output, "-") == 0;
}

static int make(const struct request *request, struct report *report)
{
    int code = report_gather(report, request->last);
    if (code == TOOL_GO_ON && to_stdout(request)) {
        if (!terminal_release_interrupt()) {
            return TOOL_INTERRUPTED;
        }
        print(stdout, request, report);
    } else if (code == TOOL_GO_ON) {
        code = write_file(request, report);
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (report->finding_count > 0) {
        fail_warn(request->tool, report->archive.path, "%zu thing%s could not be read; the report tells which",
                  report->finding_count, report->finding_count == 1 ? "" : "s");
    }
    int found = archive_report(&report->archive);
    return report->finding_count > 0 ? TOOL_FINDING : found;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

static int check(const struct request *request)
{
    if (request->output == NULL && !request->json) {
        return fail_usage(request->tool, "where to? -o report.html, or -o - for the standard output");
    }
    int os_code = to_stdout(request) ? 0 : outfile_check(request->output, request->force);
    return os_code == 0 ? TOOL_GO_ON : fail_to_write(request, os_code);
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct request request = { .tool = tool, .last = UINT64_MAX };
    struct report report = { .title = NULL };
    const struct option options[] = {
        { 'o', "output", OPTION_TEXT, &request.output }, { 0, "last", OPTION_NUMBER, &request.last },
        { 0, "title", OPTION_TEXT, &request.title },     { 'f', "force", OPTION_FLAG, &request.force },
        { 'j', "json", OPTION_FLAG, &request.json },     { 'q', "quiet", OPTION_FLAG, &tool->quiet },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 1);
    if (code == TOOL_GO_ON) {
        code = check(&request);
    }
    if (code == TOOL_GO_ON) {
        code = archive_open(&report.archive, tool, argv[0]);
    }
    if (code != TOOL_GO_ON) {
        return code;
    }
    report.title = request.title == NULL ? name_of(argv[0]) : request.title;
    code = snapshot_load_names(&report.names, &report.archive);
    if (code == TOOL_GO_ON) {
        code = make(&request, &report);
        snapshot_free_names(&report.names);
        report_free(&report);
    }
    archive_close(&report.archive);
    return code;
}

const struct verb verb_report = { "report", "memory over time, as a page for the browser", help, run };
