/* compact.c - savepoint compact: a smaller file of the snapshots that are to be kept */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive.h"
#include "fail.h"
#include "json.h"
#include "number.h"
#include "options.h"
#include "progress.h"
#include "savepoint.h"
#include "snapshot.h"
#include "text.h"
#include "when.h"

static const char help[] =
    "Examples:\n"
    "  savepoint compact game.svp                          what was dropped goes\n"
    "  savepoint compact game.svp --keep-last 20           and all but the newest 20\n"
    "  savepoint compact sim.svp --keep-last 10 --keep-every 1h --dry-run\n"
    "  savepoint compact sim.svp --keep-log --keep-bytes 2GiB\n"
    "\n"
    "Usage: savepoint compact [OPTIONS] ARCHIVE\n"
    "\n"
    "Writes the snapshots that are kept to a new file, verifies it, and puts it in the place of the\n"
    "old one at once: whatever fails, the archive is whole. They keep their ids, names, and every\n"
    "byte of their contents. A snapshot is kept when any of the --keep options keeps it, without one\n"
    "when it was not dropped; HEAD, and what has a label or a pin, always is. There must be room\n"
    "for both files, and no program may have the archive open meanwhile. Readers may.\n"
    "\n"
    "Exit code: 3 no room, or --keep-bytes is too little for what must be kept, 4 a program has the\n"
    "archive open, 6 damage: drop the snapshots that 'savepoint verify' names first, 130 interrupted.\n"
    "\n"
    "Options:\n"
    "  -l, --keep-last N         the newest N snapshots, of all branches\n"
    "  -e, --keep-every TIME     the newest of every 10min, 1h, 1day, ...\n"
    "      --keep-log            one for each doubling of age: many that are new, few that are old\n"
    "  -b, --keep-bytes SIZE     of these the newest, so many that the file has no more than SIZE\n"
    "  -n, --dry-run             tell what would go and what would come free; change nothing\n"
    "  -q, --quiet               say nothing unless it fails\n"
    "  -j, --json                one JSON object a line: each snapshot that goes, then the result\n"
    "      --color WHEN          auto, always, or never\n"
    "  -h, --help                this text\n";

struct compact {
    const struct tool *tool;
    struct savepoint_compact_options options;
    struct progress progress;
    bool json, dry_run, keep_log;
    uint64_t keep_last;
    const char *keep_every, *keep_bytes; /* NULL: not given */
};

/* "1500", "10M", "2GiB", "2 gb": powers of 1024, as they are printed. */
static enum number_kind parse_size(uint64_t *bytes, const char *text)
{
    static const char units[] = "kmgt";
    unsigned shift = 0;
    const char *at = text;
    enum number_kind kind = number_take(bytes, &at, 10);
    at += strspn(at, " ");
    const char *unit = *at != '\0' ? strchr(units, tolower((unsigned char)*at)) : NULL;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        at++;
        at += *at == 'i' && (at[1] == 'B' || at[1] == 'b') ? 1 : 0;
    }
    at += *at == 'B' || *at == 'b' ? 1 : 0;
    if (kind == NUMBER_NONE || *at != '\0' || *bytes == 0) {
        return NUMBER_NONE;
    }
    return kind == NUMBER_GOOD ? number_scale(bytes, shift) : kind;
}

static int read_time(struct compact *compact, const char *text)
{
    switch (when_duration(&compact->options.keep_every_ns, text)) {
    case NUMBER_TOO_LARGE:
        return fail_too_large(compact->tool, "--keep-every", text, WHEN_DURATION_MOST);
    case NUMBER_NONE:
        return fail_usage(compact->tool, "--keep-every needs a time such as 10min, 2h or 1day, not '%s'", text);
    case NUMBER_GOOD:
        break;
    }
    return TOOL_GO_ON;
}

static int read_size(struct compact *compact, const char *text)
{
    char most[TEXT_SHORT_BYTES];
    switch (parse_size(&compact->options.keep_bytes, text)) {
    case NUMBER_TOO_LARGE:
        snprintf(most, sizeof most, "%" PRIu64, UINT64_MAX);
        return fail_too_large(compact->tool, "--keep-bytes", text, most);
    case NUMBER_NONE:
        return fail_usage(compact->tool, "--keep-bytes needs a size such as 500MiB or 2G, not '%s'", text);
    case NUMBER_GOOD:
        break;
    }
    return TOOL_GO_ON;
}

static int read_rules(struct compact *compact)
{
    struct savepoint_compact_options *options = &compact->options;
    if (compact->keep_last > UINT32_MAX) {
        compact->keep_last = UINT32_MAX; /* more than any archive has */
    }
    options->keep_last = (uint32_t)compact->keep_last;
    options->flags =
        (compact->keep_log ? SAVEPOINT_COMPACT_KEEP_LOG : 0u) | (compact->dry_run ? SAVEPOINT_COMPACT_DRY_RUN : 0u);
    int code = compact->keep_every != NULL ? read_time(compact, compact->keep_every) : TOOL_GO_ON;
    return code == TOOL_GO_ON && compact->keep_bytes != NULL ? read_size(compact, compact->keep_bytes) : code;
}

