/* test_coders.c - pages of every kind, changed again and again: each snapshot comes back, whichever coders stored it */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "../crash/crash_fixture.h"
#include "model.h"
#include "format/bytes.h"
#include "format/coder.h"

enum { PAGES = 96, TAKES = 48, BYTES = PAGES * PAGE_BYTES };

static _Alignas(PAGE_BYTES) unsigned char memory[BYTES];
static unsigned char kept[TAKES][BYTES];
static struct savepoint_snapshot snapshots[TAKES];
static bool met[SVP_CODER_COUNT];

static int note_coder(void *user, const struct savepoint_change *change)
{
    (void)user;
    for (unsigned id = 0; id < SVP_CODER_COUNT; id++) {
        met[id] = met[id] || strcmp(svp_coder_find((uint16_t)id)->name, change->coder) == 0;
    }
    return 0;
}

static void change_page(unsigned char *page, uint64_t *random)
{
    const uint64_t kind = model_below(random, 8);
    const size_t step = kind == 3 ? 9 : 1; /* much of a page, but not all: XOR */
    if (kind == 0) {
        memset(page, 0, PAGE_BYTES);
    } else if (kind <= 2) {
        memset(page + model_below(random, PAGE_BYTES - 64), (int)model_below(random, 256), 1 + model_below(random, 64));
    } else if (kind <= 4) {
        for (size_t i = 0; i < PAGE_BYTES; i += 1 + model_below(random, step * 2)) {
            page[i] = (unsigned char)model_random(random);
        }
    } else if (kind == 5) {
        memset(page, (int)model_below(random, 256), PAGE_BYTES);
    } else { /* numbers: new ones, or those of before moved a little */
        for (size_t i = 0; i < PAGE_BYTES; i += 8) {
            uint64_t noise = model_below(random, UINT64_C(1) << (kind == 6 ? 40 : 20));
            svp_store64(page + i, kind == 6 ? UINT64_C(0x4070) << 48 | noise : svp_load64(page + i) ^ noise);
        }
    }
}

static void open_session(struct savepoint **session, const char *path)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = "compare";
    CHECK_OK(savepoint_open(session, path, &options, NULL));
    CHECK_OK(savepoint_watch(*session, "state", memory, sizeof memory, NULL));
}

/* Some to and fro: back by undoing deltas, forth by doing them again. */
static void check_all(struct savepoint *session, uint64_t *random)
{
    for (unsigned i = 0; i < TAKES; i++) {
        uint64_t wanted = model_below(random, TAKES);
        CHECK_OK(savepoint_restore(session, &snapshots[wanted].id, NULL, NULL));
        CHECK_MEM(memory, kept[wanted], BYTES);
    }
}

CHECK_TEST(coders, every_snapshot_comes_back)
{
    const char *path = scratch_path("coders.svp");
    struct savepoint *session = NULL;
    struct savepoint_archive *archive = NULL;
    uint64_t random = 17;
    file_remove(path);
    open_session(&session, path);
    for (unsigned take = 0; take < TAKES; take++) {
        for (uint64_t i = model_below(&random, PAGES); i > 0; i--) {
            change_page(memory + model_below(&random, PAGES) * PAGE_BYTES, &random);
        }
        CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
        CHECK_OK(savepoint_wait(session, 0, &snapshots[take], NULL));
        memcpy(kept[take], memory, BYTES);
    }
    check_all(session, &random);
    CHECK_OK(savepoint_close(session, NULL));

    memset(memory, 0, sizeof memory);
    open_session(&session, path); /* nothing is known of the pages but what the file says */
    CHECK_OK(savepoint_resume(session, NULL, NULL));
    CHECK_MEM(memory, kept[TAKES - 1], BYTES);
    check_all(session, &random);
    CHECK_OK(savepoint_close(session, NULL));

    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    for (unsigned take = 0; take < TAKES; take++) {
        CHECK_OK(savepoint_archive_changes(archive, &snapshots[take], note_coder, NULL, NULL));
    }
    savepoint_archive_close(archive);
    for (unsigned id = 0; id < SVP_CODER_COUNT; id++) {
        CHECK(met[id] || id == SVP_CODER_STORED); /* which a batch becomes that nothing shrinks in */
    }
}

/* A page that takes a few bytes may have a chain all the same, but a bounded one. */
CHECK_TEST(coders, a_page_of_few_bytes_is_not_stored_whole_each_time)
{
    enum { CHANGES = 24, FIRST = 6 };
    const char *path = scratch_path("few.svp");
    struct savepoint *session = NULL;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    uint64_t random = 23;
    file_remove(path);
    memset(memory, 0, sizeof memory);
    open_session(&session, path);
    for (unsigned take = 0; take < CHANGES; take++) {
        unsigned char *at = memory + model_below(&random, PAGE_BYTES - 40);
        for (unsigned i = 0; i < 40; i++) {
            at[i] ^= (unsigned char)model_below(&random, 256);
        }
        CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
        CHECK_OK(savepoint_wait(session, 0, &snapshots[take], NULL));
        memcpy(kept[take], memory, BYTES);
        CHECK_OK(savepoint_read_statistics(session, &statistics, NULL));
        CHECK(take + 1 != FIRST || statistics.pages_delta == FIRST - 1);
    }
    CHECK_MSG(statistics.pages_whole >= 3, "%llu pages whole", (unsigned long long)statistics.pages_whole);
    CHECK_EQ(statistics.pages_delta + statistics.pages_whole, CHANGES);
    for (unsigned take = 0; take < CHANGES; take++) {
        CHECK_OK(savepoint_restore(session, &snapshots[take].id, NULL, NULL));
        CHECK_MEM(memory, kept[take], BYTES);
    }
    CHECK_OK(savepoint_close(session, NULL));
}
