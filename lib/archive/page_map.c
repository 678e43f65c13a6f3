/* page_map.c - where the pages of one region are, by page */
#include "archive/page_map.h"

#include <stddef.h>

#include "format/memory.h"

enum { CHUNK_PAGES = 4096 };

struct svp_page_chunks {
    uint64_t first, end; /* chunks outside are all NULL */
    uint64_t *offsets[]; /* NULL where no page of the chunk has an offset */
};

static uint64_t chunks_for(uint64_t pages)
{
    return (pages + CHUNK_PAGES - 1) / CHUNK_PAGES;
}

bool svp_page_map_open(struct svp_page_map *map, uint32_t region_id, uint64_t pages)
{
    uint64_t count = chunks_for(pages);
    struct svp_page_chunks *chunks = svp_memory_zalloc(1, sizeof *chunks + (size_t)count * sizeof chunks->offsets[0]);
    if (chunks != NULL) {
        chunks->first = count;
    }
    *map = (struct svp_page_map){ .region_id = region_id, .pages = pages, .chunks = chunks };
    return chunks != NULL;
}

void svp_page_map_close(struct svp_page_map *map)
{
    struct svp_page_chunks *chunks = map->chunks;
    for (uint64_t i = chunks != NULL ? chunks->first : 0; chunks != NULL && i < chunks->end; i++) {
        svp_memory_free(chunks->offsets[i]);
    }
    svp_memory_free(chunks);
    *map = (struct svp_page_map){ 0 };
}

uint64_t svp_page_map_get(const struct svp_page_map *map, uint64_t page)
{
    const uint64_t *offsets = page < map->pages ? map->chunks->offsets[page / CHUNK_PAGES] : NULL;
    return offsets != NULL ? offsets[page % CHUNK_PAGES] : 0;
}

bool svp_page_map_fill(struct svp_page_map *map, uint64_t page, uint64_t record_offset)
{
    if (page >= map->pages) {
        return true;
    }
    struct svp_page_chunks *chunks = map->chunks;
    uint64_t index = page / CHUNK_PAGES;
    uint64_t **offsets = &chunks->offsets[index];
    if (*offsets == NULL) {
        *offsets = svp_memory_zalloc(CHUNK_PAGES, sizeof **offsets);
        if (*offsets == NULL) {
            return false;
        }
        chunks->first = index < chunks->first ? index : chunks->first;
        chunks->end = index < chunks->end ? chunks->end : index + 1;
    }
    if ((*offsets)[page % CHUNK_PAGES] == 0) {
        (*offsets)[page % CHUNK_PAGES] = record_offset;
    }
    return true;
}

uint64_t svp_page_map_next(const struct svp_page_map *map, uint64_t page)
{
    const struct svp_page_chunks *chunks = map->chunks;
    if (page < map->pages && page < chunks->first * CHUNK_PAGES) {
        page = chunks->first * CHUNK_PAGES;
    }
    while (page < map->pages && page / CHUNK_PAGES < chunks->end) {
        const uint64_t *offsets = chunks->offsets[page / CHUNK_PAGES];
        if (offsets == NULL) {
            page = (page / CHUNK_PAGES + 1) * CHUNK_PAGES;
        } else if (offsets[page % CHUNK_PAGES] == 0) {
            page++;
        } else {
            return page;
        }
    }
    return UINT64_MAX;
}
