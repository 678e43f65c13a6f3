/* names.c - finding a snapshot by expression: HEAD, reference, label, id prefix, ~n */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/catalog.h"
#include "status.h"

enum { PREFIX_DIGITS_MIN = 4, ID_DIGITS = 32, CANDIDATES_SHOWN = 5 };

void savepoint_id_format(const struct savepoint_id *id, char text[SAVEPOINT_ID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        text[2 * i] = digits[id->bytes[i] >> 4];
        text[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    text[SAVEPOINT_ID_TEXT_BYTES - 1] = '\0';
}

static const char label_mark[] = "label:";

struct wanted {                 /* what one walk over all snapshots looks for */
    const char *label;          /* "" : none */
    char prefix[ID_DIGITS + 1]; /* lower case; "" : none */
    bool found_label;
    struct savepoint_snapshot labelled;
    size_t id_count;
    struct savepoint_snapshot first;
    char candidates[CANDIDATES_SHOWN * 16];
};

static void look_at(struct wanted *wanted, const struct savepoint_snapshot *snapshot)
{
    if ((snapshot->flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0) {
        return;
    }
    if (!wanted->found_label && wanted->label[0] != '\0' && strcmp(snapshot->label, wanted->label) == 0) {
        wanted->found_label = true;
        wanted->labelled = *snapshot;
    }
    char text[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(&snapshot->id, text);
    if (wanted->prefix[0] == '\0' || strncmp(text, wanted->prefix, strlen(wanted->prefix)) != 0) {
        return;
    }
    if (wanted->id_count == 0) {
        wanted->first = *snapshot;
    }
    if (wanted->id_count < CANDIDATES_SHOWN) {
        size_t used = strlen(wanted->candidates);
        snprintf(wanted->candidates + used, sizeof wanted->candidates - used, " %.12s", text);
    }
    wanted->id_count++;
}

/* One walk, newest first; stops at the newest label, which comes before ids in the order of names. */
static enum savepoint_status walk(struct svp_catalog *catalog, struct wanted *wanted, struct savepoint_error *error)
{
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = svp_catalog_newest(catalog, &snapshot, error);
    while (status == SAVEPOINT_OK && !wanted->found_label) {
        look_at(wanted, &snapshot);
        status = svp_catalog_previous(catalog, &snapshot, snapshot.file_offset, error);
    }
    return status == SAVEPOINT_NOT_FOUND ? SAVEPOINT_OK : status;
}

bool svp_name_is_id(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdefABCDEF");
    return name[digits] == '\0' && digits >= PREFIX_DIGITS_MIN && digits <= ID_DIGITS;
}

/* Copies an id prefix in lower case; leaves `prefix` as it is when the text is none. */
static void as_prefix(char *prefix, const char *text)
{
    size_t bytes = svp_name_is_id(text) ? strlen(text) : 0;
    for (size_t i = 0; i < bytes; i++) {
        prefix[i] = (char)tolower((unsigned char)text[i]);
    }
}

/* Restoring an older snapshot than the one that was meant is worse than being told. */
static enum savepoint_status
fail_uncertain(const struct svp_catalog *catalog, const char *name, struct savepoint_error *error)
{
    return svp_status_at(error, SAVEPOINT_CORRUPT, catalog->damage_offset, "find",
                         "%s: a damaged record may have given '%.80s' to a newer snapshot: name the one you want by id",
                         catalog->source->path, name);
}

/* A snapshot before a damaged tombstone may have been dropped by it, and is then not what was meant by ~. */
static enum savepoint_status check_kept(const struct svp_catalog *catalog, const struct savepoint_snapshot *snapshot,
                                        const char *name, struct savepoint_error *error)
{
    if (snapshot->file_offset >= catalog->tombstone_damage) {
        return SAVEPOINT_OK;
    }
    return svp_status_at(error, SAVEPOINT_CORRUPT, catalog->tombstone_damage, "find",
                         "%s: a damaged record may have dropped ancestors of '%.80s': name the one you want by id",
                         catalog->source->path, name);
}

static enum savepoint_status find_by_walk(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                          const char *name, struct savepoint_error *error)
{
    struct wanted wanted = { .label = name };
    if (strncmp(name, label_mark, sizeof label_mark - 1) == 0) {
        wanted.label = name + sizeof label_mark - 1;
    } else {
        as_prefix(wanted.prefix, name);
        /* A take label that looks like an id is found by label: only. */
        wanted.label = wanted.prefix[0] != '\0' ? "" : name;
    }
    enum savepoint_status status = walk(catalog, &wanted, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (wanted.found_label && svp_catalog_is_damaged(catalog) && catalog->damage_offset > wanted.labelled.file_offset) {
        return fail_uncertain(catalog, name, error);
    }
    if (wanted.id_count > 1) {
        return svp_status_fail(error, SAVEPOINT_AMBIGUOUS, "find",
                               "%s: '%.40s' fits %zu snapshots:%s%s: give more digits", catalog->source->path, name,
                               wanted.id_count, wanted.candidates, wanted.id_count > CANDIDATES_SHOWN ? " ..." : "");
    }
    if (!wanted.found_label && wanted.id_count == 0) {
        return svp_status_fail(
            error, SAVEPOINT_NOT_FOUND, "find",
            "%s: no snapshot is called '%.80s' (try HEAD, HEAD~1, a label, or 4 or more digits of an id)",
            catalog->source->path, name);
    }
    *snapshot = wanted.found_label ? wanted.labelled : wanted.first;
    return SAVEPOINT_OK;
}

static enum savepoint_status find_name(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                       const char *name, struct savepoint_error *error)
{
    if (catalog->end.newest_commit == 0) {
        return svp_catalog_newest(catalog, snapshot, error); /* EMPTY */
    }
    if (strcmp(name, "HEAD") == 0 || strcmp(name, "@{}") == 0) {
        if (catalog->end.head == 0) {
            return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: HEAD is not set", catalog->source->path);
        }
        return svp_catalog_at(catalog, snapshot, catalog->end.head, error);
    }
    for (size_t i = 0; i < catalog->ref_count; i++) {
        if (catalog->refs[i].kind == SVP_REF_LABEL && strcmp(catalog->refs[i].name, name) == 0) {
            return i < catalog->certain_refs ? svp_catalog_at(catalog, snapshot, catalog->refs[i].target, error)
                                             : fail_uncertain(catalog, name, error);
        }
    }
    return find_by_walk(catalog, snapshot, name, error);
}

/* Splits "NAME~3~" into NAME and 4 generations; false when the part behind ~ is no number. */
static bool split(const char *expression, char *name, size_t name_bytes, uint64_t *generations)
{
    const char *tilde = strchr(expression, '~');
    size_t length = tilde != NULL ? (size_t)(tilde - expression) : strlen(expression);
    *generations = 0;
    if (length == 0 || length >= name_bytes) {
        return false;
    }
    memcpy(name, expression, length);
    name[length] = '\0';
    while (tilde != NULL && *tilde == '~') {
        char *end = NULL;
        uint64_t count = 1;
        tilde++;
        if (isdigit((unsigned char)*tilde)) {
            count = strtoull(tilde, &end, 10);
            tilde = end;
        }
        *generations = count > UINT32_MAX ? UINT64_MAX : *generations + count;
        if (*generations > UINT32_MAX) {
            *generations = UINT32_MAX; /* more than any history has */
        }
    }
    return tilde == NULL || *tilde == '\0';
}

enum savepoint_status svp_catalog_find(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                       const char *expression, struct savepoint_error *error)
{
    char name[SAVEPOINT_LABEL_BYTES + 8];
    uint64_t generations = 0;
    struct savepoint_snapshot found;
    /* A label may hold a tilde: label:NAME is tried whole first. */
    if (strncmp(expression, label_mark, sizeof label_mark - 1) == 0 && strchr(expression, '~') != NULL &&
        find_by_walk(catalog, snapshot, expression, NULL) == SAVEPOINT_OK) {
        return SAVEPOINT_OK;
    }
    if (!split(expression, name, sizeof name, &generations)) {
        return svp_status_fail(
            error, SAVEPOINT_INVALID, "find",
            "'%.80s' names no snapshot: use HEAD, a label or an id, each with ~N behind it if needed", expression);
    }
    enum savepoint_status status = find_name(catalog, &found, name, error);
    for (uint64_t i = 0; status == SAVEPOINT_OK && i < generations; i++) {
        status = svp_catalog_parent(catalog, &found, found.file_offset, error);
        if (status == SAVEPOINT_NOT_FOUND) {
            return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: '%.80s' has only %llu kept ancestors",
                                   catalog->source->path, name, (unsigned long long)i);
        }
        status = status == SAVEPOINT_OK ? check_kept(catalog, &found, name, error) : status;
    }
    if (status == SAVEPOINT_OK) {
        *snapshot = found;
    }
    return status;
}

enum savepoint_status svp_catalog_find_id(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                          const struct savepoint_id *id, struct savepoint_error *error)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    struct savepoint_snapshot found;
    savepoint_id_format(id, text);
    enum savepoint_status status = svp_catalog_newest(catalog, &found, error);
    while (status == SAVEPOINT_OK && (memcmp(found.id.bytes, id->bytes, sizeof id->bytes) != 0 ||
                                      (found.flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0)) {
        status = svp_catalog_previous(catalog, &found, found.file_offset, error);
    }
    if (status == SAVEPOINT_NOT_FOUND || status == SAVEPOINT_EMPTY) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: there is no snapshot %s", catalog->source->path,
                               text);
    }
    if (status == SAVEPOINT_OK) {
        *snapshot = found;
    }
    return status;
}
