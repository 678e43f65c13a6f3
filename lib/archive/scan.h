/* scan.h - finding records again behind damage */
#ifndef SVP_SCAN_H
#define SVP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "archive/source.h"

/* The first place at or behind `from` (and before `end`) where a valid record header of this file stands. */
enum savepoint_status svp_scan_header(const struct svp_source *source, bool *found, struct svp_record *record,
                                      uint64_t from, uint64_t end, struct savepoint_error *error);

/* *found: behind `offset` stands a valid record header of a transaction above `transaction` that is not FLOATING, or a
 * valid SEAL header: then the bytes at `offset` were durable once, and damage there is corruption, not a torn tail
 * (SPEC.md section 3, step 4). */
enum savepoint_status svp_scan_evidence(const struct svp_source *source, bool *found, uint64_t offset, uint64_t end,
                                        uint64_t transaction, struct savepoint_error *error);

#endif
