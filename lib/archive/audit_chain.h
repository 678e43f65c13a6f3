/* audit_chain.h - the base chains of the snapshots met so far, gone down in long steps */
#ifndef SVP_AUDIT_CHAIN_H
#define SVP_AUDIT_CHAIN_H

#include "archive/audit.h"

/* The snapshot whose COMMIT stands at `commit_offset`, behind all before, and what it rests on. */
void svp_audit_chain_add(struct svp_audit *audit, uint64_t commit_offset, uint64_t base_offset);

/* The first of `from`, its base, the base of that ... that does not stand behind `below`; or the first that was not
 * met, or 0 behind the last. */
uint64_t svp_audit_chain_down(const struct svp_audit *audit, uint64_t from, uint64_t below);

#endif
