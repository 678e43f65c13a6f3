/* main.c - the savepoint tool: finds the verb and runs it */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "options.h"
#include "terminal.h"
#include "text.h"
#include "verbs.h"

static const char examples[] = "Examples:\n"
                               "  savepoint log game.svp                     the snapshots of an archive\n"
                               "  savepoint show game.svp HEAD~1             everything about one of them\n"
                               "  savepoint restore game.svp HEAD~1          let the program resume from it\n"
                               "  savepoint export game.svp HEAD -o dump     its memory, as files\n"
                               "\n"
                               "Usage: savepoint VERB [OPTIONS] ARCHIVE ...\n"
                               "\n"
                               "Verbs:\n";

static const char more[] = "\n"
                           "'savepoint VERB --help' tells about one verb. A snapshot is named by HEAD, a name given\n"
                           "with 'savepoint label', the label it was taken with, the first digits of its id, or a\n"
                           "point in time: @{10 min ago}, @{2 hours ago}, @{yesterday}, @{2026-11-22},\n"
                           "@{2026-11-22 10:30}, @{2026-11-22T10:30:05Z}. That is the newest one on the way to HEAD\n"
                           "by then, local time unless there is a Z; a day or a minute counts to its end.\n"
                           "~N behind any of these is its N-th ancestor.\n"
                           "Exit codes: 0 done, 1 a finding, 2 usage, 3 input or output, 4 locked, 5 not an archive,\n"
                           "6 damaged, 130 interrupted (128 and the number of the signal).\n";

static int unknown_verb(const struct tool *tool, const char *name)
{
    const char *nearest = NULL;
    const struct verb *verb = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; (verb = verbs_at(i)) != NULL; i++) {
        if (text_is_nearer(&best, name, verb->name)) {
            nearest = verb->name;
        }
    }
    if (nearest != NULL) {
        return fail_usage(tool, "there is no verb '%s'; did you mean '%s'?", name, nearest);
    }
    return fail_usage(tool, "there is no verb '%s'", name);
}

static int help(const struct tool *tool, const char *verb_name)
{
    const struct verb *verb = NULL;
    static const char *const itself[] = { "help", "--help", "-h" };
    for (size_t i = 0; i < sizeof itself / sizeof itself[0] && verb_name != NULL; i++) {
        verb_name = strcmp(verb_name, itself[i]) == 0 ? NULL : verb_name;
    }
    if (verb_name != NULL) {
        verb = verbs_find(verb_name);
        if (verb == NULL) {
            return unknown_verb(tool, verb_name);
        }
        fputs(verb->help, stdout);
        return TOOL_DONE;
    }
    fputs(examples, stdout);
    for (size_t i = 0; (verb = verbs_at(i)) != NULL; i++) {
        printf("  %-10s %s\n", verb->name, verb->summary);
    }
    printf("  %-10s %s\n", "help", "this text, or that of a verb");
    fputs(more, stdout);
    return TOOL_DONE;
}

static int unknown_option(const struct tool *tool, const char *option)
{
    static const char *const known[] = { "--color", "--help", "--version" };
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (text_is_nearer(&best, option, known[i])) {
            nearest = known[i];
        }
    }
    if (nearest != NULL) {
        return fail_usage(tool, "there is no option '%s' in front of a verb; did you mean %s?", option, nearest);
    }
    return fail_usage(tool, "there is no option '%s' in front of a verb", option);
}

/* Options may also stand in front of the verb. Returns TOOL_GO_ON with the verb in argv[0], or an exit code. */
static int take_leading_options(struct tool *tool, int *argc, char ***argv)
{
    for (; *argc > 0 && (*argv)[0][0] == '-'; --*argc, ++*argv) {
        const char *option = (*argv)[0];
        const char *colour = strncmp(option, "--color=", 8) == 0 ? option + 8 : NULL;
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            return help(tool, NULL);
        }
        if (strcmp(option, "--version") == 0) {
            (*argv)[0] = "version";
            return TOOL_GO_ON;
        }
        if (colour == NULL) {
            return unknown_option(tool, option);
        }
        if (!options_colour(tool, colour)) {
            return fail_usage(tool, "--color is auto, always or never, not '%s'", colour);
        }
    }
    if (*argc == 0) {
        return fail_usage(tool, "which verb?");
    }
    return TOOL_GO_ON;
}

static int dispatch(struct tool *tool, int argc, char **argv)
{
    int code = take_leading_options(tool, &argc, &argv);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (strcmp(argv[0], "help") == 0) {
        return help(tool, argc > 1 ? argv[1] : NULL);
    }
    const struct verb *verb = verbs_find(argv[0]);
    if (verb == NULL) {
        return unknown_verb(tool, argv[0]);
    }
    tool->verb = verb;
    return verb->run(tool, argc - 1, argv + 1);
}

/* Output that did not arrive is a failure, but for a reader that has seen enough. */
static int finish(const struct tool *tool, int code)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    failed = fflush(stdout) != 0 || failed;
    if (terminal_pipe_broken()) {
        terminal_end_of_pipe();
        return TOOL_ENVIRONMENT;
    }
    if (failed && terminal_interrupted()) {
        code = TOOL_INTERRUPTED; /* which ended the write that failed, too */
    } else if (failed) {
        fail_system(tool, NULL, "cannot write the output", errno == 0 ? EIO : errno);
        code = code == TOOL_DONE || code == TOOL_FINDING ? TOOL_ENVIRONMENT : code;
    }
    return code == TOOL_INTERRUPTED ? terminal_interrupt_code() : code;
}

int main(int argc, char **argv)
{
    struct tool tool = { .colour = TOOL_COLOUR_AUTO };
    terminal_begin();
    argv = terminal_arguments(&argc, argv);
    return finish(&tool, dispatch(&tool, argc - 1, argv + 1));
}
