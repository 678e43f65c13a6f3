/* takes.c - the queue from the caller to the encoder to the writer */
#include "session/takes.h"

#include <string.h>

#include "format/memory.h"
#include "session/autosave.h"
#include "session/compaction.h"
#include "session/examine.h"
#include "session/live.h"
#include "session/staging.h"
#include "session/twins.h"
#include "status.h"

void svp_take_free(struct svp_take *take)
{
    if (take == NULL) {
        return;
    }
    for (size_t i = 0; i < take->capture_count; i++) {
        svp_pageset_close(&take->captures[i].captured);
        svp_pageset_close(&take->captures[i].no_base);
        svp_pageset_close(&take->captures[i].rebased);
        svp_pageset_close(&take->captures[i].staged);
        svp_pageset_close(&take->captures[i].stored);
    }
    svp_compaction_free(take->compaction);
    svp_staging_free(take->first_chunk);
    svp_buffer_free(&take->metadata);
    svp_memory_free(take->captures);
    svp_memory_free(take);
}

/* One of the ring is soon encoded; but of autosaves there is one at a time, wherever it goes. */
static bool puts_off(const struct svp_take *take)
{
    return !take->for_ring || take->compaction != NULL || (take->flags & SVP_COMMIT_AUTOSAVE) != 0;
}

bool svp_take_puts_off(const struct savepoint *session)
{
    bool found = false;
    for (const struct svp_take *take = session->first_take; take != NULL; take = take->next) {
        found = found || puts_off(take);
    }
    return found;
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
    session->next_take = session->next_take != NULL ? session->next_take : take;
    if (take->compaction == NULL) {
        session->newest_ticket = take->ticket;
        session->statistics.takes_in_flight++;
    }
    atomic_fetch_add(&session->busy, puts_off(take));
}

/* With the mutex held: the take's pages differ from what is committed, and have no usable base; whether the shadow has
 * got them is not known. A ring needs no more than that they are compared with it once more. */
static void return_pages(struct svp_take *take)
{
    for (size_t i = 0; i < take->capture_count; i++) {
        struct svp_capture *capture = &take->captures[i];
        svp_pageset_unite(&capture->region->pending, &capture->captured);
        svp_pageset_unite(&capture->region->no_base, &capture->captured);
        svp_pageset_unite(&capture->region->no_base, &capture->no_base);
        svp_pageset_unite(&capture->region->ring_pending, &capture->captured);
    }
}

/* With the mutex held. */
static void fail_locked(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                        const struct savepoint_error *error)
{
    if (take->status == SAVEPOINT_OK) {
        take->status = status;
        take->error = *error;
        take->error.status = status;
        return_pages(take);
        session->gone_back = true;
    }
}

/* With the mutex held. Takes of the archive rest on each other's commits, and all takes on the shadow as those before
 * them have left it: a take that has not brought all of its pages there takes those of both histories along. */
static void fail_with_followers(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                                const struct savepoint_error *error)
{
    struct savepoint_error later = { 0 };
    bool shadow_lacks = !take->moved;
    bool commit_lacks = !take->for_ring;
    fail_locked(session, take, status, error);
    svp_status_fail(&later, take->status, "take", "an earlier take in flight failed: %.300s", take->error.message);
    later.os_code = take->error.os_code;
    for (struct svp_take *behind = take->next; behind != NULL; behind = behind->next) {
        if (behind->compaction == NULL && (shadow_lacks || (commit_lacks && !behind->for_ring))) {
            fail_locked(session, behind, take->status, &later);
            shadow_lacks = shadow_lacks || !behind->moved;
            commit_lacks = commit_lacks || !behind->for_ring;
        }
    }
    svp_condition_wake_all(session->changed);
    svp_condition_wake_all(session->to_write);
}

