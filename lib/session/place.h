/* place.h - writing a restored snapshot to memory */
#ifndef SVP_PLACE_H
#define SVP_PLACE_H

#include "session/restore.h"

/* Makes `memory` (of the region: its shadow, or its live memory) resident where whole runs of new pages are coming. */
void svp_place_expect(const struct svp_restore_part *part, const uint8_t *memory);
void svp_place_expect_shadow(const struct svp_restore_part *part);

/* Brings memory, page states and hashes of all differing pages to the target, which their shadow holds. */
void svp_place_all(struct svp_restore *restore);

#endif
