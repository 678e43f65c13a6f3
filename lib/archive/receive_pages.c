/* receive_pages.c - the records of a stream in front of a COMMIT: regions and pages, and what they come to */
#include <stdlib.h>
#include <string.h>

#include "archive/receive.h"
#include "format/memory.h"
#include "format/sparse_root.h"
#include "status.h"

/* ---- regions */

/* What SPEC.md section 4.2 asks of a table behind another. NULL: sound. */
static const char *check_table(const struct svp_receive *receive, const struct svp_region_table *now)
{
    const struct svp_region_table *before = &receive->base.table;
    for (uint32_t i = 0; receive->base.commit != 0 && i < now->count; i++) {
        const struct svp_region_entry *entry = &now->entries[i];
        const struct svp_region_entry *old = svp_regions_find_id(before, entry->id);
        if (old == NULL && entry->id < before->next_id) {
            return "a region that was gone comes back under its old id";
        }
        if (old != NULL && (strcmp(old->name, entry->name) != 0 || entry->bytes < old->bytes)) {
            return "a region shrinks, or changes its name";
        }
    }
    return NULL;
}

enum savepoint_status svp_receive_regions(struct svp_receive *receive)
{
    const struct svp_inflow *inflow = &receive->inflow;
    struct svp_append *append = &receive->append;
    size_t bytes = (size_t)inflow->record.body_bytes;
    svp_regions_free(&receive->table);
    enum savepoint_status status = svp_inflow_verdict(inflow, svp_regions_read(&receive->table, inflow->body, bytes),
                                                      "table of regions", receive->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const char *wrong = check_table(receive, &receive->table);
    if (wrong != NULL) {
        return svp_inflow_broken(inflow, wrong, receive->error);
    }
    receive->stream_regions = inflow->record.offset;
    svp_buffer_clear(&receive->stream_body);
    svp_buffer_add(&receive->stream_body, inflow->body, bytes);
    if (receive->stream_body.failed) {
        return svp_inflow_verdict(inflow, SVP_EXHAUSTED, "table of regions", receive->error);
    }
    const struct svp_buffer *old = &receive->base.regions_body;
    if (receive->base.regions != 0 && old->count == bytes && memcmp(old->bytes, inflow->body, bytes) == 0) {
        receive->regions = receive->base.regions;
        return SAVEPOINT_OK;
    }
    svp_buffer_clear(&append->body);
    svp_buffer_add(&append->body, inflow->body, bytes);
    return svp_append_record(append, SVP_REGIONS, &receive->regions, receive->error);
}

/* ---- pages */

/* The page's version before, into `before`; *usable: the archive can rest on it. */
static enum savepoint_status
read_before(struct svp_receive *receive, uint8_t *before, bool *usable, uint32_t region_id, uint64_t page)
{
    struct svp_page_origin origin;
    struct svp_place *place = svp_places_get(&receive->recode.places, region_id, page);
    const struct svp_region_entry *old = svp_regions_find_id(&receive->base.table, region_id);
    *usable = place != NULL && place->target != 0 && old != NULL && !svp_region_excludes(old, page);
    if (place == NULL || place->target == 0) {
        memset(before, 0, SVP_PAGE_BYTES);
        return SAVEPOINT_OK;
    }
    enum savepoint_status status =
        svp_reader_page(&receive->reader, before, &origin, place->target, region_id, page, receive->error);
    if (status == SAVEPOINT_OK && !place->chain_known) {
        place->links = origin.links;
        place->delta_bytes = origin.delta_bytes;
        place->key_bytes = origin.key_bytes;
        place->chain_known = true;
    }
    return status;
}

static enum savepoint_status
receive_page(struct svp_receive *receive, const struct svp_pages *pages, uint32_t slot, const uint8_t *unpacked)
{
    uint8_t before[SVP_PAGE_BYTES];
    uint8_t bytes[SVP_PAGE_BYTES];
    struct svp_hash hash;
    bool usable = false;
    uint64_t page = pages->pages[slot];
    const struct svp_region_entry *entry = svp_regions_find_id(&receive->table, pages->region_id);
    if (entry == NULL || page >= entry->bytes / SVP_PAGE_BYTES) {
        return svp_inflow_broken(&receive->inflow, "a page of no region", receive->error);
    }
    const struct svp_place *known = svp_places_get(&receive->recode.places, entry->id, page);
    if (pages->coder->has_base && (known == NULL || known->source != pages->bases[slot])) {
        return svp_inflow_broken(&receive->inflow, "a page rests on another version than its last", receive->error);
    }
    enum savepoint_status status = read_before(receive, before, &usable, entry->id, page);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    memcpy(bytes, before, sizeof bytes);
    if (svp_pages_decode(pages, slot, unpacked, bytes, &hash) != SVP_GOOD) {
        return svp_inflow_broken(&receive->inflow, "a page decodes to other bytes than were sent", receive->error);
    }
    const struct svp_recode_page wanted = {
        .region_id = entry->id,
        .region_pages = entry->bytes / SVP_PAGE_BYTES,
        .page = page,
        .source = receive->inflow.record.offset,
        .bytes = bytes,
        .hash = &hash,
        .before = usable ? before : NULL,
    };
    status = svp_recode_page(&receive->recode, &wanted, receive->error);
    if (status == SAVEPOINT_OK) {
        const struct svp_receive_touch touch = { page, entry->id };
        svp_places_get(&receive->recode.places, entry->id, page)->hash = hash;
        svp_buffer_add(&receive->touched, &touch, sizeof touch);
    }
    return status;
}

static enum savepoint_status receive_batch(struct svp_receive *receive, struct svp_pages *pages)
{
    uint8_t *unpacked = svp_memory_alloc(pages->unpacked_bytes > 0 ? pages->unpacked_bytes : 1);
    enum svp_verdict verdict = unpacked != NULL ? svp_pages_unpack(pages, receive->unpacker, unpacked) : SVP_EXHAUSTED;
    enum savepoint_status status = svp_inflow_verdict(&receive->inflow, verdict, "batch of pages", receive->error);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < pages->count; i++) {
        status = receive_page(receive, pages, i, unpacked);
    }
    svp_memory_free(unpacked);
    return status;
}

