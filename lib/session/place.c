/* place.c - writing a restored snapshot to memory */
#include "session/place.h"

#include <stdatomic.h>
#include <string.h>

#include "archive/crew.h"
#include "os/vm.h"

enum { SHARE_PAGES = 1024, RUN_PAGES_MIN = 16 };

struct placing { /* shared by the threads at work on one part */
    const struct svp_restore_part *part;
    atomic_uint_least64_t next_page;
    atomic_uint_least64_t written_pages;
};

/* Nothing of the page was captured or restored yet: its memory is probably untouched. */
static bool is_fresh(const struct svp_restore_part *part, uint64_t page)
{
    return part->region->states[page].record_offset == 0 && svp_page_map_get(&part->map, page) != 0;
}

/* Pages that differ and do not hold their target yet. */
static bool is_due(const struct svp_restore_part *part, uint64_t page)
{
    return svp_pageset_has(&part->differing, page) && !svp_pageset_has(&part->blank, page);
}

/* Makes memory resident where whole runs of new pages are coming. */
static void expect(const struct svp_restore_part *part, uint64_t page, uint64_t end)
{
    while (page < end) {
        uint64_t first = page;
        while (page < end && is_due(part, page) && is_fresh(part, page)) {
            page++;
        }
        if (page - first >= RUN_PAGES_MIN) {
            svp_vm_populate((uintptr_t)part->region->base + first * SVP_PAGE_BYTES,
                            (size_t)(page - first) * SVP_PAGE_BYTES);
        }
        page += page == first;
    }
}

static bool place_page(const struct svp_restore_part *part, uint64_t page)
{
    const uint8_t *decoded = part->region->shadow + page * SVP_PAGE_BYTES;
    uint8_t *live = part->region->base + page * SVP_PAGE_BYTES;
    /* Comparing first keeps memory untouched that is right already; memory that is new would only be read for it. */
    bool write = is_fresh(part, page) || memcmp(live, decoded, SVP_PAGE_BYTES) != 0;
    if (write) {
        memcpy(live, decoded, SVP_PAGE_BYTES);
    }
    return write;
}

static void work(void *context, bool own)
{
    struct placing *placing = context;
    const struct svp_restore_part *part = placing->part;
    const uint64_t pages = part->region->pages;
    uint64_t written = 0;
    (void)own;
    for (;;) {
        uint64_t page = atomic_fetch_add(&placing->next_page, SHARE_PAGES);
        if (page >= pages) {
            break;
        }
        const uint64_t end = pages - page < SHARE_PAGES ? pages : page + SHARE_PAGES;
        expect(part, page, end);
        for (; page < end; page++) {
            written += is_due(part, page) && place_page(part, page);
        }
    }
    atomic_fetch_add(&placing->written_pages, written);
}

static uint16_t clamp16(uint32_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

/* The page stands at the target now; in the shadow too, unless it was decoded in its place. */
static void note_page(const struct svp_restore *restore, const struct svp_restore_part *part, uint64_t page)
{
    const struct svp_page_origin *origin = &part->pages[page].origin;
    if (svp_pageset_has(&part->blank, page) && part->pages[page].touched) {
        svp_pageset_add(&part->region->absent, page, 1);
    } else {
        svp_pageset_remove(&part->region->absent, page, 1);
    }
    svp_tree_update(&part->region->tree, page, &origin->hash);
    part->region->states[page] = (struct svp_page_state){
        .record_offset = svp_page_map_get(&part->map, page),
        .changed_depth = restore->commit.depth,
        .key_bytes = clamp16(origin->key_bytes),
        .delta_bytes = clamp16(origin->delta_bytes),
        .links = (uint8_t)origin->links,
    };
}

void svp_place_all(struct svp_restore *restore, unsigned workers)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        struct placing placing = { .part = part };
        uint64_t shares = part->differing_pages / SHARE_PAGES;
        svp_crew_run(shares < workers ? (unsigned)shares : workers, work, &placing);
        restore->written_pages += atomic_load(&placing.written_pages);
        uint64_t page = svp_pageset_next(&part->differing, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(&part->differing, page + 1)) {
            restore->written_pages += svp_pageset_has(&part->blank, page) && part->pages[page].touched;
            note_page(restore, part, page);
        }
    }
}
