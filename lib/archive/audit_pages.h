/* audit_pages.h - the rules of PAGES records within a transaction and a stream */
#ifndef SVP_AUDIT_PAGES_H
#define SVP_AUDIT_PAGES_H

#include "archive/audit.h"

struct svp_audit_place { /* one page stored in this transaction */
    uint32_t region_id;
    bool has_base;
    uint64_t page;
};

enum savepoint_status svp_audit_pages_check(struct svp_audit *audit, const struct svp_record *record,
                                            const struct svp_buffer *body, struct savepoint_error *error);
void svp_audit_pages_begin(struct svp_audit *audit); /* of a transaction */
void svp_audit_pages_close(struct svp_audit *audit);

/* True when a page is stored twice in this transaction. Brings the pages into order. */
bool svp_audit_pages_repeat(struct svp_audit *audit);
/* The pages of one region stored in this transaction, once they are in order. */
const struct svp_audit_place *svp_audit_pages_of(const struct svp_audit *audit, uint32_t region_id, size_t *count);
/* True when a SEGMENT before announced the features of `mask`. */
bool svp_audit_pages_announced(const struct svp_audit *audit, uint64_t mask);

#endif
