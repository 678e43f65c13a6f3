/* places.c - where the current version of each page stands while snapshots are written one after the other */
#include "archive/places.h"

#include <string.h>

#include "format/memory.h"

void svp_places_close(struct svp_places *places)
{
    for (size_t i = 0; i < places->region_count; i++) {
        svp_page_map_close(&places->regions[i].map);
    }
    svp_memory_free(places->regions);
    svp_memory_free(places->pool);
    *places = (struct svp_places){ 0 };
}

/* Where the region is, or belongs. */
static size_t position_of(const struct svp_places *places, uint32_t region_id)
{
    size_t low = 0;
    for (size_t high = places->region_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        low = places->regions[middle].id < region_id ? middle + 1 : low;
        high = places->regions[middle].id < region_id ? high : middle;
    }
    return low;
}

static struct svp_places_region *find_region(const struct svp_places *places, uint32_t region_id)
{
    size_t at = position_of(places, region_id);
    bool found = at < places->region_count && places->regions[at].id == region_id;
    return found ? &places->regions[at] : NULL;
}

struct svp_place *svp_places_get(const struct svp_places *places, uint32_t region_id, uint64_t page)
{
    const struct svp_places_region *region = find_region(places, region_id);
    uint64_t index = region != NULL ? svp_page_map_get(&region->map, page) : 0;
    return index != 0 ? &places->pool[index - 1] : NULL;
}

static struct svp_places_region *add_region(struct svp_places *places, uint32_t region_id, uint64_t pages)
{
    size_t at = position_of(places, region_id);
    struct svp_page_map map;
    struct svp_places_region *grown =
        svp_memory_resize(places->regions, places->region_count + 1, sizeof *places->regions);
    if (grown == NULL) {
        return NULL;
    }
    places->regions = grown;
    if (!svp_page_map_open(&map, region_id, pages)) {
        return NULL;
    }
    memmove(grown + at + 1, grown + at, (places->region_count - at) * sizeof *grown);
    grown[at] = (struct svp_places_region){ region_id, map };
    places->region_count++;
    return &grown[at];
}

/* A region that grew gets a map for all its pages. */
static bool widen(struct svp_places_region *region, uint64_t pages)
{
    struct svp_page_map wide;
    if (pages <= region->map.pages) {
        return true;
    }
    bool enough = svp_page_map_open(&wide, region->id, pages);
    uint64_t page = enough ? svp_page_map_next(&region->map, 0) : UINT64_MAX;
    for (; enough && page != UINT64_MAX; page = svp_page_map_next(&region->map, page + 1)) {
        enough = svp_page_map_fill(&wide, page, svp_page_map_get(&region->map, page));
    }
    if (!enough) {
        svp_page_map_close(&wide);
        return false;
    }
    svp_page_map_close(&region->map);
    region->map = wide;
    return true;
}

static bool reserve(struct svp_places *places)
{
    if (places->count < places->capacity) {
        return true;
    }
    size_t capacity = places->capacity > 0 ? 2 * places->capacity : 1024;
    struct svp_place *grown = svp_memory_resize(places->pool, capacity, sizeof *grown);
    if (grown != NULL) {
        places->pool = grown;
        places->capacity = capacity;
    }
    return grown != NULL;
}

struct svp_place *svp_places_add(struct svp_places *places, uint32_t region_id, uint64_t pages, uint64_t page)
{
    struct svp_places_region *region = find_region(places, region_id);
    region = region != NULL ? region : add_region(places, region_id, pages);
    if (region == NULL || !widen(region, pages) || !reserve(places)) {
        return NULL;
    }
    uint64_t index = svp_page_map_get(&region->map, page);
    if (index == 0) {
        index = places->count + 1;
        if (!svp_page_map_fill(&region->map, page, index)) {
            return NULL;
        }
        places->pool[places->count++] = (struct svp_place){ 0 };
    }
    return &places->pool[index - 1];
}

const struct svp_page_map *svp_places_map(const struct svp_places *places, uint32_t region_id)
{
    const struct svp_places_region *region = find_region(places, region_id);
    return region != NULL ? &region->map : NULL;
}
