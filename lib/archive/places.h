/* places.h - where the current version of each page stands while snapshots are written one after the other */
#ifndef SVP_PLACES_H
#define SVP_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/page_map.h"
#include "format/digest.h"

struct svp_place {        /* of one page */
    uint64_t source;      /* the record it was read from; 0: none */
    uint64_t target;      /* the record it was written to; 0: not yet */
    uint32_t depth;       /* of the written snapshot that holds that record, or of a later one */
    struct svp_hash hash; /* of the page; kept by who needs state roots */
    bool chain_known;     /* what follows is: */
    uint32_t links;       /* deltas to replay in the target */
    uint32_t delta_bytes; /* about what replaying them costs, unpacked */
    uint32_t key_bytes;   /* about what the whole page cost */
};

struct svp_places_region { /* ordered by id */
    uint32_t id;
    struct svp_page_map map; /* 1 + index in the pool */
};

struct svp_places { /* start with all zero */
    size_t region_count;
    struct svp_places_region *regions;
    size_t count, capacity;
    struct svp_place *pool;
};

void svp_places_close(struct svp_places *places); /* empties it */

/* The page's place; NULL: it has none. Valid until the next page is added. */
struct svp_place *svp_places_get(const struct svp_places *places, uint32_t region_id, uint64_t page);
/* The same, made where there is none, all zero; NULL: no memory. The region has room for `pages` pages or more. */
struct svp_place *svp_places_add(struct svp_places *places, uint32_t region_id, uint64_t pages, uint64_t page);
/* Which pages of a region have a place; NULL: none. The values are 1 + indexes in the pool. */
const struct svp_page_map *svp_places_map(const struct svp_places *places, uint32_t region_id);

#endif
