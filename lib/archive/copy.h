/* copy.h - pages of one archive's snapshots, written to another file or a stream, each snapshot from the one before */
#ifndef SVP_COPY_H
#define SVP_COPY_H

#include "archive/reader.h"
#include "archive/recode.h"
#include "archive/verify.h"

/* Of a page that the target holds, but in no record of the stream: no record stands there (SPEC.md section 7). */
#define SVP_COPY_OUTSIDE UINT64_C(8)

struct svp_copy {
    struct svp_reader *reader;  /* of the archive copied from */
    struct svp_reader *written; /* of the file copied to; NULL: it cannot be read back */
    struct svp_verify_pace *pace;
    struct svp_recode recode;
    uint64_t at;                   /* the COMMIT copied last, or stood at; 0: none */
    struct svp_region_table table; /* its regions */
};

/* False: no memory. */
bool svp_copy_open(struct svp_copy *copy, struct svp_reader *reader, const struct svp_sink *sink,
                   struct svp_reader *written, struct svp_verify_pace *pace);
void svp_copy_close(struct svp_copy *copy);

/* Goes on from the snapshot at `commit_offset`, which the target has at `written_offset`, at this depth; 0: from
 * nothing. */
enum savepoint_status svp_copy_stand_at(struct svp_copy *copy, uint64_t commit_offset, uint64_t written_offset,
                                        uint32_t depth, struct savepoint_error *error);

/* Writes the pages in which the snapshot at `commit_offset` differs from the one stood at, which is on its base chain;
 * then stands at it. `depth` is that it will have in the target. */
enum savepoint_status
svp_copy_pages(struct svp_copy *copy, uint64_t commit_offset, uint32_t depth, struct savepoint_error *error);

/* Writes the record at `from`, as it is. */
enum savepoint_status svp_copy_record(struct svp_copy *copy, enum svp_record_type type, uint64_t from, uint64_t *offset,
                                      struct savepoint_error *error);

#endif
