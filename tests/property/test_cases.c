/* test_cases.c - the cases by name that random programs meet seldom, or that must never come back */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "bad_disk.h"
#include "model.h"

enum { PAGE = MODEL_PAGE_BYTES, PAGES = 40 };

struct fixture {
    char path[64];
    struct savepoint *session;
    uint8_t *memory;
    uint64_t random;
};

static void open_fixture(struct fixture *fixture)
{
    *fixture = (struct fixture){ .random = 7 };
    snprintf(fixture->path, sizeof fixture->path, "cases-%ld.svp", (long)getpid());
    unlink(fixture->path);
    fixture->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(fixture->memory != MAP_FAILED);
    CHECK_OK(savepoint_open(&fixture->session, fixture->path, NULL, NULL));
    CHECK_OK(savepoint_watch(fixture->session, "r", fixture->memory, PAGES * PAGE, NULL));
}

static void reopen(struct fixture *fixture)
{
    CHECK_OK(savepoint_close(fixture->session, NULL));
    memset(fixture->memory, 0x77, PAGES * PAGE);
    CHECK_OK(savepoint_open(&fixture->session, fixture->path, NULL, NULL));
    CHECK_OK(savepoint_watch(fixture->session, "r", fixture->memory, PAGES * PAGE, NULL));
    CHECK_OK(savepoint_resume(fixture->session, NULL, NULL));
}

static enum savepoint_status take(struct fixture *fixture, struct savepoint_snapshot *snapshot)
{
    uint64_t ticket = 0;
    CHECK_OK(savepoint_take(fixture->session, &ticket, NULL, NULL));
    return savepoint_wait(fixture->session, ticket, snapshot, NULL);
}

static void scribble(struct fixture *fixture, size_t first_page, size_t page_count)
{
    for (size_t i = first_page * PAGE; i < (first_page + page_count) * PAGE; i++) {
        fixture->memory[i] = (uint8_t)model_random(&fixture->random);
    }
}

/* The archive is sound, and the newest snapshot holds `expected`. */
static void close_and_check(struct fixture *fixture, const uint8_t *expected)
{
    static uint8_t read[PAGES * PAGE];
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot newest;
    struct savepoint_verify_result result = { 0 };
    CHECK_OK(savepoint_close(fixture->session, NULL));
    CHECK_OK(savepoint_archive_open(&archive, fixture->path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &newest, NULL));
    CHECK_OK(savepoint_archive_read(archive, read, &newest, "r", 0, sizeof read, NULL));
    CHECK_MEM(read, expected, sizeof read);
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings, 0);
    savepoint_archive_close(archive);
    munmap(fixture->memory, PAGES * PAGE);
    unlink(fixture->path);
}

/* The shadow has moved on with a take that failed; comparing with it would drop the page silently. */
CHECK_TEST(cases, page_of_a_failed_take_is_stored_by_the_next)
{
    static uint8_t expected[PAGES * PAGE];
    struct fixture fixture;
    struct savepoint_snapshot snapshot;
    open_fixture(&fixture);
    scribble(&fixture, 0, 3);
    CHECK_OK(take(&fixture, NULL));
    fixture.memory[PAGE] ^= 1;
    bad_disk_arm(1);
    CHECK(take(&fixture, NULL) != SAVEPOINT_OK);
    CHECK_OK(take(&fixture, &snapshot)); /* nothing was written in between */
    CHECK_EQ(snapshot.changed_pages, 1);
    CHECK_EQ(snapshot.sequence, 2);
    memcpy(expected, fixture.memory, sizeof expected);
    close_and_check(&fixture, expected);
}

/* The same for a page that was changed back: the failed take's content is not what anything may be compared with. */
CHECK_TEST(cases, page_changed_back_after_a_failed_take_is_right)
{
    static uint8_t expected[PAGES * PAGE];
    struct fixture fixture;
    open_fixture(&fixture);
    scribble(&fixture, 0, 3);
    CHECK_OK(take(&fixture, NULL));
    fixture.memory[PAGE] ^= 1;
    bad_disk_arm(1);
    CHECK(take(&fixture, NULL) != SAVEPOINT_OK);
    fixture.memory[PAGE] ^= 1;
    CHECK_OK(take(&fixture, NULL));
    fixture.memory[PAGE + 9] ^= 1;
    CHECK_OK(take(&fixture, NULL));
    memcpy(expected, fixture.memory, sizeof expected);
    close_and_check(&fixture, expected);
}

