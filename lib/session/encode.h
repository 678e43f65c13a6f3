/* encode.h - from staged pages to PAGES records: compare, hash, choose a coder, fill batches */
#ifndef SVP_ENCODE_H
#define SVP_ENCODE_H

#include "session/session.h"

bool svp_encode_open(struct svp_encoder *encoder, int compression_level); /* false: no memory */
void svp_encode_close(struct svp_encoder *encoder);

/* A commit: begin, all its chunks, then flush; the encoder's counts and index entries are those of this commit. */
void svp_encode_begin(struct svp_encoder *encoder, uint32_t depth);
/* Encoder, before a take is encoded: the first one of a history fills the shadows. */
void svp_encode_expect_shadows(const struct savepoint *session, const struct svp_take *take);
/* Of an examined chunk. */
enum savepoint_status
svp_encode_chunk(struct savepoint *session, const struct svp_chunk *chunk, struct savepoint_error *error);
/* Page i of a chunk was compared: for what is learned of hot pages. */
void svp_encode_note(struct svp_encoder *encoder, const struct svp_chunk *chunk, uint32_t i, bool changed);
enum savepoint_status svp_encode_flush(struct savepoint *session, struct savepoint_error *error);

/* The pages that follow belong to this region: ends the batches of the one before. */
enum savepoint_status
svp_encode_region(struct savepoint *session, struct svp_region *region, struct savepoint_error *error);
/* Stores the shadow's page whole, as if it was new. */
enum savepoint_status
svp_encode_anew(struct savepoint *session, struct svp_region *region, uint64_t page, struct savepoint_error *error);

#endif
