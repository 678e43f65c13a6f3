/* test_diff.c - savepoint_archive_diff: order, work done, filters, stopping, damage, misuse */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/reader.h"
#include "check.h"

enum { PAGE = 4096, PAGES = 2600, SMALL_PAGES = 6, SNAPSHOTS = 5, REPORTS_MAX = 64 };

/* ---- work, counted */

static uint64_t pages_decoded;

enum savepoint_status
__real_svp_reader_page(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin, uint64_t record_offset,
                       uint32_t region_id, uint64_t page_index, struct savepoint_error *error);
enum savepoint_status
__wrap_svp_reader_page(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin, uint64_t record_offset,
                       uint32_t region_id, uint64_t page_index, struct savepoint_error *error);

enum savepoint_status
__wrap_svp_reader_page(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin, uint64_t record_offset,
                       uint32_t region_id, uint64_t page_index, struct savepoint_error *error)
{
    pages_decoded++;
    return __real_svp_reader_page(reader, page, origin, record_offset, region_id, page_index, error);
}

/* ---- an archive to compare in */

struct fixture {
    char path[64];
    uint8_t *memory;    /* PAGES of "large", then SMALL_PAGES of "small" */
    uint8_t noise[256]; /* begins page 2000 of "large" in snapshot 1: bytes found once in the file */
    struct savepoint_snapshot made[SNAPSHOTS];
    struct savepoint_archive *archive;
};

static void fill_with_noise(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static void take(struct savepoint *session, struct savepoint_snapshot *made)
{
    CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(session, 0, made, NULL));
}

static void number_page(uint8_t *large, size_t page)
{
    memset(large + page * PAGE, 0, PAGE);
    memcpy(large + page * PAGE, &page, sizeof page);
}

/* 0: "large", every page another. 1: three pages of it. 2: "small", and one of the pages as it was in 0.
 * 3: as 2, one page larger, and another changed. 4: a branch from 1, where everything is as in 0 again. */
static void write_fixture(struct fixture *fixture)
{
    struct savepoint *session = NULL;
    uint8_t *large = fixture->memory;
    uint8_t *small = fixture->memory + (size_t)PAGES * PAGE;
    CHECK_OK(savepoint_open(&session, fixture->path, NULL, NULL));
    CHECK_OK(savepoint_watch(session, "large", large, (size_t)PAGES * PAGE, NULL));
    take(session, &fixture->made[0]); /* so that 2 has a map over all before: it needs no damaged record to know them */
    for (size_t page = 0; page < PAGES; page++) {
        number_page(large, page);
    }
    take(session, &fixture->made[0]);
    large[3 * PAGE + 100] = 1;
    memset(large + 500 * PAGE, 7, PAGE);
    fill_with_noise(large + 2000 * PAGE, PAGE, 1);
    memcpy(fixture->noise, large + 2000 * PAGE, sizeof fixture->noise);
    take(session, &fixture->made[1]);
    CHECK_OK(savepoint_watch(session, "small", small, (SMALL_PAGES - 1) * PAGE, NULL));
    large[3 * PAGE + 100] = 0;
    take(session, &fixture->made[2]);
    CHECK_OK(savepoint_grow(session, "small", SMALL_PAGES * PAGE, NULL));
    memset(small + 2 * PAGE, 5, 10);
    take(session, &fixture->made[3]);
    CHECK_OK(savepoint_restore(session, &fixture->made[1].id, NULL, NULL));
    CHECK_OK(savepoint_remove(session, "small", NULL));
    number_page(large, 3);
    number_page(large, 500);
    number_page(large, 2000);
    take(session, &fixture->made[4]);
    CHECK_OK(savepoint_close(session, NULL));
}

static void open_fixture(struct fixture *fixture)
{
    static unsigned number;
    size_t bytes = (size_t)(PAGES + SMALL_PAGES) * PAGE;
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->path, sizeof fixture->path, "diff-%ld-%u.svp", (long)getpid(), number++);
    unlink(fixture->path);
    fixture->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(fixture->memory != MAP_FAILED);
    write_fixture(fixture);
    munmap(fixture->memory, bytes);
    CHECK_OK(savepoint_archive_open(&fixture->archive, fixture->path, NULL));
}

static void close_fixture(struct fixture *fixture)
{
    savepoint_archive_close(fixture->archive);
    unlink(fixture->path);
}

/* ---- asking */

struct told {
    uint32_t count, stop_after; /* 0: never */
    struct savepoint_difference differences[REPORTS_MAX];
    char regions[REPORTS_MAX][16];
};

static int note(void *user, const struct savepoint_difference *difference)
{
    struct told *told = user;
    CHECK(told->count < REPORTS_MAX);
    told->differences[told->count] = *difference;
    strcpy(told->regions[told->count], difference->region);
    told->count++;
    return told->count == told->stop_after;
}

