/* place.h - writing a restored snapshot to memory */
#ifndef SVP_PLACE_H
#define SVP_PLACE_H

#include "session/restore.h"

/* Brings memory, page states and hashes of all differing pages to the target, which their shadow holds; blank pages
 * are there already. */
void svp_place_all(struct svp_restore *restore, unsigned workers);

#endif
