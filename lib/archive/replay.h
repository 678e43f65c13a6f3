/* replay.h - checking snapshots one after the other, each from the one before: the cost is what changed */
#ifndef SVP_REPLAY_H
#define SVP_REPLAY_H

#include "archive/reader.h"
#include "archive/verify.h"
#include "format/tree.h"

struct svp_replay_region {
    struct svp_tree tree;
    uint64_t *offsets; /* per page: its newest record */
    uint32_t *depths;  /* per page: depth of the commit that stored it; 0: at or before where the replay began */
};

struct svp_replay {  /* start with all zero */
    uint64_t commit; /* the pages stand at this one; 0: nowhere */
    uint64_t regions_offset;
    struct svp_region_table table;
    struct svp_replay_region *regions; /* as the table */
};

void svp_replay_close(struct svp_replay *replay);

/* Checks the snapshot at `commit_offset` as svp_verify_snapshot does. Where its base is the snapshot the replay stands
 * at, and the regions are the same, only the pages stored since are decoded; their INDEX is compared with them. */
enum savepoint_status svp_replay_check(struct svp_replay *replay, struct svp_reader *reader, uint64_t commit_offset,
                                       const uint8_t history_uuid[16], uint64_t *pages_checked,
                                       struct svp_verify_pace *pace, struct savepoint_error *error);

#endif
