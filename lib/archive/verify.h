/* verify.h - checking snapshots of an archive */
#ifndef SVP_VERIFY_H
#define SVP_VERIFY_H

#include "archive/reader.h"
#include "savepoint.h"

/* Decodes every page of the snapshot at `commit_offset` and compares page hashes, state root, metadata hash and id.
 * Adds to *pages_checked. CORRUPT when anything differs; CANCELLED. */
struct svp_verify_pace {
    savepoint_progress *progress; /* may be NULL */
    void *user;
    uint64_t done_bytes, total_bytes;
};
enum savepoint_status
svp_verify_snapshot(struct svp_reader *reader, uint64_t commit_offset, const uint8_t history_uuid[16],
                    uint64_t *pages_checked, struct svp_verify_pace *pace, struct savepoint_error *error);
/* Compares metadata hash, state root (the hash of `state`) and id of a snapshot with its contents. */
enum savepoint_status
svp_verify_identity(const struct svp_source *source, const struct svp_commit *commit, const struct svp_buffer *state,
                    const uint8_t history_uuid[16], uint64_t commit_offset, struct savepoint_error *error);
/* Counts bytes and calls the progress callback now and then. */
enum savepoint_status svp_verify_step(struct svp_verify_pace *pace, uint64_t bytes, struct savepoint_error *error);

#endif
