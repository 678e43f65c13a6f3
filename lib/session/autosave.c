/* autosave.c - snapshots taken by the clock: when one is due, what became of it, and how often to take them */
#include "session/autosave.h"

#include <string.h>

#include "options.h"
#include "os/host.h"
#include "session/compaction.h"
#include "session/live.h"
#include "session/takes.h"
#include "status.h"

static struct savepoint_take_options take_options(const struct savepoint_autosave_options *autosave)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.label = autosave->label;
    options.durability = autosave->durability;
    options.mode = autosave->mode;
    options.live_policy = autosave->live_policy;
    options.pause_budget_ns = autosave->pause_budget_ns;
    return options;
}

static void begin_interval(struct savepoint *session)
{
    struct svp_autosave *autosave = &session->autosave;
    const uint64_t interval_ns = autosave->options.interval_ns;
    autosave->since_ns = svp_host_monotonic_ns();
    autosave->late = false;
    const bool ends = interval_ns > 0 && interval_ns < UINT64_MAX - autosave->since_ns;
    atomic_store(&session->autosave_due_ns, ends ? autosave->since_ns + interval_ns : UINT64_MAX);
}

enum savepoint_status savepoint_autosave(struct savepoint *session, const struct savepoint_autosave_options *options,
                                         struct savepoint_error *error)
{
    struct savepoint_autosave_options chosen = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    enum savepoint_status status = svp_session_check(session, "autosave", error);
    if (status == SAVEPOINT_OK) {
        status = svp_options_copy(&chosen, sizeof chosen, options, "autosave", error);
    }
    if (status == SAVEPOINT_OK && (chosen.flags & ~(uint32_t)SAVEPOINT_AUTOSAVE_NO_COMPACTION) != 0) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "autosave", "flags %#x are not known", chosen.flags);
    }
    if (status == SAVEPOINT_OK) {
        const struct savepoint_take_options take = take_options(&chosen);
        status = svp_take_check_options(&take, "autosave", error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_autosave *autosave = &session->autosave;
    svp_live_forget_autosave(session);
    if (chosen.label != NULL) {
        strcpy(autosave->label, chosen.label); /* its length was checked */
        chosen.label = autosave->label;
    }
    autosave->options = chosen;
    begin_interval(session);
    return SAVEPOINT_OK;
}

void svp_autosave_note(struct savepoint *session, const struct svp_take *take)
{
    struct savepoint_statistics *statistics = &session->statistics;
    bool autosave = (take->flags & SVP_COMMIT_AUTOSAVE) != 0;
    if (take->status == SAVEPOINT_OK) {
        statistics->commit_ns_total += svp_host_monotonic_ns() - take->started_ns;
        if (!take->for_ring) {
            const uint64_t bytes = session->append.output.tail.committed_bytes;
            svp_compaction_grown(session, bytes - statistics->archive_bytes);
            statistics->archive_bytes = bytes;
        }
        statistics->autosaves += autosave ? 1 : 0;
    } else if (autosave) {
        session->autosave_failure = take->error;
    }
}

/* ---- the tick */

/* What the workers have left for this tick. */
struct news {
    struct savepoint_error failure; /* status OK: none */
    bool in_flight;                 /* what an autosave does not queue behind */
    bool capped;
    bool compaction_due;
    uint64_t archive_bytes;
};

static struct news read_news(struct savepoint *session)
{
    const struct savepoint_autosave_options *options = &session->autosave.options;
    const uint64_t cap = options->size_cap_bytes;
    svp_mutex_lock(session->mutex);
    struct news news = { .failure = session->autosave_failure,
                         .in_flight = svp_take_puts_off(session),
                         .archive_bytes = session->statistics.archive_bytes };
    news.capped = cap != 0 && news.archive_bytes >= cap;
    news.compaction_due = session->has_archive && (options->flags & SAVEPOINT_AUTOSAVE_NO_COMPACTION) == 0 &&
                          svp_compaction_is_due(session, news.capped);
    session->autosave_failure.status = SAVEPOINT_OK;
    session->untold.ticket = session->untold.autosave ? 0 : session->untold.ticket;
    svp_mutex_unlock(session->mutex);
    return news;
}

static void put_off(struct savepoint *session)
{
    if (!session->autosave.late) {
        session->autosave.late = true;
        svp_mutex_lock(session->mutex);
        session->statistics.autosaves_late++;
        svp_mutex_unlock(session->mutex);
    }
}

/* One is due and nothing in flight puts it off. Whatever comes of it, the next one is due an interval later. */
static enum savepoint_status
take_due(struct savepoint *session, uint64_t *ticket, const struct news *news, struct savepoint_error *error)
{
    struct svp_autosave *autosave = &session->autosave;
    const struct savepoint_take_options options = take_options(&autosave->options);
    enum savepoint_status status;
    if (news->capped) {
        status = svp_status_fail(error, SAVEPOINT_LIMIT, "autosave",
                                 "%s: the archive has %llu bytes, its cap is %llu: raise size_cap_bytes, let keep_last "
                                 "keep fewer, or go on in another archive",
                                 session->append.source.path, (unsigned long long)news->archive_bytes,
                                 (unsigned long long)autosave->options.size_cap_bytes);
    } else {
        status = svp_take_capture(session, ticket, &options, autosave, error);
    }
    begin_interval(session);
    return status;
}

static enum savepoint_status begin_compaction(struct savepoint *session, struct savepoint_error *error)
{
    const struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    return svp_compaction_begin(session, NULL, &options, true, error);
}

/* Nothing in flight puts an autosave off, nor is one being prepared. A compaction follows the autosave that is due, so
 * that it does not keep it waiting, unless it is what makes room for it. */
static enum savepoint_status
tick_idle(struct savepoint *session, uint64_t *ticket, bool due, const struct news *news, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (due && news->capped && news->compaction_due) {
        put_off(session);
    } else if (due) {
        status = take_due(session, ticket, news, error);
    }
    return status == SAVEPOINT_OK && news->compaction_due ? begin_compaction(session, error) : status;
}

/* Autosaving, when no LIVE snapshot stands in its way. */
static enum savepoint_status
tick_interval(struct savepoint *session, uint64_t *ticket, bool preparing, struct savepoint_error *error)
{
    const struct svp_autosave *autosave = &session->autosave;
    enum savepoint_status status = SAVEPOINT_OK;
    const struct news news = read_news(session);
    bool due = svp_host_monotonic_ns() - autosave->since_ns >= autosave->options.interval_ns;
    if (news.failure.status != SAVEPOINT_OK) {
        status = news.failure.status;
        if (error != NULL) {
            *error = news.failure;
        }
    } else if (!news.in_flight && !preparing) {
        status = tick_idle(session, ticket, due, &news, error);
    } else if (due) {
        put_off(session);
    }
    return status;
}

static enum savepoint_status end_live(struct savepoint *session, uint64_t *ticket, struct savepoint_error *error)
{
    bool autosave = false;
    enum savepoint_status status = svp_live_end(session, ticket, &autosave, error);
    if (autosave) {
        begin_interval(session);
    }
    return status;
}

enum savepoint_status savepoint_tick(struct savepoint *session, uint64_t *ticket, struct savepoint_error *error)
{
    uint64_t given = 0;
    enum savepoint_status status = svp_session_check(session, "tick", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const enum svp_live_stand stand = svp_live_stand(session);
    if (stand == SVP_LIVE_DUE) {
        status = end_live(session, &given, error);
    } else if (stand != SVP_LIVE_AUTOSAVE_PREPARED && session->autosave.options.interval_ns > 0) {
        status = tick_interval(session, &given, stand == SVP_LIVE_PREPARED, error);
    }
    if (status == SAVEPOINT_OK && ticket != NULL) {
        *ticket = given;
    }
    return status;
}

int savepoint_stop_wanted(const struct savepoint *session)
{
    if (atomic_load_explicit(&session->stop_wanted, memory_order_acquire)) {
        return 1;
    }
    const uint64_t due_ns = atomic_load_explicit(&session->autosave_due_ns, memory_order_relaxed);
    return due_ns != UINT64_MAX && atomic_load_explicit(&session->busy, memory_order_relaxed) == 0 &&
           svp_host_monotonic_ns() >= due_ns;
}

/* ---- how often */

/* By Newton's iteration, from above: the library does without the mathematics library for one root. */
static double square_root(double value)
{
    if (value <= 0) {
        return 0;
    }
    double root = value > 1 ? value : 1;
    double next = (root + value / root) / 2;
    while (next < root) {
        root = next;
        next = (root + value / root) / 2;
    }
    return root;
}

/* J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation
 * Computer Systems 22 (2006), equation 37; its leading term is J. W. Young's of 1974. Never above the mean time between
 * failures. */
static double optimum(double cost, double between_failures)
{
    double ratio = cost / (2 * between_failures);
    return ratio < 1 ? square_root(2 * cost * between_failures) * (1 + square_root(ratio) / 3 + ratio / 9) - cost
                     : between_failures;
}

enum savepoint_status savepoint_suggest_interval(struct savepoint *session, uint64_t *interval_ns, uint64_t mtbf_ns,
                                                 struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "suggest", error);
    if (status == SAVEPOINT_OK && (interval_ns == NULL || mtbf_ns == 0)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "suggest", "interval_ns is NULL or mtbf_ns is 0");
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_mutex_lock(session->mutex);
    const struct savepoint_statistics seen = session->statistics;
    svp_mutex_unlock(session->mutex);
    if (seen.takes_committed == 0) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "suggest",
                               "no take of this session is committed yet, so what one costs is not known");
    }
    uint64_t pauses = seen.takes_committed + seen.takes_failed + seen.takes_in_flight;
    uint64_t suggested = (uint64_t)optimum((double)seen.pause_ns_total / (double)pauses, (double)mtbf_ns);
    uint64_t least = seen.commit_ns_total / seen.takes_committed;
    suggested = suggested > least ? suggested : least;
    *interval_ns = suggested > 0 ? suggested : 1; /* 0 would turn autosaving off */
    return SAVEPOINT_OK;
}
