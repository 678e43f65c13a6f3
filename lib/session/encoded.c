/* encoded.c - memory for laid out bytes between the encoder and the writer */
#include "session/encoded.h"

#include "format/memory.h"
#include "status.h"

enum { SPARE_BLOCKS = 32 };

/* Waits until `bytes` more stay in the budget, or nothing waits to be written; then *block is a spare one, or NULL.
 * Returns the take's status. */
static enum savepoint_status
reserve(struct savepoint *session, const struct svp_take *take, size_t bytes, struct svp_block **block)
{
    struct svp_encoded *encoded = &session->encoded;
    struct savepoint_statistics *statistics = &session->statistics;
    bool waited = false;
    svp_mutex_lock(session->mutex);
    while (take->status == SAVEPOINT_OK && encoded->used_bytes > 0 &&
           encoded->used_bytes + bytes > session->options.encoded_bytes) {
        waited = true;
        encoded->awaited = true;
        svp_condition_wait(session->changed, session->mutex);
    }
    encoded->awaited = false;
    statistics->encoded_waits += waited ? 1 : 0;
    enum savepoint_status status = take->status;
    if (status == SAVEPOINT_OK && encoded->spare != NULL) {
        *block = encoded->spare;
        encoded->spare = (*block)->next;
        encoded->spare_count--;
    }
    svp_mutex_unlock(session->mutex);
    return status;
}

static void add(struct savepoint *session, struct svp_take *take, struct svp_block *block)
{
    struct svp_encoded *encoded = &session->encoded;
    struct savepoint_statistics *statistics = &session->statistics;
    block->next = NULL;
    svp_mutex_lock(session->mutex);
    if (take->last_block != NULL) {
        take->last_block->next = block;
    } else {
        take->first_block = block;
    }
    take->last_block = block;
    encoded->used_bytes += block->bytes.count;
    if (encoded->used_bytes > statistics->encoded_bytes_max) {
        statistics->encoded_bytes_max = encoded->used_bytes;
    }
    svp_condition_wake_all(session->to_write);
    svp_mutex_unlock(session->mutex);
}

enum savepoint_status svp_encoded_push(void *user, struct svp_buffer *laid_out, struct savepoint_error *error)
{
    struct savepoint *session = user;
    struct svp_take *take = session->laying_out;
    struct svp_block *block = NULL;
    if (laid_out->count == 0) {
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = reserve(session, take, laid_out->count, &block);
    if (status != SAVEPOINT_OK) {
        return svp_status_fail(error, status, "encode", "the take has failed");
    }
    if (block == NULL) {
        block = svp_memory_zalloc(1, sizeof *block);
    }
    if (block == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "encode", "no memory to hand on what is encoded");
    }
    const struct svp_buffer empty = block->bytes;
    block->bytes = *laid_out;
    *laid_out = empty;
    add(session, take, block);
    return SAVEPOINT_OK;
}

struct svp_block *svp_encoded_pop(struct savepoint *session, struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    while (take->first_block == NULL && !take->encoded) {
        svp_condition_wait(session->to_write, session->mutex);
    }
    struct svp_block *block = take->first_block;
    if (block != NULL) {
        take->first_block = block->next;
        take->last_block = block->next != NULL ? take->last_block : NULL;
    }
    take->committing = take->encoded && take->first_block == NULL && take->status == SAVEPOINT_OK;
    svp_mutex_unlock(session->mutex);
    return block;
}

static void free_block(struct svp_block *block)
{
    svp_buffer_free(&block->bytes);
    svp_memory_free(block);
}

void svp_encoded_release(struct savepoint *session, struct svp_block *block)
{
    struct svp_encoded *encoded = &session->encoded;
    svp_mutex_lock(session->mutex);
    encoded->used_bytes -= block->bytes.count;
    svp_buffer_clear(&block->bytes);
    bool kept = encoded->spare_count < SPARE_BLOCKS;
    if (kept) {
        block->next = encoded->spare;
        encoded->spare = block;
        encoded->spare_count++;
    }
    if (encoded->awaited) { /* who waits for a take is not to be woken by each of its blocks */
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
    if (!kept) {
        free_block(block);
    }
}

void svp_encoded_free(struct savepoint *session)
{
    while (session->encoded.spare != NULL) {
        struct svp_block *block = session->encoded.spare;
        session->encoded.spare = block->next;
        free_block(block);
    }
}
