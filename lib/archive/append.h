/* append.h - laying out transactions, and writing them: all of one, or none of it (SPEC.md section 3)
 *
 * Whoever appends lays out: a transaction's bytes, and with them the tail of the archive as it will be. Without a sink
 * they go to the file at once. With one, somebody else writes them, in order, and the next transaction may be laid out
 * meanwhile: when the writing fails, what was laid out behind it is worth nothing, and `tail` has to be set back. */
#ifndef SVP_APPEND_H
#define SVP_APPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/log.h"
#include "archive/output.h"
#include "archive/source.h"

/* Takes bytes that are laid out, and leaves an empty buffer. */
typedef enum savepoint_status svp_append_sink(void *user, struct svp_buffer *laid_out, struct savepoint_error *error);

struct svp_append {                      /* one thread at a time */
    struct svp_source source;            /* reads the same file; its limit follows the commits */
    struct svp_segment segment;          /* this writer's */
    struct svp_segment previous_segment; /* of the writer before; all zero for a new archive */
    struct svp_tail tail;                /* as laid out: the next transaction goes on from here */
    svp_append_sink *sink;               /* NULL: to the output */
    void *sink_user;
    struct svp_output output; /* the file; with a sink it belongs to whoever writes */
    bool created;             /* opening made the file */

    /* the transaction being laid out */
    bool open;
    uint64_t at; /* where the next record will stand */
    struct svp_buffer unwritten;
    struct svp_buffer chain; /* header hashes */
    struct svp_buffer body;  /* for callers to build a body in */
};

enum svp_append_mode {
    SVP_APPEND_CREATE,   /* where there is no file */
    SVP_APPEND_EXISTING, /* one in which no transaction is whole is begun anew */
    SVP_APPEND_HISTORY,  /* such a one is left as it is: NOT_AN_ARCHIVE */
};

/* Opens an archive for writing: creates, locks, mends the tail (saves and cuts a torn one, seals an unsealed one).
 * `repair` tells what was done. On failure there is no new file. LOCKED, CORRUPT, NOT_AN_ARCHIVE, UNSUPPORTED, IO,
 * NO_SPACE, NO_MEMORY. */
struct svp_repair {
    uint64_t torn_offset, torn_bytes;
    bool torn_cut, resealed;
};
enum savepoint_status svp_append_open(struct svp_append *append, struct svp_repair *repair, const char *path,
                                      enum svp_append_mode mode, struct savepoint_error *error);
/* Syncs what was committed unsynced, and seals it. */
enum savepoint_status svp_append_close(struct svp_append *append, struct savepoint_error *error);
/* Once it is closed: a file that was created, and nothing came into, is gone. */
void svp_append_forget(const struct svp_append *append, const char *path);

/* A transaction: begin, records, then finish or abort. */
enum savepoint_status svp_append_begin(struct svp_append *append, struct savepoint_error *error);
/* Writes append->body as one record (and leaves it to the caller to clear); *offset is where it stands. */
enum savepoint_status svp_append_record(struct svp_append *append, enum svp_record_type type, uint64_t *offset,
                                        struct savepoint_error *error);
/* Where the next record will stand: bodies that name their own offset need it. */
uint64_t svp_append_offset(const struct svp_append *append);
/* Ends the transaction with an END that holds `wanted`'s newest_*, head, highest_sequence and snapshot_count (the rest
 * is filled in). With `sync` it is durable and sealed on OK. UNCERTAIN: the sync failed; the outcome is unknown and the
 * output poisoned. Any other failure: as if it had never begun. With a sink, OK says that it is laid out, and `sync`
 * that whoever writes it will sync it. */
enum savepoint_status
svp_append_finish(struct svp_append *append, const struct svp_end *wanted, bool sync, struct savepoint_error *error);
void svp_append_abort(struct svp_append *append);

#endif
