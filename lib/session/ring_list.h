/* ring_list.h - the snapshots of a session's ring, by expression */
#ifndef SVP_RING_LIST_H
#define SVP_RING_LIST_H

#include "session/session.h"

/* By take label (the newest), id or unique prefix of one. NOT_FOUND, AMBIGUOUS. */
enum savepoint_status svp_ring_list_find(const struct savepoint *session, struct savepoint_snapshot *snapshot,
                                         const char *expression, struct savepoint_error *error);

#endif
