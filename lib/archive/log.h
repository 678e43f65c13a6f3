/* log.h - the state of an archive file: its last transaction, what is sealed, torn or damaged (SPEC.md section 3) */
#ifndef SVP_LOG_H
#define SVP_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/source.h"
#include "format/body.h"

struct svp_log {
    bool newborn; /* no transaction and no whole first SEGMENT: empty or cut at birth */
    bool has_end; /* there is a last transaction */
    uint64_t file_bytes;
    uint64_t end_offset;  /* of the last END */
    uint64_t transaction; /* its number; 0 without any */
    struct svp_end end;
    uint64_t committed_bytes;      /* where the last transaction ends */
    uint64_t kept_bytes;           /* the same plus the SEAL behind it: a writer goes on from here */
    bool sealed;                   /* that SEAL is there */
    uint64_t seal_hash;            /* its header hash: part of the next transaction's chain */
    uint64_t sealed_bytes;         /* known durable up to here */
    uint64_t torn_bytes;           /* behind kept_bytes */
    uint64_t damage_offset;        /* corruption, SVP_NO_OFFSET for none */
    struct svp_segment segment;    /* the newest */
    bool stream_cut;               /* a stream whose CLOSE is missing */
    enum savepoint_status trouble; /* opening failed for a reason that is not in the bytes */
    struct savepoint_error trouble_error;
};

/* Reads the state, and sets the source's salt and limit. OK also with damage, as long as a history was found;
 * NOT_AN_ARCHIVE for foreign bytes; `newborn` is for the caller to judge. */
enum savepoint_status svp_log_open(struct svp_log *log, struct svp_source *source, struct savepoint_error *error);

/* Checks the records of the transaction that starts at `start`, all hashes, numbers and the chain. OK: *end_offset is
 * its END. CORRUPT: *bad is where it breaks. */
enum savepoint_status svp_log_check(const struct svp_source *source, uint64_t start, uint64_t transaction,
                                    uint64_t *end_offset, uint64_t *bad, struct savepoint_error *error);

/* Notes a failure that is not about the bytes; true when the status is OK. */
bool svp_log_holds(struct svp_log *log, enum savepoint_status status, const struct savepoint_error *found);

/* The state of a stream that lies in a file: read forward from its first SEGMENT, which is in log->segment. */
enum savepoint_status
svp_log_open_stream(struct svp_log *log, struct svp_source *source, struct savepoint_error *error);

/* Reads and checks the END at `offset`. */
enum savepoint_status svp_log_end(const struct svp_source *source, struct svp_end *end, struct svp_record *record,
                                  uint64_t offset, struct savepoint_error *error);

#endif