enum savepoint_status svp_receive_pages(struct svp_receive *receive)
{
    const struct svp_inflow *inflow = &receive->inflow;
    uint16_t coder_id = 0;
    struct svp_pages *pages = svp_memory_alloc(sizeof *pages);
    enum svp_verdict verdict = pages != NULL ? svp_pages_read(pages, inflow->body, (size_t)inflow->record.body_bytes,
                                                              inflow->record.offset, &coder_id)
                                             : SVP_EXHAUSTED;
    enum savepoint_status status = svp_inflow_verdict(inflow, verdict, "batch of pages", receive->error);
    if (status == SAVEPOINT_OK && pages->coder->refers) {
        status = svp_inflow_broken(inflow, "a page refers to another one", receive->error);
    }
    status = status == SAVEPOINT_OK ? receive_batch(receive, pages) : status;
    svp_memory_free(pages);
    return status;
}

/* ---- what they come to */

static int order_touched(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct svp_receive_touch)); /* any order that brings equal ones together */
}

static bool repeats(struct svp_receive *receive)
{
    struct svp_buffer *touched = &receive->touched;
    size_t count = touched->count / sizeof(struct svp_receive_touch);
    if (count > 1) {
        qsort(touched->bytes, count, sizeof(struct svp_receive_touch), order_touched);
    }
    for (size_t i = 1; i < count; i++) {
        const uint8_t *at = touched->bytes + i * sizeof(struct svp_receive_touch);
        if (memcmp(at - sizeof(struct svp_receive_touch), at, sizeof(struct svp_receive_touch)) == 0) {
            return true;
        }
    }
    return false;
}

static struct svp_hash root_of(const struct svp_receive *receive, const struct svp_region_entry *entry)
{
    struct svp_sparse_root root;
    const struct svp_places *places = &receive->recode.places;
    const struct svp_page_map *map = svp_places_map(places, entry->id);
    uint64_t pages = entry->bytes / SVP_PAGE_BYTES;
    svp_sparse_root_open(&root, pages);
    uint64_t page = map != NULL ? svp_page_map_next(map, 0) : UINT64_MAX;
    for (; page < pages; page = svp_page_map_next(map, page + 1)) {
        if (!svp_region_excludes(entry, page)) {
            svp_sparse_root_add(&root, page, &places->pool[svp_page_map_get(map, page) - 1].hash);
        }
    }
    return svp_sparse_root_finish(&root);
}

/* Every page that was excluded before and is no longer is among those read (which are all different): what is here of
 * it counts as zeros. */
static bool all_returned(const struct svp_receive *receive)
{
    uint64_t returned = 0;
    uint64_t met = 0;
    for (uint32_t i = 0; i < receive->table.count; i++) {
        const struct svp_region_entry *now = &receive->table.entries[i];
        const struct svp_region_entry *old = svp_regions_find_id(&receive->base.table, now->id);
        returned += old != NULL ? svp_region_returned(old, now) : 0;
    }
    for (size_t i = 0; returned > 0 && i < receive->touched.count; i += sizeof(struct svp_receive_touch)) {
        struct svp_receive_touch touch;
        memcpy(&touch, receive->touched.bytes + i, sizeof touch);
        const struct svp_region_entry *now = svp_regions_find_id(&receive->table, (uint32_t)touch.region_id);
        const struct svp_region_entry *old = svp_regions_find_id(&receive->base.table, (uint32_t)touch.region_id);
        bool back = old != NULL && svp_region_excludes(old, touch.page) && !svp_region_excludes(now, touch.page);
        met += back ? 1 : 0;
    }
    return met == returned;
}

enum savepoint_status svp_receive_check_state(struct svp_receive *receive)
{
    struct svp_buffer state = { 0 };
    if (repeats(receive)) {
        return svp_inflow_broken(&receive->inflow, "a page is stored twice in a snapshot", receive->error);
    }
    if (!all_returned(receive)) {
        return svp_inflow_broken(&receive->inflow, "a page that was excluded comes back without being sent",
                                 receive->error);
    }
    for (uint32_t i = 0; i < receive->table.count; i++) {
        const struct svp_hash root = root_of(receive, &receive->table.entries[i]);
        svp_state_add(&state, &receive->table.entries[i], &root);
    }
    const struct svp_hash found = svp_digest128(0, state.bytes, state.count);
    bool enough = !state.failed && !receive->touched.failed;
    svp_buffer_free(&state);
    if (!enough) {
        return svp_inflow_verdict(&receive->inflow, SVP_EXHAUSTED, "snapshot", receive->error);
    }
    return memcmp(found.bytes, receive->commit.state_root.bytes, sizeof found.bytes) == 0
               ? SAVEPOINT_OK
               : svp_inflow_broken(&receive->inflow, "a snapshot's pages do not add up to its digest", receive->error);
}
