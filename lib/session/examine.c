/* examine.c - staged pages are compared with the shadow and hashed: by the encoder, and by a worker ahead of it */
#include "session/examine.h"

#include "format/digest.h"
#include "format/expect.h"
#include "format/memory.h"
#include "os/host.h"
#include "session/recall.h"

bool svp_examine_open(struct svp_examiner *examiner)
{
    examiner->wanted = svp_condition_open();
    examiner->results = svp_memory_alloc(SVP_EXAMINED * sizeof *examiner->results);
    examiner->used = 1;
    return examiner->wanted != NULL && examiner->results != NULL;
}

void svp_examine_close(struct svp_examiner *examiner)
{
    svp_condition_close(examiner->wanted);
    svp_memory_free(examiner->results);
}

/* Page i of the chunk, if it has one, is compared next. */
static void expect(const struct svp_chunk *chunk, uint32_t i)
{
    enum { LINES = 16 }; /* scattered pages take a fifth less, with four a tenth */
    if (i < chunk->count) {
        svp_expect(chunk->region->shadow + chunk->pages[i] * SVP_PAGE_BYTES, LINES);
        svp_expect(chunk->bytes + i * SVP_PAGE_BYTES, LINES);
    }
}

static void examine(const struct svp_chunk *chunk, struct svp_examined *examined)
{
    const uint64_t stored_anyway = chunk->no_base | chunk->rebased;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint8_t *staged = chunk->bytes + i * SVP_PAGE_BYTES;
        expect(chunk, i + 1);
        svp_compare(&examined->changes[i], chunk->region->shadow + chunk->pages[i] * SVP_PAGE_BYTES, staged);
        if (!examined->changes[i].same || (stored_anyway >> i & 1) != 0) {
            examined->hashes[i] = svp_digest128(0, staged, SVP_PAGE_BYTES);
        }
    }
}

/* With the mutex held: the first chunk that nobody has begun; NULL: there is none. */
static struct svp_chunk *first_left(const struct svp_take *take)
{
    struct svp_chunk *chunk = take->first_chunk;
    while (chunk != NULL && chunk->examined != NULL) {
        chunk = chunk->next;
    }
    return chunk;
}

/* With the mutex held: a place for what will be found; NULL: enough was found ahead. */
static struct svp_examined *place_for_one(struct svp_examiner *examiner)
{
    for (uint32_t i = 1; i < SVP_EXAMINED; i++) {
        if ((examiner->used >> i & 1) == 0) {
            examiner->used |= 1u << i;
            return &examiner->results[i];
        }
    }
    return NULL;
}

/* With the mutex held, which is let go meanwhile. Returns how many pages were examined; 0: there is no chunk left, or
 * no place. */
static uint32_t examine_one(struct savepoint *session, const struct svp_take *take)
{
    struct svp_examiner *examiner = &session->examiner;
    struct svp_chunk *chunk = first_left(take);
    struct svp_examined *examined = chunk != NULL ? place_for_one(examiner) : NULL;
    if (examined == NULL) {
        return 0;
    }
    chunk->examined = examined;
    const bool examinable = take->examinable;
    svp_mutex_unlock(session->mutex);
    if (!examinable) { /* only the encoder comes here then */
        svp_recall_chunk(session, chunk);
    }
    examine(chunk, examined);
    svp_mutex_lock(session->mutex);
    chunk->ready = true;
    if (examiner->awaited) {
        examiner->awaited = false;
        svp_condition_wake_all(session->changed);
    }
    return chunk->count;
}

/* With the mutex held: the worker is wanted where there is more than the encoder itself examines next. */
static void want_worker(struct svp_examiner *examiner, const struct svp_take *take)
{
    bool helps = examiner->idle && examiner->waiting > 0 && take != NULL && take->examinable;
    const struct svp_chunk *left = helps ? first_left(take) : NULL;
    if (left != NULL && left->next != NULL) {
        examiner->idle = false;
        svp_condition_wake_all(examiner->wanted);
    }
}

void svp_examine_hurry(struct savepoint *session)
{
    session->examiner.waiting++;
    want_worker(&session->examiner, session->next_take);
}

void svp_examine_wait(struct savepoint *session)
{
    svp_examine_hurry(session);
    svp_condition_wait(session->changed, session->mutex);
    session->examiner.waiting--;
}

struct svp_chunk *svp_examine_next(struct savepoint *session, struct svp_take *take)
{
    struct svp_chunk *chunk;
    svp_mutex_lock(session->mutex);
    for (;;) {
        chunk = take->first_chunk;
        bool failed = take->status != SAVEPOINT_OK;
        if (chunk == NULL ? take->complete : chunk->ready || (failed && chunk->examined == NULL)) {
            break;
        }
        want_worker(&session->examiner, take);
        if (examine_one(session, take) == 0) {
            session->examiner.awaited = chunk != NULL;
            svp_condition_wait(session->changed, session->mutex);
        }
    }
    if (chunk != NULL) {
        take->first_chunk = chunk->next;
        take->last_chunk = chunk->next != NULL ? take->last_chunk : NULL;
        want_worker(&session->examiner, take);
    }
    svp_mutex_unlock(session->mutex);
    return chunk;
}

void svp_examine_now(struct savepoint *session, struct svp_chunk *chunk)
{
    chunk->examined = &session->examiner.results[0];
    svp_recall_chunk(session, chunk);
    examine(chunk, chunk->examined);
}

void svp_examine_give_back(struct svp_examiner *examiner, struct svp_chunk *chunk)
{
    if (chunk->examined != NULL) {
        examiner->used &= ~(1u << (chunk->examined - examiner->results));
        chunk->examined = NULL;
    }
}

void svp_examine_begin(struct savepoint *session, struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    take->examinable = true;
    svp_mutex_unlock(session->mutex);
}

/* ---- the worker */

static void run(void *argument)
{
    struct savepoint *session = argument;
    struct svp_examiner *examiner = &session->examiner;
    svp_host_work_behind();
    svp_mutex_lock(session->mutex);
    while (!examiner->stopping) {
        const struct svp_take *take = session->next_take;
        bool helps = examiner->waiting > 0 && take != NULL && take->examinable;
        const uint32_t pages = helps ? examine_one(session, take) : 0;
        session->statistics.pages_helped += pages;
        if (pages == 0) {
            examiner->idle = true;
            svp_condition_wait(examiner->wanted, session->mutex);
        }
    }
    svp_mutex_unlock(session->mutex);
}

void svp_examine_start(struct savepoint *session)
{
    session->examiner.thread = session->options.workers > 1 ? svp_thread_start(run, session) : NULL;
}

void svp_examine_stop(struct savepoint *session)
{
    struct svp_examiner *examiner = &session->examiner;
    if (examiner->thread != NULL) {
        svp_mutex_lock(session->mutex);
        examiner->stopping = true;
        svp_condition_wake_all(examiner->wanted);
        svp_mutex_unlock(session->mutex);
        svp_thread_join(examiner->thread);
    }
}
