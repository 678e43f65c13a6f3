/* test_diff.c - savepoint_archive_diff against a byte-wise comparison of full copies, on archives of random programs
 *
 * SEED=n runs that one program; SAVEPOINT_TEST_DEEP=1 twenty times as many. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

enum { PROGRAMS = 16, STEPS = 120, DEEP_FACTOR = 20, SNAPSHOTS_MAX = 160, NAMES = 3 };

static const char *const names[NAMES] = { "alpha", "beta", "mapped" }; /* all that a program has, in order */

struct copy { /* of a snapshot, as savepoint_archive_read gives it */
    struct savepoint_snapshot snapshot;
    uint64_t pages[NAMES]; /* 0: the region is not there */
    uint8_t *bytes[NAMES];
};

struct counts {
    uint64_t programs, pairs, changed, only_left, only_right, branches;
};

/* ---- what has to be told */

struct expected { /* walks two copies; each step is the next difference */
    const struct copy *left, *right;
    int only; /* this region, -1: all */
    int region;
    uint64_t page;
    struct savepoint_difference difference;
    struct savepoint_diff_result result;
    bool region_counted;
};

static uint64_t differing_bytes(const uint8_t *left, const uint8_t *right)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MODEL_PAGE_BYTES; i++) {
        count += left[i] != right[i] ? 1 : 0;
    }
    return count;
}

static void expect_rest(struct expected *expected, uint64_t left, uint64_t right)
{
    bool only_left = left > right;
    expected->difference.kind = only_left ? SAVEPOINT_DIFFERENCE_ONLY_LEFT : SAVEPOINT_DIFFERENCE_ONLY_RIGHT;
    expected->difference.pages = (only_left ? left : right) - expected->page;
    *(only_left ? &expected->result.pages_only_left : &expected->result.pages_only_right) += expected->difference.pages;
    if (left == 0 || right == 0) {
        *(only_left ? &expected->result.regions_only_left : &expected->result.regions_only_right) += 1;
        expected->region_counted = true;
    }
}

/* One page of the region in hand, or the rest of it; true: a difference. */
static bool compare_next(struct expected *expected)
{
    uint64_t left = expected->left->pages[expected->region];
    uint64_t right = expected->right->pages[expected->region];
    expected->difference = (struct savepoint_difference){ .region = names[expected->region], .page = expected->page };
    if (expected->page >= (left < right ? left : right)) {
        expect_rest(expected, left, right);
        expected->page += expected->difference.pages;
        return true;
    }
    expected->difference.left = expected->left->bytes[expected->region] + expected->page * MODEL_PAGE_BYTES;
    expected->difference.right = expected->right->bytes[expected->region] + expected->page * MODEL_PAGE_BYTES;
    expected->difference.changed_bytes = differing_bytes(expected->difference.left, expected->difference.right);
    expected->difference.kind = SAVEPOINT_DIFFERENCE_CHANGED;
    expected->difference.pages = 1;
    expected->page++;
    if (expected->difference.changed_bytes == 0) {
        return false;
    }
    expected->result.pages_changed++;
    expected->result.changed_bytes += expected->difference.changed_bytes;
    return true;
}

static bool next_expected(struct expected *expected)
{
    for (; expected->region < NAMES; expected->region++, expected->page = 0, expected->region_counted = false) {
        uint64_t left = expected->left->pages[expected->region];
        uint64_t right = expected->right->pages[expected->region];
        while (expected->page < (left > right ? left : right) &&
               (expected->only < 0 || expected->only == expected->region)) {
            if (compare_next(expected)) {
                expected->result.regions_changed += expected->region_counted ? 0 : 1;
                expected->region_counted = true;
                return true;
            }
        }
    }
    return false;
}

/* ---- what is told */

struct told {
    struct program *program;
    struct expected expected;
    uint64_t reports, stop_after; /* 0: never */
    struct counts *counts;
};

static int check_report(void *user, const struct savepoint_difference *got)
{
    struct told *told = user;
    struct program *program = told->program;
    PROGRAM_CHECK(program, next_expected(&told->expected));
    const struct savepoint_difference *wanted = &told->expected.difference;
    PROGRAM_CHECK(program, got->kind == wanted->kind && strcmp(got->region, wanted->region) == 0);
    PROGRAM_CHECK(program, got->page == wanted->page && got->pages == wanted->pages);
    PROGRAM_CHECK(program, got->changed_bytes == wanted->changed_bytes);
    if (got->kind == SAVEPOINT_DIFFERENCE_CHANGED) {
        PROGRAM_CHECK(program, memcmp(got->left, wanted->left, MODEL_PAGE_BYTES) == 0);
        PROGRAM_CHECK(program, memcmp(got->right, wanted->right, MODEL_PAGE_BYTES) == 0);
        told->counts->changed++;
    } else {
        PROGRAM_CHECK(program, got->left == NULL && got->right == NULL);
        told->counts->only_left += got->kind == SAVEPOINT_DIFFERENCE_ONLY_LEFT ? 1 : 0;
        told->counts->only_right += got->kind == SAVEPOINT_DIFFERENCE_ONLY_RIGHT ? 1 : 0;
    }
    told->reports++;
    return told->reports == told->stop_after;
}

static struct told
told_of(struct program *program, const struct copy *left, const struct copy *right, int only, struct counts *counts)
{
    return (struct told){ .program = program,
                          .expected = { .left = left, .right = right, .only = only },
                          .counts = counts };
}

