/* page_map.h - where the pages of one region are, by page: sparse, so that a region may be far larger than what is
 * stored */
#ifndef SVP_PAGE_MAP_H
#define SVP_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct svp_page_map { /* record offset per page; 0: none. A copy of the structure shares what it holds */
    uint32_t region_id;
    uint64_t pages;
    struct svp_page_chunks *chunks;
};

bool svp_page_map_open(struct svp_page_map *map, uint32_t region_id, uint64_t pages); /* false: no memory */
void svp_page_map_close(struct svp_page_map *map);
uint64_t svp_page_map_get(const struct svp_page_map *map, uint64_t page);
/* Sets a page that has none yet; pages behind the region's end are ignored. False: no memory. */
bool svp_page_map_fill(struct svp_page_map *map, uint64_t page, uint64_t record_offset);
/* The first page at or behind `page` that has an offset; UINT64_MAX: none. */
uint64_t svp_page_map_next(const struct svp_page_map *map, uint64_t page);

#endif
