/* inflow.h - verified records out of a stream, front to back (SPEC.md sections 2, 3 and 7) */
#ifndef SVP_INFLOW_H
#define SVP_INFLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "format/body.h"
#include "format/buffer.h"
#include "format/record.h"
#include "savepoint.h"

struct svp_inflow { /* one thread at a time */
    savepoint_stream_read *read;
    void *user;
    uint64_t at; /* of the next record; bytes read so far */
    uint64_t salt;
    uint64_t transaction; /* number of the last whole one */
    bool inside;          /* of one */
    unsigned rank;        /* of the record before: their order is fixed */
    uint64_t start;       /* of the transaction */
    uint64_t chain_before;
    struct svp_buffer chain, raw; /* header hashes; the bytes of the record */
    struct svp_record record;
    const uint8_t *body; /* record.body_bytes bytes; valid until the next record */
};

void svp_inflow_open(struct svp_inflow *inflow, savepoint_stream_read *read, void *user);
void svp_inflow_close(struct svp_inflow *inflow);

/* The next record that matters: in its place, hashes and numbers checked, ENDs compared with what they end. TRUNCATED
 * where the stream ends before its CLOSE; after CLOSE it has ended. */
enum savepoint_status svp_inflow_next(struct svp_inflow *inflow, struct savepoint_error *error);

/* The failure at the record just read. */
enum savepoint_status
svp_inflow_broken(const struct svp_inflow *inflow, const char *what, struct savepoint_error *error);
enum savepoint_status svp_inflow_verdict(const struct svp_inflow *inflow, enum svp_verdict verdict, const char *what,
                                         struct savepoint_error *error);

#endif
