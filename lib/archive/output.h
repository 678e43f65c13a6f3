/* output.h - the file under an archive being written: laid out transactions go in, whole or not at all
 *
 * Invariant: outside a transaction the file ends behind the last one and its SEAL; a transaction that fails is cut off
 * again. When the cut or a sync fails, the state of the file is unknown and the output is poisoned for good. */
#ifndef SVP_OUTPUT_H
#define SVP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/source.h"
#include "format/body.h"
#include "format/layout.h"

#define SVP_SEAL_BYTES (SVP_HEADER_BYTES + 16)

struct svp_tail { /* the end of an archive: what its next transaction goes on from */
    struct svp_end end;
    bool has_end;
    uint64_t end_offset;
    uint64_t transaction;     /* number of the last transaction */
    uint64_t committed_bytes; /* where it ends */
    uint64_t durable_bytes;   /* all bytes before are durable */
    bool segment_written;     /* this writer's own */
    uint64_t newest_segment;  /* offset; meaningful once segment_written or in its transaction */
    bool sealed;              /* a SEAL belongs behind committed_bytes */
    uint64_t seal_hash;
    uint8_t seal[SVP_SEAL_BYTES]; /* that record */
};

/* Everything before committed_bytes is durable, or will be when this tail is: makes the SEAL that says so. False: no
 * memory. */
bool svp_tail_seal(struct svp_tail *tail, uint64_t salt);

struct svp_output { /* one thread at a time */
    struct svp_source *source;
    struct svp_tail tail; /* of the file */
    bool seal_written;    /* the SEAL of `tail` stands there; else it is written in front of the next transaction */
    bool poisoned;
    bool open;   /* a transaction is being written */
    uint64_t at; /* where its next byte goes */
};

/* A transaction: begin, its bytes, then commit or abort. */
enum savepoint_status svp_output_begin(struct svp_output *output, struct savepoint_error *error);
enum savepoint_status
svp_output_write(struct svp_output *output, const void *bytes, size_t count, struct savepoint_error *error);
/* All of it is written; `tail` is how it leaves the archive. With `sync` it is durable and sealed on OK. UNCERTAIN: the
 * sync failed. */
enum savepoint_status
svp_output_commit(struct svp_output *output, const struct svp_tail *tail, bool sync, struct savepoint_error *error);
void svp_output_abort(struct svp_output *output);
/* Syncs what was committed unsynced, and seals it. */
enum savepoint_status svp_output_close(struct svp_output *output, struct savepoint_error *error);

#endif
