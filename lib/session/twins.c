/* twins.c - where pages stand whose contents may be captured again, in another place */
#include "session/twins.h"

#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"

enum { PLACES_MIN = 1024, PLACES_MAX = 1 << 18, WAYS = 8, WAY_SHIFT = 61 };

struct svp_twin {
    uint64_t record_offset; /* 0: an empty place */
    uint64_t page;
    uint32_t region_id;
    uint32_t tag; /* of its hash; the bytes are compared */
};

static uint32_t tag_of(uint64_t half)
{
    return (uint32_t)(half >> 32);
}

void svp_twins_clear(struct svp_twins *twins)
{
    svp_memory_free(twins->places);
    *twins = (struct svp_twins){ 0 };
}

void svp_twins_begin(struct savepoint *session, const struct svp_take *take)
{
    struct svp_twins *twins = &session->encoder.twins;
    uint64_t pages = 0;
    size_t wanted = PLACES_MIN;
    for (size_t i = 0; i < take->capture_count; i++) {
        pages += take->captures[i].region->pages;
    }
    while (wanted < PLACES_MAX && wanted < pages) {
        wanted *= 2;
    }
    if (session->has_ring || wanted <= twins->capacity) {
        return;
    }
    svp_twins_clear(twins);
    twins->places = svp_memory_zalloc(wanted, sizeof *twins->places);
    twins->capacity = twins->places != NULL ? wanted : 0;
}

/* Where those of this hash are; empty places come last. */
static struct svp_twin *places_of(const struct svp_twins *twins, uint64_t half)
{
    return &twins->places[half % (twins->capacity / WAYS) * WAYS];
}

/* Whether what stands in that record is the page as the shadow holds it, if it does. */
static bool stands(const struct svp_region *region, const struct svp_twin *twin)
{
    const struct svp_page_state *state = twin->page < region->pages ? &region->states[twin->page] : NULL;
    return state != NULL && state->record_offset == twin->record_offset && !state->batched;
}

void svp_twins_add(struct svp_twins *twins, const struct svp_hash *hash, const struct svp_region *region, uint64_t page,
                   uint64_t offset)
{
    const uint64_t half = svp_load64(hash->bytes);
    size_t way = 0;
    if (twins->capacity == 0) {
        return;
    }
    struct svp_twin *places = places_of(twins, half);
    while (way < WAYS && places[way].record_offset != 0 &&
           (places[way].region_id != region->id || stands(region, &places[way]))) {
        way++;
    }
    /* Any of them has to go: were it the oldest, nothing would be found of a copy larger than the table. */
    way = way < WAYS ? way : (size_t)(half >> WAY_SHIFT);
    places[way] = (struct svp_twin){ offset, page, region->id, tag_of(half) };
}

/* A region of the take being laid out; NULL: it is gone. */
static const struct svp_region *region_of(const struct svp_take *take, uint32_t region_id)
{
    for (size_t i = 0; i < take->capture_count; i++) {
        if (take->captures[i].region->id == region_id) {
            return take->captures[i].region;
        }
    }
    return NULL;
}

bool svp_twins_find(const struct savepoint *session, struct svp_reference *twin, uint16_t *key_bytes,
                    const struct svp_hash *hash, const uint8_t *staged)
{
    const struct svp_twins *twins = &session->encoder.twins;
    const uint64_t half = svp_load64(hash->bytes);
    const struct svp_twin *places = twins->capacity > 0 ? places_of(twins, half) : NULL;
    for (size_t i = 0; places != NULL && i < WAYS && places[i].record_offset != 0; i++) {
        const struct svp_twin *found = &places[i];
        const struct svp_region *region =
            found->tag == tag_of(half) ? region_of(session->laying_out, found->region_id) : NULL;
        if (region != NULL && stands(region, found) && !svp_pageset_has(&region->absent, found->page) &&
            memcmp(region->shadow + found->page * SVP_PAGE_BYTES, staged, SVP_PAGE_BYTES) == 0) {
            *twin = (struct svp_reference){ found->record_offset, found->page };
            *key_bytes = region->states[found->page].key_bytes;
            return true;
        }
    }
    return false;
}
