/* audit.h - rules between the records of a transaction, and from one transaction to the next (SPEC.md sections 3, 4) */
#ifndef SVP_AUDIT_H
#define SVP_AUDIT_H

#include "archive/source.h"
#include "format/index.h"

#define SVP_AUDIT_FEATURES_ANY UINT64_MAX /* a SEGMENT may have been skipped */

struct svp_audit_index { /* the INDEX of this transaction; offset 0: none so far, SVP_NO_OFFSET: a broken one */
    uint64_t offset, below;
    enum svp_index_kind kind;
};

struct svp_audit_hole { /* bytes that were skipped */
    uint64_t start, end;
};

struct svp_audit_latest; /* audit_pages.c: a page of a stream, and the record that last stored it */

struct svp_audit { /* start with svp_audit_open; what END must say, and what this transaction holds so far */
    const struct svp_source *source;
    bool stream;
    bool known; /* this transaction and the one before were whole: END can be checked in full */
    uint64_t previous_chain;
    struct svp_end expected;
    uint64_t transaction; /* number of the last whole one */
    bool has_before;
    uint64_t features;        /* incompatible ones of the newest SEGMENT */
    uint32_t next_region_id;  /* the highest so far */
    struct svp_hash *dropped; /* ids of all tombstones so far: a hash table, an empty place is all zero */
    size_t dropped_count, dropped_capacity;
    uint64_t dropped_seed;
    struct svp_audit_latest *latest; /* streams only: a hash table */
    size_t latest_count, latest_capacity;
    uint64_t latest_seed;

    bool started, sealed, has_segment, has_commit;
    uint64_t running; /* its number */
    unsigned rank;    /* of the record before: their order is fixed */
    uint64_t start;
    struct svp_audit_index index;
    bool pages_unread; /* a PAGES record of it could not be read: the counts below are too small */
    uint64_t pages_stored, delta_bytes, key_bytes;
    struct svp_buffer chain;  /* header hashes of its records */
    struct svp_buffer places; /* struct svp_audit_place per stored page */
    struct svp_buffer holes;  /* struct svp_audit_hole, ascending */
    struct svp_buffer links;  /* of all snapshots so far, in file order (audit_chain.c) */
};

void svp_audit_open(struct svp_audit *audit, const struct svp_source *source, uint32_t alignment);
void svp_audit_close(struct svp_audit *audit);

/* One good record, in file order. CORRUPT or UNSUPPORTED (an unknown record type) when it breaks a rule; IO or
 * NO_MEMORY when that could not be found out. */
enum savepoint_status svp_audit_record(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error);
/* The bytes in [start, end) are damaged and were skipped: what depends on them is not checked. */
void svp_audit_gap(struct svp_audit *audit, uint64_t start, uint64_t end);

/* For the files of the audit: a rule is broken; and the status of reading what a record points to, `error` telling
 * where that failed. Damage there means that this record is of no use, and is OK here when those bytes were skipped:
 * they are a finding already. Any other failure stays what it is. */
enum savepoint_status
svp_audit_broken(const struct svp_audit *audit, uint64_t offset, const char *what, struct savepoint_error *error);
enum savepoint_status svp_audit_follow(const struct svp_audit *audit, enum savepoint_status status, uint64_t offset,
                                       const char *what, struct savepoint_error *error);

#endif
