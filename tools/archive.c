/* archive.c - opens an archive for a verb, and tells what is unusual about it */
#include "archive.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "terminal.h"
#include "text.h"
#include "when.h"

static const char label_mark[] = "label:";

int archive_open(struct archive *archive, const struct tool *tool, const char *path)
{
    struct savepoint_error error;
    archive->tool = tool;
    archive->path = path;
    if (savepoint_archive_open(&archive->reader, path, &error) != SAVEPOINT_OK) {
        return fail_with(tool, path, &error);
    }
    savepoint_archive_describe(archive->reader, &archive->info);
    return TOOL_GO_ON;
}

void archive_close(struct archive *archive)
{
    savepoint_archive_close(archive->reader);
}

void archive_report_tail(const struct archive *archive)
{
    const struct savepoint_archive_info *info = &archive->info;
    char size[TEXT_SHORT_BYTES];
    text_size(size, info->torn_bytes);
    if (info->torn_bytes > 0 && info->writer_active) {
        fail_note(archive->tool, archive->path, "a writer is at work; what it has not finished is not shown");
    } else if (info->torn_bytes > 0) {
        fail_note(archive->tool, archive->path,
                  "the last %s (from offset %" PRIu64 ") are a torn tail: a write that was never finished, or "
                  "whose end was lost. Every "
                  "snapshot before it is whole; the next program that opens the archive saves the tail beside it "
                  "and cuts it off",
                  size, info->file_bytes - info->torn_bytes);
    }
}

int archive_report(const struct archive *archive)
{
    struct savepoint_archive_info info;
    archive_report_tail(archive);
    savepoint_archive_describe(archive->reader, &info); /* it may have met damage since it was opened */
    if (info.damage_offset == UINT64_MAX) {
        return TOOL_DONE;
    }
    fail_warn(archive->tool, archive->path,
              "damaged at offset %" PRIu64 ": what was written there has changed. 'savepoint verify' tells which "
              "snapshots it touches; the others are good",
              info.damage_offset);
    return TOOL_FINDING;
}

/* "@{10 min ago}~2": the newest snapshot on the way to HEAD at that time, then its ancestors. */
static int find_time(const struct archive *archive, struct savepoint_snapshot *snapshot, const char *expression)
{
    struct savepoint_snapshot found;
    struct savepoint_error error;
    uint64_t time_ns = 0;
    const char *text = expression + 2;
    size_t length = strcspn(text, "}");
    const char *rest = text + length + (text[length] == '}' ? 1 : 0);
    bool whole = text[length] == '}' && (*rest == '\0' || *rest == '~');
    if (!whole || !when_parse(&time_ns, text, length, terminal_time_ns())) {
        return fail_usage(archive->tool, "'%s' is no point in time. Examples of those that are: %s", expression,
                          WHEN_FORMS);
    }
    enum savepoint_status status = savepoint_archive_find_time(archive->reader, &found, time_ns, &error);
    if (status == SAVEPOINT_OK && *rest != '\0') {
        char ancestor[SAVEPOINT_ID_TEXT_BYTES + SAVEPOINT_LABEL_BYTES];
        char id[SAVEPOINT_ID_TEXT_BYTES];
        savepoint_id_format(&found.id, id);
        snprintf(ancestor, sizeof ancestor, "%s%s", id, rest);
        status = savepoint_archive_find(archive->reader, &found, ancestor, &error);
    }
    if (status != SAVEPOINT_OK) {
        return fail_with(archive->tool, archive->path, &error);
    }
    *snapshot = found;
    return TOOL_GO_ON;
}

/* A name that may be what was meant instead of `name`. */
struct hint {
    const char *name;
    unsigned best;
    char text[sizeof label_mark + SAVEPOINT_LABEL_BYTES]; /* "" : nothing is near */
};

static void consider(struct hint *hint, const char *candidate)
{
    bool same = strcmp(hint->name, candidate) == 0; /* a label that looks like an id is found by label: only */
    if (candidate[0] != '\0' && (same || text_is_nearer(&hint->best, hint->name, candidate))) {
        hint->best = same ? 0 : hint->best;
        snprintf(hint->text, sizeof hint->text, "%s%s", same ? label_mark : "", candidate);
    }
}

