/* encode.c - from examined pages to PAGES records: choose a coder, fill batches, move the shadow */
#include "session/encode.h"

#include <string.h>

#include "format/expect.h"
#include "format/memory.h"
#include "os/vm.h"
#include "session/recall.h"
#include "session/twins.h"
#include "status.h"

/* A batch is what one look at a page has to unpack, and what shares one header: whichever of these it reaches first. */
enum { BATCH_PAGES = 256, BATCH_BYTES = 64 * SVP_PAGE_BYTES };
enum { LARGE_SHADOW_PAGES_MAX = 1 << 20 }; /* 4 GiB */
/* The deltas on top of a page have no more bytes than it took itself: or than these, room for a few changes. */
enum { DELTA_BYTES_MIN = 256 };
/* A page is looked for in other places when it will take more by itself, about, and remembered when it took more. */
enum { TWIN_ESTIMATE_MIN = 256, TWIN_BYTES_MIN = 64 };

bool svp_encode_open(struct svp_encoder *encoder, int compression_level)
{
    encoder->packer = svp_packer_open(compression_level);
    bool enough = encoder->packer != NULL;
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        encoder->batches[i] = svp_memory_zalloc(1, sizeof *encoder->batches[i]);
        enough = enough && encoder->batches[i] != NULL;
    }
    return enough;
}

void svp_encode_close(struct svp_encoder *encoder)
{
    svp_packer_close(encoder->packer);
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        if (encoder->batches[i] != NULL) {
            svp_batch_free(encoder->batches[i]);
            svp_memory_free(encoder->batches[i]);
        }
    }
    svp_index_free(&encoder->index);
    svp_twins_clear(&encoder->twins);
}

void svp_encode_begin(struct svp_encoder *encoder, uint32_t depth)
{
    for (size_t i = 0; i < SVP_CODER_COUNT; i++) {
        svp_batch_clear(encoder->batches[i]);
    }
    encoder->region = NULL;
    encoder->index.count = 0;
    encoder->index.kind = SVP_INDEX_LIST;
    encoder->depth = depth;
    encoder->runs = encoder->pages_stored = 0;
    encoder->counts = (struct svp_counts){ 0 };
}

static uint16_t clamp16(uint32_t value)
{
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

/* The pages of a batch now stand in the record at `offset`. */
static void note_pages(struct svp_encoder *encoder, const struct svp_batch *batch, const struct svp_coder *coder,
                       struct svp_batch_sizes sizes, uint64_t offset)
{
    const bool stands_alone = !coder->has_base && !coder->refers;
    uint32_t page_bytes = sizes.stored_bytes / batch->count;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct svp_page_state *state = &encoder->region->states[batch->pages[i]];
        state->record_offset = offset;
        state->changed_depth = encoder->depth;
        state->batched = false;
        if (coder->has_base) {
            state->links++; /* its delta_bytes were counted when it was added */
        } else {
            state->links = 0;
            state->delta_bytes = 0;
            state->key_bytes = coder->refers ? state->key_bytes : clamp16(page_bytes); /* else its twin's already */
        }
        if (stands_alone && page_bytes > TWIN_BYTES_MIN) {
            svp_twins_add(&encoder->twins, &batch->hashes[i], encoder->region, batch->pages[i], offset);
        }
        encoder->runs += i == 0 || batch->pages[i] != batch->pages[i - 1] + 1;
    }
    encoder->pages_stored += batch->count;
    *(coder->has_base ? &encoder->counts.delta_bytes : &encoder->counts.key_bytes) += sizes.stored_bytes;
    *(coder->has_base               ? &encoder->counts.delta_pages
      : coder->id == SVP_CODER_ZERO ? &encoder->counts.zero_pages
                                    : &encoder->counts.whole_pages) += batch->count;
}

static enum savepoint_status flush_batch(struct savepoint *session, struct svp_batch *batch,
                                         const struct svp_coder *coder, struct savepoint_error *error)
{
    struct svp_encoder *encoder = &session->encoder;
    struct svp_append *append = &session->append;
    if (batch->count == 0) {
        return SAVEPOINT_OK;
    }
    uint64_t offset = svp_append_offset(append);
    svp_buffer_clear(&append->body);
    struct svp_batch_sizes sizes =
        svp_batch_write(&append->body, batch, coder, encoder->region->id, offset, encoder->packer);
    enum savepoint_status status = svp_append_record(append, SVP_PAGES, &offset, error);
    const struct svp_index_entry entry = {
        .region_id = encoder->region->id,
        .first_page = batch->pages[0],
        .page_count = batch->pages[batch->count - 1] - batch->pages[0] + 1,
        .record_offset = offset,
    };
    if (status == SAVEPOINT_OK && !svp_index_add(&encoder->index, &entry)) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "encode", "no memory for the index");
    }
    if (status == SAVEPOINT_OK) {
        note_pages(encoder, batch, coder, sizes, offset);
    }
    svp_batch_clear(batch);
    return status;
}

