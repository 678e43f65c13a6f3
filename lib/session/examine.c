/* examine.c - staged pages are compared with the shadow and hashed: by the encoder, and by callers that wait for it */
#include "session/examine.h"

#include "format/digest.h"
#include "format/expect.h"
#include "format/memory.h"
#include "session/recall.h"

bool svp_examine_open(struct svp_examiner *examiner)
{
    examiner->results = svp_memory_alloc(SVP_EXAMINED * sizeof *examiner->results);
    examiner->used = 1;
    return examiner->results != NULL;
}

void svp_examine_close(struct svp_examiner *examiner)
{
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

/* With the mutex held: the first chunk that nobody has begun; NULL: there is none, or the take has failed. */
static struct svp_chunk *first_left(const struct svp_take *take)
{
    struct svp_chunk *chunk = take->status == SAVEPOINT_OK ? take->first_chunk : NULL;
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

/* With the mutex held: what the chunk is compared with is there. */
static bool is_held(const struct svp_chunk *chunk)
{
    bool held = true;
    for (uint32_t i = 0; held && i < chunk->count; i++) {
        held = !svp_pageset_has(&chunk->region->absent, chunk->pages[i]);
    }
    return held;
}

/* With the mutex held, which is let go meanwhile: the first chunk that nobody has begun. Returns how many pages were
 * examined; 0: there is no such chunk, or no place, or it is one for the encoder. */
static uint32_t examine_one(struct savepoint *session, const struct svp_take *take, bool encoder)
{
    struct svp_examiner *examiner = &session->examiner;
    struct svp_chunk *chunk = first_left(take);
    bool held = chunk != NULL && is_held(chunk);
    struct svp_examined *examined = held || (encoder && chunk != NULL) ? place_for_one(examiner) : NULL;
    if (examined == NULL) {
        return 0;
    }
    chunk->examined = examined;
    svp_mutex_unlock(session->mutex);
    if (!held) {
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

/* With the mutex held: callers that wait are wanted again where there is more than the encoder itself examines next,
 * and not for one place at a time. */
static void want_help(struct savepoint *session, const struct svp_take *take)
{
    const struct svp_examiner *examiner = &session->examiner;
    unsigned used = 0;
    for (uint32_t i = 1; i < SVP_EXAMINED; i++) {
        used += examiner->used >> i & 1;
    }
    const bool helps = examiner->idle > 0 && session->options.workers > 1 && used < SVP_EXAMINED / 2;
    const struct svp_chunk *left = helps ? first_left(take) : NULL;
    if (left != NULL && left->next != NULL && is_held(left)) {
        svp_condition_wake_all(session->changed);
    }
}

void svp_examine_wait(struct savepoint *session)
{
    struct svp_examiner *examiner = &session->examiner;
    const struct svp_take *take = session->options.workers > 1 ? session->next_take : NULL;
    const uint32_t pages = take != NULL ? examine_one(session, take, false) : 0;
    session->statistics.pages_helped += pages;
    if (pages == 0) {
        examiner->idle++;
        svp_condition_wait(session->changed, session->mutex);
        examiner->idle--;
    }
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
        want_help(session, take);
        if (examine_one(session, take, true) == 0) {
            session->examiner.awaited = chunk != NULL;
            svp_condition_wait(session->changed, session->mutex);
        }
    }
    if (chunk != NULL) {
        take->first_chunk = chunk->next;
        take->last_chunk = chunk->next != NULL ? take->last_chunk : NULL;
        want_help(session, take);
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
