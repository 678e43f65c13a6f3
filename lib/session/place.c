/* place.c - writing a restored snapshot to memory */
#include "session/place.h"

#include <stdatomic.h>
#include <string.h>

#include "archive/crew.h"
#include "format/expect.h"
#include "os/vm.h"

/* A share is so many pages that no word of a set of pages, and of the tree, is of two of them. */
enum { SHARE_PAGES = 64 * SVP_TREE_FANOUT, RUN_PAGES_MIN = 16 };

struct placing { /* shared by the threads at work on one part */
    const struct svp_restore *restore;
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

/* The lines of a page in which its memory may differ from what was decoded: where the memory was what the shadow held,
 * those that decoding wrote. Not every watch sees what the kernel does to memory, such as madvise: there all are. */
static uint64_t lines_to_place(const struct svp_restore_part *part, uint64_t page)
{
    const struct svp_bulk_page *decoded = &part->pages[page];
    bool known = part->region->kernel_faults && decoded->held != 0 && !svp_pageset_has(&part->region->pending, page);
    return known ? decoded->lines : SVP_LINES_ALL;
}

/* Fetches what place_page will look at. */
static void expect_page(const struct svp_restore_part *part, uint64_t page)
{
    uint64_t lines = lines_to_place(part, page);
    size_t at = lines != 0 ? page * SVP_PAGE_BYTES + svp_line_first(lines) * SVP_LINE_BYTES : 0;
    if (lines != 0) {
        svp_expect(part->region->shadow + at, 1);
        svp_expect(part->region->base + at, 1);
    }
}

/* Comparing first keeps memory untouched that is right already; memory that is new would only be read for it. */
static bool place_page(const struct svp_restore_part *part, uint64_t page)
{
    const uint8_t *decoded = part->region->shadow + page * SVP_PAGE_BYTES;
    uint8_t *live = part->region->base + page * SVP_PAGE_BYTES;
    if (is_fresh(part, page)) {
        memcpy(live, decoded, SVP_PAGE_BYTES);
        return true;
    }
    bool written = false;
    for (uint64_t lines = lines_to_place(part, page); lines != 0; lines &= lines - 1) {
        const size_t at = svp_line_first(lines) * SVP_LINE_BYTES;
        if (memcmp(live + at, decoded + at, SVP_LINE_BYTES) != 0) {
            memcpy(live + at, decoded + at, SVP_LINE_BYTES);
            written = true;
        }
    }
    return written;
}

static uint16_t clamp16(uint32_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

/* The page stands at the target now; in the shadow too, unless it was decoded in its place. */
static void note_page(const struct svp_restore *restore, const struct svp_restore_part *part, uint64_t page)
{
    const struct svp_page_origin *origin = &part->pages[page].origin;
    if (svp_pageset_has(&part->blank, page) && part->pages[page].lines != 0) {
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

/* Brings the differing pages of a share to their target; returns how many were written. */
static uint64_t place_share(const struct placing *placing, uint64_t page, uint64_t end)
{
    const struct svp_restore_part *part = placing->part;
    uint64_t written = 0;
    expect(part, page, end);
    for (page = svp_pageset_next(&part->differing, page); page < end;) {
        const uint64_t next = svp_pageset_next(&part->differing, page + 1);
        if (next < end) {
            expect_page(part, next);
        }
        written += svp_pageset_has(&part->blank, page) ? part->pages[page].lines != 0 : place_page(part, page);
        note_page(placing->restore, part, page);
        page = next;
    }
    return written;
}

static void work(void *context, bool own)
{
    struct placing *placing = context;
    const uint64_t pages = placing->part->region->pages;
    uint64_t written = 0;
    (void)own;
    for (;;) {
        uint64_t page = atomic_fetch_add(&placing->next_page, SHARE_PAGES);
        if (page >= pages) {
            break;
        }
        written += place_share(placing, page, pages - page < SHARE_PAGES ? pages : page + SHARE_PAGES);
    }
    atomic_fetch_add(&placing->written_pages, written);
}

void svp_place_all(struct svp_restore *restore, unsigned workers)
{
    for (size_t i = 0; i < restore->part_count; i++) {
        struct svp_restore_part *part = &restore->parts[i];
        struct placing placing = { .restore = restore, .part = part };
        uint64_t shares = part->differing_pages / SHARE_PAGES;
        svp_crew_run(shares < workers ? (unsigned)shares : workers, work, &placing);
        restore->written_pages += atomic_load(&placing.written_pages);
    }
}
