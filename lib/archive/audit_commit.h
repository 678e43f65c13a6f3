/* audit_commit.h - the rules of a snapshot: its regions, its index, and what it may change against its base */
#ifndef SVP_AUDIT_COMMIT_H
#define SVP_AUDIT_COMMIT_H

#include "archive/audit.h"

enum savepoint_status svp_audit_commit_regions(struct svp_audit *audit, const struct svp_record *record,
                                               const struct svp_buffer *body, struct savepoint_error *error);
enum savepoint_status svp_audit_commit_index(struct svp_audit *audit, const struct svp_record *record,
                                             const struct svp_buffer *body, struct savepoint_error *error);
enum savepoint_status
svp_audit_commit_check(struct svp_audit *audit, const struct svp_record *record, struct savepoint_error *error);

#endif
