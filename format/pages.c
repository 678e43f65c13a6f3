/* pages.c - the PAGES body: a batch of encoded pages */
#include "format/pages.h"

#include <string.h>

#include "format/bytes.h"
#include "format/noise.h"
#include "format/tree.h"

void svp_batch_add(struct svp_batch *batch, const struct svp_coder *coder, uint64_t page_index, uint64_t base_offset,
                   const struct svp_hash *hash, const uint8_t *page, const uint8_t *base,
                   const struct svp_changes *changes)
{
    batch->pages[batch->count] = page_index;
    batch->bases[batch->count] = base_offset;
    batch->hashes[batch->count] = *hash;
    batch->count++;
    coder->encode(&batch->lists, &batch->bytes, page, base, changes);
}

void svp_batch_refer(struct svp_batch *batch, uint64_t page_index, const struct svp_hash *hash,
                     const struct svp_reference *reference)
{
    batch->pages[batch->count] = page_index;
    batch->hashes[batch->count] = *hash;
    batch->count++;
    svp_coder_refer(&batch->bytes, reference);
}

void svp_batch_clear(struct svp_batch *batch)
{
    batch->count = 0;
    svp_buffer_clear(&batch->lists);
    svp_buffer_clear(&batch->bytes);
}

void svp_batch_free(struct svp_batch *batch)
{
    svp_buffer_free(&batch->lists);
    svp_buffer_free(&batch->bytes);
    batch->count = 0;
}

static void add_tables(struct svp_buffer *body, const struct svp_batch *batch, bool has_base, uint64_t record_offset)
{
    size_t head = body->count;
    svp_buffer_add_zeros(body, 16); /* four sizes, filled in below and by the caller */
    size_t start = body->count;
    for (uint32_t i = 1; i < batch->count; i++) {
        svp_buffer_add_varint(body, batch->pages[i] - batch->pages[i - 1] - 1);
    }
    size_t bases_start = body->count;
    uint64_t before = record_offset;
    for (uint32_t i = 0; has_base && i < batch->count; i++) {
        uint64_t difference = batch->bases[i] - before; /* a multiple of 8: offsets are */
        svp_buffer_add_varint(body, svp_zigzag((uint64_t)((int64_t)difference / 8)));
        before = batch->bases[i];
    }
    if (!body->failed) {
        svp_store32(body->bytes + head, (uint32_t)(bases_start - start));
        svp_store32(body->bytes + head + 4, (uint32_t)(body->count - bases_start));
    }
}

/* Packing would gain nothing: zstd looks for long before it finds nothing in noise. */
static bool packs_in_vain(const struct svp_batch *batch, const struct svp_coder *coder)
{
    return coder->arrange == NULL && !batch->bytes.failed && batch->lists.count <= batch->bytes.count / 8 &&
           svp_is_noise(batch->bytes.bytes, batch->bytes.count);
}

struct svp_batch_sizes svp_batch_write(struct svp_buffer *body, struct svp_batch *batch, const struct svp_coder *coder,
                                       uint32_t region_id, uint64_t record_offset, struct svp_packer *packer)
{
    size_t start = body->count;
    svp_buffer_add32(body, region_id);
    svp_buffer_add16(body, (uint16_t)coder->id);
    svp_buffer_add16(body, (uint16_t)batch->count);
    svp_buffer_add64(body, batch->pages[0]);
    add_tables(body, batch, coder->has_base, record_offset);
    for (uint32_t i = 0; coder->hash_bytes > 0 && i < batch->count; i++) {
        svp_buffer_add(body, batch->hashes[i].bytes, coder->hash_bytes);
    }
    const bool packs = coder->packs && !packs_in_vain(batch, coder);
    if (coder->arrange != NULL && !batch->bytes.failed) {
        coder->arrange(&batch->lists, &batch->bytes, batch->count);
    } else {
        svp_buffer_add(&batch->lists, batch->bytes.bytes, batch->bytes.count);
    }
    body->failed = body->failed || batch->lists.failed || batch->bytes.failed;
    struct svp_batch_sizes sizes = { (uint32_t)batch->lists.count, 0 };
    if (packs) {
        sizes.stored_bytes = (uint32_t)svp_pack(packer, body, batch->lists.bytes, batch->lists.count);
    } else {
        svp_buffer_add(body, batch->lists.bytes, batch->lists.count);
        sizes.stored_bytes = sizes.unpacked_bytes;
    }
    if (!body->failed) {
        svp_store32(body->bytes + start + 24, sizes.unpacked_bytes);
        svp_store32(body->bytes + start + 28, sizes.stored_bytes);
        if (coder == &svp_coder_whole && sizes.stored_bytes == sizes.unpacked_bytes) {
            svp_store16(body->bytes + start + 4, SVP_CODER_STORED);
        }
    }
    return sizes;
}

static bool read_page_table(struct svp_pages *pages, struct svp_cursor cursor)
{
    for (uint32_t i = 1; i < pages->count; i++) {
        uint64_t gap = svp_cursor_varint(&cursor);
        if (gap >= SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES) {
            return false;
        }
        pages->pages[i] = pages->pages[i - 1] + gap + 1;
    }
    uint64_t last = pages->pages[pages->count - 1];
    return !cursor.bad && svp_cursor_left(&cursor) == 0 && last < SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES;
}

static bool read_base_table(struct svp_pages *pages, struct svp_cursor cursor, uint64_t record_offset)
{
    uint64_t before = record_offset;
    for (uint32_t i = 0; pages->coder->has_base && i < pages->count; i++) {
        before += svp_unzigzag(svp_cursor_varint(&cursor)) * 8;
        if (before == 0 || before >= record_offset) { /* a base is strictly earlier: no chain can loop */
            return false;
        }
        pages->bases[i] = before;
    }
    return !cursor.bad && svp_cursor_left(&cursor) == 0;
}

