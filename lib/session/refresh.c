/* refresh.c - storing pages anew that have not changed, lest a restore takes the longer the longer the history is
 *
 * A page that changes now and then ends up as a chain of deltas, each in another record, and so does its neighbour, in
 * other records: in the end a restore reads a record for each few pages it wants. So with each so many deltas some
 * neighbouring pages are stored whole, side by side as in the first snapshot. */
#include "session/refresh.h"

#include "session/encode.h"
#include "session/recall.h"

enum {
    GROUP_PAGES = 64,    /* about a batch */
    BYTES_PER_BYTE = 2,  /* stored anew for one of what changed, at most: that bounds the archive's growth */
    STEPS_MIN = 256,     /* of a restore of a group: below, little would be gained */
    STEPS_ALONE = 4,     /* about what a page in a record without its neighbour costs */
    PAGES_PER_LOOK = 16, /* stored, for a look at one group */
    CREDIT_MAX = 1 << 20 /* bytes: a few groups whose turn may be put off */
};

struct group {
    struct svp_capture *capture;
    uint64_t first, end;
};

/* The group whose turn it is; the turn goes round through all regions of the take. */
static struct group next_group(struct svp_encoder *encoder, const struct svp_take *take)
{
    uint64_t number = encoder->refresh_group++;
    for (size_t i = 0; i < take->capture_count; i++) {
        const uint64_t pages = take->captures[i].region->pages;
        const uint64_t groups = (pages + GROUP_PAGES - 1) / GROUP_PAGES;
        if (number < groups) {
            const uint64_t first = number * GROUP_PAGES;
            const uint64_t end = pages - first < GROUP_PAGES ? pages : first + GROUP_PAGES;
            return (struct group){ &take->captures[i], first, end };
        }
        number -= groups;
    }
    encoder->refresh_group = 0;
    return (struct group){ NULL, 0, 0 };
}

/* What the take itself has stored is in it already. */
static bool is_stored_anew(const struct savepoint *session, const struct svp_region *region, uint64_t page)
{
    const struct svp_page_state *state = &region->states[page];
    return state->record_offset != 0 && state->changed_depth != session->encoder.depth &&
           !svp_pageset_has(&region->excluded, page);
}

/* Whether a restore of those that would be stored anew has much to replay: chains, or pages in a record without their
 * neighbour. */
static bool is_due(const struct savepoint *session, const struct group *group)
{
    uint64_t steps = 0;
    uint64_t before = 0;
    for (uint64_t page = group->first; page < group->end; page++) {
        const struct svp_page_state *state = &group->capture->region->states[page];
        if (!is_stored_anew(session, group->capture->region, page)) {
            continue;
        }
        bool alone = state->record_offset != before && state->record_offset != 0;
        steps += alone && state->links < STEPS_ALONE ? STEPS_ALONE : state->links;
        before = state->record_offset;
    }
    return steps >= STEPS_MIN;
}

/* About what storing a group anew takes. */
static int64_t price_of(const struct savepoint *session, const struct group *group)
{
    int64_t bytes = 0;
    for (uint64_t page = group->first; page < group->end; page++) {
        const struct svp_region *region = group->capture->region;
        bytes += is_stored_anew(session, region, page) ? region->states[page].key_bytes : 0;
    }
    return bytes;
}

/* False: the take has failed, and its pages have returned already. */
static bool
join_take(struct savepoint *session, const struct svp_take *take, struct svp_capture *capture, uint64_t page)
{
    svp_mutex_lock(session->mutex);
    bool alive = take->status == SAVEPOINT_OK;
    if (alive) {
        svp_pageset_add(&capture->captured, page, 1);
    }
    svp_mutex_unlock(session->mutex);
    return alive;
}

static enum savepoint_status store_group(struct savepoint *session, const struct svp_take *take,
                                         const struct group *group, struct savepoint_error *error)
{
    struct svp_region *region = group->capture->region;
    enum savepoint_status status = svp_encode_region(session, region, error);
    for (uint64_t page = group->first; status == SAVEPOINT_OK && page < group->end; page++) {
        if (!is_stored_anew(session, region, page)) {
            continue;
        }
        if (svp_pageset_has(&region->absent, page)) {
            if (!svp_recall_from_archive(session, region, page)) {
                continue;
            }
            svp_recall_settle(session, region, page);
        }
        if (!join_take(session, take, group->capture, page)) {
            break;
        }
        status = svp_encode_anew(session, region, page, error);
    }
    return status;
}

enum savepoint_status svp_refresh(struct savepoint *session, struct svp_take *take, struct savepoint_error *error)
{
    struct svp_encoder *encoder = &session->encoder;
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t looks = (encoder->pages_stored + PAGES_PER_LOOK - 1) / PAGES_PER_LOOK;
    encoder->refresh_credit += BYTES_PER_BYTE * (int64_t)(encoder->counts.delta_bytes + encoder->counts.key_bytes);
    for (; status == SAVEPOINT_OK && looks > 0 && encoder->refresh_credit > 0; looks--) {
        const struct group group = next_group(encoder, take);
        if (group.capture != NULL && is_due(session, &group)) {
            encoder->refresh_credit -= price_of(session, &group); /* a debt, maybe, of less than a group */
            status = store_group(session, take, &group, error);
        }
    }
    encoder->refresh_credit = encoder->refresh_credit < CREDIT_MAX ? encoder->refresh_credit : CREDIT_MAX;
    return status == SAVEPOINT_OK ? svp_encode_flush(session, error) : status;
}
