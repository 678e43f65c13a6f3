/* archive.h - opens an archive for a verb, and tells what is unusual about it */
#ifndef TOOL_ARCHIVE_H
#define TOOL_ARCHIVE_H

#include "json.h"
#include "savepoint.h"
#include "verbs.h"

struct archive {
    const struct tool *tool;
    const char *path;
    struct savepoint_archive *reader;
    struct savepoint_archive_info info;
};

/* Returns TOOL_GO_ON, or an exit code after having said why. To be closed only after TOOL_GO_ON. */
int archive_open(struct archive *archive, const struct tool *tool, const char *path);
void archive_close(struct archive *archive);

/* Tells on stderr about unfinished bytes at the end. */
void archive_report_tail(const struct archive *archive);

/* The same, then about damage that opening met. Returns TOOL_FINDING where there is some, else TOOL_DONE. */
int archive_report(const struct archive *archive);

/* Finds a snapshot by expression: those of savepoint_archive_find(), and points in time (when.h), each with ~N behind
 * it. Returns TOOL_GO_ON, or an exit code after having said why. */
int archive_find(const struct archive *archive, struct savepoint_snapshot *snapshot, const char *expression);

/* The regions of a snapshot; *regions is to be freed. Returns as archive_find. */
int archive_regions(const struct archive *archive, struct savepoint_region **regions, size_t *count,
                    const struct savepoint_snapshot *snapshot);

/* The same for who wants to go on: says nothing. */
enum savepoint_status
archive_load_regions(const struct archive *archive, struct savepoint_region **regions, size_t *count,
                     const struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* The facts of the archive, as an object. */
void archive_json(struct json *json, const char *key, const struct archive *archive);

#endif
