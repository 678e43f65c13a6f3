/* twins.h - where pages stand whose contents may be captured again, in another place: copies, double buffers
 *
 * A table of fixed size, by hash: what is stored later takes the place of what was stored before. It is a guess where
 * to look; what is found counts only if the shadow still holds the very bytes. Belongs to the encoder. A session with a
 * ring has none: takes of either history move its shadow, which then does not tell what the archive holds. */
#ifndef SVP_TWINS_H
#define SVP_TWINS_H

#include "session/session.h"

/* A take begins: room for its pages, or none, which only costs chances. */
void svp_twins_begin(struct savepoint *session, const struct svp_take *take);
/* A page of this region, whose state says so already, stands by itself in the record at `offset`. */
void svp_twins_add(struct svp_twins *twins, const struct svp_hash *hash, const struct svp_region *region, uint64_t page,
                   uint64_t offset);
/* Finds a page of the take's regions that is the same as the staged one, and stands by itself in a record: it fills in
 * *twin and about what that page took. */
bool svp_twins_find(const struct savepoint *session, struct svp_reference *twin, uint16_t *key_bytes,
                    const struct svp_hash *hash, const uint8_t *staged);
/* Forgets all, as records that it knows of may be cut off, or stand elsewhere. */
void svp_twins_clear(struct svp_twins *twins);

#endif
