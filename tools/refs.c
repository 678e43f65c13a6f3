/* refs.c - labels and pins: listing and writing them */
#include "refs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

static void add_row(struct table *table, const struct savepoint_ref *ref, const struct savepoint_snapshot *snapshot)
{
    char name[TEXT_ESCAPED_BYTES], id[TEXT_SHORT_BYTES], sequence[TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES],
        label[TEXT_ESCAPED_BYTES];
    snprintf(sequence, sizeof sequence, "%" PRIu64, snapshot->sequence);
    const char *cells[] = {
        text_short_id(id, &snapshot->id),    sequence,
        text_time(time, snapshot->time_ns),  text_escape(name, snapshot_ref_name(ref)),
        text_escape(label, snapshot->label),
    };
    table_row(table, cells);
}

static void
json_row(const struct refs_style *style, const struct savepoint_ref *ref, const struct savepoint_snapshot *snapshot)
{
    struct json json = { stdout, false };
    char time[TEXT_SHORT_BYTES];
    json_open_object(&json, NULL);
    json_text(&json, style->key, snapshot_ref_name(ref));
    json_id(&json, "id", &snapshot->id);
    json_number(&json, "sequence", snapshot->sequence);
    json_text(&json, "time", text_time_utc(time, snapshot->time_ns));
    json_text(&json, "label", snapshot->label);
    json_end_line(&json);
}

static size_t count_kind(const struct snapshot_names *names, uint32_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        count += names->refs[i].kind == kind;
    }
    return count;
}

/* One walk over the snapshots meets them all. */
int refs_list(const struct archive *archive, const struct snapshot_names *names, const struct refs_style *style,
              bool json)
{
    const struct table_column columns[] = {
        { "ID", false, 0, 0, TABLE_ID },        { "SEQ", true, 0, 1, TABLE_PLAIN },
        { "TIME", false, 0, 2, TABLE_PLAIN },   { style->title, false, 12, 0, TABLE_NAMES },
        { "LABEL", false, 12, 3, TABLE_PLAIN },
    };
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    struct table table;
    size_t left = count_kind(names, style->kind);
    if (left == 0) {
        fail_note(archive->tool, archive->path, "%s", style->none);
        return archive_report(archive);
    }
    table_open(&table, archive->tool, columns, sizeof columns / sizeof columns[0]);
    enum savepoint_status status = savepoint_archive_newest(archive->reader, &snapshot, &error);
    while (status == SAVEPOINT_OK && left > 0 && !terminal_stopped()) {
        size_t count = 0;
        const struct savepoint_ref *refs = snapshot_refs(&count, names, &snapshot.id);
        for (size_t i = 0; i < count; i++) {
            if (refs[i].kind != style->kind) {
                continue;
            }
            if (json) {
                json_row(style, &refs[i], &snapshot);
            } else {
                add_row(&table, &refs[i], &snapshot);
            }
            left--;
        }
        status = left > 0 ? savepoint_archive_previous(archive->reader, &snapshot, &error) : status;
    }
    table_close(&table);
    if (status != SAVEPOINT_OK) {
        return fail_with(archive->tool, archive->path, &error);
    }
    return archive_report(archive);
}

const struct savepoint_ref *refs_find(const struct snapshot_names *names, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->refs[i].kind == kind && strcmp(names->refs[i].name, name) == 0) {
            return &names->refs[i];
        }
    }
    return NULL;
}

int refs_set(const struct tool *tool, const char *path, uint32_t kind, const char *name,
             const struct savepoint_id *target)
{
    struct savepoint_ref ref = { .kind = kind };
    struct savepoint_error error;
    if (strlen(name) >= sizeof ref.name) {
        return fail_usage(tool, "a name has at most %zu bytes, this one %zu", sizeof ref.name - 1, strlen(name));
    }
    memcpy(ref.name, name, strlen(name));
    if (target != NULL) {
        ref.target = *target;
    }
    enum savepoint_status status = savepoint_archive_set_ref(path, &ref, &error);
    return status == SAVEPOINT_OK ? TOOL_GO_ON : fail_with(tool, path, &error);
}

void refs_print_undo(const char *const *words)
{
    fputs("To undo: savepoint", stdout);
    for (; *words != NULL; words++) {
        putchar(' ');
        text_print_argument(stdout, *words);
    }
    putchar('\n');
}
