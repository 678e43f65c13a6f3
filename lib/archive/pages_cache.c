/* pages_cache.c - recently used PAGES records of a reader, and decoding chains of deltas through them */
#include "archive/pages_cache.h"

#include <string.h>

#include "format/memory.h"
#include "format/tree.h"
#include "status.h"

static uint64_t bytes_of(const struct svp_cached_pages *cached)
{
    return sizeof *cached + cached->body.capacity + cached->unpacked.capacity;
}

void svp_pages_cache_clear(struct svp_cached_pages *cached)
{
    if (cached != NULL) {
        svp_buffer_free(&cached->body);
        svp_buffer_free(&cached->unpacked);
    }
}

void svp_pages_cache_drop(struct svp_reader *reader, size_t place)
{
    svp_pages_cache_clear(reader->pages[place]);
    svp_memory_free(reader->pages[place]);
    reader->pages[place] = NULL;
}

enum savepoint_status svp_pages_cache_load(const struct svp_source *source, struct svp_cached_pages *cached,
                                           uint64_t offset, struct savepoint_error *error)
{
    struct svp_record record;
    uint16_t coder_id = 0;
    cached->is_unpacked = false;
    cached->offset = 0;
    enum savepoint_status status = svp_source_record(source, &record, &cached->body, offset, SVP_PAGES, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    enum svp_verdict verdict =
        svp_pages_read(&cached->pages, cached->body.bytes, cached->body.count, offset, &coder_id);
    if (verdict == SVP_UNSUPPORTED) {
        return svp_status_at(error, SAVEPOINT_UNSUPPORTED, offset, "read",
                             "%s: pages are stored by coder %u, which this savepoint lacks: use a newer one",
                             source->path, coder_id);
    }
    status = svp_source_verdict(source, verdict, offset, "batch of pages", error);
    if (status == SAVEPOINT_OK) {
        cached->offset = offset;
    }
    return status;
}

enum savepoint_status
svp_pages_cache_unpack(const struct svp_source *source, struct svp_cached_pages *cached, struct savepoint_error *error)
{
    if (cached->is_unpacked) {
        return SAVEPOINT_OK;
    }
    svp_buffer_clear(&cached->unpacked);
    cached->unpacked.failed = false;
    if (svp_buffer_reserve(&cached->unpacked, cached->pages.unpacked_bytes + (size_t)1) == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to read", source->path);
    }
    enum svp_verdict verdict = svp_pages_unpack(&cached->pages, source->unpacker, cached->unpacked.bytes);
    cached->is_unpacked = verdict == SVP_GOOD;
    return svp_source_verdict(source, verdict, cached->offset, "batch of pages", error);
}

/* Keeps the cache within its bytes, `kept` whatever it takes. */
static void trim(struct svp_reader *reader, const struct svp_cached_pages *kept)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < SVP_READER_PAGES; i++) {
        bytes += reader->pages[i] != NULL ? bytes_of(reader->pages[i]) : 0;
    }
    while (bytes > SVP_READER_PAGES_BYTES) {
        size_t oldest = SVP_READER_PAGES;
        for (size_t i = 0; i < SVP_READER_PAGES; i++) {
            bool candidate = reader->pages[i] != NULL && reader->pages[i] != kept;
            bool older =
                candidate && (oldest == SVP_READER_PAGES || reader->pages[i]->used < reader->pages[oldest]->used);
            oldest = older ? i : oldest;
        }
        if (oldest == SVP_READER_PAGES) {
            return;
        }
        bytes -= bytes_of(reader->pages[oldest]);
        svp_pages_cache_drop(reader, oldest);
    }
}

/* The cached record of `offset`, or the place to load it into; NULL: no memory. */
static struct svp_cached_pages *place_for(struct svp_reader *reader, uint64_t offset)
{
    struct svp_cached_pages **empty = NULL;
    struct svp_cached_pages *oldest = NULL;
    for (size_t i = 0; i < SVP_READER_PAGES; i++) {
        struct svp_cached_pages *cached = reader->pages[i];
        if (cached == NULL) {
            empty = empty != NULL ? empty : &reader->pages[i];
        } else if (cached->offset == offset) {
            return cached;
        } else if (oldest == NULL || cached->used < oldest->used) {
            oldest = cached;
        }
    }
    if (empty != NULL) {
        *empty = svp_memory_zalloc(1, sizeof **empty);
        return *empty != NULL ? *empty : oldest;
    }
    return oldest;
}

static enum savepoint_status
get(struct svp_reader *reader, struct svp_cached_pages **found, uint64_t offset, struct savepoint_error *error)
{
    struct svp_cached_pages *cached = place_for(reader, offset);
    enum savepoint_status status = SAVEPOINT_OK;
    if (cached == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to read", reader->source->path);
    }
    if (cached->offset != offset) {
        status = svp_pages_cache_load(reader->source, cached, offset, error);
        trim(reader, cached);
    }
    cached->used = ++reader->clock;
    *found = cached;
    return status;
}

enum savepoint_status svp_pages_cache_get(struct svp_reader *reader, const struct svp_cached_pages **cached,
                                          uint64_t offset, struct savepoint_error *error)
{
    struct svp_cached_pages *found = NULL;
    enum savepoint_status status = get(reader, &found, offset, error);
    *cached = found;
    return status;
}

