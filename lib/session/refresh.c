/* refresh.c - storing pages anew that have not changed, lest a restore takes the longer the longer the history is
 *
 * A page that changes now and then ends up as a chain of deltas, each in another record, and so does its neighbour, in
 * other records: in the end a restore reads a record for each few pages it wants. So with each so many deltas some
 * neighbouring pages are stored whole, side by side as in the first snapshot. */
#include "session/refresh.h"

#include "session/encode.h"
#include "session/recall.h"

enum {
    GROUP_PAGES = 64,   /* about a batch */
    PAGES_PER_PAGE = 8, /* one is stored anew for so many that changed: the archive's growth is bounded by that */
    LINKS_MIN = 4,      /* of a group's pages on average: below, little would be gained */
    GROUPS_SAVED = 4    /* most groups whose turn may be put off */
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

/* Whether most of them are chains, or lie in a record without their neighbour, which costs as much as some links. */
static bool is_due(const struct group *group)
{
    uint64_t pages = 0;
    uint64_t links = 0;
    uint64_t before = 0;
    for (uint64_t page = group->first; page < group->end; page++) {
        const struct svp_page_state *state = &group->capture->region->states[page];
        bool alone = state->record_offset != before;
        pages += state->record_offset != 0;
        links += alone && state->links < LINKS_MIN ? LINKS_MIN : state->links;
        before = state->record_offset;
    }
    return pages > 1 && links >= pages * LINKS_MIN;
}

/* What the take itself has stored is in it already. */
static bool is_stored_anew(const struct savepoint *session, const struct svp_region *region, uint64_t page)
{
    const struct svp_page_state *state = &region->states[page];
    return state->record_offset != 0 && state->changed_depth != session->encoder.depth &&
           !svp_pageset_has(&region->excluded, page);
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
            svp_pageset_remove(&region->absent, page, 1);
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
    const uint64_t price = (uint64_t)GROUP_PAGES * PAGES_PER_PAGE;
    struct svp_encoder *encoder = &session->encoder;
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t looks = encoder->pages_stored;
    encoder->refresh_credit += looks;
    for (; status == SAVEPOINT_OK && looks > 0 && encoder->refresh_credit >= price; looks--) {
        const struct group group = next_group(encoder, take);
        if (group.capture != NULL && is_due(&group)) {
            encoder->refresh_credit -= price;
            status = store_group(session, take, &group, error);
        }
    }
    const uint64_t most = GROUPS_SAVED * price;
    encoder->refresh_credit = encoder->refresh_credit < most ? encoder->refresh_credit : most;
    return status == SAVEPOINT_OK ? svp_encode_flush(session, error) : status;
}