static void report(void *user, const struct savepoint_snapshot *snapshot, int kept)
{
    const struct compact *compact = user;
    bool hidden = (snapshot->flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0;
    if (kept != 0) {
        return;
    }
    if (compact->json) {
        struct json json = { stdout, false };
        json_open_object(&json, NULL);
        json_text(&json, "type", "snapshot");
        json_id(&json, "id", &snapshot->id);
        json_number(&json, "sequence", snapshot->sequence);
        json_text(&json, "label", snapshot->label);
        json_bool(&json, "dropped_before", hidden);
        json_end_line(&json);
    } else if (!compact->tool->quiet && !hidden) {
        fputs(compact->dry_run ? "would go: " : "goes: ", stdout);
        snapshot_print_line(snapshot);
    }
}

static void print_result(const struct compact *compact, const struct savepoint_compact_result *result)
{
    char before[TEXT_SHORT_BYTES], after[TEXT_SHORT_BYTES], free_bytes[TEXT_SHORT_BYTES];
    text_size(before, result->bytes_before);
    text_size(after, result->bytes_after);
    text_size(free_bytes, result->bytes_before > result->bytes_after ? result->bytes_before - result->bytes_after : 0);
    if (result->snapshots_removed == 0) {
        puts("nothing to remove: every snapshot in the file is kept");
        return;
    }
    const char *about = compact->dry_run ? "about " : "";
    printf("%" PRIu64 " snapshot%s %s, %" PRIu64 " kept; %s -> %s%s, %s%s free\n", result->snapshots_removed,
           result->snapshots_removed == 1 ? "" : "s", compact->dry_run ? "would go" : "gone", result->snapshots_kept,
           before, about, after, about, free_bytes);
}

static void json_result(const struct compact *compact, const struct savepoint_compact_result *result)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "summary");
    json_bool(&json, "dry_run", compact->dry_run);
    json_bool(&json, "replaced", result->replaced != 0);
    json_number(&json, "snapshots_kept", result->snapshots_kept);
    json_number(&json, "snapshots_dropped", result->snapshots_dropped);
    json_number(&json, "snapshots_removed", result->snapshots_removed);
    json_number(&json, "bytes_before", result->bytes_before);
    json_number(&json, "bytes_after", result->bytes_after);
    json_end_line(&json);
}

/* Before it is saved and cut off. */
static void report_tail(const struct compact *compact, const char *path)
{
    struct archive archive = { .tool = compact->tool, .path = path };
    if (savepoint_archive_open(&archive.reader, path, NULL) == SAVEPOINT_OK) {
        savepoint_archive_describe(archive.reader, &archive.info);
        archive_report_tail(&archive);
        archive_close(&archive);
    }
}

static int compact_archive(struct compact *compact, const char *path)
{
    struct savepoint_compact_result result = { 0 };
    struct savepoint_error error;
    compact->options.report = report;
    compact->options.report_user = compact;
    compact->options.progress = progress_step;
    compact->options.progress_user = &compact->progress;
    report_tail(compact, path);
    progress_open(&compact->progress, compact->tool);
    enum savepoint_status status = savepoint_archive_compact(path, &result, &compact->options, &error);
    progress_clear(&compact->progress);
    if (status != SAVEPOINT_OK) {
        return fail_with(compact->tool, path, &error);
    }
    if (compact->json) {
        json_result(compact, &result);
    } else if (!compact->tool->quiet) {
        print_result(compact, &result);
    }
    return TOOL_DONE;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct compact compact = { .tool = tool, .options = SAVEPOINT_COMPACT_OPTIONS_INIT };
    const struct option options[] = {
        { 'l', "keep-last", OPTION_NUMBER, &compact.keep_last },
        { 'e', "keep-every", OPTION_TEXT, &compact.keep_every },
        { 0, "keep-log", OPTION_FLAG, &compact.keep_log },
        { 'b', "keep-bytes", OPTION_TEXT, &compact.keep_bytes },
        { 'n', "dry-run", OPTION_FLAG, &compact.dry_run },
        { 'q', "quiet", OPTION_FLAG, &tool->quiet },
        { 'j', "json", OPTION_FLAG, &compact.json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 1);
    code = code == TOOL_GO_ON ? read_rules(&compact) : code;
    return code == TOOL_GO_ON ? compact_archive(&compact, argv[0]) : code;
}

const struct verb verb_compact = { "compact", "make the file smaller, keep what the rules keep", help, run };
