/* graft.h - snapshots from elsewhere, appended to an archive as a branch, each coded against the one before
 *
 * Invariant: between snapshots `recode.places` are the pages of the snapshot at `base`, and `table` its regions; with
 * base 0 there are none. After any failure a graft is only good to be closed. */
#ifndef SVP_GRAFT_H
#define SVP_GRAFT_H

#include "archive/append.h"
#include "archive/reader.h"
#include "archive/recode.h"

struct svp_graft { /* one thread at a time */
    struct svp_append *append;
    struct svp_reader reader;
    struct svp_recode recode;
    bool was_empty;   /* then HEAD comes along */
    uint32_t next_id; /* above every region id given in the archive; may be raised before each snapshot */
    uint64_t parent;  /* offset of its COMMIT; 0: the next snapshot is a root */
    struct svp_hash parent_id;
    uint64_t base; /* the same, or 0 where that cannot be rested on */
    uint32_t depth;
    uint64_t regions;             /* offset of its REGIONS... */
    struct svp_hash regions_hash; /* ...and what that holds */
    struct svp_region_table table;
    uint64_t metadata; /* of the snapshot being written: offset of its META */
    struct svp_hash metadata_hash;
};

/* Stands at a snapshot of the archive, the COMMIT at `parent`; 0: at none. What is damaged of it is not rested on. */
enum savepoint_status
svp_graft_open(struct svp_graft *graft, struct svp_append *append, uint64_t parent, struct savepoint_error *error);
void svp_graft_close(struct svp_graft *graft);

/* A snapshot: begin; its pages, those of a region after each other; then finish. The entries get the ids that their
 * names have in the snapshot before, or new ones. `metadata`: the body of a META, empty: none. */
enum savepoint_status svp_graft_begin(struct svp_graft *graft, struct svp_region_table *table,
                                      const struct svp_buffer *metadata, struct savepoint_error *error);
/* Not stored are a page that is as it was in the snapshot before, and one that is zeros and always was. Pages that are
 * not told stay as they were there. */
enum savepoint_status svp_graft_page(struct svp_graft *graft, const struct svp_region_entry *entry, uint64_t page,
                                     const uint8_t *bytes, const struct svp_hash *hash, struct savepoint_error *error);
/* `commit` holds state root, time, pause, label and flags on entry, and all of it on OK, when the table is taken over.
 * Errors as svp_append_finish. */
enum savepoint_status svp_graft_finish(struct svp_graft *graft, struct svp_commit *commit, uint64_t *offset,
                                       struct svp_region_table *table, bool sync, struct savepoint_error *error);

/* The region of this name that the snapshot before has, which it rests on; NULL: none. */
const struct svp_region_entry *svp_graft_before(const struct svp_graft *graft, const struct svp_region_entry *entry);

#endif
