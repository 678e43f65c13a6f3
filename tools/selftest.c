/* selftest.c - savepoint doctor --self-test: every write-watch that works here has to prove it */
#include "selftest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "increments.h"
#include "json.h"
#include "laws.h"
#include "machine.h"
#include "paragraph.h"
#include "terminal.h"
#include "text.h"

#define NS_PER_S UINT64_C(1000000000)
enum { INDENT = 21, NARROW = 70 };
enum { PATIENCE = 10 /* times its share of the seconds that a check may take to do enough */ };

static const struct kind {
    const char *name;
    void (*run)(struct check *check);
    const char *writes; /* what it calls them */
    bool counts_lost;   /* it can tell how many are missing */
} kinds[] = {
    { "laws", laws_run, "writes", false },
    { "increments", increments_run, "increments", true },
};

struct selftest {
    const struct tool *tool;
    bool json;
    char *folder;
    const char *wanted;              /* SAVEPOINT_WATCH; NULL: all that work */
    uint64_t share_ns;               /* for each backend */
    unsigned checks, failed, broken; /* broken: failed because of the write-watch */
    int code;                        /* TOOL_GO_ON, or why there are no more checks */
};

/* ---- telling */

static const struct {
    const char *text, *json;
} results[] = {
    [CHECK_OK] = { "ok", "ok" },
    [CHECK_FAILED] = { "FAILED", "failed" },
    [CHECK_TOO_LITTLE] = { "TOO LITTLE", "too_little" },
    [CHECK_IMPOSSIBLE] = { "impossible", "impossible" },
    [CHECK_STOPPED] = { "stopped", "stopped" },
};

static void print_check(const struct check *check, const struct kind *kind)
{
    bool narrow = terminal_columns() > 0 && terminal_columns() < NARROW;
    char name[64], text[1024];
    int used = snprintf(text, sizeof text, "%s: %" PRIu64 " %s, %" PRIu64 " takes, %" PRIu64 " restores",
                        results[check->result].text, check->writes, kind->writes, check->takes, check->restores);
    if (kind->counts_lost) {
        used += snprintf(text + used, sizeof text - (size_t)used, ", %" PRIu64 " lost", check->lost_stores);
    }
    if (check->message[0] != '\0') {
        snprintf(text + used, sizeof text - (size_t)used, "; %s", check->message);
    }
    snprintf(name, sizeof name, "%-8s %s", check->backend->name, kind->name);
    if (narrow) {
        puts(name);
    }
    paragraph_print(narrow ? "" : name, narrow ? 2 : INDENT, text);
}

static void json_check(const struct check *check, const struct kind *kind)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "check");
    json_text(&json, "backend", check->backend->name);
    json_text(&json, "check", kind->name);
    json_text(&json, "result", results[check->result].json);
    json_number(&json, "writes", check->writes);
    json_number(&json, "takes", check->takes);
    json_number(&json, "restores", check->restores);
    if (kind->counts_lost) {
        json_number(&json, "lost_stores", check->lost_stores);
    } else {
        json_null(&json, "lost_stores");
    }
    if (check->message[0] == '\0') {
        json_null(&json, "message");
    } else {
        json_text(&json, "message", check->message);
    }
    json_end_line(&json);
}

static void print_summary(const struct selftest *test)
{
    struct json json = { stdout, false };
    if (!test->json) {
        printf("%u checks, %u failed\n", test->checks, test->failed);
        return;
    }
    json_open_object(&json, NULL);
    json_text(&json, "type", "summary");
    json_number(&json, "checks", test->checks);
    json_number(&json, "failed", test->failed);
    json_end_line(&json);
}

static void ask_for_report(const struct selftest *test)
{
    char system[MACHINE_NAME_BYTES];
    machine_name(system);
    fail_warn(test->tool, NULL,
              "a write-watch does not keep its promise here (savepoint %s, %s): do not rely on it; "
              "SAVEPOINT_WATCH=NAME forces another one. Please report the lines above together with the output of "
              "'savepoint doctor --json'",
              savepoint_version(), system);
}

/* ---- running */

static void
run_check(struct selftest *test, const struct savepoint_backend *backend, const struct kind *kind, uint64_t start_ns)
{
    struct check check = { .backend = backend, .folder = test->folder };
    check.until_ns = start_ns + test->share_ns;
    check.latest_ns = start_ns + PATIENCE * test->share_ns;
    kind->run(&check);
    if (test->json) {
        json_check(&check, kind);
    } else {
        print_check(&check, kind);
    }
    fflush(stdout);
    test->checks++;
    test->broken += check.result == CHECK_FAILED;
    test->failed += check.result == CHECK_FAILED || check.result == CHECK_TOO_LITTLE;
    if (check.result == CHECK_STOPPED) {
        test->code = TOOL_INTERRUPTED;
    } else if (check.result == CHECK_IMPOSSIBLE || ferror(stdout)) {
        test->code = TOOL_ENVIRONMENT;
    }
}

static bool is_wanted(const struct selftest *test, const struct savepoint_backend *backend)
{
    return test->wanted == NULL || strcmp(test->wanted, backend->name) == 0;
}

static void run_backends(struct selftest *test)
{
    struct savepoint_backend backend;
    for (size_t i = 0; test->code == TOOL_GO_ON && savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        if (!is_wanted(test, &backend)) {
            continue;
        }
        if (backend.available == 0) {
            fail_note(test->tool, NULL, "%s is left out, it does not work here: %s", backend.name, backend.detail);
            continue;
        }
        uint64_t start_ns = terminal_clock_ns();
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && test->code == TOOL_GO_ON; k++) {
            run_check(test, &backend, &kinds[k], start_ns);
        }
    }
}

/* Returns TOOL_GO_ON, or an exit code where the one that is wanted is not to be had. */
static int count_backends(const struct selftest *test, uint64_t *count)
{
    struct savepoint_backend backend;
    *count = 0;
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        *count += is_wanted(test, &backend) && backend.available != 0;
        if (test->wanted != NULL && is_wanted(test, &backend) && backend.available == 0) {
            fail_warn(test->tool, NULL, "SAVEPOINT_WATCH=%s does not work here: %s", backend.name, backend.detail);
            return TOOL_ENVIRONMENT;
        }
    }
    if (*count == 0) {
        fail_warn(test->tool, NULL, "SAVEPOINT_WATCH=%s: this system has no write-watch of that name", test->wanted);
        return TOOL_ENVIRONMENT;
    }
    return TOOL_GO_ON;
}

int selftest_run(const struct tool *tool, uint64_t seconds, bool json)
{
    struct selftest test = { .tool = tool, .json = json, .wanted = getenv("SAVEPOINT_WATCH"), .code = TOOL_GO_ON };
    uint64_t count = 0;
    if (test.wanted != NULL && test.wanted[0] == '\0') {
        test.wanted = NULL;
    }
    int code = count_backends(&test, &count);
    if (code != TOOL_GO_ON) {
        return code;
    }
    test.share_ns = seconds * NS_PER_S / count;
    int os_code = machine_make_folder(&test.folder);
    if (os_code != 0) {
        return fail_system(tool, NULL, "cannot make a temporary folder (TMPDIR)", os_code);
    }
    run_backends(&test);
    machine_remove_folder(test.folder);
    free(test.folder);
    if (test.code == TOOL_GO_ON) {
        print_summary(&test);
    }
    if (test.broken > 0) {
        ask_for_report(&test);
    }
    return test.failed > 0 ? TOOL_FINDING : test.code == TOOL_GO_ON ? TOOL_DONE : test.code;
}
