/* archive.c - opens an archive for a verb, and tells what is unusual about it */
#include "archive.h"

#include <inttypes.h>
#include <stdlib.h>

#include "fail.h"
#include "text.h"

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
                  "the last %s (from offset %" PRIu64 ") are a torn tail: a write that was never finished. Every "
                  "snapshot before it is whole; the next program that opens the archive saves the tail beside it "
                  "and cuts it off",
                  size, info->file_bytes - info->torn_bytes);
    }
}

int archive_report(const struct archive *archive)
{
    archive_report_tail(archive);
    if (archive->info.damage_offset == UINT64_MAX) {
        return TOOL_DONE;
    }
    fail_warn(archive->tool, archive->path,
              "damaged at offset %" PRIu64 ": what was written there has changed. 'savepoint verify' tells which "
              "snapshots it touches; the others are good",
              archive->info.damage_offset);
    return TOOL_FINDING;
}

int archive_find(const struct archive *archive, struct savepoint_snapshot *snapshot, const char *expression)
{
    struct savepoint_error error;
    if (savepoint_archive_find(archive->reader, snapshot, expression, &error) != SAVEPOINT_OK) {
        return fail_with(archive->tool, archive->path, &error);
    }
    return TOOL_GO_ON;
}

int archive_regions(const struct archive *archive, struct savepoint_region **regions, size_t *count,
                    const struct savepoint_snapshot *snapshot)
{
    struct savepoint_region *list = NULL;
    struct savepoint_region one;
    struct savepoint_error error;
    size_t used = 0;
    size_t capacity = 0;
    enum savepoint_status status;
    while ((status = savepoint_archive_region_at(archive->reader, &one, snapshot, used, &error)) == SAVEPOINT_OK) {
        if (used == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            list = fail_resize(list, capacity, sizeof *list);
        }
        list[used++] = one;
    }
    if (status != SAVEPOINT_NOT_FOUND) {
        free(list);
        return fail_with(archive->tool, archive->path, &error);
    }
    *regions = list;
    *count = used;
    return TOOL_GO_ON;
}
