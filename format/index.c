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

/* ---- lists: one entry after another */

static bool read_list_entry(struct svp_index_entry *entry, uint64_t record_offset, struct svp_cursor *cursor)
{
    uint64_t region = svp_cursor_varint(cursor);
    uint64_t first = svp_cursor_varint(cursor);
    uint64_t more_pages = svp_cursor_varint(cursor);
    uint64_t distance = svp_cursor_varint(cursor);
    if (cursor->bad || region == 0 || region > UINT32_MAX || first >= REGION_PAGES_MAX ||
        more_pages >= REGION_PAGES_MAX - first || distance == 0 || distance >= record_offset / 8) {
        return false;
    }
    *entry = (struct svp_index_entry){ (uint32_t)region, first, more_pages + 1, record_offset - distance * 8 };
    return true;
}

static enum svp_verdict
read_list(struct svp_index *index, uint32_t count, uint64_t record_offset, struct svp_cursor cursor)
{
    struct svp_index_entry before = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        struct svp_index_entry entry;
        if (!read_list_entry(&entry, record_offset, &cursor) || (i > 0 && order(&before, &entry) >= 0)) {
            return SVP_BAD;
        }
        if (!svp_index_add(index, &entry)) {
            return SVP_EXHAUSTED;
        }
        before = entry;
    }
    return svp_cursor_left(&cursor) == 0 ? SVP_GOOD : SVP_BAD;
}

static void write_list(struct svp_buffer *plain, const struct svp_index *index, uint64_t record_offset)
{
    for (uint32_t i = 0; i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        svp_buffer_add_varint(plain, entry->region_id);
        svp_buffer_add_varint(plain, entry->first_page);
        svp_buffer_add_varint(plain, entry->page_count - 1);
        svp_buffer_add_varint(plain, (record_offset - entry->record_offset) / 8);
    }
}

/* ---- maps: the records they name, then their entries column by column, which compresses better */

enum { COLUMN_REGION, COLUMN_FIRST, COLUMN_COUNT, COLUMN_RECORD, COLUMNS };

/* Reads the table of records, ascending: offsets[0..count). */
static bool read_records(uint64_t *offsets, uint64_t count, uint64_t record_offset, struct svp_cursor *cursor)
{
    uint64_t offset = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t distance = svp_cursor_varint(cursor);
        if (cursor->bad || distance == 0 || distance >= (record_offset - offset + 7) / 8) {
            return false;
        }
        offset += distance * 8;
        offsets[i] = offset;
    }
    return true;
}

/* One entry given the one before (all zero for the first). */
static bool read_map_entry(struct svp_index_entry *entry, const struct svp_index_entry *before,
                           struct svp_cursor columns[COLUMNS], const uint64_t *offsets, uint64_t offset_count)
{
    uint64_t region = svp_cursor_varint(&columns[COLUMN_REGION]);
    uint64_t first = svp_cursor_varint(&columns[COLUMN_FIRST]);
    uint64_t more_pages = svp_cursor_varint(&columns[COLUMN_COUNT]);
    uint64_t record = svp_cursor_varint(&columns[COLUMN_RECORD]);
    bool bad = false;
    for (size_t i = 0; i < COLUMNS; i++) {
        bad = bad || columns[i].bad;
    }
    if (bad || region > UINT32_MAX - before->region_id || first >= REGION_PAGES_MAX ||
        more_pages >= SVP_BATCH_PAGES_MAX || record >= offset_count) {
        return false;
    }
    first += region == 0 ? before->first_page + before->page_count : 0;
    *entry = (struct svp_index_entry){ before->region_id + (uint32_t)region, first, more_pages + 1, offsets[record] };
    return entry->region_id != 0 && first + more_pages < REGION_PAGES_MAX;
}

/* Where each column begins: a column is `count` varints. */
static bool find_columns(struct svp_cursor columns[COLUMNS], uint32_t count, struct svp_cursor *cursor)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i] = *cursor;
        for (uint32_t k = 0; k < count && !cursor->bad; k++) {
            svp_cursor_varint(cursor);
        }
    }
    return !cursor->bad && svp_cursor_left(cursor) == 0;
}

/* Each page stands in a record before the INDEX, where it takes at least a byte of its page table: more pages than
 * bytes would be memory for nothing. */
static enum svp_verdict read_map_entries(struct svp_index *index, uint32_t count, struct svp_cursor columns[COLUMNS],
                                         const uint64_t *offsets, uint64_t offset_count, uint64_t record_offset)
{
    struct svp_index_entry before = { 0 };
    uint64_t pages = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct svp_index_entry entry;
        if (!read_map_entry(&entry, &before, columns, offsets, offset_count)) {
            return SVP_BAD;
        }
        pages += entry.page_count;
        if (pages > record_offset) {
            return SVP_BAD;
        }
        if (!svp_index_add(index, &entry)) {
            return SVP_EXHAUSTED;
        }
        before = entry;
    }
    return SVP_GOOD;
}

