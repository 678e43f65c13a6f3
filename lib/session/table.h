/* table.h - the regions of a take: their table, and the root of their state */
#ifndef SVP_TABLE_H
#define SVP_TABLE_H

#include "session/session.h"

struct svp_table {
    struct svp_region **ordered; /* the take's regions, by name */
    struct svp_region_table regions;
};

/* Encoder. False: no memory; the table is to be closed in any case, and starts as all zero. */
bool svp_table_open(struct svp_table *table, const struct savepoint *session, const struct svp_take *take);
void svp_table_close(struct svp_table *table);
/* The state root, once all pages are hashed; false: no memory. */
bool svp_table_root(struct svp_table *table, struct svp_hash *state_root);

#endif
