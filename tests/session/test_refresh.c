/* test_refresh.c - pages stored anew though they have not changed: chains stay short, and no failure loses them */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

enum { PAGE = 4096, PAGES = 256, CHANGED = 24, MODELS = 8 };
#define BYTES ((size_t)PAGES * PAGE)

struct lab {
    char path[64];
    uint32_t noise;
    struct savepoint *session;
    uint8_t *memory;
    unsigned count;
    uint8_t *models[MODELS]; /* of the last takes, in turn */
    struct savepoint_snapshot made[MODELS];
};

static uint32_t draw(struct lab *lab)
{
    lab->noise = lab->noise * 1664525 + 1013904223;
    return lab->noise >> 8;
}

static void open_session(struct lab *lab)
{
    void *memory;
    CHECK_OK(savepoint_open(&lab->session, lab->path, NULL, NULL));
    CHECK_OK(savepoint_map(lab->session, &memory, "r", BYTES, NULL, NULL));
    lab->memory = memory;
}

static void open_lab(struct lab *lab)
{
    *lab = (struct lab){ .noise = 5 };
    snprintf(lab->path, sizeof lab->path, "refresh-%ld.svp", (long)getpid());
    unlink(lab->path);
    open_session(lab);
    for (size_t i = 0; i < BYTES; i++) {
        lab->memory[i] = (uint8_t)draw(lab);
    }
    for (unsigned i = 0; i < MODELS; i++) {
        lab->models[i] = malloc(BYTES);
        CHECK(lab->models[i] != NULL);
    }
}

static void change(struct lab *lab)
{
    for (unsigned i = 0; i < CHANGED; i++) {
        lab->memory[draw(lab) % PAGES * (size_t)PAGE + draw(lab) % PAGE] ^= 0x5a;
    }
}

static enum savepoint_status try_take(struct lab *lab)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    uint64_t ticket;
    options.durability = SAVEPOINT_ORDERED;
    enum savepoint_status status = savepoint_take(lab->session, &ticket, &options, NULL);
    struct savepoint_snapshot *made = &lab->made[lab->count % MODELS];
    status = status == SAVEPOINT_OK ? savepoint_wait(lab->session, ticket, made, NULL) : status;
    if (status == SAVEPOINT_OK) {
        memcpy(lab->models[lab->count++ % MODELS], lab->memory, BYTES);
    }
    return status;
}

static void take_often(struct lab *lab, unsigned takes)
{
    for (unsigned i = 0; i < takes; i++) {
        change(lab);
        CHECK_OK(try_take(lab));
    }
}

static void check_last(const struct lab *lab, unsigned back)
{
    const unsigned place = (lab->count - 1 - back) % MODELS;
    CHECK_OK(savepoint_restore(lab->session, &lab->made[place].id, NULL, NULL));
    CHECK_MEM(lab->memory, lab->models[place], BYTES);
}

static void check_all(const struct lab *lab)
{
    for (unsigned back = MODELS; back-- > 0;) {
        check_last(lab, back);
    }
}

static void close_session(const struct lab *lab)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(lab->session, &statistics, NULL));
    CHECK_EQ(statistics.restores_around, 0);
    CHECK_OK(savepoint_close(lab->session, NULL));
}

static void reopen(struct lab *lab)
{
    close_session(lab);
    open_session(lab);
    CHECK_OK(savepoint_resume(lab->session, NULL, NULL));
    CHECK_MEM(lab->memory, lab->models[(lab->count - 1) % MODELS], BYTES);
}

static void close_lab(struct lab *lab)
{
    check_all(lab);
    close_session(lab);
    for (unsigned i = 0; i < MODELS; i++) {
        free(lab->models[i]);
    }
    unlink(lab->path);
}

static int count_whole(void *user, const struct savepoint_change *change)
{
    *(uint64_t *)user += change->kind == SAVEPOINT_CHANGE_WHOLE;
    return 0;
}

