/* diff.c - savepoint_archive_diff: what differs between two snapshots, region by region and page by page */
#include <string.h>

#include "archive/archive.h"
#include "archive/verify.h"
#include "format/memory.h"
#include "options.h"
#include "status.h"

struct side { /* one of the two snapshots */
    uint64_t commit_offset;
    struct svp_hash state_root;
    struct svp_region_table table;
    struct svp_page_map *maps;    /* as the table; open for the regions that both sides have */
    uint8_t page[SVP_PAGE_BYTES]; /* the one being compared */
};

struct diff {
    struct savepoint_archive *archive;
    struct savepoint_diff_options options;
    struct savepoint_diff_result result;
    struct svp_verify_pace pace;
    struct side left, right;
};

/* ---- regions of the same name */

struct pair { /* walks both tables; start with all zero */
    uint32_t left_next, right_next;
    const struct svp_region_entry *left, *right; /* NULL: that side lacks the region */
};

/* The next region that was asked about, in the order of names; false: there are no more. */
static bool next_pair(struct pair *pair, const struct diff *diff)
{
    const char *name = NULL;
    do {
        bool more_left = pair->left_next < diff->left.table.count;
        bool more_right = pair->right_next < diff->right.table.count;
        pair->left = more_left ? &diff->left.table.entries[pair->left_next] : NULL;
        pair->right = more_right ? &diff->right.table.entries[pair->right_next] : NULL;
        if (!more_left && !more_right) {
            return false;
        }
        int order = !more_left ? 1 : !more_right ? -1 : strcmp(pair->left->name, pair->right->name);
        pair->left = order <= 0 ? pair->left : NULL;
        pair->right = order >= 0 ? pair->right : NULL;
        pair->left_next += pair->left != NULL ? 1 : 0;
        pair->right_next += pair->right != NULL ? 1 : 0;
        name = pair->left != NULL ? pair->left->name : pair->right->name;
    } while (diff->options.region != NULL && strcmp(name, diff->options.region) != 0);
    return true;
}

static struct svp_page_map *map_of(const struct side *side, const struct svp_region_entry *entry)
{
    return &side->maps[entry - side->table.entries];
}

/* ---- pages that may differ */

struct candidates { /* of one region that both sides have */
    const struct svp_region_entry *left, *right;
    const struct svp_page_map *left_map, *right_map;
    uint64_t left_next, right_next; /* the next page each side stores */
    uint64_t end;                   /* pages that both sides have */
};

static struct candidates candidates_of(const struct diff *diff, const struct pair *pair)
{
    struct candidates candidates = {
        .left = pair->left,
        .right = pair->right,
        .left_map = map_of(&diff->left, pair->left),
        .right_map = map_of(&diff->right, pair->right),
    };
    uint64_t left_pages = candidates.left_map->pages;
    uint64_t right_pages = candidates.right_map->pages;
    candidates.left_next = svp_page_map_next(candidates.left_map, 0);
    candidates.right_next = svp_page_map_next(candidates.right_map, 0);
    candidates.end = left_pages < right_pages ? left_pages : right_pages;
    return candidates;
}

/* The record that holds a page; 0: it counts as zeros. */
static uint64_t record_of(const struct svp_region_entry *entry, const struct svp_page_map *map, uint64_t page)
{
    return svp_region_excludes(entry, page) ? 0 : svp_page_map_get(map, page);
}

/* The next page that the two sides find in different records: in one record there is one version of it. */
static bool next_candidate(struct candidates *candidates, uint64_t *page)
{
    uint64_t found = 0;
    bool same = true;
    while (same) {
        uint64_t left = candidates->left_next;
        uint64_t right = candidates->right_next;
        found = left < right ? left : right;
        if (found >= candidates->end) {
            return false;
        }
        candidates->left_next = found == left ? svp_page_map_next(candidates->left_map, found + 1) : left;
        candidates->right_next = found == right ? svp_page_map_next(candidates->right_map, found + 1) : right;
        same = record_of(candidates->left, candidates->left_map, found) ==
               record_of(candidates->right, candidates->right_map, found);
    }
    *page = found;
    return true;
}

static uint64_t count_candidates(const struct diff *diff)
{
    struct pair pair = { 0 };
    uint64_t count = 0;
    while (next_pair(&pair, diff)) {
        if (pair.left == NULL || pair.right == NULL) {
            continue;
        }
        struct candidates candidates = candidates_of(diff, &pair);
        uint64_t page = 0;
        while (next_candidate(&candidates, &page)) {
            count++;
        }
    }
    return count;
}

