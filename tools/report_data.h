/* report_data.h - what a report tells about an archive: gathered from it, and printed as JSON */
#ifndef TOOL_REPORT_DATA_H
#define TOOL_REPORT_DATA_H

#include <stdio.h>

#include "archive.h"
#include "branches.h"
#include "heat.h"
#include "snapshot.h"
#include "timeline.h"

enum { REPORT_FINDINGS = 32, REPORT_HOTTEST = 25, REPORT_MARKS = 400 };

struct report_finding { /* something that could not be read */
    struct savepoint_id snapshot;
    uint64_t file_offset;
    char *message;
};

struct report {
    struct archive archive;
    const char *title;
    struct snapshot_names names;
    struct timeline timeline;
    struct heat heat;
    struct branches branches;
    struct savepoint_snapshot head;
    bool has_head;
    bool has_older; /* there are snapshots before those asked for */
    struct report_finding findings[REPORT_FINDINGS];
    size_t finding_count; /* may be more than are kept */
};

/* Reads the newest `limit` snapshots of an archive that is open. Returns TOOL_GO_ON, or an exit code after having said
 * why; to be freed in both cases. Damage becomes findings, as long as one snapshot can be reached. */
int report_gather(struct report *report, uint64_t limit);
void report_free(struct report *report);

/* One JSON object, on one line: docs/json.md describes it. */
void report_json(FILE *stream, const struct report *report);

#endif
