/* end.c - the END body, the superblock that closes every transaction (SPEC.md section 4.10) */
#include <string.h>

#include "format/body.h"
#include "format/bytes.h"

enum { END_FIELDS = 13, END_BYTES = 8 * END_FIELDS };

static const uint8_t trailer_magic[8] = { 'S', 'V', 'P', 'E', 'N', 'D', '\r', '\n' };

uint64_t svp_end_of_commit(uint64_t offset, uint32_t label_bytes, uint32_t alignment)
{
    const uint64_t commit_bytes = 208; /* its fixed part */
    uint64_t end_offset = offset + SVP_HEADER_BYTES + svp_round_up(commit_bytes + label_bytes, 8);
    return svp_round_up(end_offset + SVP_HEADER_BYTES + END_BYTES + SVP_TRAILER_BYTES, alignment);
}

bool svp_trailer_read(const uint8_t trailer[SVP_TRAILER_BYTES], uint64_t *offset, uint64_t *salt)
{
    *offset = svp_load64(trailer);
    *salt = svp_load64(trailer + 8);
    return memcmp(trailer + 16, trailer_magic, sizeof trailer_magic) == 0;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

enum svp_verdict svp_end_read(struct svp_end *end, const uint8_t *body, size_t bytes, uint64_t offset, uint64_t salt)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    uint64_t *const fields[END_FIELDS] = {
        &end->transaction_start, &end->previous_end,   &end->newest_commit,  &end->head,         &end->newest_ref,
        &end->newest_tombstone,  &end->newest_segment, &end->newest_regions, &end->sealed_bytes, &end->highest_sequence,
        &end->snapshot_count,    &end->chain,          &end->previous_chain,
    };
    for (size_t i = 0; i < END_FIELDS; i++) {
        *fields[i] = svp_cursor64(&cursor);
    }
    uint64_t trailer_offset = 0;
    uint64_t trailer_salt = 0;
    if (cursor.bad || bytes % 8 != 0 || svp_cursor_left(&cursor) < SVP_TRAILER_BYTES ||
        !svp_trailer_read(body + bytes - SVP_TRAILER_BYTES, &trailer_offset, &trailer_salt)) {
        return SVP_BAD;
    }
    bool sound = trailer_offset == offset && trailer_salt == salt && end->transaction_start <= offset &&
                 end->sealed_bytes <= offset && all_zero(cursor.at, svp_cursor_left(&cursor) - SVP_TRAILER_BYTES);
    return sound ? SVP_GOOD : SVP_BAD;
}

void svp_end_write(struct svp_buffer *to, const struct svp_end *end, uint64_t offset, uint64_t salt, uint32_t alignment)
{
    const uint64_t fields[END_FIELDS] = {
        end->transaction_start, end->previous_end,   end->newest_commit,  end->head,         end->newest_ref,
        end->newest_tombstone,  end->newest_segment, end->newest_regions, end->sealed_bytes, end->highest_sequence,
        end->snapshot_count,    end->chain,          end->previous_chain,
    };
    for (size_t i = 0; i < END_FIELDS; i++) {
        svp_buffer_add64(to, fields[i]);
    }
    uint64_t shortest_end = offset + SVP_HEADER_BYTES + END_BYTES + SVP_TRAILER_BYTES;
    svp_buffer_add_zeros(to, (size_t)(svp_round_up(shortest_end, alignment) - shortest_end));
    svp_buffer_add64(to, offset);
    svp_buffer_add64(to, salt);
    svp_buffer_add(to, trailer_magic, sizeof trailer_magic);
}
