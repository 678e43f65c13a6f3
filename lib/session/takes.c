/* takes.c - the queue between the caller and the worker */
#include "session/takes.h"

#include <string.h>

#include "format/memory.h"
#include "session/autosave.h"
#include "session/staging.h"
#include "status.h"

void svp_take_free(struct svp_take *take)
{
    if (take == NULL) {
        return;
    }
    for (size_t i = 0; i < take->capture_count; i++) {
        svp_pageset_close(&take->captures[i].captured);
        svp_pageset_close(&take->captures[i].no_base);
    }
    svp_staging_free(take->first_chunk);
    svp_buffer_free(&take->metadata);
    svp_memory_free(take->captures);
    svp_memory_free(take);
}

void svp_take_enqueue(struct savepoint *session, struct svp_take *take)
{
    take->ticket = session->next_ticket++;
    if (session->last_take != NULL) {
        session->last_take->next = take;
    } else {
        session->first_take = take;
    }
    session->last_take = take;
    session->statistics.takes_in_flight++;
}

/* With the mutex held. */
static void fail_locked(struct svp_take *take, enum savepoint_status status, const struct savepoint_error *error)
{
    if (take->status == SAVEPOINT_OK) {
        take->status = status;
        take->error = *error;
        take->error.status = status;
    }
}

void svp_take_fail(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                   const struct savepoint_error *error)
{
    svp_mutex_lock(session->mutex);
    fail_locked(take, status, error);
    svp_condition_wake_all(session->changed);
    svp_mutex_unlock(session->mutex);
}

enum savepoint_status svp_take_status(struct savepoint *session, const struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    enum savepoint_status status = take->status;
    svp_mutex_unlock(session->mutex);
    return status;
}

void svp_take_stage(struct savepoint *session, struct svp_take *take, struct svp_chunk *chunk)
{
    svp_mutex_lock(session->mutex);
    if (take->last_chunk != NULL) {
        take->last_chunk->next = chunk;
    } else {
        take->first_chunk = chunk;
    }
    take->last_chunk = chunk;
    session->statistics.pages_captured += chunk->count;
    /* During the pause the caller has the machine for itself; the worker helps only where memory runs short. */
    if (session->staging.used_bytes > session->options.staging_bytes / 2) {
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
}

struct svp_take *svp_take_next(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    while (session->first_take == NULL && !session->stopping) {
        svp_condition_wait(session->changed, session->mutex);
    }
    struct svp_take *take = session->first_take;
    svp_mutex_unlock(session->mutex);
    return take;
}

struct svp_chunk *svp_take_unstage(struct savepoint *session, struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    while (take->first_chunk == NULL && !take->complete) {
        svp_condition_wait(session->changed, session->mutex);
    }
    struct svp_chunk *chunk = take->first_chunk;
    if (chunk != NULL) {
        take->first_chunk = chunk->next;
        take->last_chunk = chunk->next != NULL ? take->last_chunk : NULL;
    }
    svp_mutex_unlock(session->mutex);
    return chunk;
}

/* With the mutex held: the take's pages differ from what is committed, and have no usable base. */
static void return_pages(struct svp_take *take)
{
    for (size_t i = 0; i < take->capture_count; i++) {
        struct svp_capture *capture = &take->captures[i];
        svp_pageset_unite(&capture->region->pending, &capture->captured);
        svp_pageset_unite(&capture->region->no_base, &capture->captured);
        svp_pageset_unite(&capture->region->no_base, &capture->no_base);
    }
}

/* With the mutex held. */
static void
note_result(struct savepoint *session, const struct svp_take *take, const struct savepoint_snapshot *snapshot)
{
    struct svp_result *result = &session->results[take->ticket % SVP_RESULTS];
    result->ticket = take->ticket;
    result->status = take->status;
    result->error = take->error;
    if (take->status == SAVEPOINT_OK) {
        result->snapshot = *snapshot;
        session->statistics.takes_committed++;
    } else {
        session->statistics.takes_failed++;
    }
    session->statistics.takes_in_flight--;
    svp_autosave_note(session, take);
}

/* With the mutex held: every take behind a failed one fails too, for it may rest on pages that were lost. */
static void fail_followers(struct svp_take *take)
{
    for (struct svp_take *later = take->next; later != NULL; later = later->next) {
        struct savepoint_error error = take->error;
        svp_status_fail(&error, take->status, "take", "an earlier take in flight failed: %.300s", take->error.message);
        error.os_code = take->error.os_code;
        fail_locked(later, take->status, &error);
    }
}

void svp_take_finish(struct savepoint *session, struct svp_take *take, const struct savepoint_snapshot *snapshot)
{
    svp_mutex_lock(session->mutex);
    if (take->status != SAVEPOINT_OK) {
        return_pages(take);
        fail_followers(take);
    }
    note_result(session, take, snapshot);
    session->first_take = take->next;
    if (session->first_take == NULL) {
        session->last_take = NULL;
    }
    struct svp_chunk *surplus = svp_staging_settle(&session->staging, session->options.staging_bytes);
    svp_condition_wake_all(session->changed);
    svp_mutex_unlock(session->mutex);
    svp_staging_free(surplus);
    svp_take_free(take);
}

void svp_session_drain(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    while (session->first_take != NULL) {
        svp_condition_wait(session->changed, session->mutex);
    }
    svp_mutex_unlock(session->mutex);
}

/* With the mutex held. */
static bool in_flight(const struct savepoint *session, uint64_t ticket)
{
    for (const struct svp_take *take = session->first_take; take != NULL; take = take->next) {
        if (take->ticket == ticket) {
            return true;
        }
    }
    return false;
}

enum savepoint_status savepoint_wait(struct savepoint *session, uint64_t ticket, struct savepoint_snapshot *snapshot,
                                     struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "wait", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_mutex_lock(session->mutex);
    uint64_t wanted = ticket != 0 ? ticket : session->next_ticket - 1;
    while (in_flight(session, wanted)) {
        svp_condition_wait(session->changed, session->mutex);
    }
    const struct svp_result *result = &session->results[wanted % SVP_RESULTS];
    if (wanted == 0 || result->ticket != wanted) {
        status = svp_status_fail(error, SAVEPOINT_NOT_FOUND, "wait",
                                 "ticket %llu was never given, or is older than the last %d takes",
                                 (unsigned long long)ticket, SVP_RESULTS);
    } else {
        status = result->status;
        if (status == SAVEPOINT_OK && snapshot != NULL) {
            *snapshot = result->snapshot;
        }
        if (status != SAVEPOINT_OK && error != NULL) {
            *error = result->error;
        }
    }
    svp_mutex_unlock(session->mutex);
    return status;
}
