/* place.c - writing a restored snapshot to memory */
#include "session/place.h"

#include <string.h>

#include "os/vm.h"

enum { RUN_PAGES_MIN = 16 };

/* Nothing of the page was captured or restored yet: its memory and its shadow are probably untouched. */
static bool is_fresh(const struct svp_restore_part *part, uint64_t page)
{
    return part->region->states[page].record_offset == 0 && svp_page_map_get(&part->map, page) != 0;
}

void svp_place_expect(const struct svp_restore_part *part, const uint8_t *memory)
{
    uint64_t page = svp_pageset_next(&part->differing, 0);
    while (page != SVP_PAGESET_NONE) {
        uint64_t end = page;
        while (end < part->region->pages && svp_pageset_has(&part->differing, end) && is_fresh(part, end)) {
            end++;
        }
        if (end - page >= RUN_PAGES_MIN) {
            svp_vm_populate((uintptr_t)memory + page * SVP_PAGE_BYTES, (size_t)(end - page) * SVP_PAGE_BYTES);
        }
        page = svp_pageset_next(&part->differing, end > page ? end : page + 1);
    }
}

void svp_place_expect_shadow(const struct svp_restore_part *part)
{
    const struct svp_region *region = part->region;
    uint64_t fresh = 0;
    for (uint64_t page = svp_pageset_next(&part->differing, 0); page != SVP_PAGESET_NONE;
         page = svp_pageset_next(&part->differing, page + 1)) {
        fresh += is_fresh(part, page);
    }
    if (fresh >= region->pages / 2) { /* then large pages waste little; all of it at once is one mapping more */
        svp_vm_prefer_large_pages((uintptr_t)region->shadow, (size_t)region->pages * SVP_PAGE_BYTES);
    }
    svp_place_expect(part, region->shadow);
}

static uint16_t clamp16(uint32_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

static void place_page(struct svp_restore *restore, struct svp_restore_part *part, uint64_t page)
{
    struct svp_region *region = part->region;
    const struct svp_page_origin *origin = &part->pages[page].origin;
    const uint8_t *decoded = region->shadow + page * SVP_PAGE_BYTES;
    uint8_t *live = region->base + page * SVP_PAGE_BYTES;
    /* Comparing first keeps memory untouched that is right already; memory that is new would only be read for it. */
    if (is_fresh(part, page) || memcmp(live, decoded, SVP_PAGE_BYTES) != 0) {
        memcpy(live, decoded, SVP_PAGE_BYTES);
        restore->written_pages++;
    }
    svp_tree_update(&region->tree, page, &origin->hash);
    region->states[page] = (struct svp_page_state){
        .record_offset = svp_page_map_get(&part->map, page),
        .changed_depth = restore->commit.depth,
        .key_bytes = clamp16(origin->key_bytes),
        .delta_bytes = clamp16(origin->delta_bytes),
        .links = (uint8_t)origin->links,
    };
}

void svp_place_all(struct svp_restore *restore)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        svp_place_expect(part, part->region->base);
        uint64_t page = svp_pageset_next(&part->differing, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            place_page(restore, part, page);
        }
    }
}
