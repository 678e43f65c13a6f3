/* staging.c - memory for captured pages between the pause and the encoder
 *
 * Chunks are used again: touching fresh memory costs more than copying a page into it, and it would do so during the
 * pause. */
#include "session/staging.h"

#include <string.h>

#include "format/memory.h"
#include "session/examine.h"
#include "session/takes.h"
#include "status.h"

static struct svp_chunk *pop_spare(struct svp_staging *staging)
{
    struct svp_chunk *chunk = staging->spare;
    if (chunk != NULL) {
        staging->spare = chunk->next;
        staging->spare_bytes -= sizeof *chunk;
    }
    return chunk;
}

static void push_spare(struct svp_staging *staging, struct svp_chunk *chunk)
{
    chunk->next = staging->spare;
    staging->spare = chunk;
    staging->spare_bytes += sizeof *chunk;
}

/* Waits until one more chunk stays in the budget, or nothing is staged at all; false: the take has failed. An autosave
 * never waits: it is only taken when no other is in flight, so at most one exceeds the budget. */
static bool reserve(struct savepoint *session, const struct svp_take *take, struct svp_chunk **spare)
{
    struct svp_staging *staging = &session->staging;
    bool waited = false;
    bool may_wait = (take->flags & SVP_COMMIT_AUTOSAVE) == 0;
    svp_mutex_lock(session->mutex);
    while (may_wait && take->status == SAVEPOINT_OK && staging->used_bytes > 0 &&
           staging->used_bytes + staging->stored_bytes + sizeof(struct svp_chunk) > session->options.staging_bytes) {
        if (!waited) { /* the encoder sleeps through the pause, unless it was woken: it is to make room now */
            svp_condition_wake_all(session->changed);
        }
        waited = true;
        staging->waiting++;
        svp_examine_wait(session);
        staging->waiting--;
    }
    session->statistics.staging_waits += waited ? 1 : 0;
    bool alive = take->status == SAVEPOINT_OK;
    if (alive) {
        staging->used_bytes += sizeof(struct svp_chunk);
        staging->peak_bytes = staging->used_bytes > staging->peak_bytes ? staging->used_bytes : staging->peak_bytes;
        *spare = pop_spare(staging);
    }
    if (staging->used_bytes + staging->stored_bytes > session->statistics.staging_bytes_max) {
        session->statistics.staging_bytes_max = staging->used_bytes + staging->stored_bytes;
    }
    svp_mutex_unlock(session->mutex);
    return alive;
}

bool svp_staging_is_short(const struct savepoint *session)
{
    const struct svp_staging *staging = &session->staging;
    const uint64_t budget = session->options.staging_bytes;
    return staging->stored_bytes >= budget || staging->used_bytes > (budget - staging->stored_bytes) / 2;
}

static void give_up(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error;
    svp_mutex_lock(session->mutex);
    session->staging.used_bytes -= sizeof(struct svp_chunk);
    svp_mutex_unlock(session->mutex);
    svp_status_fail(&error, SAVEPOINT_NO_MEMORY, "take", "no memory to stage pages; they go into the next take");
    svp_take_fail(session, take, SAVEPOINT_NO_MEMORY, &error);
}

struct svp_chunk *svp_staging_chunk(struct savepoint *session, struct svp_take *take)
{
    struct svp_chunk *chunk = NULL;
    if (!reserve(session, take, &chunk)) {
        return NULL;
    }
    if (chunk == NULL) {
        chunk = svp_memory_alloc(sizeof *chunk);
    }
    if (chunk == NULL) {
        give_up(session, take);
        return NULL;
    }
    chunk->next = NULL;
    chunk->examined = NULL;
    chunk->ready = false;
    chunk->count = 0;
    chunk->no_base = 0;
    chunk->unarmed = 0;
    chunk->rebased = 0;
    return chunk;
}

/* With the mutex held: so many bytes of chunks more are needed, and fit the budget. */
static bool needs_chunk(const struct savepoint *session, uint64_t bytes)
{
    const struct svp_staging *staging = &session->staging;
    const uint64_t there = staging->spare_bytes + sizeof(struct svp_chunk);
    return staging->spare_bytes < bytes &&
           there + staging->used_bytes + staging->stored_bytes <= session->options.staging_bytes;
}

void svp_staging_expect(struct savepoint *session, uint64_t pages)
{
    struct svp_staging *staging = &session->staging;
    uint64_t there = 0;
    for (size_t i = 0; i < session->region_count; i++) {
        there += session->regions[i]->pages;
    }
    pages = pages < there ? pages : there;
    const uint64_t bytes = (pages / SVP_CHUNK_PAGES + session->region_count + 1) * sizeof(struct svp_chunk);
    svp_mutex_lock(session->mutex);
    staging->expected_bytes = bytes;
    while (needs_chunk(session, bytes)) {
        svp_mutex_unlock(session->mutex);
        struct svp_chunk *chunk = svp_memory_alloc(sizeof *chunk);
        if (chunk != NULL) {
            memset(chunk, 0, sizeof *chunk);
        }
        svp_mutex_lock(session->mutex);
        if (chunk == NULL) {
            break;
        }
        push_spare(staging, chunk);
    }
    svp_mutex_unlock(session->mutex);
}

void svp_staging_release(struct savepoint *session, struct svp_chunk *chunk)
{
    struct svp_staging *staging = &session->staging;
    svp_mutex_lock(session->mutex);
    svp_examine_give_back(&session->examiner, chunk);
    push_spare(staging, chunk);
    staging->used_bytes -= sizeof *chunk;
    if (staging->waiting > 0) { /* who waits for a take is not to be woken by each of its chunks */
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
}

struct svp_chunk *svp_staging_settle(struct svp_staging *staging, uint64_t budget_bytes)
{
    struct svp_chunk *surplus = NULL;
    uint64_t faded = staging->kept_bytes - staging->kept_bytes / 4;
    staging->kept_bytes = staging->peak_bytes > faded ? staging->peak_bytes : faded;
    staging->kept_bytes = staging->kept_bytes < budget_bytes ? staging->kept_bytes : budget_bytes;
    staging->peak_bytes = staging->used_bytes;
    uint64_t kept = staging->kept_bytes > staging->expected_bytes ? staging->kept_bytes : staging->expected_bytes;
    while (staging->spare_bytes + staging->used_bytes > kept && staging->spare != NULL) {
        struct svp_chunk *chunk = pop_spare(staging);
        chunk->next = surplus;
        surplus = chunk;
    }
    return surplus;
}

void svp_staging_free(struct svp_chunk *chunks)
{
    while (chunks != NULL) {
        struct svp_chunk *next = chunks->next;
        svp_memory_free(chunks);
        chunks = next;
    }
}