enum savepoint_status svp_pages_cache_unpacked(struct svp_reader *reader, const struct svp_cached_pages **cached,
                                               uint64_t offset, struct savepoint_error *error)
{
    struct svp_cached_pages *found = NULL;
    enum savepoint_status status = get(reader, &found, offset, error);
    *cached = found;
    return status == SAVEPOINT_OK ? svp_pages_cache_unpack(reader->source, found, error) : status;
}

/* The chain from a record down to one without base: offsets[0] is the newest. */
static enum savepoint_status
find_chain(struct svp_reader *reader, uint64_t *offsets, uint32_t *count, uint64_t record_offset, uint32_t region_id,
           uint64_t page_index, struct savepoint_error *error)
{
    uint64_t offset = record_offset;
    for (*count = 0; *count <= SVP_CHAIN_LINKS_MAX;) {
        const struct svp_cached_pages *cached = NULL;
        enum savepoint_status status = svp_pages_cache_get(reader, &cached, offset, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        int slot = cached->pages.region_id == region_id ? svp_pages_find(&cached->pages, page_index) : -1;
        if (slot < 0) {
            return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read", "%s: page %llu is not where its index says",
                                 reader->source->path, (unsigned long long)page_index);
        }
        offsets[(*count)++] = offset;
        if (!cached->pages.coder->has_base) {
            return SAVEPOINT_OK;
        }
        offset = cached->pages.bases[slot];
    }
    return svp_status_at(error, SAVEPOINT_CORRUPT, record_offset, "read", "%s: page %llu has more than %u deltas",
                         reader->source->path, (unsigned long long)page_index, SVP_CHAIN_LINKS_MAX);
}

static enum savepoint_status
fail_decoded(struct svp_reader *reader, uint64_t offset, uint64_t page_index, struct savepoint_error *error)
{
    return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read",
                         "%s: page %llu decodes to other bytes than were stored", reader->source->path,
                         (unsigned long long)page_index);
}

/* The page that a slot of `cached`, unpacked, refers to: not compared with the hash stored there. *key_bytes: about
 * what it took. The place of `cached` may be another record's afterwards. */
static enum savepoint_status follow(struct svp_reader *reader, uint8_t *page, uint32_t *key_bytes,
                                    const struct svp_cached_pages *cached, uint32_t slot, struct savepoint_error *error)
{
    struct svp_reference reference;
    const uint64_t offset = cached->offset;
    const uint64_t page_index = cached->pages.pages[slot];
    const struct svp_cached_pages *referred = NULL;
    if (svp_pages_reference(&cached->pages, slot, cached->unpacked.bytes, offset, &reference) != SVP_GOOD) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read",
                             "%s: page %llu is said to be in a record that is not before its own", reader->source->path,
                             (unsigned long long)page_index);
    }
    enum savepoint_status status = svp_pages_cache_unpacked(reader, &referred, reference.record_offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const struct svp_pages *pages = &referred->pages;
    int at = svp_pages_find(pages, reference.page);
    if (pages->coder->has_base || pages->coder->refers || at < 0) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "read",
                             "%s: page %llu is said to be in a record that does not hold it whole",
                             reader->source->path, (unsigned long long)page_index);
    }
    pages->coder->decode(page, &pages->slots[at], referred->unpacked.bytes);
    *key_bytes = pages->stored_bytes / pages->count;
    return SAVEPOINT_OK;
}

static enum savepoint_status
apply_reference(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin,
                const struct svp_cached_pages *cached, uint32_t slot, struct savepoint_error *error)
{
    const uint64_t offset = cached->offset;
    enum savepoint_status status = follow(reader, page, &origin->key_bytes, cached, slot, error);
    status = status == SAVEPOINT_OK ? svp_pages_cache_get(reader, &cached, offset, error) : status;
    if (status == SAVEPOINT_OK && svp_pages_check(&cached->pages, slot, page, &origin->hash) != SVP_GOOD) {
        status = fail_decoded(reader, offset, cached->pages.pages[slot], error);
    }
    return status;
}

static enum savepoint_status apply(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin,
                                   uint64_t offset, uint64_t page_index, struct savepoint_error *error)
{
    const struct svp_cached_pages *cached = NULL;
    enum savepoint_status status = svp_pages_cache_unpacked(reader, &cached, offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    int slot = svp_pages_find(&cached->pages, page_index);
    if (cached->pages.coder->refers) {
        return apply_reference(reader, page, origin, cached, (uint32_t)slot, error);
    }
    if (svp_pages_decode(&cached->pages, (uint32_t)slot, cached->unpacked.bytes, page, &origin->hash) != SVP_GOOD) {
        return fail_decoded(reader, offset, page_index, error);
    }
    if (cached->pages.coder->has_base) {
        origin->links++;
        origin->delta_bytes += cached->pages.unpacked_bytes / cached->pages.count + 1;
    } else {
        origin->key_bytes = cached->pages.stored_bytes / cached->pages.count;
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_reader_page(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin, uint64_t record_offset,
                uint32_t region_id, uint64_t page_index, struct savepoint_error *error)
{
    uint64_t offsets[SVP_CHAIN_LINKS_MAX + 1];
    uint32_t count = 0;
    *origin = (struct svp_page_origin){ 0 };
    if (record_offset == 0) {
        memset(page, 0, SVP_PAGE_BYTES);
        origin->hash = svp_tree_zero_page();
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = find_chain(reader, offsets, &count, record_offset, region_id, page_index, error);
    while (status == SAVEPOINT_OK && count > 0) {
        status = apply(reader, page, origin, offsets[--count], page_index, error);
    }
    return status;
}