enum savepoint_status svp_encode_flush(struct savepoint *session, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < SVP_CODER_COUNT; i++) {
        status = flush_batch(session, session->encoder.batches[i], svp_coder_find((uint16_t)i), error);
    }
    return status;
}

static const struct svp_coder *
choose(struct svp_page_state *state, const struct svp_changes *changes, bool no_base, bool fast)
{
    bool base_usable = !no_base && state->record_offset != 0 && state->links < SVP_CHAIN_LINKS_WRITTEN;
    uint32_t most = state->key_bytes > DELTA_BYTES_MIN ? state->key_bytes : DELTA_BYTES_MIN;
    uint32_t budget = most > state->delta_bytes ? most - state->delta_bytes : 0;
    const struct svp_coder *coder = svp_coder_choose(changes, base_usable, budget);
    if (coder->has_base) {
        state->delta_bytes = clamp16(state->delta_bytes + coder->estimate(changes, true));
    }
    bool packed = coder == &svp_coder_whole || coder == &svp_coder_shuffled;
    return packed && fast ? &svp_coder_stored : coder;
}

static const uint8_t zeros[SVP_PAGE_BYTES];

struct version { /* of a page, to be stored */
    uint64_t page;
    const uint8_t *bytes, *base;
    const struct svp_changes *changes; /* from base to bytes */
    const struct svp_hash *hash;       /* of bytes */
    bool no_base;
};

/* A page that is dear to store without base, but has been stored by itself already, in another place or time. */
static bool refer_to_twin(struct savepoint *session, struct svp_region *region, const struct version *version)
{
    struct svp_reference twin;
    uint16_t *key_bytes = &region->states[version->page].key_bytes;
    bool found = svp_twins_find(session, &twin, key_bytes, version->hash, version->bytes);
    if (found) {
        svp_batch_refer(session->encoder.batches[SVP_CODER_SAME], version->page, version->hash, &twin);
    }
    return found;
}

/* Stores a page as the difference to its base, or without one; then as if it was new, which tells what it consists of.
 */
static enum savepoint_status store_page(struct savepoint *session, struct svp_region *region,
                                        const struct version *version, struct savepoint_error *error)
{
    struct svp_page_state *state = &region->states[version->page];
    const bool fast = session->options.profile == SAVEPOINT_PROFILE_FAST;
    const bool anew = version->base == zeros; /* it is to stand beside its neighbours */
    const uint8_t *base = version->base;
    const struct svp_changes *changes = version->changes;
    const struct svp_coder *coder = choose(state, changes, version->no_base, fast);
    struct svp_changes as_new;
    if (!coder->has_base && !changes->dense && !anew) {
        svp_compare(&as_new, zeros, version->bytes);
        coder = choose(state, &as_new, true, fast);
        changes = &as_new;
        base = zeros;
    }
    bool dear = !anew && !coder->has_base && coder->estimate(changes, true) > TWIN_ESTIMATE_MIN;
    if (dear && refer_to_twin(session, region, version)) {
        coder = &svp_coder_same;
    } else {
        svp_batch_add(session->encoder.batches[coder->id], coder, version->page, state->record_offset, version->hash,
                      version->bytes, base, changes);
    }
    state->batched = true;
    svp_tree_update(&region->tree, version->page, version->hash);
    struct svp_batch *batch = session->encoder.batches[coder->id];
    bool full = batch->count == BATCH_PAGES || batch->lists.count + batch->bytes.count >= BATCH_BYTES;
    return full ? flush_batch(session, batch, coder, error) : SAVEPOINT_OK;
}

enum savepoint_status
svp_encode_anew(struct savepoint *session, struct svp_region *region, uint64_t page, struct savepoint_error *error)
{
    const uint8_t *shadow = region->shadow + page * SVP_PAGE_BYTES;
    const struct svp_hash hash = svp_digest128(0, shadow, SVP_PAGE_BYTES);
    struct svp_changes changes;
    svp_compare(&changes, zeros, shadow);
    const struct version version = { page, shadow, zeros, &changes, &hash, true };
    return store_page(session, region, &version, error);
}

