/* regions.c - the REGIONS body */
#include "format/regions.h"

#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"

enum { ENTRY_BYTES = 32, EXCLUDED_BYTES = 16 };

void svp_regions_free(struct svp_region_table *table)
{
    for (uint32_t i = 0; table->entries != NULL && i < table->count; i++) {
        svp_memory_free(table->entries[i].excluded);
    }
    svp_memory_free(table->entries);
    *table = (struct svp_region_table){ 0 };
}

static enum svp_verdict read_excluded(struct svp_region_entry *entry, struct svp_cursor *cursor)
{
    uint64_t pages = entry->bytes / SVP_PAGE_BYTES;
    uint64_t free_from = 0; /* first page the next range may start at */
    if (entry->excluded_count == 0) {
        return SVP_GOOD;
    }
    if (entry->excluded_count > SVP_EXCLUDED_MAX || svp_cursor_left(cursor) / EXCLUDED_BYTES < entry->excluded_count) {
        entry->excluded_count = 0;
        return SVP_BAD;
    }
    entry->excluded = svp_memory_zalloc(entry->excluded_count, sizeof *entry->excluded);
    if (entry->excluded == NULL) {
        entry->excluded_count = 0;
        return SVP_EXHAUSTED;
    }
    for (uint32_t i = 0; i < entry->excluded_count; i++) {
        uint64_t first = svp_cursor64(cursor);
        uint64_t count = svp_cursor64(cursor);
        if (first < free_from || count == 0 || first >= pages || count > pages - first) {
            return SVP_BAD;
        }
        entry->excluded[i] = (struct svp_excluded){ first, count };
        free_from = first + count + 1;
    }
    return SVP_GOOD;
}

static enum svp_verdict
read_entry(struct svp_region_entry *entry, const struct svp_region_entry *before, struct svp_cursor *cursor)
{
    const uint8_t *start = cursor->at;
    entry->id = svp_cursor32(cursor);
    entry->flags = svp_cursor32(cursor);
    entry->address = svp_cursor64(cursor);
    entry->bytes = svp_cursor64(cursor);
    entry->excluded_count = svp_cursor32(cursor);
    uint16_t name_bytes = svp_cursor16(cursor);
    uint16_t zero = svp_cursor16(cursor);
    if (cursor->bad || zero != 0 || entry->id == 0 || (entry->flags & ~SVP_REGION_MAPPED) != 0 || entry->bytes == 0 ||
        entry->bytes % SVP_PAGE_BYTES != 0 || entry->bytes > SVP_REGION_BYTES_MAX || name_bytes == 0 ||
        name_bytes > SVP_NAME_BYTES_MAX) {
        entry->excluded_count = 0;
        return SVP_BAD;
    }
    enum svp_verdict verdict = read_excluded(entry, cursor);
    if (verdict != SVP_GOOD) {
        return verdict;
    }
    svp_cursor_copy(cursor, entry->name, name_bytes);
    svp_cursor_bytes(cursor, (8 - (size_t)(cursor->at - start) % 8) % 8);
    if (cursor->bad || memchr(entry->name, 0, name_bytes) != NULL ||
        (before != NULL && strcmp(before->name, entry->name) >= 0)) {
        return SVP_BAD;
    }
    return SVP_GOOD;
}

enum svp_verdict svp_regions_read(struct svp_region_table *table, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    uint32_t count = svp_cursor32(&cursor);
    *table = (struct svp_region_table){ .next_id = svp_cursor32(&cursor) };
    if (cursor.bad || count > SVP_REGIONS_MAX || svp_cursor_left(&cursor) / ENTRY_BYTES < count) {
        return SVP_BAD;
    }
    table->entries = svp_memory_zalloc(count, sizeof *table->entries);
    if (table->entries == NULL) {
        return SVP_EXHAUSTED;
    }
    for (uint32_t i = 0; i < count; i++) {
        table->count = i + 1;
        struct svp_region_entry *entry = &table->entries[i];
        enum svp_verdict verdict = read_entry(entry, i > 0 ? entry - 1 : NULL, &cursor);
        for (uint32_t k = 0; verdict == SVP_GOOD && k < i; k++) {
            verdict = table->entries[k].id == entry->id ? SVP_BAD : SVP_GOOD;
        }
        if (verdict != SVP_GOOD || entry->id >= table->next_id) {
            svp_regions_free(table);
            return verdict != SVP_GOOD ? verdict : SVP_BAD;
        }
    }
    return SVP_GOOD;
}

void svp_regions_write(struct svp_buffer *to, const struct svp_region_table *table)
{
    svp_buffer_add32(to, table->count);
    svp_buffer_add32(to, table->next_id);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct svp_region_entry *entry = &table->entries[i];
        size_t name_bytes = strlen(entry->name);
        svp_buffer_add32(to, entry->id);
        svp_buffer_add32(to, entry->flags);
        svp_buffer_add64(to, entry->address);
        svp_buffer_add64(to, entry->bytes);
        svp_buffer_add32(to, entry->excluded_count);
        svp_buffer_add16(to, (uint16_t)name_bytes);
        svp_buffer_add16(to, 0);
        for (uint32_t k = 0; k < entry->excluded_count; k++) {
            svp_buffer_add64(to, entry->excluded[k].first_page);
            svp_buffer_add64(to, entry->excluded[k].page_count);
        }
        svp_buffer_add(to, entry->name, name_bytes);
        svp_buffer_add_zeros(to, (8 - name_bytes % 8) % 8);
    }
}

const struct svp_region_entry *svp_regions_find(const struct svp_region_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->entries[i].name, name) == 0) {
            return &table->entries[i];
        }
    }
    return NULL;
}

const struct svp_region_entry *svp_regions_find_id(const struct svp_region_table *table, uint32_t id)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->entries[i].id == id) {
            return &table->entries[i];
        }
    }
    return NULL;
}

bool svp_region_excludes(const struct svp_region_entry *entry, uint64_t page)
{
    uint32_t low = 0;
    uint32_t high = entry->excluded_count;
    while (low < high) { /* the last range that starts at or before the page */
        uint32_t middle = low + (high - low) / 2;
        if (entry->excluded[middle].first_page <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && page - entry->excluded[low - 1].first_page < entry->excluded[low - 1].page_count;
}

static uint64_t end_of(const struct svp_excluded *range)
{
    return range->first_page + range->page_count;
}

/* One pass over both. */
uint64_t svp_region_returned(const struct svp_region_entry *old, const struct svp_region_entry *now)
{
    uint64_t returned = 0;
    uint32_t from = 0;
    for (uint32_t i = 0; i < old->excluded_count; i++) {
        const struct svp_excluded *range = &old->excluded[i];
        returned += range->page_count;
        while (from < now->excluded_count && end_of(&now->excluded[from]) <= range->first_page) {
            from++;
        }
        for (uint32_t k = from; k < now->excluded_count && now->excluded[k].first_page < end_of(range); k++) {
            const struct svp_excluded *kept = &now->excluded[k];
            uint64_t first = kept->first_page > range->first_page ? kept->first_page : range->first_page;
            uint64_t end = end_of(kept) < end_of(range) ? end_of(kept) : end_of(range);
            returned -= end - first;
        }
    }
    return returned;
}