void svp_take_fail(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                   const struct savepoint_error *error)
{
    svp_mutex_lock(session->mutex);
    if (take->status == SAVEPOINT_OK) {
        fail_with_followers(session, take, status, error);
    }
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
    session->statistics.live_pages_stopped += take->live ? chunk->count : 0;
    /* During the pause the caller has the machine for itself; the encoder helps only where memory runs short. */
    if (svp_staging_is_short(session)) {
        svp_condition_wake_all(session->changed);
    }
    svp_mutex_unlock(session->mutex);
}

struct svp_take *svp_take_next(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    while (session->next_take == NULL && !session->stopping) {
        svp_condition_wait(session->changed, session->mutex);
    }
    struct svp_take *take = session->next_take;
    svp_mutex_unlock(session->mutex);
    return take;
}

void svp_take_stand(struct savepoint *session, const struct svp_take *take, struct svp_stand *stand)
{
    svp_mutex_lock(session->mutex);
    if (session->gone_back) {
        const struct svp_stand *newest = &session->written;
        for (const struct svp_take *before = session->first_take; before != take; before = before->next) {
            newest = before->status == SAVEPOINT_OK && !before->for_ring ? &before->after : newest;
        }
        *stand = *newest;
        session->gone_back = false;
        svp_twins_clear(&session->encoder.twins); /* other records will stand where those of the failed takes did */
    }
    svp_mutex_unlock(session->mutex);
}

void svp_take_encoded(struct savepoint *session, struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    take->encoded = true;
    session->next_take = take->next;
    svp_condition_wake_all(session->to_write);
    svp_condition_wake_all(session->changed);
    svp_mutex_unlock(session->mutex);
}

enum savepoint_status svp_take_moved(struct savepoint *session, struct svp_take *take)
{
    svp_mutex_lock(session->mutex);
    enum savepoint_status status = take->status;
    take->moved = status == SAVEPOINT_OK;
    take->committing = take->moved && take->for_ring;
    svp_mutex_unlock(session->mutex);
    return status;
}

/* With the mutex held; NULL: there is none. */
static struct svp_take *oldest_to_write(const struct savepoint *session)
{
    struct svp_take *take = session->first_take;
    while (take != NULL && take->for_ring) {
        take = take->next;
    }
    return take;
}

struct svp_take *svp_take_oldest(struct savepoint *session)
{
    struct svp_take *take;
    svp_mutex_lock(session->mutex);
    while ((take = oldest_to_write(session)) == NULL && !(session->stopping && session->next_take == NULL)) {
        svp_condition_wait(session->to_write, session->mutex);
    }
    svp_mutex_unlock(session->mutex);
    return take;
}

/* With the mutex held. */
static void
note_result(struct savepoint *session, const struct svp_take *take, const struct savepoint_snapshot *snapshot)
{
    struct svp_result *result = &session->results[take->ticket % SVP_RESULTS];
    result->ticket = take->ticket;
    result->status = take->status;
    result->error = take->error;
    result->snapshot = *snapshot;
    atomic_fetch_sub(&session->busy, puts_off(take));
    if (take->compaction != NULL) {
        svp_compaction_note(session, take);
        return;
    }
    const bool failed = take->status != SAVEPOINT_OK;
    session->statistics.takes_committed += failed ? 0 : 1;
    session->statistics.takes_failed += failed ? 1 : 0;
    session->statistics.takes_in_flight--;
    svp_autosave_note(session, take);
    if (!take->for_ring) { /* a take stores all that those before it have failed to */
        const bool lost = failed && take->status != SAVEPOINT_CANCELLED;
        session->untold = (struct svp_untold){ .ticket = lost ? take->ticket : 0,
                                               .autosave = (take->flags & SVP_COMMIT_AUTOSAVE) != 0,
                                               .error = take->error };
    }
}

enum savepoint_status svp_take_untold(const struct savepoint *session, struct savepoint_error *error)
{
    const struct savepoint_error *why = &session->untold.error;
    if (session->untold.ticket == 0) {
        return SAVEPOINT_OK;
    }
    svp_status_fail(error, why->status, "close", "the last take failed, what it captured is lost: %.300s",
                    why->message);
    if (error != NULL) {
        error->os_code = why->os_code;
    }
    return why->status;
}