static void move_shadow(struct savepoint *session, const struct svp_chunk *chunk, uint32_t i)
{
    struct svp_region *region = chunk->region;
    const uint8_t *staged = chunk->bytes + i * SVP_PAGE_BYTES;
    const struct svp_changes *changes = &chunk->examined->changes[i];
    uint8_t *shadow = region->shadow + chunk->pages[i] * SVP_PAGE_BYTES;
    if (session->has_ring && !changes->same) {
        svp_ring_log(&session->ring, region->ring_id, chunk->pages[i], shadow, staged, changes);
    }
    svp_changes_apply(shadow, staged, changes);
}

static enum savepoint_status
encode_page(struct savepoint *session, const struct svp_chunk *chunk, uint32_t i, struct savepoint_error *error)
{
    struct svp_region *region = chunk->region;
    const struct version version = {
        .page = chunk->pages[i],
        .bytes = chunk->bytes + i * SVP_PAGE_BYTES,
        .base = region->shadow + chunk->pages[i] * SVP_PAGE_BYTES,
        .changes = &chunk->examined->changes[i],
        .hash = &chunk->examined->hashes[i],
        .no_base = (chunk->no_base >> i & 1) != 0,
    };
    if (version.changes->same && !version.no_base) {
        session->encoder.counts.unchanged++;
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = store_page(session, region, &version, error);
    move_shadow(session, chunk, i);
    return status;
}

/* The shadow has moved since the page was stored, but the ring may still know what it was. What was staged is logged by
 * the ring, and moves there all the same. */
static enum savepoint_status
encode_rebased(struct savepoint *session, const struct svp_chunk *chunk, uint32_t i, struct savepoint_error *error)
{
    struct svp_region *region = chunk->region;
    const uint8_t *staged = chunk->bytes + i * SVP_PAGE_BYTES;
    const struct svp_hash *hash = &chunk->examined->hashes[i];
    struct svp_changes changes;
    uint8_t base[SVP_PAGE_BYTES];
    if (chunk != session->from_shadow) {
        move_shadow(session, chunk, i);
    }
    memcpy(base, staged, sizeof base);
    bool known = svp_ring_rewind_page(&session->ring, region->ring_id, chunk->pages[i], session->rebased_since, base);
    svp_compare(&changes, base, staged);
    if (known && changes.same) {
        svp_tree_update(&region->tree, chunk->pages[i], hash);
        session->encoder.counts.unchanged++;
        return SAVEPOINT_OK;
    }
    const struct version version = { chunk->pages[i], staged, base, &changes, hash, !known };
    return store_page(session, region, &version, error);
}

void svp_encode_note(struct svp_encoder *encoder, const struct svp_chunk *chunk, uint32_t i, bool changed)
{
    bool unarmed = (chunk->unarmed >> i & 1) != 0;
    svp_hot_note(&chunk->region->hot, chunk->pages[i], changed);
    encoder->counts.faults_avoided += unarmed && changed;
    encoder->counts.compared_in_vain += unarmed && !changed;
}

/* Page i of the chunk, if it has one, is encoded next. */
static void expect(const struct svp_chunk *chunk, uint32_t i)
{
    if (i < chunk->count) {
        svp_expect(&chunk->region->states[chunk->pages[i]], 1);
    }
}

/* In large pages each take costs a quarter less ever after; but then shadows may become as large as the regions, even
 * where most is zeros: too much to ask of a large, sparse one. */
void svp_encode_expect_shadows(const struct savepoint *session, const struct svp_take *take)
{
    for (size_t i = 0; session->encoder.depth == 1 && i < take->capture_count; i++) {
        const struct svp_region *region = take->captures[i].region;
        if (region->pages <= LARGE_SHADOW_PAGES_MAX) {
            svp_vm_prefer_large_pages((uintptr_t)region->shadow, (size_t)region->pages * SVP_PAGE_BYTES);
        }
    }
}

enum savepoint_status
svp_encode_region(struct savepoint *session, struct svp_region *region, struct savepoint_error *error)
{
    enum savepoint_status status = svp_encode_flush(session, error);
    session->encoder.region = region;
    return status;
}

enum savepoint_status
svp_encode_chunk(struct savepoint *session, const struct svp_chunk *chunk, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (session->encoder.region != chunk->region) {
        status = svp_encode_region(session, chunk->region, error);
    }
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < chunk->count; i++) {
        expect(chunk, i + 1);
        const uint64_t unchanged = session->encoder.counts.unchanged;
        bool rebased = ((chunk->rebased & ~chunk->no_base) >> i & 1) != 0;
        status = rebased ? encode_rebased(session, chunk, i, error) : encode_page(session, chunk, i, error);
        if (chunk != session->from_shadow) {
            svp_encode_note(&session->encoder, chunk, i, session->encoder.counts.unchanged == unchanged);
        }
    }
    return status;
}
