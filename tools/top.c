/* top.c - savepoint top: memory over time, live, while a program runs */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "feed.h"
#include "options.h"
#include "screen.h"
#include "table.h"
#include "terminal.h"
#include "top_picture.h"

#define NS_PER_S 1000000000

static const char help[] =
    "Examples:\n"
    "  savepoint top game.svp                      what the program writes, redrawn every second\n"
    "  savepoint top --interval 0.2 game.svp       five times a second\n"
    "  savepoint top --count 1 game.svp            one look\n"
    "  savepoint top --interval 60 game.svp >>log  a picture a minute\n"
    "\n"
    "Usage: savepoint top [OPTIONS] ARCHIVE\n"
    "\n"
    "Shows a growing archive: how fast it grows, dirty pages, bytes stored and pause of the last\n"
    "snapshots, and for every region where the newest 64 of them wrote, from its first page on the\n"
    "left to its last on the right, with the pages written most often. It reads only what is new,\n"
    "and takes at most a tenth of the time: a long look is followed by a longer wait. An archive\n"
    "that is cut, compacted or replaced meanwhile is looked at anew.\n"
    "\n"
    "On a terminal q ends it; elsewhere one picture follows the other.\n"
    "\n"
    "Options:\n"
    "      --interval SECONDS  time between two pictures, 0.05 to 86400; 1 otherwise\n"
    "  -n, --count N           end after N pictures\n"
    "      --color WHEN        auto, always, or never\n"
    "  -h, --help              this text\n";

struct top {
    struct tool *tool;
    struct feed feed;
    bool live;
    uint64_t interval_ns;
    uint64_t count; /* pictures left */
    struct savepoint_error error;
    const char *trouble;
};

static bool should_stop(void)
{
    return screen_stopped() || terminal_pipe_broken();
}

/* Trouble at the first look ends the program: later on it may pass. */
static int look(struct top *top, bool first)
{
    enum savepoint_status status = feed_look(&top->feed, should_stop, &top->error);
    top->trouble = NULL;
    if (status == SAVEPOINT_OK || status == SAVEPOINT_CANCELLED) {
        return TOOL_GO_ON;
    }
    if (first) {
        return fail_with(top->tool, top->feed.path, &top->error);
    }
    top->trouble = fail_message(top->error.message, top->feed.path, status);
    return TOOL_GO_ON;
}

static void draw(const struct top *top)
{
    top_picture_print(&(struct top_picture){
        .feed = &top->feed,
        .trouble = top->trouble,
        .now_ns = terminal_time_ns(),
        .columns = terminal_columns(),
        .rows = screen_rows(),
        .utf8 = terminal_utf8(),
        .coloured = table_wants_colour(top->tool),
        .keys = top->live,
    });
}

/* One picture, and the time until the next; TOOL_GO_ON: it is to follow. */
static int show(struct top *top, uint64_t look_ns)
{
    uint64_t wait_ns = top->interval_ns > look_ns ? top->interval_ns - look_ns : 0;
    wait_ns = wait_ns > 9 * look_ns ? wait_ns : 9 * look_ns;
    draw(top);
    if (--top->count == 0) {
        return TOOL_DONE;
    }
    enum screen_event event;
    while ((event = screen_wait(wait_ns)) == SCREEN_REDRAW) {
        draw(top);
    }
    return event == SCREEN_TIME ? TOOL_GO_ON : event == SCREEN_QUIT ? TOOL_DONE : TOOL_INTERRUPTED;
}

static int watch(struct top *top)
{
    int code = TOOL_GO_ON;
    for (bool first = true; code == TOOL_GO_ON; first = false) {
        uint64_t before_ns = terminal_clock_ns();
        code = look(top, first);
        if (code == TOOL_GO_ON && first) {
            screen_open(top->live);
        }
        if (code == TOOL_GO_ON) {
            code = should_stop() ? TOOL_INTERRUPTED : show(top, terminal_clock_ns() - before_ns);
        }
    }
    return code;
}

/* Seconds with a fraction; the C locale is in force. */
static bool parse_interval(uint64_t *interval_ns, const char *text)
{
    char *end = NULL;
    if (text == NULL) {
        *interval_ns = NS_PER_S;
        return true;
    }
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.05 && seconds <= 86400)) {
        return false;
    }
    *interval_ns = (uint64_t)(seconds * NS_PER_S);
    return true;
}

static bool is_live(void)
{
    const char *terminal = getenv("TERM");
    return terminal_is(stdout) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int run(struct tool *tool, int argc, char **argv)
{
    struct top top = { .tool = tool, .count = UINT64_MAX };
    const char *interval = NULL;
    const struct option options[] = {
        { 0, "interval", OPTION_TEXT, &interval },
        { 'n', "count", OPTION_NUMBER, &top.count },
    };
    int code = options_parse(tool, &argc, argv, options, sizeof options / sizeof options[0], 1, 1);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (!parse_interval(&top.interval_ns, interval)) {
        return fail_usage(tool, "--interval is a number of seconds from 0.05 to 86400, not '%s'", interval);
    }
    top.live = is_live();
    feed_open(&top.feed, argv[0]);
    code = watch(&top);
    screen_close();
    screen_end();
    feed_close(&top.feed);
    return code;
}

const struct verb verb_top = { "top", "memory over time, live while a program runs", help, run };
