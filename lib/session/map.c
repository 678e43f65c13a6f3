/* map.c - mapped regions: memory the library places, at the address the archive records */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format/bytes.h"
#include "options.h"
#include "os/vm.h"
#include "session/busy.h"
#include "session/live.h"
#include "session/regions.h"
#include "status.h"

#define MAP_RESERVE_MIN (UINT64_C(1) << 30) /* address space is cheap, moving a region is impossible */
enum { MAP_TRIES = 64 };

struct placement {
    uintptr_t address;
    size_t bytes, reserve_bytes;
    bool fixed; /* recorded or asked for: there or nowhere */
};

/* What HEAD knows of mapped regions: address (0: unknown) and size of `name`, and the first address behind all of them
 * and their likely growth. */
static enum savepoint_status recorded_places(struct savepoint *session, const char *name, struct placement *recorded,
                                             uintptr_t *behind, struct savepoint_error *error)
{
    struct svp_region_table table = { 0 };
    struct svp_commit commit;
    if (session->append.output.tail.end.head == 0) {
        return SAVEPOINT_OK;
    }
    enum savepoint_status status =
        svp_source_commit(&session->append.source, &commit, session->append.output.tail.end.head, error);
    if (status == SAVEPOINT_OK) {
        status = svp_source_regions(&session->append.source, &table, commit.regions, error);
    }
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table.count; i++) {
        const struct svp_region_entry *entry = &table.entries[i];
        if ((entry->flags & SVP_REGION_MAPPED) == 0) {
            continue;
        }
        uint64_t room = entry->bytes * 4 > MAP_RESERVE_MIN ? entry->bytes * 4 : MAP_RESERVE_MIN;
        uintptr_t end = (uintptr_t)svp_round_up(entry->address + room, SVP_MAP_GRANULE);
        *behind = end > *behind ? end : *behind;
        if (strcmp(entry->name, name) == 0) {
            recorded->address = (uintptr_t)entry->address;
            recorded->bytes = (size_t)entry->bytes;
        }
    }
    svp_regions_free(&table);
    return status;
}

static enum savepoint_status place(struct savepoint *session, struct placement *place, const char *name, size_t bytes,
                                   const struct savepoint_region_options *options, struct savepoint_error *error)
{
    uintptr_t behind = svp_vm_map_base();
    if (behind == 0) {
        return svp_status_fail(
            error, SAVEPOINT_INVALID, "map",
            "the environment variable SAVEPOINT_MAP_BASE must be a multiple of 64 KiB, such as 0x110000000000");
    }
    enum savepoint_status status = recorded_places(session, name, place, &behind, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    for (size_t i = 0; i < session->region_count; i++) {
        const struct svp_region *region = session->regions[i];
        uintptr_t end = (uintptr_t)region->base + region->reserve_bytes;
        behind = region->mapped && end > behind ? end : behind;
    }
    place->fixed = place->address != 0 || options->address != NULL;
    if (place->address == 0) {
        place->address = options->address != NULL ? (uintptr_t)options->address : behind;
    }
    /* It may have grown since the program was started first. */
    place->bytes = (size_t)svp_round_up(bytes > place->bytes ? bytes : place->bytes, SVP_MAP_GRANULE);
    uint64_t reserve = place->bytes * UINT64_C(4) > MAP_RESERVE_MIN ? place->bytes * UINT64_C(4) : MAP_RESERVE_MIN;
    reserve = options->reserve_bytes != 0 ? svp_round_up(options->reserve_bytes, SVP_MAP_GRANULE) : reserve;
    place->reserve_bytes = (size_t)(reserve > place->bytes ? reserve : place->bytes);
    if (place->address % SVP_MAP_GRANULE != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "map",
                               "region '%.80s': address %#" PRIxPTR " is not a multiple of 64 KiB", name,
                               place->address);
    }
    return SAVEPOINT_OK;
}

/* A reserve that does not fit gives way to the bare size before a place counts as taken. */
static enum savepoint_status map_at(struct placement *place, const char *name, struct savepoint_error *error)
{
    int code = EEXIST;
    uintptr_t step = (uintptr_t)place->reserve_bytes;
    for (int i = 0; code == EEXIST && i < (place->fixed ? 1 : MAP_TRIES); i++) {
        place->address += i > 0 ? step : 0;
        code = svp_vm_map(place->address, place->bytes, place->reserve_bytes);
        if (code != 0 && place->fixed) {
            code = svp_vm_map(place->address, place->bytes, place->bytes);
            place->reserve_bytes = code == 0 ? place->bytes : place->reserve_bytes;
        }
    }
    if (code == EEXIST) {
        return svp_status_fail(error, SAVEPOINT_ADDRESS_TAKEN, "map",
                               "region '%.80s': the address %#" PRIxPTR
                               " is occupied in this process: map regions first thing in "
                               "main, before other libraries take the place",
                               name, place->address);
    }
    return code == 0 ? SAVEPOINT_OK
                     : svp_status_os(error, code, "map",
                                     "region '%.80s': cannot map %zu bytes at %#" PRIxPTR
                                     " with a reserve of %zu (see reserve_bytes)",
                                     name, place->bytes, place->address, place->reserve_bytes);
}

enum savepoint_status savepoint_map(struct savepoint *session, void **base, const char *name, size_t bytes,
                                    const struct savepoint_region_options *options, struct savepoint_error *error)
{
    struct placement placed = { 0 };
    struct svp_region *region = NULL;
    struct savepoint_region_options chosen = SAVEPOINT_REGION_OPTIONS_INIT;
    enum savepoint_status status = svp_busy_check(session, "map", error);
    status = status == SAVEPOINT_OK ? svp_options_copy(&chosen, sizeof chosen, options, "map", error) : status;
    status = status == SAVEPOINT_OK ? svp_regions_check_name(session, name, error) : status;
    if (status == SAVEPOINT_OK && (base == NULL || bytes == 0 || bytes > SVP_REGION_BYTES_MAX / 4 ||
                                   chosen.reserve_bytes > SVP_REGION_BYTES_MAX)) {
        status =
            svp_status_fail(error, SAVEPOINT_INVALID, "map", "region '%.80s': %zu bytes cannot be mapped", name, bytes);
    }
    if (status == SAVEPOINT_OK) {
        svp_live_give_up(session, "map");
        svp_session_drain(session);
        status = place(session, &placed, name, bytes, &chosen, error);
    }
    status =
        status == SAVEPOINT_OK ? svp_regions_check_range(session, name, placed.address, placed.bytes, error) : status;
    status = status == SAVEPOINT_OK ? map_at(&placed, name, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = svp_regions_add(session, &region, name, placed.address, placed.bytes, error);
    if (status != SAVEPOINT_OK) {
        svp_vm_unmap(placed.address, placed.reserve_bytes);
        return status;
    }
    region->mapped = true;
    region->reserve_bytes = placed.reserve_bytes;
    *base = (void *)placed.address;
    return SAVEPOINT_OK;
}
