/* refresh.h - storing pages anew that have not changed, lest a restore takes the longer the longer the history is */
#ifndef SVP_REFRESH_H
#define SVP_REFRESH_H

#include "session/session.h"

/* Encoder, when all pages of an archive's take are encoded: some groups of neighbouring pages, in turn, those of long
 * chains. They belong to the take from then on: should it fail, they return to pending. */
enum savepoint_status svp_refresh(struct savepoint *session, struct svp_take *take, struct savepoint_error *error);

#endif
