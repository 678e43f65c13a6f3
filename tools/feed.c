/* feed.c - what a growing archive has got since the last look at it */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

enum { PAGES_PER_QUESTION = 1024 };

struct look {
    struct feed *feed;
    struct savepoint_archive *reader;
    struct savepoint_snapshot *fresh; /* those not known yet, newest first */
    size_t fresh_count;
    bool (*stop)(void);
    size_t age; /* of the snapshot whose pages are being read: 0 is the newest */
    uint64_t pages_seen;
    bool strange; /* it wrote to a region that is not known */
    size_t recent;
};

void feed_open(struct feed *feed, const char *path)
{
    memset(feed, 0, sizeof *feed);
    feed->path = path;
}

static void forget_regions(struct feed *feed)
{
    for (size_t i = 0; i < feed->region_count; i++) {
        free(feed->regions[i].written);
    }
    free(feed->regions);
    feed->regions = NULL;
    feed->region_count = 0;
}

void feed_close(struct feed *feed)
{
    forget_regions(feed);
}

unsigned feed_times(const struct feed *feed, uint64_t written)
{
    unsigned times = 0;
    written &= feed->depth >= FEED_DEPTH ? UINT64_MAX : (UINT64_C(1) << feed->depth) - 1;
    for (; written != 0; written &= written - 1) {
        times++;
    }
    return times;
}

/* ---- snapshots */

static bool is_same(const struct savepoint_id *a, const struct savepoint_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Walks back to the newest snapshot that is known. *met: it is there. */
static enum savepoint_status find_fresh(struct look *look, bool *met, struct savepoint_error *error)
{
    const struct feed *feed = look->feed;
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = savepoint_archive_newest(look->reader, &snapshot, error);
    *met = false;
    while (status == SAVEPOINT_OK && look->fresh_count < FEED_HISTORY) {
        *met = feed->count > 0 && is_same(&snapshot.id, &feed->points[0].id);
        if (*met) {
            return SAVEPOINT_OK;
        }
        if (look->stop()) {
            error->status = SAVEPOINT_CANCELLED;
            return SAVEPOINT_CANCELLED;
        }
        look->fresh[look->fresh_count++] = snapshot;
        status = savepoint_archive_previous(look->reader, &snapshot, error);
    }
    bool ended = status == SAVEPOINT_NOT_FOUND || status == SAVEPOINT_EMPTY || status == SAVEPOINT_OK;
    bool old_is_lost = look->fresh_count > 0 && status == SAVEPOINT_CORRUPT; /* enough was seen before the damage */
    return ended || old_is_lost ? SAVEPOINT_OK : status;
}

static void keep_points(struct look *look, bool met)
{
    struct feed *feed = look->feed;
    size_t fresh = look->fresh_count;
    size_t kept = !met ? 0 : feed->count < FEED_HISTORY - fresh ? feed->count : FEED_HISTORY - fresh;
    memmove(feed->points + fresh, feed->points, kept * sizeof *feed->points);
    for (size_t i = 0; i < fresh; i++) {
        const struct savepoint_snapshot *snapshot = &look->fresh[i];
        feed->points[i] =
            (struct feed_point){ snapshot->id,           snapshot->sequence, snapshot->time_ns, snapshot->changed_pages,
                                 snapshot->stored_bytes, snapshot->pause_ns };
    }
    feed->count = fresh + kept;
}

/* ---- regions */

static struct feed_region *find_region(const struct feed *feed, size_t *recent, uint32_t id)
{
    if (*recent < feed->region_count && feed->regions[*recent].region.id == id) {
        return &feed->regions[*recent];
    }
    for (size_t i = 0; i < feed->region_count; i++) {
        if (feed->regions[i].region.id == id) {
            *recent = i;
            return &feed->regions[i];
        }
    }
    return NULL;
}

/* Has a counter for every page, or for every run of counter_pages; those that are new are zero. */
static void fit_counters(struct feed_region *region, uint64_t all_pages)
{
    uint64_t pages = region->region.bytes / FEED_PAGE_BYTES;
    if (region->counter_pages == 0) {
        region->counter_pages = all_pages / FEED_COUNTERS + 1;
    }
    uint64_t count = pages / region->counter_pages + (pages % region->counter_pages != 0);
    count = count > FEED_COUNTERS ? FEED_COUNTERS : count;
    if (count > region->counter_count) {
        region->written = fail_resize(region->written, (size_t)count, sizeof *region->written);
        memset(region->written + region->counter_count, 0,
               ((size_t)count - region->counter_count) * sizeof *region->written);
        region->counter_count = (size_t)count;
    }
}

/* The regions of the newest snapshot take the place of those known; what is known of their pages stays. */
static enum savepoint_status load_regions(struct look *look, struct savepoint_error *error)
{
    struct feed *feed = look->feed;
    struct feed_region *list = NULL;
    size_t count = 0;
    uint64_t all_pages = 0;
    enum savepoint_status status;
    for (;; count++) {
        struct savepoint_region one;
        status = savepoint_archive_region_at(look->reader, &one, &look->fresh[0], count, error);
        if (status != SAVEPOINT_OK) {
            break;
        }
        list = fail_resize(list, count + 1, sizeof *list);
        list[count] = (struct feed_region){ .region = one };
        all_pages += one.bytes / FEED_PAGE_BYTES;
    }
    if (status != SAVEPOINT_NOT_FOUND) {
        free(list);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        struct feed_region *known = find_region(feed, &look->recent, list[i].region.id);
        if (known != NULL) {
            list[i].written = known->written;
            list[i].counter_pages = known->counter_pages;
            list[i].counter_count = known->counter_count;
            known->written = NULL;
        }
        fit_counters(&list[i], all_pages);
    }
    forget_regions(feed);
    feed->regions = list;
    feed->region_count = count;
    return SAVEPOINT_OK;
}

/* ---- pages */

static void shift_pages(struct feed *feed, size_t snapshots)
{
    for (size_t i = 0; i < feed->region_count; i++) {
        struct feed_region *region = &feed->regions[i];
        for (size_t k = 0; k < region->counter_count; k++) {
            region->written[k] = snapshots < FEED_DEPTH ? region->written[k] << snapshots : 0;
        }
    }
}

static int note_page(void *user, const struct savepoint_change *change)
{
    struct look *look = user;
    struct feed_region *region = find_region(look->feed, &look->recent, change->region_id);
    if (region == NULL || change->page >= region->region.bytes / FEED_PAGE_BYTES) {
        look->strange = true;
    } else {
        uint64_t place = change->page / region->counter_pages;
        place = place < region->counter_count ? place : region->counter_count - 1;
        region->written[place] |= UINT64_C(1) << look->age;
    }
    return ++look->pages_seen % PAGES_PER_QUESTION == 0 && look->stop();
}

static bool shape_changed(const struct look *look)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < look->feed->region_count; i++) {
        pages += look->feed->regions[i].region.bytes / FEED_PAGE_BYTES;
    }
    return look->fresh[0].region_count != look->feed->region_count || look->fresh[0].region_pages != pages;
}

