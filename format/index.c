/* index.c - the INDEX body */
#include "format/index.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"

enum { HEAD_BYTES = 24, ENTRY_BYTES_MIN = 4, RECORD_BYTES_MIN = 96 };
#define REGION_PAGES_MAX (SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES)

void svp_index_free(struct svp_index *index)
{
    svp_memory_free(index->entries);
    *index = (struct svp_index){ 0 };
}

static bool continues(const struct svp_index_entry *before, const struct svp_index_entry *entry)
{
    return before->region_id == entry->region_id && before->record_offset == entry->record_offset &&
           before->first_page + before->page_count == entry->first_page;
}

bool svp_index_add(struct svp_index *index, const struct svp_index_entry *entry)
{
    if (index->kind == SVP_INDEX_MAP && index->count > 0 && continues(&index->entries[index->count - 1], entry)) {
        index->entries[index->count - 1].page_count += entry->page_count;
        return true;
    }
    if (index->count == index->capacity) {
        uint32_t capacity = index->capacity > 0 ? index->capacity * 2 : 64;
        void *grown = svp_memory_resize(index->entries, capacity, sizeof *index->entries);
        if (grown == NULL) {
            return false;
        }
        index->entries = grown;
        index->capacity = capacity;
    }
    index->entries[index->count++] = *entry;
    return true;
}

static int order(const void *left, const void *right)
{
    const struct svp_index_entry *a = left;
    const struct svp_index_entry *b = right;
    if (a->region_id != b->region_id) {
        return a->region_id < b->region_id ? -1 : 1;
    }
    if (a->first_page != b->first_page) {
        return a->first_page < b->first_page ? -1 : 1;
    }
    return (a->record_offset > b->record_offset) - (a->record_offset < b->record_offset);
}

void svp_index_sort(struct svp_index *index)
{
    if (index->count > 1) {
        qsort(index->entries, index->count, sizeof *index->entries, order);
    }
}

/* Reads one entry given the one before (all zero for the first). */
static bool read_entry(struct svp_index_entry *entry, const struct svp_index_entry *before, enum svp_index_kind kind,
                       uint64_t record_offset, struct svp_cursor *cursor)
{
    uint64_t region = svp_cursor_varint(cursor);
    uint64_t first = svp_cursor_varint(cursor);
    uint64_t more_pages = svp_cursor_varint(cursor);
    uint64_t distance = svp_cursor_varint(cursor);
    if (cursor->bad || region > UINT32_MAX || first >= REGION_PAGES_MAX || more_pages >= REGION_PAGES_MAX) {
        return false;
    }
    if (kind == SVP_INDEX_MAP) {
        first += region == 0 ? before->first_page + before->page_count : 0;
        region += before->region_id;
        entry->record_offset = before->record_offset + svp_unzigzag(distance) * 8;
    } else {
        entry->record_offset = record_offset - distance * 8;
    }
    entry->region_id = (uint32_t)region;
    entry->first_page = first;
    entry->page_count = more_pages + 1;
    bool ascends = entry->region_id > before->region_id ||
                   (entry->region_id == before->region_id &&
                    entry->first_page >= before->first_page + (kind == SVP_INDEX_MAP ? before->page_count : 0));
    bool in_one_record = kind == SVP_INDEX_LIST || entry->page_count <= SVP_BATCH_PAGES_MAX;
    return ascends && in_one_record && region != 0 && region <= UINT32_MAX && first + more_pages < REGION_PAGES_MAX &&
           entry->record_offset != 0 && entry->record_offset < record_offset;
}

static enum svp_verdict
read_entries(struct svp_index *index, uint32_t count, uint64_t record_offset, struct svp_cursor cursor)
{
    struct svp_index_entry before = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        struct svp_index_entry entry;
        if (!read_entry(&entry, &before, index->kind, record_offset, &cursor)) {
            return SVP_BAD;
        }
        if (!svp_index_add(index, &entry)) {
            return SVP_EXHAUSTED;
        }
        before = entry;
    }
    return svp_cursor_left(&cursor) == 0 ? SVP_GOOD : SVP_BAD;
}

