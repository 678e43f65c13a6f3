/* options.c - options and operands of one verb */
#include "options.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "number.h"
#include "text.h"

static const char usage_mark[] = "Usage: "; /* every help text has such a line */

struct parser {
    struct tool *tool;
    const struct option *options;
    size_t option_count;
    char **next; /* the argument behind the one in hand */
    bool help;
    const char *colour;
};

bool options_colour(struct tool *tool, const char *when)
{
    static const char *const words[] = { "auto", "always", "never" };
    static const enum tool_colour values[] = { TOOL_COLOUR_AUTO, TOOL_COLOUR_ALWAYS, TOOL_COLOUR_NEVER };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(when, words[i]) == 0) {
            tool->colour = values[i];
            return true;
        }
    }
    return false;
}

static int store_number(const struct tool *tool, uint64_t *number, uint64_t most, const char *text, const char *shown)
{
    char digits[24];
    uint64_t value = 0;
    const char *at = text;
    enum number_kind kind = number_take(&value, &at, 10);
    if (kind == NUMBER_NONE || *at != '\0') {
        return fail_usage(tool, "%s needs a number, not '%s'", shown, text);
    }
    if (kind == NUMBER_TOO_LARGE || value > most) {
        snprintf(digits, sizeof digits, "%" PRIu64, most);
        return fail_too_large(tool, shown, text, digits);
    }
    *number = value;
    return TOOL_GO_ON;
}

/* Stores the value of an option; `shown` is how the user wrote it. */
static int store(struct parser *parser, const struct option *option, const char *value, const char *shown)
{
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->value = true;
        break;
    case OPTION_TEXT:
        *(const char **)option->value = value;
        break;
    case OPTION_NUMBER: {
        int code = store_number(parser->tool, option->value, UINT64_MAX, value, shown);
        bool none = code == TOOL_GO_ON && *(const uint64_t *)option->value == 0;
        return none ? fail_usage(parser->tool, "%s needs at least 1", shown) : code;
    }
    case OPTION_BOUNDED: {
        struct option_bounded *bounded = option->value;
        return store_number(parser->tool, &bounded->number, bounded->most, value, shown);
    }
    }
    return TOOL_GO_ON;
}

/* The value of an option stands behind it in the same argument, or in the next one. */
static int store_from(struct parser *parser, const struct option *option, const char *attached, const char *shown)
{
    if (option->kind != OPTION_FLAG && attached == NULL) {
        attached = *parser->next;
        if (attached == NULL) {
            return fail_usage(parser->tool, "%s needs a value", shown);
        }
        parser->next++;
    }
    return store(parser, option, attached, shown);
}

static int parse_long(struct parser *parser, const char *argument)
{
    char name[64];
    const char *value = strchr(argument, '=');
    size_t length = value == NULL ? strlen(argument) : (size_t)(value - argument);
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), argument);
    for (size_t i = 0; i < parser->option_count; i++) {
        const struct option *option = &parser->options[i];
        if (option->name == NULL) {
            continue;
        }
        if (strcmp(option->name, name + 2) == 0) {
            if (option->kind == OPTION_FLAG && value != NULL) {
                return fail_usage(parser->tool, "%s takes no value", name);
            }
            return store_from(parser, option, value == NULL ? NULL : value + 1, name);
        }
        if (text_is_nearer(&best, name + 2, option->name)) {
            nearest = option->name;
        }
    }
    if (nearest != NULL) {
        return fail_usage(parser->tool, "there is no option '%s'; did you mean --%s?", name, nearest);
    }
    return fail_usage(parser->tool, "there is no option '%s'", name);
}

/* "-n5", "-n 5", and flags in one word: "-fq". */
static int parse_letters(struct parser *parser, const char *argument)
{
    for (const char *letter = argument + 1; *letter != '\0'; letter++) {
        const char shown[] = { '-', *letter, '\0' };
        const struct option *option = NULL;
        for (size_t i = 0; i < parser->option_count && option == NULL; i++) {
            option = parser->options[i].letter == *letter ? &parser->options[i] : NULL;
        }
        if (option == NULL) {
            return fail_usage(parser->tool, "there is no option '%s'", shown);
        }
        bool takes_rest = option->kind != OPTION_FLAG;
        int code = store_from(parser, option, takes_rest && letter[1] != '\0' ? letter + 1 : NULL, shown);
        if (code != TOOL_GO_ON || takes_rest) {
            return code;
        }
    }
    return TOOL_GO_ON;
}

static int split(struct parser *parser, int *argc, char **argv)
{
    int operand_count = 0;
    bool only_operands = false;
    parser->next = argv;
    while (*parser->next != NULL) {
        char *argument = *parser->next++;
        int code = TOOL_GO_ON;
        if (only_operands || argument[0] != '-' || argument[1] == '\0') {
            argv[operand_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (argument[1] == '-') {
            code = parse_long(parser, argument);
        } else {
            code = parse_letters(parser, argument);
        }
        if (code != TOOL_GO_ON) {
            return code;
        }
    }
    *argc = operand_count;
    return TOOL_GO_ON;
}

int options_parse(struct tool *tool, int *argc, char **argv, const struct option *options, size_t option_count,
                  int operands_least, int operands_most)
{
    struct parser parser = { tool, NULL, option_count + 2, argv, false, NULL };
    struct option *all = fail_alloc(parser.option_count, sizeof *all);
    if (option_count > 0) {
        memcpy(all, options, option_count * sizeof *all);
    }
    all[option_count] = (struct option){ 'h', "help", OPTION_FLAG, &parser.help };
    all[option_count + 1] = (struct option){ 0, "color", OPTION_TEXT, &parser.colour };
    parser.options = all;
    int code = TOOL_DONE;
    if (tool->told_options != NULL) {
        tool->told_options(tool->told_user, all, parser.option_count);
    } else {
        code = split(&parser, argc, argv);
    }
    free(all);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (parser.help) {
        fputs(tool->verb->help, stdout);
        return TOOL_DONE;
    }
    if (parser.colour != NULL && !options_colour(tool, parser.colour)) {
        return fail_usage(tool, "--color is auto, always or never, not '%s'", parser.colour);
    }
    if (*argc < operands_least || *argc > operands_most) {
        const char *usage = strstr(tool->verb->help, usage_mark) + sizeof usage_mark - 1;
        return fail_usage(tool, "too %s arguments; usage: %.*s", *argc < operands_least ? "few" : "many",
                          (int)strcspn(usage, "\n"), usage);
    }
    return TOOL_GO_ON;
}
