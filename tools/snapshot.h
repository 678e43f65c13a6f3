/* snapshot.h - snapshots as people and machines see them: names, states, JSON */
#ifndef TOOL_SNAPSHOT_H
#define TOOL_SNAPSHOT_H

#include <stddef.h>

#include "archive.h"
#include "json.h"
#include "savepoint.h"

/* The references of an archive, ordered by the snapshot they name. */
struct snapshot_names {
    struct savepoint_ref *refs;
    size_t count;
};

/* Returns TOOL_GO_ON, or an exit code after having said why. */
int snapshot_load_names(struct snapshot_names *names, const struct archive *archive);
void snapshot_free_names(struct snapshot_names *names);

/* The first reference to a snapshot; *count is how many follow each other. */
const struct savepoint_ref *
snapshot_refs(size_t *count, const struct snapshot_names *names, const struct savepoint_id *id);

/* The name of a label, the note of a pin: empty where it has none and goes by the id of its snapshot. */
const char *snapshot_ref_name(const struct savepoint_ref *ref);

/* "HEAD, best, pin keep": escaped, cut to `bytes`. */
void snapshot_print_names(char *out, size_t bytes, const struct snapshot_names *names,
                          const struct savepoint_snapshot *snapshot);

/* "sealed", "unsealed", or "dropped". */
const char *snapshot_state(const struct savepoint_snapshot *snapshot);

/* The members of a snapshot, into an object that is open. */
void snapshot_json(struct json *json, const struct snapshot_names *names, const struct savepoint_snapshot *snapshot);

/* The members that tell the references to a snapshot. */
void snapshot_json_names(struct json *json, const struct snapshot_names *names, const struct savepoint_id *id);

/* One line for people: short id, sequence, time, label. */
void snapshot_print_line(const struct savepoint_snapshot *snapshot);

#endif