enum svp_verdict svp_index_read(struct svp_index *index, const uint8_t *body, size_t bytes, uint64_t record_offset,
                                struct svp_unpacker *unpacker)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    *index = (struct svp_index){ .below = svp_cursor64(&cursor) };
    uint32_t kind = svp_cursor32(&cursor);
    uint32_t count = svp_cursor32(&cursor);
    uint32_t unpacked = svp_cursor32(&cursor);
    uint32_t stored = svp_cursor32(&cursor);
    const uint8_t *packed = svp_cursor_bytes(&cursor, stored);
    /* What an index can name is bounded by the file before it: a PAGES record has at least 96 bytes, and a page at
     * least one byte of its page table. */
    uint64_t entries_max = kind == SVP_INDEX_LIST ? record_offset / RECORD_BYTES_MIN : record_offset;
    if (cursor.bad || (kind != SVP_INDEX_LIST && kind != SVP_INDEX_MAP) || unpacked > SVP_INDEX_UNPACKED_MAX ||
        stored > unpacked || count > unpacked / ENTRY_BYTES_MIN || count > entries_max ||
        index->below >= record_offset || svp_cursor_left(&cursor) != 0) {
        return SVP_BAD;
    }
    index->kind = (enum svp_index_kind)kind;
    uint8_t *plain = svp_memory_alloc(unpacked);
    if (plain == NULL) {
        return SVP_EXHAUSTED;
    }
    enum svp_verdict verdict = svp_unpack(unpacker, plain, unpacked, packed, stored);
    if (verdict == SVP_GOOD) {
        verdict = read_entries(index, count, record_offset, svp_cursor_over(plain, unpacked));
    }
    svp_memory_free(plain);
    if (verdict != SVP_GOOD) {
        svp_index_free(index);
    }
    return verdict;
}

static void write_entry(struct svp_buffer *plain, const struct svp_index_entry *entry,
                        const struct svp_index_entry *before, enum svp_index_kind kind, uint64_t record_offset)
{
    uint64_t region = entry->region_id;
    uint64_t first = entry->first_page;
    uint64_t distance = (record_offset - entry->record_offset) / 8;
    if (kind == SVP_INDEX_MAP) {
        first -= region == before->region_id ? before->first_page + before->page_count : 0;
        region -= before->region_id;
        distance = svp_zigzag((uint64_t)((int64_t)(entry->record_offset - before->record_offset) / 8));
    }
    svp_buffer_add_varint(plain, region);
    svp_buffer_add_varint(plain, first);
    svp_buffer_add_varint(plain, entry->page_count - 1);
    svp_buffer_add_varint(plain, distance);
}

bool svp_index_write(struct svp_buffer *to, const struct svp_index *index, uint64_t record_offset,
                     struct svp_packer *packer)
{
    struct svp_buffer plain = { 0 };
    struct svp_index_entry before = { 0 };
    for (uint32_t i = 0; i < index->count; i++) {
        write_entry(&plain, &index->entries[i], &before, index->kind, record_offset);
        before = index->entries[i];
    }
    bool fits = plain.count <= SVP_INDEX_UNPACKED_MAX - HEAD_BYTES;
    to->failed = to->failed || plain.failed;
    if (fits) {
        size_t start = to->count;
        svp_buffer_add64(to, index->below);
        svp_buffer_add32(to, (uint32_t)index->kind);
        svp_buffer_add32(to, index->count);
        svp_buffer_add32(to, (uint32_t)plain.count);
        svp_buffer_add32(to, 0);
        uint32_t stored = (uint32_t)svp_pack(packer, to, plain.bytes, plain.count);
        if (!to->failed) {
            svp_store32(to->bytes + start + 20, stored);
        }
    }
    svp_buffer_free(&plain);
    return fits;
}
