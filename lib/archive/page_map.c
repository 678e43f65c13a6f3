/* page_map.c - where the pages of one region are, by page */
#include "archive/page_map.h"

#include <stddef.h>

#include "format/memory.h"

enum { CHUNK_PAGES = 4096 };

static uint64_t chunks_for(uint64_t pages)
{
    return (pages + CHUNK_PAGES - 1) / CHUNK_PAGES;
}

bool svp_page_map_open(struct svp_page_map *map, uint32_t region_id, uint64_t pages)
{
    *map = (struct svp_page_map){ .region_id = region_id, .pages = pages };
    map->chunks = svp_memory_zalloc((size_t)chunks_for(pages), sizeof(uint64_t *));
    return map->chunks != NULL;
}

void svp_page_map_close(struct svp_page_map *map)
{
    for (uint64_t i = 0; map->chunks != NULL && i < chunks_for(map->pages); i++) {
        svp_memory_free(map->chunks[i]);
    }
    svp_memory_free(map->chunks);
    *map = (struct svp_page_map){ 0 };
}

uint64_t svp_page_map_get(const struct svp_page_map *map, uint64_t page)
{
    const uint64_t *chunk = page < map->pages ? map->chunks[page / CHUNK_PAGES] : NULL;
    return chunk != NULL ? chunk[page % CHUNK_PAGES] : 0;
}

bool svp_page_map_fill(struct svp_page_map *map, uint64_t page, uint64_t record_offset)
{
    if (page >= map->pages) {
        return true;
    }
    uint64_t **chunk = &map->chunks[page / CHUNK_PAGES];
    if (*chunk == NULL) {
        *chunk = svp_memory_zalloc(CHUNK_PAGES, sizeof **chunk);
        if (*chunk == NULL) {
            return false;
        }
    }
    if ((*chunk)[page % CHUNK_PAGES] == 0) {
        (*chunk)[page % CHUNK_PAGES] = record_offset;
    }
    return true;
}

uint64_t svp_page_map_next(const struct svp_page_map *map, uint64_t page)
{
    while (page < map->pages) {
        const uint64_t *chunk = map->chunks[page / CHUNK_PAGES];
        if (chunk == NULL) {
            page = (page / CHUNK_PAGES + 1) * CHUNK_PAGES;
        } else if (chunk[page % CHUNK_PAGES] == 0) {
            page++;
        } else {
            return page;
        }
    }
    return UINT64_MAX;
}
