/* verify.c - savepoint verify: is every byte as it was written? */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "text.h"

static const char help[] = "Examples:\n"
                           "  savepoint verify game.svp              the whole archive\n"
                           "  savepoint verify game.svp HEAD         one snapshot and all it rests on\n"
                           "  savepoint verify -q game.svp && cp game.svp /backup/\n"
                           "\n"
                           "Usage: savepoint verify [OPTIONS] ARCHIVE [SNAPSHOT]\n"
                           "\n"
                           "Reads everything, decodes every page and compares the hashes. Each finding tells what is\n"
                           "damaged, where, and which snapshot it belongs to.\n"
                           "\n"
                           "Exit code: 0 no damage (a torn tail is none), 1 damage found, 5 not an archive or from a\n"
                           "newer savepoint, 6 so damaged that nothing could be checked.\n"
                           "\n"
                           "Options:\n"
                           "  -q, --quiet        findings only\n"
                           "  -j, --json         one JSON object a line: findings, then the summary\n"
                           "      --color WHEN   auto, always, or never\n"
                           "  -h, --help         this text\n";

struct verify {
    struct archive archive;
    struct progress progress;
    bool json;
    uint64_t damage_count; /* findings that are not merely beyond this version */
};

static bool is_none(const struct savepoint_id *id)
{
    static const struct savepoint_id none;
    return memcmp(id, &none, sizeof none) == 0;
}

static void print_finding(const struct verify *verify, const struct savepoint_finding *finding)
{
    char id[TEXT_SHORT_BYTES], message[TEXT_ESCAPED_BYTES];
    const char *what = finding->status == SAVEPOINT_UNSUPPORTED ? "not readable here" : "damage";
    text_print(stdout, verify->archive.path, strlen(verify->archive.path), NULL);
    printf(": %s", what);
    if (finding->file_offset != UINT64_MAX) {
        printf(" at offset %" PRIu64, finding->file_offset);
    }
    if (!is_none(&finding->snapshot)) {
        printf(", snapshot %s", text_short_id(id, &finding->snapshot));
    }
    printf(": %s\n", text_escape(message, fail_message(finding->message, verify->archive.path, finding->status)));
}

static void json_finding(const struct savepoint_finding *finding)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "finding");
    json_text(&json, "status", savepoint_status_name(finding->status));
    if (finding->file_offset == UINT64_MAX) {
        json_null(&json, "file_offset");
    } else {
        json_number(&json, "file_offset", finding->file_offset);
    }
    json_id(&json, "snapshot", &finding->snapshot);
    json_text(&json, "message", finding->message);
    json_end_line(&json);
}

static void report(void *user, const struct savepoint_finding *finding)
{
    struct verify *verify = user;
    verify->damage_count += finding->status == SAVEPOINT_UNSUPPORTED ? 0 : 1;
    progress_clear(&verify->progress);
    if (verify->json) {
        json_finding(finding);
    } else {
        print_finding(verify, finding);
    }
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* Where damage keeps writers out. An archive cut behind any of its transactions is an archive. */
static void advise_writer(const struct archive *archive)
{
    const struct savepoint_archive_info *info = &archive->info;
    if (info->damage_offset == UINT64_MAX) {
        return;
    }
    if (info->damage_offset < info->committed_bytes) {
        bool in_header = info->damage_offset == 0;
        if (in_header || info->damage_offset >= info->sealed_bytes) { /* else a name or a drop is lost: they go on */
            fail_note(archive->tool, archive->path, "no program can write to it any more; start a new archive");
        }
        return;
    }
    fail_note(archive->tool, archive->path,
              "no program can write to it as it is. Its first %" PRIu64 " bytes are an archive without the damage; "
              "a program can go on with a copy of them (head -c %" PRIu64 ")",
              info->committed_bytes, info->committed_bytes);
}

static void print_summary(const struct verify *verify, const struct savepoint_verify_result *result)
{
    printf("%" PRIu64 " snapshot%s, %" PRIu64 " record%s, %" PRIu64 " page%s checked: ", result->snapshots_checked,
           plural(result->snapshots_checked), result->records_checked, plural(result->records_checked),
           result->pages_checked, plural(result->pages_checked));
    if (result->findings == 0) {
        puts("no damage");
        return;
    }
    printf("%" PRIu64 " finding%s, %" PRIu64 " snapshot%s damaged\n", result->findings, plural(result->findings),
           result->snapshots_damaged, plural(result->snapshots_damaged));
    if (verify->damage_count == 0) {
        fail_note(verify->archive.tool, verify->archive.path,
                  "nothing is damaged: a newer savepoint wrote what is not readable here; use that one");
        return;
    }
    fail_note(verify->archive.tool, verify->archive.path,
              "keep a copy of this file. Snapshots that 'savepoint log --all' lists and no line above names are good: "
              "export them, or restore one and go on from it");
    advise_writer(&verify->archive);
}

static void json_summary(const struct verify *verify, const struct savepoint_verify_result *result)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "summary");
    json_number(&json, "snapshots_checked", result->snapshots_checked);
    json_number(&json, "snapshots_damaged", result->snapshots_damaged);
    json_number(&json, "records_checked", result->records_checked);
    json_number(&json, "pages_checked", result->pages_checked);
    json_number(&json, "findings", result->findings);
    json_number(&json, "torn_bytes", verify->archive.info.torn_bytes);
    json_bool(&json, "writer_active", verify->archive.info.writer_active != 0);
    json_end_line(&json);
}

static int check(struct verify *verify, const struct savepoint_snapshot *snapshot)
{
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result;
    struct savepoint_error error;
    const struct tool *tool = verify->archive.tool;
    options.snapshot = snapshot;
    options.report = report;
    options.report_user = verify;
    options.progress = progress_step;
    options.progress_user = &verify->progress;
    progress_open(&verify->progress, tool);
    enum savepoint_status status = savepoint_archive_verify(verify->archive.reader, &result, &options, &error);
    progress_clear(&verify->progress);
    if (status != SAVEPOINT_OK) {
        return fail_with(tool, verify->archive.path, &error);
    }
    if (verify->json) {
        json_summary(verify, &result);
    } else if (!tool->quiet) {
        print_summary(verify, &result);
    }
    if (result.findings > 0) {
        archive_report_tail(&verify->archive);
        return verify->damage_count > 0 ? TOOL_FINDING : TOOL_FOREIGN;
    }
    int met_at_open = archive_report(&verify->archive);
    return snapshot == NULL ? met_at_open : TOOL_DONE; /* asked about one snapshot: that one is good */
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct verify verify = { .json = false };
    struct savepoint_snapshot snapshot;
    const struct option options[] = {
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &verify.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 2);
    if (code != TOOL_GO_ON) {
        return code;
    }
    code = archive_open(&verify.archive, tool, argv[0]);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (argc > 1) {
        code = archive_find(&verify.archive, &snapshot, argv[1]);
    }
    if (code == TOOL_GO_ON) {
        code = check(&verify, argc > 1 ? &snapshot : NULL);
    }
    archive_close(&verify.archive);
    return code;
}

const struct verb verb_verify = { "verify", "check every byte and every page", help, run };
