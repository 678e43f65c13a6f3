/* doctor.c - savepoint doctor: which write-watches work here, what they cost, and what to do about the others */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "diagnosis.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "paragraph.h"
#include "savepoint.h"
#include "selftest.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  savepoint doctor                      what works here, what it costs, what to do\n"
    "  savepoint doctor /srv/game            the same, with archives in that folder in mind\n"
    "  savepoint doctor --self-test          prove that no write is lost, in about ten seconds\n"
    "  SAVEPOINT_WATCH=signal savepoint doctor --self-test --seconds 60\n"
    "\n"
    "Usage: savepoint doctor [OPTIONS] [FOLDER]\n"
    "\n"
    "Tries every write-watch on real pages and measures what it costs a program: the first store to a\n"
    "page since the last take, and a take of which no page, and every page, was written. Tells which\n"
    "one programs started here get, how fast the disk under FOLDER (where none is named: this one)\n"
    "syncs, and what to do. Exit code 1 means that programs get a fallback, or nothing.\n"
    "\n"
    "With --self-test each write-watch that works (or the one that SAVEPOINT_WATCH names) has to show\n"
    "it, in temporary archives (TMPDIR): writes of all kinds and sizes are saved, read back, restored\n"
    "and compared; then threads count up in memory for the rest of the time, and no count may be\n"
    "missing. Exit code 1 means that a check failed, or could not do enough.\n"
    "\n"
    "Options:\n"
    "  -t, --self-test         prove instead of measure\n"
    "  -s, --seconds SECONDS   time for the self-test, all write-watches together; default: 10\n"
    "  -j, --json              one JSON object; of the self-test, one object a line for each check\n"
    "      --color WHEN        auto, always, or never\n"
    "  -h, --help              this text\n";

enum { SECONDS_DEFAULT = 10, SECONDS_MOST = 86400, INDENT = 10 };

/* ---- for people */

static char *print_time(char out[TEXT_SHORT_BYTES], double nanoseconds)
{
    if (nanoseconds < 999.5) {
        snprintf(out, TEXT_SHORT_BYTES, nanoseconds < 99.95 ? "%.1f ns" : "%.0f ns", nanoseconds);
    } else if (nanoseconds < 999.5e3) {
        snprintf(out, TEXT_SHORT_BYTES, nanoseconds < 99.95e3 ? "%.1f \xc2\xb5s" : "%.0f \xc2\xb5s", nanoseconds / 1e3);
    } else {
        snprintf(out, TEXT_SHORT_BYTES, "%.1f ms", nanoseconds / 1e6);
    }
    return out;
}

static char *per_page(char out[TEXT_SHORT_BYTES], uint64_t total_ns, uint64_t pages)
{
    out[0] = '\0';
    return pages == 0 ? out : print_time(out, (double)total_ns / (double)pages);
}

static void print_backends(const struct diagnosis *diagnosis, const struct tool *tool)
{
    static const struct table_column columns[] = {
        { "WATCH", false, 0, 0, TABLE_ID },         { "WORKS", false, 0, 1, TABLE_PLAIN },
        { "UNIT", true, 0, 5, TABLE_PLAIN },        { "SYSTEM CALLS", false, 0, 4, TABLE_PLAIN },
        { "FIRST WRITE", true, 0, 2, TABLE_PLAIN }, { "CLEAN TAKE", true, 0, 3, TABLE_PLAIN },
        { "FULL TAKE", true, 0, 2, TABLE_PLAIN },
    };
    struct table table;
    table_open(&table, tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < diagnosis->backend_count; i++) {
        const struct measure_costs *costs = &diagnosis->costs[i];
        char write[TEXT_SHORT_BYTES], clean[TEXT_SHORT_BYTES], full[TEXT_SHORT_BYTES];
        struct backend_cells told;
        backend_describe(&told, &diagnosis->backends[i]);
        const char *cells[] = {
            told.name,
            told.works,
            told.unit,
            told.system_calls,
            per_page(write, costs->first_write_ns, costs->pages),
            per_page(clean, costs->clean_take_ns, costs->pages),
            per_page(full, costs->full_take_ns, costs->pages),
        };
        table_row(&table, cells);
    }
    table_close(&table);
}

static void print_default(const struct diagnosis *diagnosis)
{
    char text[128];
    if (diagnosis->large[0] == '\0') {
        snprintf(text, sizeof text, "none");
    } else if (strcmp(diagnosis->large, diagnosis->small) == 0) {
        snprintf(text, sizeof text, "%s%s", diagnosis->large, diagnosis->fallback ? ", a fallback" : "");
    } else {
        snprintf(text, sizeof text, "%s for large regions, %s for small ones%s", diagnosis->large, diagnosis->small,
                 diagnosis->fallback ? ": fallbacks" : "");
    }
    paragraph_print("default", INDENT, text);
}

static void print_folder(const struct diagnosis *diagnosis)
{
    char text[4096], median[TEXT_SHORT_BYTES], slowest[TEXT_SHORT_BYTES];
    const char *kind = diagnosis->file_system[0] == '\0' ? "file system not known" : diagnosis->file_system;
    if (diagnosis->folder_error != 0) {
        snprintf(text, sizeof text, "%.3000s (%s): cannot be written: %s", diagnosis->folder, kind,
                 strerror(diagnosis->folder_error));
    } else {
        snprintf(text, sizeof text, "%.3000s (%s): a sync takes %s, the slowest of %d took %s", diagnosis->folder, kind,
                 print_time(median, (double)diagnosis->sync_median_ns), DIAGNOSIS_SYNCS,
                 print_time(slowest, (double)diagnosis->sync_slowest_ns));
    }
    paragraph_print("folder", INDENT, text);
}

