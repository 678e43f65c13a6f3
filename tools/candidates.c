/* candidates.c - what may stand at the end of a command line, for the shells to complete it */
#include "candidates.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "options.h"
#include "savepoint.h"
#include "text.h"
#include "usage.h"

enum {
    OPTIONS_MAX = 32,
    OPERANDS_MAX = 16,
    SNAPSHOTS_SEEN = 200 /* the newest ones: nobody waits for the completion of a long history */
};

static const char label_mark[] = "label:";

const char *const candidates_shells[] = { "bash", "fish", "zsh", NULL };

struct known_option {
    char letter;
    const char *name; /* NULL where there is none */
    bool takes_value;
};

/* The command line up to the word to complete. */
struct line {
    const struct verb *verb;
    struct known_option options[OPTIONS_MAX];
    size_t option_count;
    const char *operands[OPERANDS_MAX];
    size_t operand_count;
    const struct known_option *unfinished; /* an option whose value is the word to complete */
    bool only_operands;                    /* behind "--" */
    const char *part;                      /* the word to complete, or only its value: "al" of "--color=al", */
    const char *glued;                     /* in front of which this stands */
    int glued_bytes;
};

static void offer(const struct line *line, const char *prefix, const char *word, const char *meaning)
{
    char whole[USAGE_KIND_BYTES + SAVEPOINT_LABEL_BYTES];
    snprintf(whole, sizeof whole, "%s%s", prefix, word);
    if (strncmp(whole, line->part, strlen(line->part)) == 0) {
        printf("%.*s%s\t%s\n", line->glued_bytes, line->glued, whole, meaning);
    }
}

static void offer_words(const struct line *line, const char *const *words)
{
    for (; *words != NULL; words++) {
        offer(line, "", *words, "");
    }
}

/* ---- snapshots and regions */

static struct savepoint_archive *open_archive(const struct line *line)
{
    struct savepoint_archive *archive = NULL;
    bool opened = line->operand_count > 0 && savepoint_archive_open(&archive, line->operands[0], NULL) == SAVEPOINT_OK;
    return opened ? archive : NULL;
}

static bool is_safe(const char *text)
{
    char escaped[TEXT_ESCAPED_BYTES];
    return strcmp(text_escape(escaped, text), text) == 0;
}

static void describe(char meaning[USAGE_MEANING_BYTES], const struct savepoint_snapshot *snapshot)
{
    char time[TEXT_SHORT_BYTES];
    snprintf(meaning, USAGE_MEANING_BYTES, "snapshot %llu, %s%s%s", (unsigned long long)snapshot->sequence,
             text_time(time, snapshot->time_ns), snapshot->label[0] == '\0' ? "" : ", ",
             is_safe(snapshot->label) ? snapshot->label : "");
}

/* Alone such a label would mean something else. */
static bool needs_mark(const char *label)
{
    size_t digits = strspn(label, "0123456789abcdefABCDEF");
    bool is_id = label[digits] == '\0' && digits >= 4 && digits <= 32;
    return is_id || strchr(label, '~') != NULL || strcmp(label, "HEAD") == 0 || strncmp(label, "@{", 2) == 0 ||
           strncmp(label, label_mark, sizeof label_mark - 1) == 0;
}

static bool is_name(struct savepoint_archive *archive, const char *label)
{
    struct savepoint_ref ref;
    for (size_t i = 0; savepoint_archive_ref_at(archive, &ref, i, NULL) == SAVEPOINT_OK; i++) {
        if (ref.kind == SAVEPOINT_REF_LABEL && strcmp(ref.name, label) == 0) {
            return true;
        }
    }
    return false;
}

