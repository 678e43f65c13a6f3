/* audit_pages.c - the rules of PAGES records within a transaction and a stream */
#include "archive/audit_pages.h"

#include <stdlib.h>

#include "format/bytes.h"
#include "format/digest.h"
#include "format/memory.h"
#include "format/pages.h"
#include "os/host.h"

struct svp_audit_latest {
    uint64_t page;
    uint64_t record_offset; /* 0: an empty place */
    uint32_t region_id;
};

void svp_audit_pages_begin(struct svp_audit *audit)
{
    audit->pages_unread = false;
    audit->pages_stored = audit->delta_bytes = audit->key_bytes = 0;
    svp_buffer_clear(&audit->places);
}

void svp_audit_pages_close(struct svp_audit *audit)
{
    svp_buffer_free(&audit->places);
    svp_memory_free(audit->latest);
}

bool svp_audit_pages_announced(const struct svp_audit *audit, uint64_t mask)
{
    return (audit->features & mask) == mask;
}

static const struct svp_audit_place *all_places(const struct svp_audit *audit, size_t *count)
{
    *count = audit->places.count / sizeof(struct svp_audit_place);
    return (const struct svp_audit_place *)(const void *)audit->places.bytes;
}

static int order_places(const void *left, const void *right)
{
    const struct svp_audit_place *a = left;
    const struct svp_audit_place *b = right;
    if (a->region_id != b->region_id) {
        return a->region_id < b->region_id ? -1 : 1;
    }
    return (a->page > b->page) - (a->page < b->page);
}

bool svp_audit_pages_repeat(struct svp_audit *audit)
{
    size_t count;
    const struct svp_audit_place *places = all_places(audit, &count);
    if (count > 1) {
        qsort(audit->places.bytes, count, sizeof *places, order_places);
    }
    for (size_t i = 1; i < count; i++) {
        if (order_places(&places[i - 1], &places[i]) == 0) {
            return true;
        }
    }
    return false;
}

const struct svp_audit_place *svp_audit_pages_of(const struct svp_audit *audit, uint32_t region_id, size_t *count)
{
    size_t places_count;
    const struct svp_audit_place *places = all_places(audit, &places_count);
    size_t low = 0;
    size_t high = places_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places[middle].region_id < region_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *count = 0;
    while (low + *count < places_count && places[low + *count].region_id == region_id) {
        ++*count;
    }
    return places_count > 0 ? places + low : NULL;
}

/* The place of a page in the table: its own, or the empty one where it belongs. The seed is nobody's to know: pages
 * chosen to meet in one place would make the table a list. */
static struct svp_audit_latest *find_latest(const struct svp_audit *audit, uint32_t region_id, uint64_t page)
{
    uint8_t key[12];
    svp_store64(key, page);
    svp_store32(key + 8, region_id);
    size_t at = (size_t)svp_digest64(audit->latest_seed, key, sizeof key) & (audit->latest_capacity - 1);
    while (audit->latest[at].record_offset != 0 &&
           (audit->latest[at].page != page || audit->latest[at].region_id != region_id)) {
        at = (at + 1) & (audit->latest_capacity - 1);
    }
    return &audit->latest[at];
}

/* Room for one more batch of pages, the table never more than half full. */
static bool grow_latest(struct svp_audit *audit)
{
    struct svp_audit_latest *old = audit->latest;
    size_t old_capacity = audit->latest_capacity;
    if (audit->latest_count + SVP_BATCH_PAGES_MAX <= old_capacity / 2) {
        return true;
    }
    size_t capacity = old_capacity > 0 ? old_capacity * 2 : 4 * SVP_BATCH_PAGES_MAX;
    struct svp_audit_latest *grown = svp_memory_zalloc(capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (old_capacity == 0) {
        svp_host_random(&audit->latest_seed, sizeof audit->latest_seed);
    }
    audit->latest = grown;
    audit->latest_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].record_offset != 0) {
            *find_latest(audit, old[i].region_id, old[i].page) = old[i];
        }
    }
    svp_memory_free(old);
    return true;
}

/* In a stream a base is the record that last stored the page (SPEC.md section 7). NULL: sound. */
static const char *
check_stream(struct svp_audit *audit, const struct svp_pages *pages, uint64_t record_offset, enum svp_verdict *verdict)
{
    const char *wrong = pages->coder->refers ? "in this stream a page refers to another one" : NULL;
    if (!grow_latest(audit)) {
        *verdict = SVP_EXHAUSTED;
        return NULL;
    }
    for (uint32_t i = 0; i < pages->count; i++) {
        struct svp_audit_latest *latest = find_latest(audit, pages->region_id, pages->pages[i]);
        if (pages->coder->has_base && pages->bases[i] != latest->record_offset) {
            wrong = "in this stream a page rests on another record than its last one";
        }
        audit->latest_count += latest->record_offset == 0 ? 1 : 0;
        *latest = (struct svp_audit_latest){ pages->pages[i], record_offset, pages->region_id };
    }
    return wrong;
}

static void count_pages(struct svp_audit *audit, const struct svp_pages *pages)
{
    for (uint32_t i = 0; i < pages->count; i++) {
        struct svp_audit_place place = { pages->region_id, pages->coder->has_base, pages->pages[i] };
        svp_buffer_add(&audit->places, &place, sizeof place);
    }
    audit->pages_stored += pages->count;
    *(pages->coder->has_base ? &audit->delta_bytes : &audit->key_bytes) += pages->stored_bytes;
}

static const char *
check_pages(struct svp_audit *audit, const struct svp_pages *pages, uint64_t record_offset, enum svp_verdict *verdict)
{
    count_pages(audit, pages);
    const char *wrong = audit->stream ? check_stream(audit, pages, record_offset, verdict) : NULL;
    if (audit->places.failed) {
        *verdict = SVP_EXHAUSTED;
    }
    if (!svp_audit_pages_announced(audit, pages->coder->feature)) {
        return "pages use a coder that no archive header before them announces";
    }
    if (pages->stored_bytes < pages->unpacked_bytes && !svp_audit_pages_announced(audit, SVP_FEATURE_ZSTD)) {
        return "pages are compressed, and no archive header before them announces it";
    }
    return wrong;
}

enum savepoint_status svp_audit_pages_check(struct svp_audit *audit, const struct svp_record *record,
                                            const struct svp_buffer *body, struct savepoint_error *error)
{
    uint16_t coder_id = 0;
    const char *wrong = NULL;
    struct svp_pages *pages = svp_memory_alloc(sizeof *pages);
    enum svp_verdict verdict =
        pages != NULL ? svp_pages_read(pages, body->bytes, body->count, record->offset, &coder_id) : SVP_EXHAUSTED;
    if (verdict == SVP_GOOD) {
        wrong = check_pages(audit, pages, record->offset, &verdict);
    }
    svp_memory_free(pages);
    audit->pages_unread = audit->pages_unread || verdict != SVP_GOOD;
    return verdict == SVP_GOOD && wrong != NULL
               ? svp_audit_broken(audit, record->offset, wrong, error)
               : svp_source_verdict(audit->source, verdict, record->offset, "batch of pages", error);
}
