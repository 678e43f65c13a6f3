/* refs.h - labels and pins: listing and writing them */
#ifndef TOOL_REFS_H
#define TOOL_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "savepoint.h"
#include "snapshot.h"

/* How a kind of references is listed. */
struct refs_style {
    uint32_t kind;
    const char *title; /* of the column that holds the name */
    const char *key;   /* of the same in JSON */
    const char *none;  /* the note where there are none */
};

/* Prints the references of a kind, those of the newest snapshot first: a table, or a JSON object a line. Returns an
 * exit code. */
int refs_list(const struct archive *archive, const struct snapshot_names *names, const struct refs_style *style,
              bool json);

/* The reference of that kind and name, NULL where there is none. */
const struct savepoint_ref *refs_find(const struct snapshot_names *names, uint32_t kind, const char *name);

/* Makes a name point to a snapshot, or deletes it (`target` NULL). Returns TOOL_GO_ON, or an exit code after having
 * said why. */
int refs_set(const struct tool *tool, const char *path, uint32_t kind, const char *name,
             const struct savepoint_id *target);

/* "To undo: savepoint WORD...", to copy and paste; the list ends with NULL. */
void refs_print_undo(const char *const *words);

#endif