/* ---- comparing */

static enum savepoint_status
report(const struct diff *diff, const struct savepoint_difference *difference, struct savepoint_error *error)
{
    if (diff->options.report != NULL && diff->options.report(diff->options.report_user, difference) != 0) {
        return svp_status_fail(error, SAVEPOINT_CANCELLED, "diff", "stopped by the caller");
    }
    return SAVEPOINT_OK;
}

/* Says which page it was that could not be read. */
static enum savepoint_status
blame(const char *path, enum savepoint_status status, const char *region, uint64_t page, struct savepoint_error *error)
{
    if (status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED) {
        const struct savepoint_error cause = *error;
        size_t prefix = strlen(path);
        bool prefixed = strncmp(cause.message, path, prefix) == 0 && strncmp(cause.message + prefix, ": ", 2) == 0;
        svp_status_at(error, status, cause.file_offset, "diff", "%s: page %llu of region '%.80s': %s", path,
                      (unsigned long long)page, region, cause.message + (prefixed ? prefix + 2 : 0));
    }
    return status;
}

/* Decodes a page of one side into side->page. */
static enum savepoint_status read_page(struct diff *diff, struct side *side, const struct svp_region_entry *entry,
                                       uint64_t page, struct savepoint_error *error)
{
    struct svp_page_origin origin;
    uint64_t record = record_of(entry, map_of(side, entry), page);
    enum savepoint_status status =
        svp_reader_page(&diff->archive->reader, side->page, &origin, record, entry->id, page, error);
    return blame(diff->archive->source.path, status, entry->name, page, error);
}

static uint64_t differing_bytes(const uint8_t *left, const uint8_t *right)
{
    uint32_t count = 0;
    for (size_t i = 0; i < SVP_PAGE_BYTES; i++) {
        count += left[i] != right[i];
    }
    return count;
}

static enum savepoint_status
compare_page(struct diff *diff, const struct pair *pair, uint64_t page, struct savepoint_error *error)
{
    struct savepoint_difference difference = { .kind = SAVEPOINT_DIFFERENCE_CHANGED,
                                               .region = pair->left->name,
                                               .page = page,
                                               .pages = 1,
                                               .left = diff->left.page,
                                               .right = diff->right.page };
    enum savepoint_status status = read_page(diff, &diff->left, pair->left, page, error);
    status = status == SAVEPOINT_OK ? read_page(diff, &diff->right, pair->right, page, error) : status;
    status = status == SAVEPOINT_OK ? svp_verify_step(&diff->pace, SVP_PAGE_BYTES, error) : status;
    if (status != SAVEPOINT_OK || memcmp(difference.left, difference.right, SVP_PAGE_BYTES) == 0) {
        return status;
    }
    difference.changed_bytes = differing_bytes(difference.left, difference.right);
    diff->result.pages_changed++;
    diff->result.changed_bytes += difference.changed_bytes;
    return report(diff, &difference, error);
}

/* The pages that only one side has: those behind the end of the other. */
static enum savepoint_status
report_rest(struct diff *diff, const struct pair *pair, uint64_t from, struct savepoint_error *error)
{
    uint64_t left = pair->left != NULL ? pair->left->bytes / SVP_PAGE_BYTES : 0;
    uint64_t right = pair->right != NULL ? pair->right->bytes / SVP_PAGE_BYTES : 0;
    bool only_left = left > right;
    struct savepoint_difference difference = {
        .kind = only_left ? SAVEPOINT_DIFFERENCE_ONLY_LEFT : SAVEPOINT_DIFFERENCE_ONLY_RIGHT,
        .region = pair->left != NULL ? pair->left->name : pair->right->name,
        .page = from,
        .pages = (only_left ? left : right) - from,
    };
    if (difference.pages == 0) {
        return SAVEPOINT_OK;
    }
    diff->result.pages_only_left += only_left ? difference.pages : 0;
    diff->result.pages_only_right += only_left ? 0 : difference.pages;
    return report(diff, &difference, error);
}

static enum savepoint_status compare_region(struct diff *diff, const struct pair *pair, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t changed_before = diff->result.pages_changed;
    if (pair->left == NULL || pair->right == NULL) {
        diff->result.regions_only_left += pair->left != NULL ? 1 : 0;
        diff->result.regions_only_right += pair->right != NULL ? 1 : 0;
        return report_rest(diff, pair, 0, error);
    }
    struct candidates candidates = candidates_of(diff, pair);
    uint64_t page = 0;
    while (status == SAVEPOINT_OK && next_candidate(&candidates, &page)) {
        status = compare_page(diff, pair, page, error);
    }
    status = status == SAVEPOINT_OK ? report_rest(diff, pair, candidates.end, error) : status;
    bool changed = diff->result.pages_changed > changed_before || pair->left->bytes != pair->right->bytes;
    diff->result.regions_changed += changed ? 1 : 0;
    return status;
}