static struct savepoint_diff_result
compare(struct fixture *fixture, unsigned left, unsigned right, const char *region, struct told *told)
{
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result;
    struct savepoint_error error;
    options.region = region;
    options.report = told != NULL ? note : NULL;
    options.report_user = told;
    pages_decoded = 0;
    enum savepoint_status status = savepoint_archive_diff(fixture->archive, &result, &fixture->made[left],
                                                          &fixture->made[right], &options, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s", error.message);
    return result;
}

static void told_is(const struct told *told, unsigned index, uint32_t kind, const char *region, uint64_t page,
                    uint64_t pages, uint64_t changed_bytes)
{
    const struct savepoint_difference *difference = &told->differences[index];
    CHECK(index < told->count);
    CHECK_EQ(difference->kind, kind);
    CHECK_STR(told->regions[index], region);
    CHECK_EQ(difference->page, page);
    CHECK_EQ(difference->pages, pages);
    CHECK_EQ(difference->changed_bytes, changed_bytes);
}

CHECK_TEST(diff, only_pages_stored_in_between_are_decoded)
{
    struct fixture fixture;
    struct told told = { 0 };
    open_fixture(&fixture);
    struct savepoint_diff_result result = compare(&fixture, 0, 1, NULL, &told);
    CHECK_EQ(pages_decoded, 2 * 3);
    CHECK_EQ(told.count, 3);
    told_is(&told, 0, SAVEPOINT_DIFFERENCE_CHANGED, "large", 3, 1, 1);
    told_is(&told, 1, SAVEPOINT_DIFFERENCE_CHANGED, "large", 500, 1, PAGE);
    CHECK(told.differences[2].page == 2000 && told.differences[2].changed_bytes > PAGE / 2);
    CHECK_EQ(result.pages_changed, 3);
    CHECK_EQ(result.regions_changed, 1);
    CHECK_EQ(result.changed_bytes, 1 + PAGE + told.differences[2].changed_bytes);

    result = compare(&fixture, 1, 2, "large", NULL); /* page 3 */
    CHECK(pages_decoded == 2 && result.pages_changed == 1 && result.changed_bytes == 1);
    result = compare(&fixture, 0, 2, "large", NULL); /* page 3 was stored twice and is the same again */
    CHECK(pages_decoded == 2 * 3 && result.pages_changed == 2);
    close_fixture(&fixture);
}

CHECK_TEST(diff, equal_digests_cost_nothing)
{
    struct fixture fixture;
    struct told told = { 0 };
    open_fixture(&fixture);
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        struct savepoint_diff_result result = compare(&fixture, i, i, NULL, &told);
        CHECK(result.regions_changed == 0 && told.count == 0 && pages_decoded == 0);
    }
    CHECK_MEM(&fixture.made[0].digest, &fixture.made[4].digest, sizeof fixture.made[0].digest);
    compare(&fixture, 0, 4, NULL, &told); /* pages stored anew, with the same bytes */
    CHECK(told.count == 0 && pages_decoded == 0);
    close_fixture(&fixture);
}

CHECK_TEST(diff, regions_and_pages_of_one_side)
{
    struct fixture fixture;
    struct told told = { 0 };
    open_fixture(&fixture);
    struct savepoint_diff_result result = compare(&fixture, 3, 4, NULL, &told); /* two branches */
    CHECK_EQ(told.count, 3);
    told_is(&told, 0, SAVEPOINT_DIFFERENCE_CHANGED, "large", 500, 1, PAGE);
    CHECK(told.differences[1].kind == SAVEPOINT_DIFFERENCE_CHANGED && told.differences[1].page == 2000);
    told_is(&told, 2, SAVEPOINT_DIFFERENCE_ONLY_LEFT, "small", 0, SMALL_PAGES, 0);
    CHECK(told.differences[2].left == NULL && told.differences[2].right == NULL);
    CHECK(result.regions_only_left == 1 && result.pages_only_left == SMALL_PAGES && result.regions_changed == 1);

    told.count = 0;
    result = compare(&fixture, 2, 3, NULL, &told); /* it grew */
    CHECK_EQ(told.count, 2);
    told_is(&told, 0, SAVEPOINT_DIFFERENCE_CHANGED, "small", 2, 1, 10);
    told_is(&told, 1, SAVEPOINT_DIFFERENCE_ONLY_RIGHT, "small", SMALL_PAGES - 1, 1, 0);
    CHECK(result.regions_only_right == 0 && result.pages_only_right == 1 && result.regions_changed == 1);

    told.count = 0;
    result = compare(&fixture, 0, 3, "small", &told);
    CHECK_EQ(told.count, 1);
    told_is(&told, 0, SAVEPOINT_DIFFERENCE_ONLY_RIGHT, "small", 0, SMALL_PAGES, 0);
    CHECK(result.regions_only_right == 1 && result.regions_changed == 0 && pages_decoded == 0);
    close_fixture(&fixture);
}

/* ---- stopping */

struct steps {
    uint64_t calls, last_bytes, total_bytes;
    bool stop;
};

static int step(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct steps *steps = user;
    CHECK(done_bytes > steps->last_bytes && done_bytes <= total_bytes);
    steps->calls++;
    steps->last_bytes = done_bytes;
    steps->total_bytes = total_bytes;
    return steps->stop;
}

