/* receive.h - a stream being appended to an archive: what its parts share
 *
 * Invariant: between transactions `base` is the snapshot that the stream told last, as it is in this archive, and every
 * page's place stands at it. */
#ifndef SVP_RECEIVE_H
#define SVP_RECEIVE_H

#include "archive/append.h"
#include "archive/copy.h"
#include "archive/inflow.h"
#include "archive/lineage.h"

struct svp_receive_sequence; /* receive_known.c */

struct svp_receive_base {           /* a snapshot in the archive */
    uint64_t commit, stream_commit; /* offsets of its COMMIT; 0: none */
    struct svp_hash id;
    uint32_t depth;
    uint64_t regions; /* offset of its REGIONS */
    struct svp_buffer regions_body;
    struct svp_region_table table;
};

struct svp_receive {
    struct savepoint_receive_options options;
    struct savepoint_stream_result result;
    struct svp_verify_pace pace;
    struct svp_inflow inflow;
    struct svp_segment segment; /* of the stream */
    struct svp_append append;
    bool was_empty;
    struct svp_reader reader; /* of the archive */
    struct svp_lineage here;  /* what it holds */
    struct svp_line **by_id;  /* the same */
    size_t sequence_count;
    struct svp_receive_sequence *sequences; /* of those, and of those whose bytes are gone */
    struct svp_buffer received;             /* struct svp_receive_pair */
    struct svp_recode recode;
    struct svp_unpacker *unpacker;
    struct svp_receive_base base;
    uint64_t sequence;             /* of the snapshot told last */
    uint32_t next_id;              /* a table that is written may not be below that */
    struct svp_buffer stream_body; /* the newest REGIONS of the stream */

    /* the transaction being read */
    struct svp_region_table table;
    uint64_t regions, stream_regions, metadata, stream_metadata;
    struct svp_hash metadata_hash;
    struct svp_buffer touched; /* struct svp_receive_touch per page */
    bool has_commit;
    struct svp_commit commit;
    struct savepoint_error *error;
};

struct svp_receive_pair { /* a COMMIT in the stream and here */
    uint64_t stream, here;
};
struct svp_receive_touch {
    uint64_t page;
    uint64_t region_id;
};

/* receive_base.c: the header of the stream; the archive, and what is in it; standing at what the stream goes on from */
enum savepoint_status svp_receive_segment(struct svp_receive *receive);
enum savepoint_status svp_receive_open(struct svp_receive *receive, const char *path);
enum savepoint_status svp_receive_start(struct svp_receive *receive);
/* MISMATCH: the sequence of the commit being read is another snapshot's, or was that of one whose bytes are gone; or
 * its regions are older than those here. */
enum savepoint_status svp_receive_check_clash(struct svp_receive *receive);
/* Stands at a snapshot and all its pages. */
enum savepoint_status svp_receive_stand_at(struct svp_receive *receive, const struct svp_line *line);
/* The commit being read is here already: stands at that, of which only the touched pages are new. */
enum savepoint_status svp_receive_move_to(struct svp_receive *receive, const struct svp_line *line);

/* receive_known.c: what is in the archive. Looked up in what was made of `here` and of the tombstones of snapshots
 * whose bytes are gone; false: no memory. */
enum svp_receive_place { SVP_RECEIVE_NOWHERE, SVP_RECEIVE_HERE, SVP_RECEIVE_GONE };
bool svp_receive_know(struct svp_receive *receive, const struct svp_tombstone *gone, size_t gone_count);
void svp_receive_unknow(struct svp_receive *receive);
struct svp_line *svp_receive_find(const struct svp_receive *receive, const struct svp_hash *id); /* NULL: it is not */
enum svp_receive_place svp_receive_where(const struct svp_receive *receive, uint64_t sequence);

/* receive_pages.c: the records in front of the COMMIT, and what they come to */
enum savepoint_status svp_receive_regions(struct svp_receive *receive);
enum savepoint_status svp_receive_pages(struct svp_receive *receive);
/* CORRUPT unless the pages read add up to the state root of the commit being read, and none was stored twice. */
enum savepoint_status svp_receive_check_state(struct svp_receive *receive);

#endif
