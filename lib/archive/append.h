/* append.h - writing transactions to an archive file: all of it, or none of it (SPEC.md section 3)
 *
 * Invariant: outside a transaction the file ends at kept_bytes; a transaction that fails is cut off again. When the
 * cut or a sync fails, the state of the file is unknown and the writer is poisoned for good. */
#ifndef SVP_APPEND_H
#define SVP_APPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/log.h"
#include "archive/source.h"

struct svp_append {                      /* one thread at a time */
    struct svp_source source;            /* reads the same file; its limit follows the commits */
    struct svp_segment segment;          /* this writer's */
    struct svp_segment previous_segment; /* of the writer before; all zero for a new archive */
    struct svp_end end;                  /* of the last transaction */
    bool has_end;
    uint64_t end_offset;
    uint64_t transaction;     /* number of the last transaction */
    uint64_t committed_bytes; /* where it ends */
    uint64_t durable_bytes;   /* all bytes before are known durable */
    bool segment_written;     /* this writer's own */
    uint64_t newest_segment;  /* offset; meaningful once segment_written or in its transaction */
    bool poisoned;

    bool seal_written; /* a SEAL stands behind committed_bytes */
    uint64_t seal_hash;

    /* the transaction being written */
    bool open;
    uint64_t at;            /* where the next record will stand */
    uint64_t written_bytes; /* the file holds everything before */
    struct svp_buffer unwritten;
    struct svp_buffer chain; /* header hashes */
    struct svp_buffer body;  /* for callers to build a body in */
};

/* Opens an archive for writing: creates, locks, mends the tail (saves and cuts a torn one, seals an unsealed one).
 * `repair` tells what was done. LOCKED, CORRUPT, NOT_AN_ARCHIVE, UNSUPPORTED, IO, NO_SPACE, NO_MEMORY. */
struct svp_repair {
    uint64_t torn_offset, torn_bytes;
    bool torn_cut, resealed;
};
enum savepoint_status svp_append_open(struct svp_append *append, struct svp_repair *repair, const char *path,
                                      bool must_exist, struct savepoint_error *error);
/* Syncs what was committed unsynced, and seals it. */
enum savepoint_status svp_append_close(struct svp_append *append, struct savepoint_error *error);

/* A transaction: begin, records, then finish or abort. */
enum savepoint_status svp_append_begin(struct svp_append *append, struct savepoint_error *error);
/* Writes append->body as one record (and leaves it to the caller to clear); *offset is where it stands. */
enum savepoint_status svp_append_record(struct svp_append *append, enum svp_record_type type, uint64_t *offset,
                                        struct savepoint_error *error);
/* Where the next record will stand: bodies that name their own offset need it. */
uint64_t svp_append_offset(const struct svp_append *append);
/* Ends the transaction with an END that holds `wanted`'s newest_*, head, highest_sequence and snapshot_count (the rest
 * is filled in). With `sync` it is durable and sealed on OK. UNCERTAIN: the sync failed; the outcome is unknown and the
 * writer poisoned. Any other failure: as if it had never begun. */
enum savepoint_status
svp_append_finish(struct svp_append *append, const struct svp_end *wanted, bool sync, struct savepoint_error *error);
void svp_append_abort(struct svp_append *append);

#endif
