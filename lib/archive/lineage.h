/* lineage.h - all snapshots of an archive in file order: who rests on whom, and which are to be kept */
#ifndef SVP_LINEAGE_H
#define SVP_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/catalog.h"

struct svp_line { /* one snapshot */
    struct svp_hash id, parent_id;
    uint64_t offset, base, parent; /* of COMMITs */
    uint64_t sequence, time_ns, pages_stored;
    bool dropped; /* a tombstone is there */
    bool bound;   /* HEAD, or a label or pin leads to it */
    bool kept;
    const struct svp_line *kept_base, *kept_parent; /* the nearest that is kept: of its bases, its ancestors; or NULL */

    /* once written to another file */
    uint64_t target, target_regions; /* offsets of its COMMIT and REGIONS there */
    uint64_t regions;                /* offset of its REGIONS here */
    uint32_t target_depth;
};

struct svp_lineage {
    size_t count, capacity;
    struct svp_line *lines; /* offsets ascend */
};

/* Loads all snapshots; those not dropped are kept for now. CORRUPT where any COMMIT, reference or tombstone is: nobody
 * can tell then what must not go. */
enum savepoint_status
svp_lineage_open(struct svp_lineage *lineage, const struct svp_catalog *catalog, struct savepoint_error *error);
/* Loads the snapshot at `commit_offset` and those on its base chain only. */
enum savepoint_status svp_lineage_open_chain(struct svp_lineage *lineage, const struct svp_catalog *catalog,
                                             uint64_t commit_offset, struct savepoint_error *error);
void svp_lineage_close(struct svp_lineage *lineage);

/* The snapshot whose COMMIT stands at `offset`; NULL: there is none. */
struct svp_line *svp_lineage_at(const struct svp_lineage *lineage, uint64_t offset);
/* Once it is known which are kept: finds kept_base and kept_parent of all. */
void svp_lineage_settle(struct svp_lineage *lineage);

#endif
