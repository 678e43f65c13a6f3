/* outflow.h - writing transactions to a stream: front to back, through a callback (SPEC.md sections 3 and 7) */
#ifndef SVP_OUTFLOW_H
#define SVP_OUTFLOW_H

#include "archive/recode.h"
#include "format/body.h"

struct svp_outflow { /* one thread at a time */
    savepoint_stream_write *write;
    void *user;
    struct svp_segment segment;
    uint64_t salt;
    uint64_t transaction; /* number of the last one */
    uint64_t at;          /* where the next record will stand */
    uint64_t start;       /* of the transaction being written */
    uint64_t end_offset;  /* of the last END */
    struct svp_end end;   /* of the last transaction; what it tells of snapshots is the caller's to set */
    struct svp_buffer body, unwritten, chain;
};

/* `segment` is that of an archive: what is the stream's own is filled in. */
void svp_outflow_open(struct svp_outflow *outflow, const struct svp_segment *segment, savepoint_stream_write *write,
                      void *user);
void svp_outflow_close(struct svp_outflow *outflow);

struct svp_sink svp_outflow_sink(struct svp_outflow *outflow);
enum savepoint_status svp_outflow_begin(struct svp_outflow *outflow, struct savepoint_error *error);
enum savepoint_status svp_outflow_finish(struct svp_outflow *outflow, struct savepoint_error *error);
/* The end of the stream. */
enum savepoint_status svp_outflow_end(struct svp_outflow *outflow, struct savepoint_error *error);

#endif
