/* rebuild.h - an index made anew from the records it should have named (SPEC.md section 4.5: the INDEX is a cache) */
#ifndef SVP_REBUILD_H
#define SVP_REBUILD_H

#include "archive/reader.h"

/* Makes the list of the PAGES records of a commit's own transaction; it continues at the commit's base. CORRUPT when
 * one of those records is damaged too: nobody can tell which pages were in it. */
enum savepoint_status
svp_rebuild_index(struct svp_reader *reader, struct svp_index *index, const struct svp_commit *commit,
                  uint64_t commit_offset, struct savepoint_error *error);

#endif
