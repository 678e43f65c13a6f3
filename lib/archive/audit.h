/* audit.h - rules between the records of a transaction, and from one transaction to the next (SPEC.md sections 3, 4) */
#ifndef SVP_AUDIT_H
#define SVP_AUDIT_H

#include "archive/source.h"

struct svp_audit { /* start with svp_audit_open; what END must say, and what this transaction holds so far */
    const struct svp_source *source;
    bool known;      /* this transaction and the one before were whole: END can be checked in full */
    uint64_t previous_chain;
    struct svp_end expected;
    uint64_t transaction;      /* number of the last whole one */
    bool has_before;
    uint32_t alignment;

    bool started, sealed, has_segment, has_commit;
    unsigned rank;             /* of the record before: their order is fixed */
    uint64_t start;
    struct svp_commit commit;  /* of this transaction */
    uint64_t pages_stored, delta_bytes, key_bytes;
    struct svp_buffer chain;   /* header hashes of its records */
    struct svp_buffer places;  /* u64 per stored page: region and page, to find duplicates */
    struct svp_buffer dropped; /* ids of all tombstones so far */
};

void svp_audit_open(struct svp_audit *audit, const struct svp_source *source, uint32_t alignment);
void svp_audit_close(struct svp_audit *audit);

/* One good record, in file order. CORRUPT, UNSUPPORTED (an unknown record type) or NO_MEMORY when it breaks a rule. */
enum savepoint_status svp_audit_record(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error);
/* Bytes were skipped: what depends on them is not checked. */
void svp_audit_gap(struct svp_audit *audit);

#endif
