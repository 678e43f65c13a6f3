/* rewrite.h - the kept snapshots of an archive, written to a new file */
#ifndef SVP_REWRITE_H
#define SVP_REWRITE_H

#include "archive/append.h"
#include "archive/archive.h"
#include "archive/lineage.h"
#include "archive/verify.h"

/* Writes all kept snapshots, the references that lead to them, and a tombstone for each that is not kept. `append` NULL
 * writes nothing; *bytes is how large the file is, or would be (with branches: about). The new file is open, new, and
 * has the history's UUID; it is durable afterwards. */
enum savepoint_status
svp_rewrite(struct savepoint_archive *archive, struct svp_lineage *lineage, struct svp_append *append, uint64_t *bytes,
            struct svp_verify_pace *pace, struct savepoint_error *error);

#endif