static void check_pair(struct program *program, struct savepoint_archive *archive, const struct copy *left,
                       const struct copy *right, int only, struct counts *counts)
{
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result = { 0 };
    struct savepoint_error error;
    struct told told = told_of(program, left, right, only, counts);
    options.region = only < 0 ? NULL : names[only];
    options.report = check_report;
    options.report_user = &told;
    bool found = only < 0 || left->pages[only] > 0 || right->pages[only] > 0;
    PROGRAM_STATUS(program,
                   savepoint_archive_diff(archive, &result, &left->snapshot, &right->snapshot, &options, &error),
                   found ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND, &error);
    PROGRAM_CHECK(program, !next_expected(&told.expected));
    PROGRAM_CHECK(program, memcmp(&result, &told.expected.result, sizeof result) == 0);
    counts->pairs++;
    if (told.reports == 0) {
        return;
    }
    uint64_t most = told.reports;
    told = told_of(program, left, right, only, counts);
    told.stop_after = 1 + program_below(program, most);
    PROGRAM_STATUS(program,
                   savepoint_archive_diff(archive, &result, &left->snapshot, &right->snapshot, &options, &error),
                   SAVEPOINT_CANCELLED, &error);
    PROGRAM_CHECK(program, told.reports == told.stop_after);
}

/* ---- programs */

static void read_copy(struct program *program, struct savepoint_archive *archive, struct copy *copy)
{
    struct savepoint_region region;
    struct savepoint_error error;
    memset(copy->pages, 0, sizeof copy->pages);
    memset(copy->bytes, 0, sizeof copy->bytes);
    for (size_t i = 0; i < copy->snapshot.region_count; i++) {
        unsigned k = 0;
        PROGRAM_STATUS(program, savepoint_archive_region_at(archive, &region, &copy->snapshot, i, &error), SAVEPOINT_OK,
                       &error);
        while (strcmp(names[k], region.name) != 0) {
            k++;
        }
        copy->pages[k] = region.bytes / MODEL_PAGE_BYTES;
        copy->bytes[k] = malloc((size_t)region.bytes);
        PROGRAM_CHECK(program, copy->bytes[k] != NULL);
        PROGRAM_STATUS(
            program,
            savepoint_archive_read(archive, copy->bytes[k], &copy->snapshot, names[k], 0, (size_t)region.bytes, &error),
            SAVEPOINT_OK, &error);
    }
}

static void check_all_pairs(struct program *program, struct counts *counts)
{
    static struct copy copies[SNAPSHOTS_MAX];
    struct savepoint_archive *archive = NULL;
    struct savepoint_error error;
    size_t count = 0;
    PROGRAM_STATUS(program, savepoint_archive_open(&archive, program->path, &error), SAVEPOINT_OK, &error);
    enum savepoint_status status = savepoint_archive_newest(archive, &copies[0].snapshot, &error);
    for (; status == SAVEPOINT_OK; count++) {
        PROGRAM_CHECK(program, count + 1 < SNAPSHOTS_MAX);
        read_copy(program, archive, &copies[count]);
        copies[count + 1].snapshot = copies[count].snapshot;
        status = savepoint_archive_previous(archive, &copies[count + 1].snapshot, &error);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            check_pair(program, archive, &copies[i], &copies[k], -1, counts);
        }
        check_pair(program, archive, &copies[i], &copies[program_below(program, count)],
                   (int)program_below(program, NAMES), counts);
    }
    savepoint_archive_close(archive);
    for (size_t i = 0; i < count * NAMES; i++) {
        free(copies[i / NAMES].bytes[i % NAMES]);
    }
}

static void run_program(uint64_t seed, struct counts *counts)
{
    struct program_counts done = { 0 };
    struct program program;
    program_open(&program, "compare", seed, &done);
    for (unsigned i = 0; i < STEPS; i++) {
        program_step(&program);
    }
    program_settle(&program);
    PROGRAM_STATUS(&program, savepoint_close(program.session, NULL), SAVEPOINT_OK, NULL);
    program.session = NULL;
    program.action = "diff";
    if (program.model.snapshot_count > 0) {
        check_all_pairs(&program, counts);
    }
    program_close(&program);
    counts->branches += done.branches;
    counts->programs++;
}

CHECK_TEST(diff, tells_what_a_comparison_of_full_copies_finds)
{
    const char *seed = getenv("SEED");
    uint64_t programs = getenv("SAVEPOINT_TEST_DEEP") != NULL ? PROGRAMS * DEEP_FACTOR : PROGRAMS;
    struct counts counts = { 0 };
    if (seed != NULL) {
        run_program(strtoull(seed, NULL, 0), &counts);
        return;
    }
    for (uint64_t k = 1; k <= programs; k++) {
        run_program(1000 + k, &counts);
    }
    fprintf(stderr,
            "diff: %" PRIu64 " programs, %" PRIu64 " branches, %" PRIu64 " pairs of snapshots, %" PRIu64
            " pages changed, %" PRIu64 " runs only left, %" PRIu64 " only right\n",
            counts.programs, counts.branches, counts.pairs, counts.changed, counts.only_left, counts.only_right);
    CHECK(counts.branches >= counts.programs && counts.pairs >= counts.programs * 100);
    CHECK(counts.changed >= counts.pairs && counts.only_left >= counts.programs &&
          counts.only_right >= counts.programs);
}
