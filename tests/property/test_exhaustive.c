/* test_exhaustive.c - 3 pages, 3 snapshots: every choice of pages written before each, every way to restore between
 *
 * Programs follow each other in one archive, so each also starts from what the one before left behind. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "bad_disk.h"

enum { PAGE = 4096, PAGES = 3, SNAPSHOTS = 3, SUBSETS = 1 << PAGES, PROGRAMS = SUBSETS * SUBSETS * SUBSETS };

struct lab {
    struct savepoint *session;
    uint8_t *memory;
    unsigned value;
    uint64_t takes, restores;
    struct savepoint_id ids[SNAPSHOTS];
    uint8_t copies[SNAPSHOTS][PAGES * PAGE];
};

/* Contents that take each coder in turn: zeros, few bytes, the same again, all bytes. */
static void write_page(struct lab *lab, unsigned page)
{
    uint8_t *to = lab->memory + page * PAGE;
    unsigned value = ++lab->value;
    switch (value % 5) {
    case 0:
        memset(to, 0, PAGE);
        break;
    case 1:
        memset(to, (int)(value % 251), PAGE);
        break;
    case 2:
        *(volatile uint8_t *)to = *to;
        break;
    default:
        memcpy(to + value % (PAGE - sizeof value), &value, sizeof value);
    }
}

static void take(struct lab *lab, unsigned number, unsigned subset)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    for (unsigned page = 0; page < PAGES; page++) {
        if ((subset >> page & 1) != 0) {
            write_page(lab, page);
        }
    }
    options.durability = SAVEPOINT_ORDERED;
    CHECK_OK(savepoint_take(lab->session, &ticket, &options, NULL));
    memcpy(lab->copies[number], lab->memory, sizeof lab->copies[number]);
    CHECK_OK(savepoint_wait(lab->session, ticket, &snapshot, NULL));
    lab->ids[number] = snapshot.id;
    lab->takes++;
}

static void restore(struct lab *lab, unsigned number)
{
    CHECK_OK(savepoint_restore(lab->session, &lab->ids[number], NULL, NULL));
    CHECK_MEM(lab->memory, lab->copies[number], sizeof lab->copies[number]);
    lab->restores++;
}

/* One program: write and take three times, going back before the second and the third take as told (0: not, 1: to the
 * first snapshot, 2: to the second), then back to each. */
static void run(struct lab *lab, unsigned subsets, unsigned before_second, unsigned before_third)
{
    take(lab, 0, subsets % SUBSETS);
    if (before_second != 0) {
        write_page(lab, subsets % PAGES); /* unsaved: discarded */
        restore(lab, before_second - 1);
    }
    take(lab, 1, subsets / SUBSETS % SUBSETS);
    if (before_third != 0) {
        restore(lab, before_third - 1);
    }
    take(lab, 2, subsets / SUBSETS / SUBSETS);
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        restore(lab, (i + subsets) % SNAPSHOTS);
    }
}

CHECK_TEST(exhaustive, three_pages_three_snapshots)
{
    static struct lab lab;
    const char *path = "exhaustive.svp";
    char own_path[64];
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    snprintf(own_path, sizeof own_path, "%ld-%s", (long)getpid(), path);
    options.watch = getenv("SAVEPOINT_TEST_BACKEND");
    lab.memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(lab.memory != MAP_FAILED);
    for (unsigned way = 0; way < 6; way++) {
        struct savepoint_archive *archive = NULL;
        struct savepoint_verify_result result = { 0 };
        unlink(own_path);
        CHECK_OK(savepoint_open(&lab.session, own_path, &options, NULL));
        CHECK_OK(savepoint_watch(lab.session, "r", lab.memory, PAGES * PAGE, NULL));
        for (unsigned subsets = 0; subsets < PROGRAMS; subsets++) {
            run(&lab, subsets, way % 2, way / 2);
        }
        CHECK_OK(savepoint_close(lab.session, NULL));
        CHECK_OK(savepoint_archive_open(&archive, own_path, NULL));
        CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
        CHECK_EQ(result.findings, 0);
        CHECK_EQ(result.snapshots_checked, PROGRAMS * SNAPSHOTS);
        savepoint_archive_close(archive);
    }
    unlink(own_path);
    munmap(lab.memory, PAGES * PAGE);
    fprintf(stderr, "exhaustive: %u programs, %" PRIu64 " takes, %" PRIu64 " restores\n", 6 * PROGRAMS, lab.takes,
            lab.restores);
    CHECK_EQ(lab.takes, 6 * PROGRAMS * SNAPSHOTS);
}