static enum svp_verdict
read_map(struct svp_index *index, uint32_t count, uint64_t record_offset, struct svp_cursor cursor)
{
    struct svp_cursor columns[COLUMNS];
    uint64_t offset_count = svp_cursor_varint(&cursor);
    if (cursor.bad || offset_count > svp_cursor_left(&cursor)) { /* an offset takes at least a byte */
        return SVP_BAD;
    }
    uint64_t *offsets = svp_memory_alloc((size_t)(offset_count + 1) * sizeof *offsets);
    if (offsets == NULL) {
        return SVP_EXHAUSTED;
    }
    bool sound = read_records(offsets, offset_count, record_offset, &cursor) && find_columns(columns, count, &cursor);
    enum svp_verdict verdict =
        sound ? read_map_entries(index, count, columns, offsets, offset_count, record_offset) : SVP_BAD;
    svp_memory_free(offsets);
    return verdict;
}

/* The records that entries name, ascending: an entry tells which by its number. Entries go by pages, so the same few
 * records come again and again: what was looked up last stands in a place of its own. */
struct records {
    uint64_t *offsets;
    uint32_t count;
    struct {
        uint64_t offset;
        uint32_t number;
    } found[1024];
};

static uint32_t place_of(const struct records *records, uint64_t offset)
{
    return (uint32_t)(offset / 8 * UINT64_C(0x9e3779b97f4a7c15) >> 32) %
           (sizeof records->found / sizeof records->found[0]);
}

static int order_offsets(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* False: no memory. */
static bool list_records(struct records *records, const struct svp_index *index)
{
    uint32_t count = 0;
    memset(records, 0, sizeof *records);
    uint64_t *offsets = records->offsets = svp_memory_alloc((index->count + (size_t)1) * sizeof *offsets);
    for (uint32_t i = 0; offsets != NULL && i < index->count; i++) {
        uint64_t *before = &records->found[place_of(records, index->entries[i].record_offset)].offset;
        if (*before != index->entries[i].record_offset) {
            *before = offsets[count++] = index->entries[i].record_offset;
        }
    }
    if (count > 1) {
        qsort(offsets, count, sizeof *offsets, order_offsets);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (records->count == 0 || offsets[records->count - 1] != offsets[i]) {
            offsets[records->count++] = offsets[i];
        }
    }
    memset(records->found, 0, sizeof records->found);
    return offsets != NULL;
}

static uint32_t number_of(struct records *records, uint64_t offset)
{
    uint32_t place = place_of(records, offset);
    if (records->found[place].offset != offset) {
        const uint64_t *at = bsearch(&offset, records->offsets, records->count, sizeof offset, order_offsets);
        records->found[place].offset = offset;
        records->found[place].number = (uint32_t)(at - records->offsets);
    }
    return records->found[place].number;
}

static uint64_t column_value(const struct svp_index_entry *entry, const struct svp_index_entry *before, size_t column,
                             struct records *records)
{
    switch (column) {
    case COLUMN_REGION:
        return entry->region_id - before->region_id;
    case COLUMN_FIRST:
        return entry->first_page -
               (entry->region_id == before->region_id ? before->first_page + before->page_count : 0);
    case COLUMN_COUNT:
        return entry->page_count - 1;
    default:
        return number_of(records, entry->record_offset);
    }
}

static void write_map(struct svp_buffer *plain, const struct svp_index *index)
{
    struct records records;
    if (!list_records(&records, index)) {
        plain->failed = true;
        return;
    }
    svp_buffer_add_varint(plain, records.count);
    for (uint32_t i = 0; i < records.count; i++) {
        svp_buffer_add_varint(plain, (records.offsets[i] - (i > 0 ? records.offsets[i - 1] : 0)) / 8);
    }
    for (size_t column = 0; column < COLUMNS; column++) {
        const struct svp_index_entry none = { 0 };
        for (uint32_t i = 0; i < index->count; i++) {
            const struct svp_index_entry *before = i > 0 ? &index->entries[i - 1] : &none;
            svp_buffer_add_varint(plain, column_value(&index->entries[i], before, column, &records));
        }
    }
    svp_memory_free(records.offsets);
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
        struct svp_cursor body_cursor = svp_cursor_over(plain, unpacked);
        verdict = kind == SVP_INDEX_MAP ? read_map(index, count, record_offset, body_cursor)
                                        : read_list(index, count, record_offset, body_cursor);
    }
    svp_memory_free(plain);
    if (verdict != SVP_GOOD) {
        svp_index_free(index);
    }
    return verdict;
}

bool svp_index_write(struct svp_buffer *to, const struct svp_index *index, uint64_t record_offset,
                     struct svp_packer *packer)
{
    struct svp_buffer plain = { 0 };
    if (index->kind == SVP_INDEX_MAP) {
        write_map(&plain, index);
    } else {
        write_list(&plain, index, record_offset);
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
