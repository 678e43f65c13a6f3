/* findings.h - which findings a verification has told already */
#ifndef SVP_FINDINGS_H
#define SVP_FINDINGS_H

#include <stdbool.h>

#include "format/buffer.h"
#include "savepoint.h"

struct svp_findings {       /* start with all zero */
    struct svp_buffer told; /* ordered */
};

/* Notes a finding; false when one with the same place and message was noted before. Without memory for more every
 * finding is a new one. */
bool svp_findings_add(struct svp_findings *findings, const struct savepoint_error *finding);
void svp_findings_close(struct svp_findings *findings);

#endif