static bool was_met(const struct savepoint_snapshot *seen, size_t count, const char *label)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(seen[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

/* Labels, and ids once a digit of one is there. */
static void offer_walk(const struct line *line, struct savepoint_archive *archive)
{
    struct savepoint_snapshot *seen = fail_alloc(SNAPSHOTS_SEEN, sizeof *seen);
    char meaning[USAGE_MEANING_BYTES], id[TEXT_SHORT_BYTES];
    size_t count = 0;
    bool asked = strncmp(line->part, label_mark, sizeof label_mark - 1) == 0;
    enum savepoint_status status = savepoint_archive_newest(archive, &seen[0], NULL);
    while (status == SAVEPOINT_OK) {
        const struct savepoint_snapshot *snapshot = &seen[count];
        if (!(snapshot->flags & SAVEPOINT_SNAPSHOT_DROPPED)) {
            describe(meaning, snapshot);
            const char *label = snapshot->label;
            if (label[0] != '\0' && is_safe(label) && !was_met(seen, count, label)) {
                bool marked = asked || needs_mark(label) || is_name(archive, label);
                offer(line, marked ? label_mark : "", label, meaning);
            }
            if (line->part[0] != '\0') {
                offer(line, "", text_short_id(id, &snapshot->id), meaning);
            }
        }
        if (++count == SNAPSHOTS_SEEN) {
            break;
        }
        seen[count] = *snapshot;
        status = savepoint_archive_previous(archive, &seen[count], NULL);
    }
    free(seen);
}

static void offer_names(const struct line *line, struct savepoint_archive *archive)
{
    struct savepoint_ref ref;
    for (size_t i = 0; savepoint_archive_ref_at(archive, &ref, i, NULL) == SAVEPOINT_OK; i++) {
        if (ref.kind == SAVEPOINT_REF_LABEL && is_safe(ref.name)) {
            offer(line, "", ref.name, "a name");
        }
    }
}

static void offer_snapshots(const struct line *line, struct savepoint_archive *archive)
{
    struct savepoint_snapshot head;
    char meaning[USAGE_MEANING_BYTES];
    if (savepoint_archive_find(archive, &head, "HEAD", NULL) == SAVEPOINT_OK) {
        describe(meaning, &head);
        offer(line, "", "HEAD", meaning);
    }
    offer_names(line, archive);
    offer_walk(line, archive);
}

/* Those of the snapshot named before, or of HEAD. */
static void offer_regions(const struct line *line, struct savepoint_archive *archive)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_region region;
    char size[TEXT_SHORT_BYTES];
    const char *expression = line->operand_count > 1 ? line->operands[1] : "HEAD";
    if (savepoint_archive_find(archive, &snapshot, expression, NULL) != SAVEPOINT_OK &&
        savepoint_archive_find(archive, &snapshot, "HEAD", NULL) != SAVEPOINT_OK) {
        return;
    }
    for (size_t i = 0; savepoint_archive_region_at(archive, &region, &snapshot, i, NULL) == SAVEPOINT_OK; i++) {
        if (is_safe(region.name)) {
            offer(line, "", region.name, text_size(size, region.bytes));
        }
    }
}

/* ---- the kinds of words */

static void offer_verbs(const struct line *line)
{
    const struct verb *verb = NULL;
    for (size_t i = 0; (verb = verbs_at(i)) != NULL; i++) {
        offer(line, "", verb->name, verb->summary);
    }
    offer(line, "", "help", "this text, or that of a verb");
}

static void offer_kind(const struct line *line, const char *kind)
{
    static const struct {
        const char *kind, *files;
        void (*offer)(const struct line *line, struct savepoint_archive *archive);
    } rows[] = {
        { "ARCHIVE", "archives", NULL },       { "FILE", "files", NULL },      { "DIRECTORY", "directories", NULL },
        { "SNAPSHOT", NULL, offer_snapshots }, { "A", NULL, offer_snapshots }, { "B", NULL, offer_snapshots },
        { "FOLDER", "directories", NULL },     { "NAME", NULL, offer_names },  { "REGION", NULL, offer_regions },
    };
    static const char *const colours[] = { "always", "auto", "never", NULL };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].kind, kind) != 0) {
            continue;
        }
        struct savepoint_archive *archive = rows[i].offer == NULL ? NULL : open_archive(line);
        if (rows[i].files != NULL) {
            printf("\t%s\n", rows[i].files);
        } else if (archive != NULL) {
            rows[i].offer(line, archive);
        }
        savepoint_archive_close(archive);
    }
    if (strcmp(kind, "WHEN") == 0) {
        offer_words(line, colours);
    } else if (strcmp(kind, "SHELL") == 0) {
        offer_words(line, candidates_shells);
    } else if (strcmp(kind, "VERB") == 0) {
        offer_verbs(line);
    }
}

static void offer_options(const struct line *line)
{
    char meaning[USAGE_MEANING_BYTES], letter[2] = "";
    for (size_t i = 0; i < line->option_count; i++) {
        const struct known_option *option = &line->options[i];
        usage_meaning(meaning, line->verb, option->letter, option->name);
        if (option->name != NULL) {
            offer(line, "--", option->name, meaning);
        }
        letter[0] = option->letter;
        if (option->letter != '\0') {
            offer(line, "-", letter, meaning);
        }
    }
}

