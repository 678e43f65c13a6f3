/* bulk_references.c - the pages of a window that are the same as others: each record with those is read once
 *
 * They begin chains, so they are made before any step is applied. What they refer to may lie all over the archive. */
#include "archive/bulk_chains.h"

#include <stdlib.h>
#include <string.h>

#include "archive/pages_cache.h"
#include "format/memory.h"
#include "status.h"

enum savepoint_status svp_chains_note_reference(struct svp_chains *chains, uint64_t record_offset, uint64_t page)
{
    if (chains->reference_count == chains->reference_capacity) {
        size_t capacity = chains->reference_capacity != 0 ? chains->reference_capacity * 2 : 256;
        struct svp_chains_reference *grown = svp_memory_resize(chains->references, capacity, sizeof *grown);
        if (grown == NULL) {
            return svp_status_fail(&chains->error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to decode pages",
                                   chains->source.path);
        }
        chains->references = grown;
        chains->reference_capacity = capacity;
    }
    chains->references[chains->reference_count++] =
        (struct svp_chains_reference){ .record_offset = record_offset, .page = page };
    return SAVEPOINT_OK;
}

static enum savepoint_status load(struct svp_chains *chains, uint64_t offset)
{
    enum savepoint_status status = svp_pages_cache_load(&chains->source, chains->batch, offset, &chains->error);
    return status == SAVEPOINT_OK ? svp_pages_cache_unpack(&chains->source, chains->batch, &chains->error) : status;
}

/* Those of one record, which stand together, learn where their pages are. */
static enum savepoint_status look_up(struct svp_chains *chains, size_t first, size_t end)
{
    const struct svp_pages *pages = &chains->batch->pages;
    enum savepoint_status status = load(chains, chains->references[first].record_offset);
    for (size_t i = first; status == SAVEPOINT_OK && i < end; i++) {
        struct svp_chains_reference *reference = &chains->references[i];
        const uint64_t offset = reference->record_offset;
        int slot = svp_chains_slot(chains, chains->batch, reference->page);
        if (slot < 0 || !pages->coder->refers) {
            return svp_chains_damaged(chains, offset, reference->page, "is not where its index says");
        }
        memcpy(reference->hash.bytes, pages->hashes + (size_t)slot * SVP_HASH_BYTES, SVP_HASH_BYTES);
        if (svp_pages_reference(pages, (uint32_t)slot, chains->batch->unpacked.bytes, offset, &reference->to) !=
            SVP_GOOD) {
            return svp_chains_damaged(chains, offset, reference->page, "is said to be in a record not before its own");
        }
    }
    return status;
}

static int order_references(const void *left, const void *right)
{
    const struct svp_reference *a = &((const struct svp_chains_reference *)left)->to;
    const struct svp_reference *b = &((const struct svp_chains_reference *)right)->to;
    return (a->record_offset > b->record_offset) - (a->record_offset < b->record_offset);
}

enum savepoint_status svp_chains_look_up(struct svp_chains *chains)
{
    enum savepoint_status status = SAVEPOINT_OK;
    const struct svp_chains_reference *references = chains->references;
    for (size_t first = 0, end; status == SAVEPOINT_OK && first < chains->reference_count; first = end) {
        for (end = first + 1;
             end < chains->reference_count && references[end].record_offset == references[first].record_offset; end++) {
        }
        status = look_up(chains, first, end);
    }
    if (chains->reference_count > 1) {
        qsort(chains->references, chains->reference_count, sizeof *chains->references, order_references);
    }
    return status;
}

/* The record that it leads to is loaded. */
static enum savepoint_status copy_page(struct svp_chains *chains, const struct svp_chains_reference *reference)
{
    const struct svp_pages *pages = &chains->batch->pages;
    const struct svp_bulk_part *part = chains->part;
    struct svp_bulk_page *state = &part->pages[reference->page];
    uint8_t *memory = svp_bulk_place(part, reference->page);
    int slot = svp_pages_find(pages, reference->to.page);
    if (pages->coder->has_base || pages->coder->refers || slot < 0) {
        return svp_chains_damaged(chains, reference->record_offset, reference->page,
                                  "is said to be in a record that does not hold it whole");
    }
    state->lines |= pages->coder->decode(memory, &pages->slots[slot], chains->batch->unpacked.bytes);
    state->origin = (struct svp_page_origin){ .key_bytes = pages->stored_bytes / pages->count };
    if (svp_page_map_get(part->map, reference->page) == reference->record_offset) {
        chains->done_pages++;
        state->origin.hash = svp_digest128(0, memory, SVP_PAGE_BYTES);
        if (memcmp(&state->origin.hash, &reference->hash, sizeof reference->hash) != 0) {
            return svp_chains_damaged(chains, reference->record_offset, reference->page,
                                      "decodes to other bytes than were stored");
        }
    }
    return SAVEPOINT_OK;
}

enum savepoint_status svp_chains_copy(struct svp_chains *chains)
{
    const uint64_t offset = chains->references[chains->reference_count - 1].to.record_offset;
    enum savepoint_status status = load(chains, offset);
    while (status == SAVEPOINT_OK && chains->reference_count > 0 &&
           chains->references[chains->reference_count - 1].to.record_offset == offset) {
        status = copy_page(chains, &chains->references[--chains->reference_count]);
    }
    return status;
}