/* ---- the two sides */

static enum savepoint_status open_side(struct side *side, const struct svp_source *source,
                                       const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct svp_commit commit;
    side->commit_offset = snapshot->file_offset;
    enum savepoint_status status = svp_source_commit(source, &commit, snapshot->file_offset, error);
    if (status == SAVEPOINT_OK) {
        side->state_root = commit.state_root;
        status = svp_source_regions(source, &side->table, commit.regions, error);
    }
    if (status == SAVEPOINT_OK) {
        side->maps = svp_memory_zalloc(side->table.count, sizeof *side->maps);
        if (side->maps == NULL) {
            status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "diff", "%s: no memory", source->path);
        }
    }
    return status;
}

static void close_side(struct side *side)
{
    for (uint32_t i = 0; side->maps != NULL && i < side->table.count; i++) {
        svp_page_map_close(&side->maps[i]);
    }
    svp_memory_free(side->maps);
    svp_regions_free(&side->table);
}

static bool open_map(const struct side *side, const struct svp_region_entry *entry)
{
    return svp_page_map_open(map_of(side, entry), entry->id, entry->bytes / SVP_PAGE_BYTES);
}

static enum savepoint_status load_maps(struct diff *diff, struct savepoint_error *error)
{
    struct svp_reader *reader = &diff->archive->reader;
    struct pair pair = { 0 };
    while (next_pair(&pair, diff)) {
        bool both = pair.left != NULL && pair.right != NULL;
        if (both && (!open_map(&diff->left, pair.left) || !open_map(&diff->right, pair.right))) {
            return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "diff", "%s: no memory for a page table",
                                   reader->source->path);
        }
    }
    const struct side *left = &diff->left;
    const struct side *right = &diff->right;
    enum savepoint_status status = svp_reader_map(reader, left->maps, left->table.count, left->commit_offset, error);
    return status == SAVEPOINT_OK ? svp_reader_map(reader, right->maps, right->table.count, right->commit_offset, error)
                                  : status;
}

static enum savepoint_status compare_sides(struct diff *diff, struct savepoint_error *error)
{
    const char *region = diff->options.region;
    if (region != NULL && svp_regions_find(&diff->left.table, region) == NULL &&
        svp_regions_find(&diff->right.table, region) == NULL) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "diff", "%s: neither snapshot has a region '%.80s'",
                               diff->archive->source.path, region);
    }
    if (memcmp(&diff->left.state_root, &diff->right.state_root, sizeof diff->left.state_root) == 0) {
        return SAVEPOINT_OK;
    }
    struct pair pair = { 0 };
    enum savepoint_status status = load_maps(diff, error);
    if (status == SAVEPOINT_OK && diff->options.progress != NULL) {
        diff->pace.total_bytes = count_candidates(diff) * SVP_PAGE_BYTES;
    }
    while (status == SAVEPOINT_OK && next_pair(&pair, diff)) {
        status = compare_region(diff, &pair, error);
    }
    return status;
}

enum savepoint_status
savepoint_archive_diff(struct savepoint_archive *archive, struct savepoint_diff_result *result,
                       const struct savepoint_snapshot *left, const struct savepoint_snapshot *right,
                       const struct savepoint_diff_options *options, struct savepoint_error *error)
{
    struct diff diff = { .archive = archive, .options = SAVEPOINT_DIFF_OPTIONS_INIT };
    struct savepoint_error ignored = { .status = SAVEPOINT_OK };
    struct savepoint_error *detail = error != NULL ? error : &ignored;
    if (archive == NULL || result == NULL || left == NULL || right == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "diff", "archive, result, left and right must not be NULL");
    }
    enum savepoint_status status = svp_options_copy(&diff.options, sizeof diff.options, options, "diff", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    diff.pace.progress = diff.options.progress;
    diff.pace.user = diff.options.progress_user;
    status = open_side(&diff.left, &archive->source, left, detail);
    status = status == SAVEPOINT_OK ? open_side(&diff.right, &archive->source, right, detail) : status;
    status = status == SAVEPOINT_OK ? compare_sides(&diff, detail) : status;
    close_side(&diff.left);
    close_side(&diff.right);
    if (status == SAVEPOINT_OK) {
        *result = diff.result;
    }
    return status;
}