CHECK_TEST(diff, the_caller_may_stop)
{
    struct fixture fixture;
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result = { .pages_changed = 99 };
    struct savepoint_error error;
    struct told told = { .stop_after = 2 };
    open_fixture(&fixture);
    options.report = note;
    options.report_user = &told;
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &fixture.made[0], &fixture.made[1], &options, &error),
                 SAVEPOINT_CANCELLED);
    CHECK(told.count == 2 && result.pages_changed == 99); /* outputs are untouched on failure */
    close_fixture(&fixture);
}

CHECK_TEST(diff, progress_counts_the_pages_to_be_compared)
{
    struct savepoint *session = NULL;
    struct savepoint_snapshot before, after;
    struct savepoint_archive *archive = NULL;
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_diff_result result;
    struct steps steps = { 0 };
    char path[64];
    size_t bytes = (size_t)PAGES * PAGE;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    snprintf(path, sizeof path, "diff-progress-%ld.svp", (long)getpid());
    unlink(path);
    CHECK_OK(savepoint_open(&session, path, NULL, NULL));
    CHECK_OK(savepoint_watch(session, "r", memory, bytes, NULL));
    take(session, &before);
    memset(memory + PAGE, 1, bytes - PAGE);
    take(session, &after);
    CHECK_OK(savepoint_close(session, NULL));
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    options.progress = step;
    options.progress_user = &steps;
    CHECK_OK(savepoint_archive_diff(archive, &result, &before, &after, &options, NULL));
    CHECK(steps.calls == 1 && steps.total_bytes == (PAGES - 1) * PAGE && result.pages_changed == PAGES - 1);
    steps = (struct steps){ .stop = true };
    CHECK_STATUS(savepoint_archive_diff(archive, &result, &after, &before, &options, NULL), SAVEPOINT_CANCELLED);
    savepoint_archive_close(archive);
    munmap(memory, bytes);
    unlink(path);
}

/* ---- damage and misuse */

/* Flips a bit of page 2000 as snapshot 1 stored it. */
static void damage(const struct fixture *fixture)
{
    static uint8_t bytes[64 << 20];
    FILE *file = fopen(fixture->path, "r+b");
    CHECK(file != NULL);
    size_t count = fread(bytes, 1, sizeof bytes, file);
    const uint8_t *place = memmem(bytes, count, fixture->noise, sizeof fixture->noise);
    CHECK(place != NULL);
    CHECK(fseek(file, place - bytes, SEEK_SET) == 0 && fputc(*place ^ 1, file) != EOF && fclose(file) == 0);
}

CHECK_TEST(diff, damage_is_told_with_its_page)
{
    struct fixture fixture;
    struct savepoint_diff_result result = { 0 };
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_error error;
    struct told told = { 0 };
    open_fixture(&fixture);
    damage(&fixture);
    options.report = note;
    options.report_user = &told;
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &fixture.made[0], &fixture.made[1], &options, &error),
                 SAVEPOINT_CORRUPT);
    CHECK(told.count <= 2 && error.file_offset != UINT64_MAX);
    CHECK_MSG(strstr(error.message, "of region 'large': ") != NULL, "%s", error.message);
    CHECK_MSG(strncmp(error.message, fixture.path, strlen(fixture.path)) == 0, "%s", error.message);
    CHECK_MSG(strstr(strstr(error.message, ".svp") + 4, ".svp") == NULL, "%s", error.message);
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &fixture.made[1], &fixture.made[0], NULL, NULL),
                 SAVEPOINT_CORRUPT);
    /* What both sides have in common is not read. */
    compare(&fixture, 2, 3, NULL, NULL);
    close_fixture(&fixture);
}

CHECK_TEST(diff, misuse_is_refused)
{
    struct fixture fixture;
    struct savepoint_diff_result result;
    struct savepoint_diff_options options = SAVEPOINT_DIFF_OPTIONS_INIT;
    struct savepoint_error error;
    open_fixture(&fixture);
    const struct savepoint_snapshot *made = fixture.made;
    CHECK_STATUS(savepoint_archive_diff(NULL, &result, &made[0], &made[1], NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, NULL, &made[0], &made[1], NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, NULL, &made[1], NULL, &error), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &made[0], NULL, NULL, &error), SAVEPOINT_INVALID);
    options.size = 1;
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &made[0], &made[1], &options, &error),
                 SAVEPOINT_INVALID);
    options.size = sizeof options;
    options.region = "none";
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &made[0], &made[1], &options, &error),
                 SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &made[0], &made[0], &options, &error),
                 SAVEPOINT_NOT_FOUND);
    struct savepoint_snapshot elsewhere = made[0];
    elsewhere.file_offset += 8;
    CHECK_STATUS(savepoint_archive_diff(fixture.archive, &result, &elsewhere, &made[1], NULL, &error),
                 SAVEPOINT_CORRUPT);
    close_fixture(&fixture);
}
