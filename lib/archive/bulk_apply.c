/* bulk_apply.c - applying the steps of a window's pages, record by record, oldest first */
#include "archive/bulk_chains.h"
#include "archive/pages_cache.h"
#include "format/expect.h"
#include "os/vm.h"

/* The page stands at its wanted version. */
static enum savepoint_status finish(struct svp_chains *chains, const struct svp_chains_step *step)
{
    const struct svp_bulk_part *part = chains->part;
    struct svp_bulk_page *state = &part->pages[step->page];
    chains->done_pages++;
    if (svp_pages_check(&chains->batch->pages, step->slot, svp_bulk_place(part, step->page), &state->origin.hash) !=
        SVP_GOOD) {
        return svp_chains_damaged(chains, step->record_offset, step->page, "decodes to other bytes than were stored");
    }
    return SAVEPOINT_OK;
}

/* `unpacked` NULL: the page's memory holds it already. */
static enum savepoint_status
apply_step(struct svp_chains *chains, const struct svp_chains_step *step, const uint8_t *unpacked)
{
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    struct svp_page_origin *origin = &part->pages[step->page].origin;
    if (unpacked != NULL && !(svp_bulk_blank(part, step->page) && pages->coder->id == SVP_CODER_ZERO)) {
        part->pages[step->page].lines |=
            pages->coder->decode(svp_bulk_place(part, step->page), &pages->slots[step->slot], unpacked);
    }
    if (pages->coder->has_base) {
        origin->delta_bytes += pages->unpacked_bytes / pages->count + 1;
        if (++origin->links > SVP_CHAIN_LINKS_MAX) {
            return svp_chains_damaged(chains, step->record_offset, step->page, "has too many deltas");
        }
    } else {
        *origin = (struct svp_page_origin){ .key_bytes = pages->stored_bytes / pages->count };
    }
    bool last = svp_page_map_get(part->map, step->page) == step->record_offset;
    return last ? finish(chains, step) : SAVEPOINT_OK;
}

/* Where the payload of the record just loaded can be unpacked to at once: it is a run of whole pages, all of which are
 * wanted (`steps` of them). NULL: it cannot. */
static uint8_t *place_of_run(const struct svp_chains *chains, size_t steps)
{
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    uint64_t last = pages->pages[pages->count - 1];
    bool run = pages->coder->verbatim && pages->count == steps && last - pages->pages[0] + 1 == steps &&
               last < part->wanted->pages;
    uint8_t *start = run ? svp_bulk_place(part, pages->pages[0]) : NULL;
    for (size_t i = 0; run && i < steps; i++) {
        run = svp_pageset_has(part->wanted, pages->pages[0] + i) &&
              svp_bulk_place(part, pages->pages[i]) == start + i * SVP_PAGE_BYTES;
    }
    if (!run) {
        return NULL;
    }
    for (size_t i = 0; i < steps; i++) {
        part->pages[pages->pages[0] + i].lines = SVP_LINES_ALL;
    }
    return start;
}

/* Makes memory resident that runs of whole pages are about to be made in: in one step each, not long before. */
static void expect_runs(const struct svp_chains *chains)
{
    enum { RUN_PAGES_MIN = 4 };
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    bool whole = !pages->coder->has_base && pages->coder->id != SVP_CODER_ZERO &&
                 pages->pages[pages->count - 1] < part->wanted->pages;
    for (uint32_t i = 0; whole && i < pages->count;) {
        const uint64_t first = pages->pages[i];
        uint64_t end = first;
        for (; i < pages->count && pages->pages[i] == end && svp_pageset_has(part->wanted, end) &&
               svp_bulk_blank(part, end) &&
               svp_bulk_place(part, end) == svp_bulk_place(part, first) + (end - first) * SVP_PAGE_BYTES;
             i++) {
            end++;
        }
        if (end - first >= RUN_PAGES_MIN) {
            svp_vm_populate((uintptr_t)svp_bulk_place(part, first), (size_t)(end - first) * SVP_PAGE_BYTES);
        }
        i += end == first;
    }
}

/* The record just loaded holds the steps' pages where its tables said, before they were checked; and not as references,
 * which make no steps. */
static enum savepoint_status check_slots(struct svp_chains *chains, const struct svp_chains_step *first, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        const struct svp_chains_step *step = &first[-(ptrdiff_t)i];
        if (!svp_chains_holds(chains, chains->batch, step->slot, step->page) || chains->batch->pages.coder->refers) {
            return svp_chains_damaged(chains, step->record_offset, step->page, "is not where its index says");
        }
    }
    return SAVEPOINT_OK;
}

/* The pages lie all over the memory: what each delta will change is fetched, all at once. */
static void expect_deltas(const struct svp_chains *chains, const struct svp_chains_step *first, size_t steps)
{
    const struct svp_pages *pages = &chains->batch->pages;
    for (size_t i = 0; pages->coder->has_base && i < steps; i++) {
        const struct svp_chains_step *step = &first[-(ptrdiff_t)i];
        svp_expect(svp_bulk_place(chains->part, step->page) + pages->slots[step->slot].first, 2);
    }
}

enum savepoint_status svp_chains_apply(struct svp_chains *chains)
{
    const struct svp_source *source = &chains->source;
    struct svp_cached_pages *batch = chains->batch;
    const struct svp_chains_step *first = &chains->steps[chains->step_count - 1];
    size_t steps = 1;
    while (steps < chains->step_count && first[-(ptrdiff_t)steps].record_offset == first->record_offset) {
        steps++;
    }
    enum savepoint_status status = svp_pages_cache_load(source, batch, first->record_offset, &chains->error);
    status = status == SAVEPOINT_OK ? check_slots(chains, first, steps) : status;
    if (status == SAVEPOINT_OK) {
        expect_runs(chains);
    }
    uint8_t *run = status == SAVEPOINT_OK ? place_of_run(chains, steps) : NULL;
    if (run != NULL) {
        enum svp_verdict verdict = svp_pages_unpack(&batch->pages, source->unpacker, run);
        status = svp_source_verdict(source, verdict, batch->offset, "batch of pages", &chains->error);
    } else if (status == SAVEPOINT_OK) {
        status = svp_pages_cache_unpack(source, batch, &chains->error);
    }
    if (status == SAVEPOINT_OK) {
        expect_deltas(chains, first, steps);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < steps; i++) {
        const struct svp_chains_step *step = &chains->steps[--chains->step_count];
        if (i + 1 < steps) {
            svp_expect(svp_bulk_place(chains->part, step[-1].page), SVP_CHAINS_EXPECT_LINES);
        }
        status = apply_step(chains, step, run != NULL ? NULL : batch->unpacked.bytes);
    }
    return status;
}
