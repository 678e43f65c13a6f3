/* hashes.h - the object behind the public struct savepoint_hashes: the hash trees of one snapshot
 *
 * Invariant: once it is handed out the trees' roots are computed, and with the table they come to `digest`. */
#ifndef SVP_HASHES_H
#define SVP_HASHES_H

#include "archive/reader.h"
#include "format/tree.h"

struct savepoint_hashes {
    struct svp_hash digest;
    struct svp_region_table table; /* by name */
    struct svp_tree *trees;        /* as many as it has entries */
};

/* Trees of zeros for the regions of a table, which is taken over. NULL: no memory. */
struct savepoint_hashes *svp_hashes_new(struct svp_region_table *table);
/* Computes roots and digest. CORRUPT: it is not that one; NO_MEMORY. */
enum savepoint_status
svp_hashes_finish(struct savepoint_hashes *hashes, const struct svp_hash *digest, struct savepoint_error *error);
/* Those of the snapshot at `commit_offset`, every page decoded. */
enum savepoint_status svp_hashes_read(struct savepoint_hashes **hashes, struct svp_reader *reader,
                                      uint64_t commit_offset, struct savepoint_error *error);

#endif