static void consider_all(const struct archive *archive, struct hint *hint)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_ref ref;
    consider(hint, "HEAD");
    for (size_t i = 0; savepoint_archive_ref_at(archive->reader, &ref, i, NULL) == SAVEPOINT_OK; i++) {
        if (ref.kind == SAVEPOINT_REF_LABEL) {
            consider(hint, ref.name);
        }
    }
    enum savepoint_status status = savepoint_archive_newest(archive->reader, &snapshot, NULL);
    while (status == SAVEPOINT_OK) {
        if (!(snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED)) {
            consider(hint, snapshot.label);
        }
        status = savepoint_archive_previous(archive->reader, &snapshot, NULL);
    }
}

/* Says that there is no such snapshot, and what may have been meant. */
static int fail_to_find(const struct archive *archive, const char *expression, const struct savepoint_error *error)
{
    char name[SAVEPOINT_LABEL_BYTES];
    struct savepoint_snapshot found;
    struct hint hint = { name, UINT_MAX, "" };
    snprintf(name, sizeof name, "%.*s", (int)strcspn(expression, "~"), expression);
    bool only_too_few_ancestors =
        strchr(expression, '~') != NULL && savepoint_archive_find(archive->reader, &found, name, NULL) == SAVEPOINT_OK;
    if (error->status == SAVEPOINT_NOT_FOUND && !only_too_few_ancestors) {
        uint64_t time_ns = 0;
        if (when_parse(&time_ns, name, strlen(name), terminal_time_ns())) {
            snprintf(hint.text, sizeof hint.text, "@{%s}", name);
        } else {
            consider_all(archive, &hint);
        }
    }
    if (hint.text[0] == '\0') {
        return fail_with(archive->tool, archive->path, error);
    }
    fail_warn(archive->tool, archive->path, "no snapshot is called '%s'; did you mean '%s'?", name, hint.text);
    return TOOL_USAGE;
}

int archive_find(const struct archive *archive, struct savepoint_snapshot *snapshot, const char *expression)
{
    struct savepoint_error error;
    if (strncmp(expression, "@{", 2) == 0 && expression[2] != '}') {
        return find_time(archive, snapshot, expression);
    }
    if (savepoint_archive_find(archive->reader, snapshot, expression, &error) != SAVEPOINT_OK) {
        return fail_to_find(archive, expression, &error);
    }
    return TOOL_GO_ON;
}

enum savepoint_status
archive_load_regions(const struct archive *archive, struct savepoint_region **regions, size_t *count,
                     const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct savepoint_region *list = NULL;
    struct savepoint_region one;
    size_t used = 0;
    size_t capacity = 0;
    enum savepoint_status status;
    while ((status = savepoint_archive_region_at(archive->reader, &one, snapshot, used, error)) == SAVEPOINT_OK) {
        if (used == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            list = fail_resize(list, capacity, sizeof *list);
        }
        list[used++] = one;
    }
    if (status != SAVEPOINT_NOT_FOUND) {
        free(list);
        return status;
    }
    *regions = list;
    *count = used;
    return SAVEPOINT_OK;
}

int archive_regions(const struct archive *archive, struct savepoint_region **regions, size_t *count,
                    const struct savepoint_snapshot *snapshot)
{
    struct savepoint_error error;
    enum savepoint_status status = archive_load_regions(archive, regions, count, snapshot, &error);
    return status == SAVEPOINT_OK ? TOOL_GO_ON : fail_with(archive->tool, archive->path, &error);
}

void archive_json(struct json *json, const char *key, const struct archive *archive)
{
    const struct savepoint_archive_info *info = &archive->info;
    struct savepoint_id uuid;
    json_open_object(json, key);
    json_text(json, "path", archive->path);
    json_id(json, "file_uuid", memcpy(&uuid, info->file_uuid, sizeof uuid));
    json_id(json, "history_uuid", memcpy(&uuid, info->history_uuid, sizeof uuid));
    json_number(json, "format_version", info->format_version);
    json_text(json, "creator", info->creator);
    json_text(json, "abi", info->abi);
    json_number(json, "host_page_bytes", info->host_page_bytes);
    json_number(json, "snapshot_count", info->snapshot_count);
    json_number(json, "file_bytes", info->file_bytes);
    json_number(json, "committed_bytes", info->committed_bytes);
    json_number(json, "sealed_bytes", info->sealed_bytes);
    json_number(json, "torn_bytes", info->torn_bytes);
    if (info->damage_offset == UINT64_MAX) {
        json_null(json, "damage_offset");
    } else {
        json_number(json, "damage_offset", info->damage_offset);
    }
    json_bool(json, "writer_active", info->writer_active != 0);
    json_close_object(json);
}
