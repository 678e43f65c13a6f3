/* usage.c - what the help of a verb tells about the words it takes */
#include "usage.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The word in capitals at `at`; empty where there is none. */
static void copy_kind(char kind[USAGE_KIND_BYTES], const char *at)
{
    size_t bytes = 0;
    for (; bytes < USAGE_KIND_BYTES - 1 && isupper((unsigned char)at[bytes]); bytes++) {
        kind[bytes] = at[bytes];
    }
    kind[bytes] = '\0';
}

void usage_operand(char kind[USAGE_KIND_BYTES], const struct verb *verb, size_t index)
{
    static const char mark[] = "Usage: savepoint ";
    const char *usage = strstr(verb->help, mark);
    const char *at = usage == NULL ? "" : usage + sizeof mark - 1 + strlen(verb->name);
    size_t met = 0;
    while (*at == ' ') {
        at += strspn(at, " [");
        copy_kind(kind, at);
        if (*at == '-') {
            break; /* options that stand behind the operands */
        }
        bool repeats = strncmp(at + strlen(kind), "...", 3) == 0;
        if (strcmp(kind, "OPTIONS") != 0 && (met++ == index || repeats)) {
            return;
        }
        at += strcspn(at, " \n");
    }
    kind[0] = '\0';
}

/* The line of help that tells of an option, from behind its name; NULL where there is none. */
static const char *find_help(const struct verb *verb, char letter, const char *name)
{
    char word[USAGE_KIND_BYTES];
    size_t bytes = 0;
    if (name != NULL) {
        bytes = (size_t)snprintf(word, sizeof word, "--%s", name);
    } else {
        bytes = (size_t)snprintf(word, sizeof word, "-%c", letter);
    }
    for (const char *at = strstr(verb->help, "\nOptions:\n"); at != NULL; at = strchr(at + 1, '\n')) {
        const char *end = strchr(at + 1, '\n');
        const char *found = strstr(at + 1, word);
        if (at[1] != ' ' || at[1 + strspn(at + 1, " ")] != '-' || end == NULL || found == NULL || found >= end) {
            continue;
        }
        if (strchr(" ,\n", found[bytes]) != NULL) {
            return found + bytes;
        }
    }
    return NULL;
}

void usage_meaning(char meaning[USAGE_MEANING_BYTES], const struct verb *verb, char letter, const char *name)
{
    const char *at = find_help(verb, letter, name);
    const char *gap = at == NULL ? NULL : strstr(at, "  ");
    gap = gap == NULL || gap > strchr(at, '\n') ? "" : gap + strspn(gap, " ");
    snprintf(meaning, USAGE_MEANING_BYTES, "%.*s", (int)strcspn(gap, "\n"), gap);
}

void usage_value(char kind[USAGE_KIND_BYTES], const struct verb *verb, char letter, const char *name)
{
    const char *at = find_help(verb, letter, name);
    copy_kind(kind, at != NULL && *at == ' ' ? at + 1 : "");
}
