/* test_restore_shares.c - a region so large that several threads put its pages in their places at once */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, PAGES = 5 * 1024 + 3, SNAPSHOTS = 3, WORKERS = 4 };

struct lab {
    char path[64];
    struct savepoint *session;
    uint8_t *memory;
    struct savepoint_id made[SNAPSHOTS];
};

/* What the page got at that moment, in a line of its own; all else are zeros. */
static uint64_t *mark_of(const struct lab *lab, size_t page, unsigned moment)
{
    return (uint64_t *)(void *)(lab->memory + page * PAGE + (page * 7 + moment * 13) % (PAGE / 64) * 64);
}

static bool changes_at(size_t page, unsigned moment)
{
    return page % (moment + 1) != moment;
}

static void take(struct lab *lab, struct savepoint_id *id)
{
    struct savepoint_snapshot snapshot;
    CHECK_OK(savepoint_take(lab->session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(lab->session, 0, &snapshot, NULL));
    *id = snapshot.id;
}

static void open_session(struct lab *lab)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *memory;
    options.workers = WORKERS;
    CHECK_OK(savepoint_open(&lab->session, lab->path, &options, NULL));
    CHECK_OK(savepoint_map(lab->session, &memory, "r", (size_t)PAGES * PAGE, NULL, NULL));
    lab->memory = memory;
}

static void open_lab(struct lab *lab)
{
    snprintf(lab->path, sizeof lab->path, "restore-shares-%ld.svp", (long)getpid());
    unlink(lab->path);
    open_session(lab);
    for (unsigned moment = 0; moment < SNAPSHOTS; moment++) {
        for (size_t page = 0; page < PAGES; page++) {
            *mark_of(lab, page, moment) = changes_at(page, moment) ? page * SNAPSHOTS + moment + 1 : 0;
        }
        take(lab, &lab->made[moment]);
    }
}

/* All marks of earlier moments are there, and none of later ones. */
static void check_memory(const struct lab *lab, unsigned now)
{
    for (size_t page = 0; page < PAGES; page++) {
        for (unsigned moment = 0; moment < SNAPSHOTS; moment++) {
            const bool there = moment <= now && changes_at(page, moment);
            CHECK_EQ(*mark_of(lab, page, moment), there ? page * SNAPSHOTS + moment + 1 : 0);
        }
    }
}

/* The root of what was taken after restores is that of its pages. */
static void check_archive(const struct lab *lab)
{
    struct savepoint_archive *archive;
    struct savepoint_verify_result result;
    CHECK_OK(savepoint_archive_open(&archive, lab->path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings, 0);
    savepoint_archive_close(archive);
}

CHECK_TEST(restore_shares, every_page_is_brought_to_its_place)
{
    static const unsigned targets[] = { 0, 2, 1, 0, 1, 2 };
    struct lab lab;
    struct savepoint_id id;
    open_lab(&lab);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        CHECK_OK(savepoint_restore(lab.session, &lab.made[targets[i]], NULL, NULL));
        check_memory(&lab, targets[i]);
        lab.memory[i * 1021 * PAGE % ((size_t)PAGES * PAGE) + 60] ^= 1; /* between two marks */
        take(&lab, &id);
    }
    check_archive(&lab);
    CHECK_OK(savepoint_close(lab.session, NULL));
    open_session(&lab);
    CHECK_OK(savepoint_restore(lab.session, &lab.made[1], NULL, NULL));
    check_memory(&lab, 1);
    take(&lab, &id);
    check_archive(&lab);
    CHECK_OK(savepoint_close(lab.session, NULL));
    unlink(lab.path);
}

/* Pages are written in between that the restore has to bring back, at places where no snapshot differs. */
CHECK_TEST(restore_shares, what_was_written_meanwhile_goes_wherever_it_is)
{
    struct lab lab;
    open_lab(&lab);
    for (unsigned target = 0; target < SNAPSHOTS; target++) {
        for (size_t page = target; page < PAGES; page += 3) {
            lab.memory[page * PAGE + (page * 11) % 64 * 64 + 61] = 9;
        }
        CHECK_OK(savepoint_restore(lab.session, &lab.made[target], NULL, NULL));
        check_memory(&lab, target);
        for (size_t page = 0; page < PAGES; page++) {
            CHECK_EQ(lab.memory[page * PAGE + (page * 11) % 64 * 64 + 61], 0);
        }
    }
    CHECK_OK(savepoint_close(lab.session, NULL));
    unlink(lab.path);
}
