/* origin.h - the metadata of a snapshot that is made from another one */
#ifndef SVP_ORIGIN_H
#define SVP_ORIGIN_H

#include "format/buffer.h"
#include "savepoint.h"

/* Adds the body of a META to `metadata`: the snapshot it was made from, then what that one had, its own origin left
 * out. LIMIT: that is more than a snapshot may have; CORRUPT: `had` is no such body; NO_MEMORY. */
enum savepoint_status svp_origin_add(struct svp_buffer *metadata, const struct savepoint_id *origin, const uint8_t *had,
                                     size_t had_bytes, const char *operation, struct savepoint_error *error);

#endif