/* Pages that a snapshot has stored whole. */
static uint64_t whole_pages(const struct lab *lab, const struct savepoint_snapshot *snapshot)
{
    struct savepoint_archive *archive = NULL;
    uint64_t whole = 0;
    CHECK_OK(savepoint_archive_open(&archive, lab->path, NULL));
    CHECK_OK(savepoint_archive_changes(archive, snapshot, count_whole, &whole, NULL));
    savepoint_archive_close(archive);
    return whole;
}

/* Goes on until a take has stored a group anew. */
static void take_until_refreshed(struct lab *lab)
{
    for (unsigned takes = 0;; takes++) {
        CHECK_MSG(takes < 400, "nothing is ever stored anew");
        take_often(lab, 1);
        if (whole_pages(lab, &lab->made[(lab->count - 1) % MODELS]) > 32) {
            return;
        }
    }
}

CHECK_TEST(refresh, neighbours_are_stored_anew_and_come_back)
{
    struct lab lab;
    open_lab(&lab);
    CHECK_OK(try_take(&lab));
    for (unsigned i = 0; i < 6; i++) {
        take_until_refreshed(&lab);
        check_all(&lab);
        reopen(&lab); /* what is stored anew next has to be recalled for it */
    }
    close_lab(&lab);
}

CHECK_TEST(refresh, the_archive_grows_by_a_bounded_part_of_what_changes)
{
    struct lab lab;
    open_lab(&lab);
    CHECK_OK(try_take(&lab));
    uint64_t whole = 0;
    enum { TAKES = 300 };
    for (unsigned i = 0; i < TAKES; i++) {
        take_often(&lab, 1);
        whole += whole_pages(&lab, &lab.made[(lab.count - 1) % MODELS]);
    }
    CHECK_MSG(whole <= TAKES * CHANGED / 8 + TAKES * CHANGED / 17 + 64, "%llu pages whole", (unsigned long long)whole);
    close_lab(&lab);
}

/* Groups of which every page is stored anyway cost the refreshing nothing: its turn comes when there is one. */
CHECK_TEST(refresh, what_a_take_stores_itself_is_not_paid_for)
{
    struct lab lab;
    open_lab(&lab);
    CHECK_OK(try_take(&lab));
    for (unsigned takes = 0; takes < 8; takes++) {
        for (size_t page = 0; page < PAGES; page++) {
            lab.memory[page * PAGE + takes * 64] ^= 1;
        }
        CHECK_OK(try_take(&lab));
    }
    uint64_t whole = 0;
    for (unsigned takes = 0; takes < 2; takes++) { /* each looks at one group; once round there is none to look at */
        memset(lab.memory + 3 * PAGE, (int)takes, 40);
        CHECK_OK(try_take(&lab));
        whole += whole_pages(&lab, &lab.made[(lab.count - 1) % MODELS]);
    }
    CHECK_MSG(whole > 32, "%llu pages whole", (unsigned long long)whole);
    close_lab(&lab);
}

/* The take that would store a group anew fails; what it has noted of it must go with it. */
CHECK_TEST(refresh, a_take_that_fails_takes_them_back)
{
    struct lab lab;
    unsigned failures = 0;
    open_lab(&lab);
    CHECK_OK(try_take(&lab));
    for (unsigned i = 0; i < 200; i++) {
        take_often(&lab, 4); /* what a failed take has returned is stored whole: chains begin anew */
        change(&lab);
        fault_arm(FAULT_WRITE, 1, true, ENOSPC);
        failures += try_take(&lab) != SAVEPOINT_OK;
        fault_disarm();
        if (i % 3 != 0) {
            memset(lab.memory + draw(&lab) % PAGES * (size_t)PAGE, (int)i, 8);
        }
        CHECK_OK(try_take(&lab));
        if (i % 16 == 15) {
            check_last(&lab, 1 + i % (MODELS - 1));
            check_last(&lab, 0);
        }
    }
    CHECK(failures > 100);
    reopen(&lab);
    close_lab(&lab);
}