/* The fixed head of the body, within its limits. */
static enum svp_verdict read_head(struct svp_pages *pages, struct svp_cursor *cursor, uint16_t *coder_id)
{
    pages->region_id = svp_cursor32(cursor);
    *coder_id = svp_cursor16(cursor);
    pages->count = svp_cursor16(cursor);
    pages->pages[0] = svp_cursor64(cursor);
    pages->page_table_bytes = svp_cursor32(cursor);
    pages->base_table_bytes = svp_cursor32(cursor);
    pages->unpacked_bytes = svp_cursor32(cursor);
    pages->stored_bytes = svp_cursor32(cursor);
    if (cursor->bad || pages->count == 0 || pages->count > SVP_BATCH_PAGES_MAX || pages->region_id == 0 ||
        pages->pages[0] >= SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES) {
        return SVP_BAD;
    }
    pages->coder = svp_coder_find(*coder_id);
    if (pages->coder == NULL) {
        return SVP_UNSUPPORTED;
    }
    bool sound = pages->stored_bytes <= pages->unpacked_bytes &&
                 pages->coder->size_fits(pages->count, pages->unpacked_bytes) &&
                 (pages->coder->packs || pages->stored_bytes == pages->unpacked_bytes);
    return sound ? SVP_GOOD : SVP_BAD;
}

static enum svp_verdict read_tables(struct svp_pages *pages, struct svp_cursor *cursor, uint64_t record_offset)
{
    const uint8_t *page_table = svp_cursor_bytes(cursor, pages->page_table_bytes);
    const uint8_t *base_table = svp_cursor_bytes(cursor, pages->base_table_bytes);
    pages->hashes = svp_cursor_bytes(cursor, (size_t)pages->count * pages->coder->hash_bytes);
    if (cursor->bad) {
        return SVP_BAD;
    }
    bool sound = read_page_table(pages, svp_cursor_over(page_table, pages->page_table_bytes)) &&
                 read_base_table(pages, svp_cursor_over(base_table, pages->base_table_bytes), record_offset);
    return sound ? SVP_GOOD : SVP_BAD;
}

enum svp_verdict svp_pages_read_tables(struct svp_pages *pages, const uint8_t *bytes, size_t count,
                                       uint64_t record_offset, size_t *needed)
{
    struct svp_cursor cursor = svp_cursor_over(bytes, count);
    uint16_t coder_id;
    enum svp_verdict verdict = read_head(pages, &cursor, &coder_id);
    if (verdict == SVP_GOOD) {
        *needed = (size_t)SVP_PAGES_HEAD_BYTES + pages->page_table_bytes + pages->base_table_bytes +
                  (size_t)pages->count * pages->coder->hash_bytes;
        verdict = *needed <= count ? read_tables(pages, &cursor, record_offset) : SVP_GOOD;
    }
    return verdict;
}

enum svp_verdict
svp_pages_read(struct svp_pages *pages, const uint8_t *body, size_t bytes, uint64_t record_offset, uint16_t *coder_id)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    enum svp_verdict verdict = read_head(pages, &cursor, coder_id);
    verdict = verdict == SVP_GOOD ? read_tables(pages, &cursor, record_offset) : verdict;
    if (verdict == SVP_GOOD) {
        pages->payload = svp_cursor_bytes(&cursor, pages->stored_bytes);
        verdict = cursor.bad || svp_cursor_left(&cursor) != 0 ? SVP_BAD : SVP_GOOD;
    }
    return verdict;
}

enum svp_verdict svp_pages_unpack(struct svp_pages *pages, struct svp_unpacker *unpacker, uint8_t *to)
{
    enum svp_verdict verdict = svp_unpack(unpacker, to, pages->unpacked_bytes, pages->payload, pages->stored_bytes);
    return verdict == SVP_GOOD ? pages->coder->locate(pages->slots, pages->count, to, pages->unpacked_bytes) : verdict;
}

int svp_pages_find(const struct svp_pages *pages, uint64_t page_index)
{
    uint32_t low = 0;
    uint32_t high = pages->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pages->pages[middle] < page_index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < pages->count && pages->pages[low] == page_index ? (int)low : -1;
}

enum svp_verdict
svp_pages_check(const struct svp_pages *pages, uint32_t slot, const uint8_t *page, struct svp_hash *hash)
{
    uint32_t bytes = pages->coder->hash_bytes;
    if (bytes == 0) {
        *hash = svp_tree_zero_page();
        return SVP_GOOD;
    }
    *hash = svp_digest128(0, page, SVP_PAGE_BYTES);
    bool same = memcmp(hash->bytes, pages->hashes + slot * bytes, bytes) == 0;
    return same ? SVP_GOOD : SVP_BAD;
}

enum svp_verdict svp_pages_reference(const struct svp_pages *pages, uint32_t slot, const uint8_t *unpacked,
                                     uint64_t record_offset, struct svp_reference *reference)
{
    *reference = svp_coder_referred(&pages->slots[slot], unpacked);
    bool earlier = reference->record_offset != 0 && reference->record_offset < record_offset;
    return earlier && reference->record_offset % SVP_STREAM_ALIGNMENT == 0 ? SVP_GOOD : SVP_BAD;
}

enum svp_verdict svp_pages_decode(const struct svp_pages *pages, uint32_t slot, const uint8_t *unpacked, uint8_t *page,
                                  struct svp_hash *hash)
{
    if (pages->coder->refers) {
        return SVP_BAD;
    }
    pages->coder->decode(page, &pages->slots[slot], unpacked);
    return svp_pages_check(pages, slot, page, hash);
}