/* What older snapshots wrote to regions that are gone is not of interest; in the newest it tells that regions came. */
static enum savepoint_status read_pages(struct look *look, struct savepoint_error *error)
{
    enum savepoint_status status =
        savepoint_archive_changes(look->reader, &look->fresh[look->age], note_page, look, error);
    if (look->age == 0 && look->strange && status == SAVEPOINT_OK) {
        status = load_regions(look, error);
        if (status == SAVEPOINT_OK) {
            status = savepoint_archive_changes(look->reader, &look->fresh[0], note_page, look, error);
        }
    }
    if (status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED) {
        look->feed->damaged = true;
        return SAVEPOINT_OK;
    }
    return status;
}

static enum savepoint_status read_fresh(struct look *look, struct savepoint_error *error)
{
    struct feed *feed = look->feed;
    uint64_t bytes = 0;
    size_t known = feed->depth;
    enum savepoint_status status = shape_changed(look) ? load_regions(look, error) : SAVEPOINT_OK;
    shift_pages(feed, look->fresh_count);
    feed->depth = 0;
    for (look->age = 0; look->age < look->fresh_count && look->age < FEED_DEPTH && status == SAVEPOINT_OK;
         look->age++) {
        bytes += look->fresh[look->age].stored_bytes;
        if (bytes > FEED_LOOK_BYTES && look->age > 0) {
            return SAVEPOINT_OK; /* the older ones are not read: they would cost more than they tell */
        }
        status = read_pages(look, error);
        feed->depth++;
    }
    if (status == SAVEPOINT_OK) {
        feed->depth = feed->depth + known < FEED_DEPTH ? feed->depth + known : FEED_DEPTH;
    }
    return status;
}

static enum savepoint_status look_into(struct look *look, struct savepoint_error *error)
{
    struct feed *feed = look->feed;
    bool met = false;
    savepoint_archive_describe(look->reader, &feed->info);
    enum savepoint_status status = find_fresh(look, &met, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    feed->begun_anew = !met && feed->count > 0;
    if (!met) {
        forget_regions(feed);
        feed->depth = 0;
    }
    keep_points(look, met);
    feed->damaged = false;
    return look->fresh_count == 0 ? SAVEPOINT_OK : read_fresh(look, error);
}

enum savepoint_status feed_look(struct feed *feed, bool (*stop)(void), struct savepoint_error *error)
{
    struct look look = { .feed = feed, .stop = stop };
    enum savepoint_status status = savepoint_archive_open(&look.reader, feed->path, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    look.fresh = fail_alloc(FEED_HISTORY, sizeof *look.fresh);
    status = look_into(&look, error);
    free(look.fresh);
    savepoint_archive_close(look.reader);
    return status;
}