/* Takes in flight behind one that fails rest on pages that were lost: they fail too, and nothing is missing then. */
CHECK_TEST(cases, takes_in_flight_behind_a_failed_one_fail_too)
{
    static uint8_t expected[PAGES * PAGE];
    uint64_t tickets[6] = { 0 };
    struct fixture fixture;
    unsigned failed = 0;
    for (unsigned round = 0; round < 30; round++) {
        open_fixture(&fixture);
        scribble(&fixture, 0, 4);
        CHECK_OK(take(&fixture, NULL));
        bad_disk_arm(1 + (int)(round % 5));
        for (unsigned i = 0; i < 6; i++) {
            scribble(&fixture, 4 * i, 4);
            CHECK_OK(savepoint_take(fixture.session, &tickets[i], NULL, NULL));
        }
        for (unsigned i = 0; i < 6; i++) {
            failed += savepoint_wait(fixture.session, tickets[i], NULL, NULL) != SAVEPOINT_OK ? 1 : 0;
        }
        bad_disk_arm(0);
        CHECK_OK(take(&fixture, NULL));
        memcpy(expected, fixture.memory, sizeof expected);
        close_and_check(&fixture, expected);
    }
    fprintf(stderr, "cases: %u takes failed in 30 rounds\n", failed);
    CHECK(failed >= 10);
}

/* A session that does not exclude goes on from a snapshot that did: what was stored before is not the page's content.
 */
CHECK_TEST(cases, page_excluded_only_in_the_restored_snapshot_is_stored_again)
{
    static uint8_t expected[PAGES * PAGE];
    struct fixture fixture;
    open_fixture(&fixture);
    scribble(&fixture, 0, 3);
    CHECK_OK(take(&fixture, NULL));
    CHECK_OK(savepoint_exclude(fixture.session, "r", PAGE, PAGE, NULL));
    CHECK_OK(take(&fixture, NULL));
    reopen(&fixture);
    for (size_t i = 0; i < PAGE; i++) {
        CHECK_EQ(fixture.memory[PAGE + i], 0x77); /* left out there: untouched */
    }
    fixture.memory[2 * PAGE]++;
    CHECK_OK(take(&fixture, NULL));
    memcpy(expected, fixture.memory, sizeof expected);
    close_and_check(&fixture, expected);
}

/* Where a failed take would have stored a page is nowhere: no index may name it, also not for a page excluded since. */
CHECK_TEST(cases, page_excluded_after_a_failed_take_leaves_the_index_sound)
{
    static uint8_t expected[PAGES * PAGE];
    struct fixture fixture;
    open_fixture(&fixture);
    scribble(&fixture, 1, 1);
    for (unsigned i = 0; i < 7; i++) { /* the eighth commit merges the indexes */
        fixture.memory[0]++;
        CHECK_OK(take(&fixture, NULL));
    }
    scribble(&fixture, 2, PAGES - 2); /* a large batch of whole pages, and far behind it a delta */
    fixture.memory[PAGE]++;
    bad_disk_arm(1);
    CHECK(take(&fixture, NULL) != SAVEPOINT_OK);
    fixture.memory[0] = 0;
    CHECK_OK(savepoint_exclude(fixture.session, "r", PAGE, (PAGES - 1) * PAGE, NULL));
    memcpy(expected, fixture.memory, PAGE);
    CHECK_OK(take(&fixture, NULL));
    CHECK_OK(savepoint_include(fixture.session, "r", PAGE, (PAGES - 1) * PAGE, NULL));
    CHECK_OK(take(&fixture, NULL));
    memcpy(expected, fixture.memory, sizeof expected);
    reopen(&fixture);
    CHECK_MEM(fixture.memory, expected, sizeof expected);
    close_and_check(&fixture, expected);
}
