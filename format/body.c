/* body.c - the bodies COMMIT, REF, TOMBSTONE and SEAL */
#include "format/body.h"

#include <string.h>

#include "format/bytes.h"

static bool has_nul(const char *text, size_t bytes)
{
    return memchr(text, 0, bytes) != NULL;
}

enum svp_verdict svp_commit_read(struct svp_commit *commit, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    memset(commit, 0, sizeof *commit);
    svp_cursor_copy(&cursor, commit->id.bytes, 16);
    svp_cursor_copy(&cursor, commit->parent_id.bytes, 16);
    svp_cursor_copy(&cursor, commit->state_root.bytes, 16);
    svp_cursor_copy(&cursor, commit->metadata_hash.bytes, 16);
    svp_cursor_copy(&cursor, commit->base_id.bytes, 16);
    uint64_t *const fields[] = {
        &commit->sequence,          &commit->time_ns,      &commit->base,         &commit->parent,
        &commit->previous,          &commit->regions,      &commit->metadata,     &commit->index,
        &commit->transaction_start, &commit->pages_stored, &commit->region_pages, &commit->delta_bytes,
        &commit->key_bytes,         &commit->pause_ns,
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = svp_cursor64(&cursor);
    }
    commit->flags = svp_cursor32(&cursor);
    commit->depth = svp_cursor32(&cursor);
    commit->region_count = svp_cursor32(&cursor);
    commit->label_bytes = svp_cursor16(&cursor);
    uint16_t zero = svp_cursor16(&cursor);
    if (cursor.bad || zero != 0 || commit->label_bytes > SVP_NAME_BYTES_MAX) {
        return SVP_BAD;
    }
    svp_cursor_copy(&cursor, commit->label, commit->label_bytes);
    const uint32_t known = SVP_COMMIT_UNSYNCED | SVP_COMMIT_NO_HEAD | SVP_COMMIT_AUTOSAVE;
    bool sound = !cursor.bad && (commit->flags & ~known) == 0 && commit->depth > 0 && commit->sequence > 0 &&
                 commit->index != 0 && commit->regions != 0 && !has_nul(commit->label, commit->label_bytes);
    return sound ? SVP_GOOD : SVP_BAD;
}

void svp_commit_write(struct svp_buffer *to, const struct svp_commit *commit)
{
    svp_buffer_add(to, commit->id.bytes, 16);
    svp_buffer_add(to, commit->parent_id.bytes, 16);
    svp_buffer_add(to, commit->state_root.bytes, 16);
    svp_buffer_add(to, commit->metadata_hash.bytes, 16);
    svp_buffer_add(to, commit->base_id.bytes, 16);
    const uint64_t fields[] = {
        commit->sequence,          commit->time_ns,      commit->base,         commit->parent,
        commit->previous,          commit->regions,      commit->metadata,     commit->index,
        commit->transaction_start, commit->pages_stored, commit->region_pages, commit->delta_bytes,
        commit->key_bytes,         commit->pause_ns,
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        svp_buffer_add64(to, fields[i]);
    }
    svp_buffer_add32(to, commit->flags);
    svp_buffer_add32(to, commit->depth);
    svp_buffer_add32(to, commit->region_count);
    svp_buffer_add16(to, (uint16_t)commit->label_bytes);
    svp_buffer_add16(to, 0);
    svp_buffer_add(to, commit->label, commit->label_bytes);
}

struct svp_hash svp_commit_identity(const struct svp_commit *commit, const uint8_t history_uuid[16])
{
    uint8_t bytes[16 + 8 + 16 + 16 + 8 + 16 + 4 + SVP_NAME_BYTES_MAX];
    uint8_t *at = bytes;
    memcpy(at, history_uuid, 16);
    svp_store64(at + 16, commit->sequence);
    memcpy(at + 24, commit->parent_id.bytes, 16);
    memcpy(at + 40, commit->state_root.bytes, 16);
    svp_store64(at + 56, commit->time_ns);
    memcpy(at + 64, commit->metadata_hash.bytes, 16);
    svp_store32(at + 80, commit->label_bytes);
    memcpy(at + 84, commit->label, commit->label_bytes);
    return svp_digest128(0, bytes, 84 + commit->label_bytes);
}

enum svp_verdict svp_ref_read(struct svp_ref *ref, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    memset(ref, 0, sizeof *ref);
    ref->previous = svp_cursor64(&cursor);
    ref->target = svp_cursor64(&cursor);
    svp_cursor_copy(&cursor, ref->target_id.bytes, 16);
    ref->time_ns = svp_cursor64(&cursor);
    ref->kind = svp_cursor16(&cursor);
    uint16_t name_bytes = svp_cursor16(&cursor);
    uint32_t zero = svp_cursor32(&cursor);
    if (cursor.bad || zero != 0 || name_bytes > SVP_NAME_BYTES_MAX) {
        return SVP_BAD;
    }
    svp_cursor_copy(&cursor, ref->name, name_bytes);
    bool kind_known = ref->kind >= SVP_REF_HEAD && ref->kind <= SVP_REF_PIN;
    bool name_fits = (ref->kind == SVP_REF_HEAD) == (name_bytes == 0);
    return !cursor.bad && kind_known && name_fits && !has_nul(ref->name, name_bytes) ? SVP_GOOD : SVP_BAD;
}

void svp_ref_write(struct svp_buffer *to, const struct svp_ref *ref)
{
    size_t name_bytes = strlen(ref->name);
    svp_buffer_add64(to, ref->previous);
    svp_buffer_add64(to, ref->target);
    svp_buffer_add(to, ref->target_id.bytes, 16);
    svp_buffer_add64(to, ref->time_ns);
    svp_buffer_add16(to, ref->kind);
    svp_buffer_add16(to, (uint16_t)name_bytes);
    svp_buffer_add32(to, 0);
    svp_buffer_add(to, ref->name, name_bytes);
}

enum svp_verdict svp_tombstone_read(struct svp_tombstone *tombstone, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    tombstone->previous = svp_cursor64(&cursor);
    svp_cursor_copy(&cursor, tombstone->id.bytes, 16);
    svp_cursor_copy(&cursor, tombstone->parent_id.bytes, 16);
    tombstone->sequence = svp_cursor64(&cursor);
    tombstone->time_ns = svp_cursor64(&cursor);
    tombstone->commit = svp_cursor64(&cursor);
    return cursor.bad ? SVP_BAD : SVP_GOOD;
}

void svp_tombstone_write(struct svp_buffer *to, const struct svp_tombstone *tombstone)
{
    svp_buffer_add64(to, tombstone->previous);
    svp_buffer_add(to, tombstone->id.bytes, 16);
    svp_buffer_add(to, tombstone->parent_id.bytes, 16);
    svp_buffer_add64(to, tombstone->sequence);
    svp_buffer_add64(to, tombstone->time_ns);
    svp_buffer_add64(to, tombstone->commit);
}

enum svp_verdict svp_seal_read(struct svp_seal *seal, const uint8_t *body, size_t bytes)
{
    struct svp_cursor cursor = svp_cursor_over(body, bytes);
    seal->sealed_bytes = svp_cursor64(&cursor);
    seal->time_ns = svp_cursor64(&cursor);
    return cursor.bad ? SVP_BAD : SVP_GOOD;
}

void svp_seal_write(struct svp_buffer *to, const struct svp_seal *seal)
{
    svp_buffer_add64(to, seal->sealed_bytes);
    svp_buffer_add64(to, seal->time_ns);
}