static void print_text(const struct diagnosis *diagnosis, const struct tool *tool)
{
    char text[512], size[TEXT_SHORT_BYTES];
    snprintf(text, sizeof text, "savepoint %s, %s, host pages of %s", savepoint_version(), diagnosis->system,
             text_size(size, machine_page_bytes()));
    paragraph_print("", 0, text);
    putchar('\n');
    print_backends(diagnosis, tool);
    snprintf(text, sizeof text,
             "Times are for each 4 KiB of a region of %s, medians of sessions measured now: the first store to a page "
             "since the last take; how long savepoint_take holds the caller when no page was written, and when all "
             "were (they are found and copied; the rest is done beside the program).",
             text_size(size, (uint64_t)MEASURE_PAGES * 4096));
    putchar('\n');
    paragraph_print("", 0, text);
    putchar('\n');
    print_default(diagnosis);
    print_folder(diagnosis);
    if (diagnosis->mappings_most > 0) {
        snprintf(text, sizeof text, "at most %" PRIu64 " in a process (vm.max_map_count)", diagnosis->mappings_most);
        paragraph_print("mappings", INDENT, text);
    }
    putchar('\n');
    for (size_t i = 0; i < diagnosis->advice_count; i++) {
        paragraph_print("*", 2, diagnosis->advice[i]);
    }
    if (diagnosis->advice_count == 0) {
        paragraph_print("", 0, "Nothing to do: programs started here get the best that this system has.");
    }
}

/* ---- for machines */

static void json_backends(struct json *json, const struct diagnosis *diagnosis)
{
    json_open_array(json, "backends");
    for (size_t i = 0; i < diagnosis->backend_count; i++) {
        const struct measure_costs *costs = &diagnosis->costs[i];
        json_open_object(json, NULL);
        backend_json(json, &diagnosis->backends[i]);
        json_number(json, "measured_pages", costs->pages);
        json_number(json, "first_write_ns", costs->first_write_ns);
        json_number(json, "clean_take_ns", costs->clean_take_ns);
        json_number(json, "full_take_ns", costs->full_take_ns);
        json_close_object(json);
    }
    json_close_array(json);
}

static void json_text_or_null(struct json *json, const char *key, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        json_null(json, key);
    } else {
        json_text(json, key, text);
    }
}

static void print_json(const struct diagnosis *diagnosis)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "version", savepoint_version());
    json_text(&json, "system", diagnosis->system);
    json_number(&json, "host_page_bytes", machine_page_bytes());
    json_number(&json, "mappings_most", diagnosis->mappings_most);
    json_backends(&json, diagnosis);
    json_text_or_null(&json, "forced", diagnosis->forced);
    json_text_or_null(&json, "default_large", diagnosis->large);
    json_text_or_null(&json, "default_small", diagnosis->small);
    json_bool(&json, "fallback", diagnosis->fallback);
    json_open_object(&json, "folder");
    json_text(&json, "path", diagnosis->folder);
    json_text_or_null(&json, "file_system", diagnosis->file_system);
    json_bool(&json, "writable", diagnosis->folder_error == 0);
    json_number(&json, "sync_median_ns", diagnosis->sync_median_ns);
    json_number(&json, "sync_slowest_ns", diagnosis->sync_slowest_ns);
    json_close_object(&json);
    json_open_array(&json, "advice");
    for (size_t i = 0; i < diagnosis->advice_count; i++) {
        json_text(&json, NULL, diagnosis->advice[i]);
    }
    json_close_array(&json);
    json_end_line(&json);
}

static int diagnose(const struct tool *tool, const char *folder, bool json)
{
    struct diagnosis diagnosis;
    int code = diagnosis_make(&diagnosis, tool, folder == NULL ? "." : folder);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (json) {
        print_json(&diagnosis);
    } else {
        print_text(&diagnosis, tool);
    }
    if (folder != NULL && diagnosis.folder_error != 0) {
        return fail_system(tool, folder, "cannot write to this folder", diagnosis.folder_error);
    }
    return diagnosis_is_finding(&diagnosis) ? TOOL_FINDING : TOOL_DONE;
}

static int run(struct tool *tool, int argc, char **argv)
{
    bool json = false;
    bool self_test = false;
    struct option_bounded seconds = { UINT64_MAX, SECONDS_MOST }; /* more than can be given */
    const struct option options[] = {
        { 't', "self-test", OPTION_FLAG, &self_test },
        { 's', "seconds", OPTION_BOUNDED, &seconds },
        { 'j', "json", OPTION_FLAG, &json },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 0, 1);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (self_test && argc > 0) {
        return fail_usage(tool, "the self-test takes no folder: it works in the one that TMPDIR names");
    }
    bool timed = seconds.number != UINT64_MAX;
    if (timed && !self_test) {
        return fail_usage(tool, "--seconds is the time for the self-test: give --self-test, too");
    }
    terminal_catch_interrupt();
    return self_test ? selftest_run(tool, timed ? seconds.number : SECONDS_DEFAULT, json)
                     : diagnose(tool, argc > 0 ? argv[0] : NULL, json);
}

const struct verb verb_doctor = { "doctor", "write-watches here: what works, costs, what to do; self-test", help, run };
