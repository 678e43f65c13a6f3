/* snapshot.c - snapshots as people and machines see them: names, states, JSON */
#include "snapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "text.h"

static int by_target(const void *left, const void *right)
{
    const struct savepoint_ref *a = left;
    const struct savepoint_ref *b = right;
    int order = memcmp(&a->target, &b->target, sizeof a->target);
    return order != 0 ? order : strcmp(a->name, b->name);
}

int snapshot_load_names(struct snapshot_names *names, const struct archive *archive)
{
    struct savepoint_ref one;
    struct savepoint_error error;
    size_t capacity = 0;
    enum savepoint_status status;
    names->refs = NULL;
    names->count = 0;
    while ((status = savepoint_archive_ref_at(archive->reader, &one, names->count, &error)) == SAVEPOINT_OK) {
        if (names->count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            names->refs = fail_resize(names->refs, capacity, sizeof *names->refs);
        }
        names->refs[names->count++] = one;
    }
    if (status != SAVEPOINT_NOT_FOUND) {
        snapshot_free_names(names);
        return fail_with(archive->tool, archive->path, &error);
    }
    if (names->count > 1) {
        qsort(names->refs, names->count, sizeof *names->refs, by_target);
    }
    return TOOL_GO_ON;
}

void snapshot_free_names(struct snapshot_names *names)
{
    free(names->refs);
    names->refs = NULL;
    names->count = 0;
}

const struct savepoint_ref *
snapshot_refs(size_t *count, const struct snapshot_names *names, const struct savepoint_id *id)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&names->refs[middle].target, id, sizeof *id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *count = 0;
    while (low + *count < names->count && memcmp(&names->refs[low + *count].target, id, sizeof *id) == 0) {
        ++*count;
    }
    return names->count == 0 ? NULL : names->refs + low;
}

const char *snapshot_ref_name(const struct savepoint_ref *ref)
{
    char id[SAVEPOINT_ID_TEXT_BYTES];
    savepoint_id_format(&ref->target, id);
    return ref->kind == SAVEPOINT_REF_PIN && strcmp(ref->name, id) == 0 ? "" : ref->name;
}

static void append(char *out, size_t bytes, const char *word, const char *name)
{
    char escaped[TEXT_ESCAPED_BYTES];
    size_t used = strlen(out);
    snprintf(out + used, bytes - used, "%s%s%s", used == 0 ? "" : ", ", word, text_escape(escaped, name));
}

void snapshot_print_names(char *out, size_t bytes, const struct snapshot_names *names,
                          const struct savepoint_snapshot *snapshot)
{
    size_t count = 0;
    const struct savepoint_ref *refs = snapshot_refs(&count, names, &snapshot->id);
    out[0] = '\0';
    if (snapshot->flags & SAVEPOINT_SNAPSHOT_HEAD) {
        append(out, bytes, "HEAD", "");
    }
    /* Of one id there may be many snapshots in a forged archive, and many references: what has no room is not gone
     * over. */
    for (size_t i = 0; i < count && strlen(out) + 1 < bytes; i++) {
        bool pin = refs[i].kind == SAVEPOINT_REF_PIN;
        const char *name = snapshot_ref_name(&refs[i]);
        append(out, bytes, !pin ? "" : name[0] == '\0' ? "pin" : "pin ", name);
    }
}

const char *snapshot_state(const struct savepoint_snapshot *snapshot)
{
    if (snapshot->flags & SAVEPOINT_SNAPSHOT_DROPPED) {
        return "dropped";
    }
    return snapshot->flags & SAVEPOINT_SNAPSHOT_SEALED ? "sealed" : "unsealed";
}

void snapshot_json_names(struct json *json, const struct snapshot_names *names, const struct savepoint_id *id)
{
    size_t count = 0;
    bool pinned = false;
    const struct savepoint_ref *refs = snapshot_refs(&count, names, id);
    json_open_array(json, "names");
    for (size_t i = 0; i < count; i++) {
        pinned = pinned || refs[i].kind == SAVEPOINT_REF_PIN;
        if (refs[i].kind == SAVEPOINT_REF_LABEL) {
            json_text(json, NULL, refs[i].name);
        }
    }
    json_close_array(json);
    json_bool(json, "pinned", pinned);
}

static void json_flags(struct json *json, uint32_t flags)
{
    json_bool(json, "head", (flags & SAVEPOINT_SNAPSHOT_HEAD) != 0);
    json_bool(json, "sealed", (flags & SAVEPOINT_SNAPSHOT_SEALED) != 0);
    json_bool(json, "unsynced", (flags & SAVEPOINT_SNAPSHOT_UNSYNCED) != 0);
    json_bool(json, "autosave", (flags & SAVEPOINT_SNAPSHOT_AUTOSAVE) != 0);
    json_bool(json, "no_head", (flags & SAVEPOINT_SNAPSHOT_NO_HEAD) != 0);
    json_bool(json, "dropped", (flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0);
}

void snapshot_json(struct json *json, const struct snapshot_names *names, const struct savepoint_snapshot *snapshot)
{
    char time[TEXT_SHORT_BYTES];
    json_id(json, "id", &snapshot->id);
    json_id(json, "parent", &snapshot->parent);
    json_id(json, "digest", &snapshot->digest);
    json_number(json, "sequence", snapshot->sequence);
    json_text(json, "time", text_time_utc(time, snapshot->time_ns));
    json_number(json, "time_ns", snapshot->time_ns);
    json_text(json, "label", snapshot->label);
    snapshot_json_names(json, names, &snapshot->id);
    json_flags(json, snapshot->flags);
    json_number(json, "changed_pages", snapshot->changed_pages);
    json_number(json, "region_pages", snapshot->region_pages);
    json_number(json, "region_count", snapshot->region_count);
    json_number(json, "stored_bytes", snapshot->stored_bytes);
    json_number(json, "pause_ns", snapshot->pause_ns);
    json_number(json, "metadata_bytes", snapshot->metadata_bytes);
}

void snapshot_print_line(const struct savepoint_snapshot *snapshot)
{
    char id[TEXT_SHORT_BYTES], time[TEXT_SHORT_BYTES], label[TEXT_ESCAPED_BYTES];
    printf("%s  sequence %" PRIu64 "  %s%s%s\n", text_short_id(id, &snapshot->id), snapshot->sequence,
           text_time(time, snapshot->time_ns), snapshot->label[0] == '\0' ? "" : "  ",
           text_escape(label, snapshot->label));
}
