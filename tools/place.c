/* place.c - REGION[:OFFSET[+LENGTH]]: a part of a region, found by what the user wrote and read in blocks */
#include "place.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "number.h"
#include "text.h"

enum { BLOCK_BYTES = 1 << 20, PAGE_BYTES = 4096 };

/* ---- finding */

/* Reads one number and moves *text behind it. */
static enum number_kind parse_number(uint64_t *number, const char **text)
{
    static const char units[] = "KMG";
    const char *next = *text;
    unsigned base = 10;
    if (next[0] == '0' && (next[1] == 'x' || next[1] == 'X')) {
        base = 16;
        next += 2;
    }
    enum number_kind kind = number_take(number, &next, base);
    const char *unit = *next == '\0' ? NULL : strchr(units, toupper((unsigned char)*next));
    if (kind != NUMBER_NONE && unit != NULL) {
        enum number_kind scaled = number_scale(number, 10 * (unsigned)(unit - units + 1));
        kind = kind == NUMBER_GOOD ? scaled : kind;
        next++;
    }
    *text = next;
    return kind;
}

struct range {
    uint64_t offset, bytes;
    bool to_end; /* no length was given */
    bool too_large;
};

static bool parse_range(struct range *range, const char *text)
{
    enum number_kind kind = parse_number(&range->offset, &text);
    range->to_end = *text == '\0';
    range->too_large = kind == NUMBER_TOO_LARGE;
    if (kind == NUMBER_NONE || range->to_end) {
        return kind != NUMBER_NONE;
    }
    if (*text++ != '+' || (kind = parse_number(&range->bytes, &text)) == NUMBER_NONE) {
        return false;
    }
    range->too_large = range->too_large || kind == NUMBER_TOO_LARGE;
    return *text == '\0';
}

static const struct savepoint_region *
find_region(const struct savepoint_region *regions, size_t count, const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(regions[i].name) == name_bytes && memcmp(regions[i].name, name, name_bytes) == 0) {
            return &regions[i];
        }
    }
    return NULL;
}

int place_unknown_region(const struct tool *tool, const struct savepoint_region *regions, size_t region_count,
                         const char *name)
{
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; i < region_count; i++) {
        if (text_is_nearer(&best, name, regions[i].name)) {
            nearest = regions[i].name;
        }
    }
    if (nearest != NULL) {
        return fail_usage(tool, "the snapshot has no region '%s'; did you mean '%s'?", name, nearest);
    }
    return fail_usage(tool, "the snapshot has no region '%s'; 'savepoint show' lists them", name);
}

/* Puts a range into the region found. */
static int set_range(struct place *place, const struct range *range)
{
    const struct tool *tool = place->archive->tool;
    const struct savepoint_region *region = &place->region;
    if (range->offset > region->bytes) {
        return fail_usage(tool, "region '%s' ends at %" PRIu64 ", before offset %" PRIu64, region->name, region->bytes,
                          range->offset);
    }
    uint64_t left = region->bytes - range->offset;
    if (!range->to_end && range->bytes > left) {
        return fail_usage(tool, "region '%s' ends at %" PRIu64 ": from offset %" PRIu64 " there are %" PRIu64 " bytes",
                          region->name, region->bytes, range->offset, left);
    }
    place->offset = range->offset;
    place->bytes = range->to_end ? left : range->bytes;
    return TOOL_GO_ON;
}

/* Decides what `text` means among the regions there are. */
static int choose(struct place *place, const struct savepoint_region *regions, size_t count, const char *text)
{
    const struct tool *tool = place->archive->tool;
    const char *colon = strrchr(text, ':');
    int name_bytes = (int)(colon == NULL ? strlen(text) : (size_t)(colon - text));
    struct range range = { .to_end = true };
    bool is_range = colon != NULL && parse_range(&range, colon + 1);
    const struct savepoint_region *whole = find_region(regions, count, text, strlen(text));
    const struct savepoint_region *part = colon == NULL ? NULL : find_region(regions, count, text, (size_t)name_bytes);
    if (whole != NULL) {
        if (part != NULL && is_range && !range.too_large) {
            fail_note(tool, place->archive->path,
                      "'%s' is the name of a region, and that one is meant; for a part of region '%.*s' write the "
                      "offset differently, as in '%.*s:0x%" PRIx64 "'",
                      text, name_bytes, text, name_bytes, text, range.offset);
        }
        place->region = *whole;
        return set_range(place, &(struct range){ .to_end = true });
    }
    if (part != NULL && !is_range) {
        return fail_usage(tool, "'%s' is no OFFSET[+LENGTH], such as 4096, 0x1000, 4K or 4K+256", colon + 1);
    }
    if (part == NULL) {
        char name[SAVEPOINT_NAME_BYTES];
        snprintf(name, sizeof name, "%.*s", is_range ? name_bytes : INT_MAX, text);
        return place_unknown_region(tool, regions, count, name);
    }
    if (range.too_large) {
        char most[TEXT_SHORT_BYTES];
        snprintf(most, sizeof most, "%" PRIu64, part->bytes);
        return fail_too_large(tool, part->name, colon + 1, most);
    }
    place->region = *part;
    return set_range(place, &range);
}

int place_find(struct place *place, const struct archive *archive, const struct savepoint_snapshot *snapshot,
               const char *text)
{
    struct savepoint_region *regions = NULL;
    size_t count = 0;
    *place = (struct place){ .archive = archive, .snapshot = snapshot };
    int code = archive_regions(archive, &regions, &count, snapshot);
    if (code == TOOL_GO_ON) {
        code = choose(place, regions, count, text);
        free(regions);
    }
    return code;
}

/* ---- reading */

/* Says why the reading had to stop, and where. */
static int stopped(const struct place *place, uint64_t passed, const struct savepoint_error *error)
{
    const struct archive *archive = place->archive;
    int code = fail_with(archive->tool, archive->path, error);
    if (passed == 0) {
        fail_warn(archive->tool, archive->path, "nothing of region '%s' was written", place->region.name);
    } else {
        fail_warn(archive->tool, archive->path,
                  "stopped at offset %" PRIu64 " of region '%s': the %" PRIu64 " bytes before it are good, and "
                  "nothing behind them was written",
                  place->offset + passed, place->region.name, passed);
    }
    return code;
}

int place_read(const struct place *place, place_sink *sink, void *user)
{
    struct savepoint_error error;
    unsigned char *block = fail_alloc(BLOCK_BYTES, 1);
    uint64_t passed = 0;
    size_t most = BLOCK_BYTES;
    int code = TOOL_GO_ON;
    while (passed < place->bytes && code == TOOL_GO_ON) {
        uint64_t offset = place->offset + passed;
        uint64_t left = place->bytes - passed;
        size_t count = most - (size_t)(offset % most); /* blocks end where pages do */
        count = left < count ? (size_t)left : count;
        if (savepoint_archive_read(place->archive->reader, block, place->snapshot, place->region.name, offset, count,
                                   &error) == SAVEPOINT_OK) {
            passed += count;
            code = sink(user, block, count);
        } else if (most > PAGE_BYTES) {
            most = PAGE_BYTES; /* what stands before the damage in this block is good */
        } else {
            code = stopped(place, passed, &error);
        }
    }
    free(block);
    return code;
}
