/* evidence.h - is there proof that damaged bytes were durable once? (SPEC.md section 3, step 4) */
#ifndef SVP_EVIDENCE_H
#define SVP_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/source.h"

/* *found: behind `offset` stands a valid record header of a transaction above `transaction` that is not FLOATING,
 * or a valid SEAL: then the bytes at `offset` were durable, and damage there is corruption, not a torn tail. */
enum savepoint_status svp_evidence_after(const struct svp_source *source, bool *found, uint64_t offset,
                                         uint64_t file_bytes, uint64_t transaction, struct savepoint_error *error);

#endif
