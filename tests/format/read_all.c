/* read_all.c - everything a reader can ask of an archive that may be hostile */
#include "read_all.h"

#include "check.h"

enum { READ_BYTES = 64 << 10, SNAPSHOTS_MAX = 256, REGIONS_MAX = 64 };

static void read_regions(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot)
{
    static uint8_t content[READ_BYTES];
    struct savepoint_region region;
    for (size_t i = 0;
         i < REGIONS_MAX && savepoint_archive_region_at(archive, &region, snapshot, i, NULL) == SAVEPOINT_OK; i++) {
        size_t bytes = region.bytes < READ_BYTES ? (size_t)region.bytes : READ_BYTES;
        uint64_t last = region.bytes - bytes;
        (void)!savepoint_archive_read(archive, content, snapshot, region.name, 0, bytes, NULL);
        (void)!savepoint_archive_read(archive, content, snapshot, region.name, last, bytes, NULL);
        CHECK(savepoint_archive_read(archive, content, snapshot, region.name, last + 1, bytes, NULL) != SAVEPOINT_OK);
    }
}

static int check_change(void *user, const struct savepoint_change *change)
{
    (void)user;
    CHECK(change->kind >= SAVEPOINT_CHANGE_ZERO && change->kind <= SAVEPOINT_CHANGE_DELTA && change->coder[0] != '\0');
    CHECK(change->changed_bytes <= 4096);
    return 0;
}

struct told { /* of one comparison: where it stands */
    char region[SAVEPOINT_NAME_BYTES];
    uint64_t next_page;
    uint64_t reports;
};

static int check_difference(void *user, const struct savepoint_difference *difference)
{
    struct told *told = user;
    int order = strcmp(told->region, difference->region);
    CHECK(order < 0 || (order == 0 && told->next_page <= difference->page));
    CHECK(difference->kind >= SAVEPOINT_DIFFERENCE_CHANGED && difference->kind <= SAVEPOINT_DIFFERENCE_ONLY_RIGHT);
    bool changed = difference->kind == SAVEPOINT_DIFFERENCE_CHANGED;
    CHECK(difference->pages > 0 && (!changed || memcmp(difference->left, difference->right, 4096) != 0));
    strcpy(told->region, difference->region);
    told->next_page = difference->page + difference->pages;
    told->reports++;
    return 0;
}

/* 1 when it succeeds. */
static size_t compare(struct savepoint_archive *archive, const struct savepoint_snapshot *left,
                      const struct savepoint_snapshot *right)
{
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result;
    struct told told = { .reports = 0 };
    options.report = check_difference;
    options.report_user = &told;
    if (savepoint_archive_diff(archive, &result, left, right, &options, NULL) != SAVEPOINT_OK) {
        return 0;
    }
    CHECK(told.reports <= result.pages_changed + result.pages_only_left + result.pages_only_right);
    return 1;
}

static size_t read_snapshots(struct savepoint_archive *archive)
{
    static uint8_t value[READ_BYTES];
    struct savepoint_snapshot snapshot = { .sequence = 0 };
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL);
    const struct savepoint_snapshot newest = snapshot;
    size_t comparisons = 0;
    for (size_t i = 0; status == SAVEPOINT_OK && i < SNAPSHOTS_MAX; i++) {
        struct savepoint_snapshot parent = snapshot;
        size_t value_bytes = 0;
        read_regions(archive, &snapshot);
        (void)!savepoint_archive_changes(archive, &snapshot, check_change, NULL, NULL);
        comparisons += compare(archive, &snapshot, &newest);
        comparisons += compare(archive, &newest, &snapshot);
        for (uint16_t type = 1; type <= 3; type++) {
            (void)!savepoint_archive_metadata(archive, value, &value_bytes, sizeof value, &snapshot, type, NULL);
        }
        (void)!savepoint_archive_parent(archive, &parent, NULL);
        status = savepoint_archive_previous(archive, &snapshot, NULL);
    }
    return comparisons;
}

static void read_names(struct savepoint_archive *archive)
{
    static const char *const expressions[] = { "HEAD", "HEAD~1", "HEAD~100", "@{}", "label:x", "x", "0000", "" };
    struct savepoint_snapshot snapshot;
    struct savepoint_ref ref;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        (void)!savepoint_archive_find(archive, &snapshot, expressions[i], NULL);
    }
    (void)!savepoint_archive_find_time(archive, &snapshot, UINT64_MAX, NULL);
    for (size_t i = 0; i < SNAPSHOTS_MAX && savepoint_archive_ref_at(archive, &ref, i, NULL) == SAVEPOINT_OK; i++) {
        (void)!savepoint_archive_find(archive, &snapshot, ref.name, NULL);
    }
}

size_t read_all(struct savepoint_archive *archive)
{
    size_t comparisons = read_snapshots(archive);
    read_names(archive);
    return comparisons;
}