/* ---- the command line */

static void note_options(void *user, const struct option *options, size_t option_count)
{
    struct line *line = user;
    for (size_t i = 0; i < option_count && line->option_count < OPTIONS_MAX; i++) {
        line->options[line->option_count++] =
            (struct known_option){ options[i].letter, options[i].name, options[i].kind != OPTION_FLAG };
    }
}

/* The verb tells, instead of doing anything. */
static void ask_for_options(struct line *line)
{
    char *none[] = { NULL };
    struct tool tool = { .verb = line->verb, .told_options = note_options, .told_user = line };
    line->verb->run(&tool, 0, none);
}

static const struct known_option *find_long(const struct line *line, const char *name, size_t bytes)
{
    for (size_t i = 0; i < line->option_count; i++) {
        const char *known = line->options[i].name;
        if (known != NULL && strncmp(known, name, bytes) == 0 && known[bytes] == '\0') {
            return &line->options[i];
        }
    }
    return NULL;
}

static const struct known_option *find_letter(const struct line *line, char letter)
{
    for (size_t i = 0; i < line->option_count; i++) {
        if (line->options[i].letter == letter) {
            return &line->options[i];
        }
    }
    return NULL;
}

/* The option of "--name" or "-abc" whose value is the next word; NULL where there is none. */
static const struct known_option *waits_for_value(const struct line *line, const char *word)
{
    const struct known_option *option = NULL;
    if (word[1] == '-') {
        option = strchr(word, '=') != NULL ? NULL : find_long(line, word + 2, strlen(word + 2));
        return option != NULL && option->takes_value ? option : NULL;
    }
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        option = find_letter(line, *letter);
        if (option != NULL && option->takes_value) {
            return letter[1] == '\0' ? option : NULL;
        }
    }
    return NULL;
}

static void take_word(struct line *line, const char *word)
{
    if (line->unfinished != NULL) {
        line->unfinished = NULL;
    } else if (!line->only_operands && strcmp(word, "--") == 0) {
        line->only_operands = true;
    } else if (!line->only_operands && word[0] == '-' && word[1] != '\0') {
        line->unfinished = waits_for_value(line, word);
    } else if (line->operand_count < OPERANDS_MAX) {
        line->operands[line->operand_count++] = word;
    }
}

/* "--color=al" is the value "al" of an option. */
static void split_part(struct line *line)
{
    const char *equals = strchr(line->part, '=');
    if (line->unfinished == NULL && !line->only_operands && strncmp(line->part, "--", 2) == 0 && equals != NULL) {
        line->unfinished = find_long(line, line->part + 2, (size_t)(equals - line->part) - 2);
        line->glued = line->part;
        line->glued_bytes = (int)(equals - line->part) + 1;
        line->part = equals + 1;
    }
}

static void complete(struct line *line)
{
    char kind[USAGE_KIND_BYTES];
    split_part(line);
    if (line->unfinished != NULL) {
        usage_value(kind, line->verb, line->unfinished->letter, line->unfinished->name);
        offer_kind(line, kind);
    } else if (!line->only_operands && line->part[0] == '-') {
        offer_options(line);
    } else {
        usage_operand(kind, line->verb, line->operand_count);
        offer_kind(line, kind);
    }
}

void candidates_print(int count, char **words)
{
    static const char *const leading[] = { "--color=always", "--color=auto", "--color=never",
                                           "--help",         "--version",    NULL };
    struct line line = { .part = count > 0 ? words[count - 1] : "", .glued = "" };
    int verb_at = 0;
    while (verb_at < count - 1 && words[verb_at][0] == '-') {
        verb_at++;
    }
    if (verb_at >= count - 1 && line.part[0] == '-') {
        offer_words(&line, leading);
    } else if (verb_at >= count - 1 || (strcmp(words[verb_at], "help") == 0 && verb_at == count - 2)) {
        offer_verbs(&line);
    } else if ((line.verb = verbs_find(words[verb_at])) != NULL) {
        ask_for_options(&line);
        for (int i = verb_at + 1; i < count - 1; i++) {
            take_word(&line, words[i]);
        }
        complete(&line);
    }
}
