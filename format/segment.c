/* segment.c - the SEGMENT body: who writes, and what a reader must know (SPEC.md section 4.1) */
#include <stdio.h>
#include <string.h>

#include "format/body.h"
#include "format/bytes.h"
#include "format/coder.h"

enum { SEGMENT_BYTES = 80 };
enum { TLV_FEATURE = 1, TLV_CREATOR = 2, TLV_ABI = 3, TLV_BUILD_ID = 4, TLV_CONTINUES = 5 };
enum { MASK_INCOMPATIBLE = 0 };

/* Copies a string into to[0..capacity), cut and NUL-terminated. */
static void copy_text(char *to, size_t capacity, const uint8_t *text, size_t bytes)
{
    size_t kept = bytes < capacity - 1 ? bytes : capacity - 1;
    memcpy(to, text, kept);
    to[kept] = '\0';
}

static void name_missing(struct svp_segment *segment, uint64_t unknown, const uint8_t *value, size_t bytes)
{
    bool wanted = bytes >= 2 && value[0] == MASK_INCOMPATIBLE && value[1] < 64 && (unknown >> value[1] & 1) != 0;
    if (wanted) {
        copy_text(segment->missing, sizeof segment->missing, value + 2, bytes - 2);
    }
}

/* Notes which bits of the three masks have a name. */
static void note_named(uint64_t named[3], const uint8_t *value, size_t bytes)
{
    if (bytes >= 2 && value[0] < 3 && value[1] < 64) {
        named[value[0]] |= UINT64_C(1) << value[1];
    }
}

static enum svp_verdict read_tlvs(struct svp_segment *segment, struct svp_cursor cursor, uint64_t unknown)
{
    uint64_t named[3] = { 0 };
    while (svp_cursor_left(&cursor) > 0) {
        uint16_t type = svp_cursor16(&cursor);
        uint16_t zero = svp_cursor16(&cursor);
        uint32_t bytes = svp_cursor32(&cursor);
        const uint8_t *value = svp_cursor_bytes(&cursor, bytes);
        svp_cursor_bytes(&cursor, (8 - bytes % 8) % 8);
        if (cursor.bad || zero != 0) {
            return SVP_BAD;
        }
        if (type == TLV_FEATURE) {
            name_missing(segment, unknown, value, bytes);
            note_named(named, value, bytes);
        } else if (type == TLV_CREATOR) {
            copy_text(segment->creator, sizeof segment->creator, value, bytes);
        } else if (type == TLV_ABI) {
            copy_text(segment->abi, sizeof segment->abi, value, bytes);
        } else if (type == TLV_BUILD_ID && bytes <= sizeof segment->build_id) {
            memcpy(segment->build_id, value, bytes);
            segment->build_id_bytes = bytes;
        } else if (type == TLV_CONTINUES && bytes == sizeof segment->continues.bytes) {
            memcpy(segment->continues.bytes, value, bytes);
        }
    }
    segment->all_named = (segment->incompatible & ~named[0]) == 0 && (segment->read_only_compatible & ~named[1]) == 0 &&
                         (segment->compatible & ~named[2]) == 0;
    return SVP_GOOD;
}

enum svp_verdict svp_segment_read(struct svp_segment *segment, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    *segment = (struct svp_segment){ .version = svp_cursor16(&cursor) };
    if (!cursor.bad && segment->version != 0) {
        snprintf(segment->missing, sizeof segment->missing, "format version %u", segment->version);
        return SVP_UNSUPPORTED;
    }
    uint16_t zero = svp_cursor16(&cursor);
    segment->alignment = svp_cursor32(&cursor);
    segment->incompatible = svp_cursor64(&cursor);
    segment->read_only_compatible = svp_cursor64(&cursor);
    segment->compatible = svp_cursor64(&cursor);
    svp_cursor_copy(&cursor, segment->file_uuid, 16);
    svp_cursor_copy(&cursor, segment->history_uuid, 16);
    segment->time_ns = svp_cursor64(&cursor);
    segment->page_bytes = svp_cursor32(&cursor);
    segment->host_page_bytes = svp_cursor32(&cursor);
    if (cursor.bad) {
        return SVP_BAD;
    }
    uint64_t unknown = segment->incompatible & ~svp_coder_features();
    snprintf(segment->missing, sizeof segment->missing, "a required feature (mask %#llx)", (unsigned long long)unknown);
    enum svp_verdict verdict = read_tlvs(segment, cursor, unknown);
    if (unknown != 0) {
        return SVP_UNSUPPORTED;
    }
    bool aligned = segment->alignment == SVP_FILE_ALIGNMENT || segment->alignment == SVP_STREAM_ALIGNMENT;
    bool sound = zero == 0 && aligned && segment->page_bytes == SVP_PAGE_BYTES;
    return sound ? verdict : SVP_BAD;
}

static void add_tlv(struct svp_buffer *to, uint16_t type, const void *value, size_t bytes)
{
    svp_buffer_add16(to, type);
    svp_buffer_add16(to, 0);
    svp_buffer_add32(to, (uint32_t)bytes);
    svp_buffer_add(to, value, bytes);
    svp_buffer_add_zeros(to, (8 - bytes % 8) % 8);
}

static void add_feature(struct svp_buffer *to, uint64_t feature, const char *name)
{
    uint8_t value[34] = { MASK_INCOMPATIBLE, 0 };
    size_t bytes = strlen(name);
    while (feature >> value[1] != 1) {
        value[1]++;
    }
    memcpy(value + 2, name, bytes);
    add_tlv(to, TLV_FEATURE, value, 2 + bytes);
}

void svp_segment_write(struct svp_buffer *to, const struct svp_segment *segment)
{
    svp_buffer_add16(to, segment->version);
    svp_buffer_add16(to, 0);
    svp_buffer_add32(to, segment->alignment);
    svp_buffer_add64(to, segment->incompatible);
    svp_buffer_add64(to, segment->read_only_compatible);
    svp_buffer_add64(to, segment->compatible);
    svp_buffer_add(to, segment->file_uuid, 16);
    svp_buffer_add(to, segment->history_uuid, 16);
    svp_buffer_add64(to, segment->time_ns);
    svp_buffer_add32(to, segment->page_bytes);
    svp_buffer_add32(to, segment->host_page_bytes);
    _Static_assert(SEGMENT_BYTES == 2 + 2 + 4 + 8 * 3 + 16 * 2 + 8 + 4 + 4, "the layout of SPEC.md section 4.1");
    add_feature(to, SVP_FEATURE_ZSTD, "zstd");
    for (unsigned id = 0; id < SVP_CODER_COUNT; id++) {
        const struct svp_coder *coder = svp_coder_find((uint16_t)id);
        if (coder->feature != 0) {
            add_feature(to, coder->feature, coder->name);
        }
    }
    if ((segment->incompatible & SVP_FEATURE_CONTINUES) != 0) {
        add_feature(to, SVP_FEATURE_CONTINUES, "continues");
        add_tlv(to, TLV_CONTINUES, segment->continues.bytes, sizeof segment->continues.bytes);
    }
    add_tlv(to, TLV_CREATOR, segment->creator, strlen(segment->creator));
    add_tlv(to, TLV_ABI, segment->abi, strlen(segment->abi));
    if (segment->build_id_bytes > 0) {
        add_tlv(to, TLV_BUILD_ID, segment->build_id, segment->build_id_bytes);
    }
}