/* With the mutex held. */
static void leave_queue(struct savepoint *session, const struct svp_take *take)
{
    struct svp_take *before = NULL;
    for (struct svp_take *other = session->first_take; other != take; other = other->next) {
        before = other;
    }
    *(before != NULL ? &before->next : &session->first_take) = take->next;
    session->last_take = take->next == NULL ? before : session->last_take;
}

void svp_take_finish(struct savepoint *session, struct svp_take *take, const struct savepoint_snapshot *snapshot)
{
    svp_mutex_lock(session->mutex);
    if (take->status == SAVEPOINT_OK && !take->for_ring) {
        session->written = take->after;
    }
    note_result(session, take, snapshot);
    leave_queue(session, take);
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
        svp_examine_wait(session);
    }
    svp_mutex_unlock(session->mutex);
}

void svp_session_settle(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    while (session->next_take != NULL) {
        svp_examine_wait(session);
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

/* With the mutex held: the oldest take that `ticket` asks to give up (0: any take) and that still can be. */
static enum savepoint_status
find_cancelled(struct savepoint *session, struct svp_take **found, uint64_t ticket, struct savepoint_error *error)
{
    struct svp_take *take = session->first_take;
    while (take != NULL && (ticket != 0 ? take->ticket != ticket : take->committing || take->compaction != NULL)) {
        take = take->next;
    }
    if (take == NULL && ticket != 0) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "cancel", "the take of ticket %llu is not in flight",
                               (unsigned long long)ticket);
    }
    if (take != NULL && take->committing) {
        return svp_status_fail(error, SAVEPOINT_BUSY, "cancel",
                               "the last of the take of ticket %llu is being written: it will be committed",
                               (unsigned long long)ticket);
    }
    *found = take;
    return SAVEPOINT_OK;
}

/* With the mutex held: the first compaction from `take` on is given up, unless it is too late; no take rests on it. */
static void cancel_compaction(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error cancelled;
    svp_status_fail(&cancelled, SAVEPOINT_CANCELLED, "compact", "cancelled; the archive is as it was");
    while (take != NULL && take->compaction == NULL) {
        take = take->next;
    }
    if (take != NULL && !take->committing) {
        fail_locked(session, take, SAVEPOINT_CANCELLED, &cancelled);
    }
}

enum savepoint_status savepoint_cancel(struct savepoint *session, uint64_t ticket, struct savepoint_error *error)
{
    struct savepoint_error cancelled;
    struct svp_take *take = NULL;
    enum savepoint_status status = svp_session_check(session, "cancel", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_status_fail(&cancelled, SAVEPOINT_CANCELLED, "take", "cancelled; the next take carries its pages");
    svp_mutex_lock(session->mutex);
    if (ticket == 0) {
        svp_live_cancel(session, &cancelled);
        cancel_compaction(session, session->first_take);
    }
    status = find_cancelled(session, &take, ticket, error);
    if (take != NULL && take->compaction != NULL) {
        cancel_compaction(session, take);
    } else if (take != NULL && take->status == SAVEPOINT_OK) {
        fail_with_followers(session, take, SAVEPOINT_CANCELLED, &cancelled);
    }
    svp_mutex_unlock(session->mutex);
    return status;
}

enum savepoint_status savepoint_wait(struct savepoint *session, uint64_t ticket, struct savepoint_snapshot *snapshot,
                                     struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "wait", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_mutex_lock(session->mutex);
    uint64_t wanted = ticket != 0 ? ticket : session->newest_ticket;
    while (in_flight(session, wanted)) {
        svp_examine_wait(session);
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
        session->untold.ticket = wanted == session->untold.ticket ? 0 : session->untold.ticket;
    }
    svp_mutex_unlock(session->mutex);
    return status;
}
