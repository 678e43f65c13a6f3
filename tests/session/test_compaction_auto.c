/* test_compaction_auto.c - autosaves that drop others get their archive compacted, and it stays whole whatever happens
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "compaction_world.h"
#include "fault.h"

enum { PAGES = 160, KEEP = 2 };

static uint64_t seed = 23;

static void set(struct world *world, uint64_t cap_bytes, uint32_t flags)
{
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    options.interval_ns = SECOND;
    options.keep_last = KEEP;
    options.size_cap_bytes = cap_bytes;
    options.flags = flags;
    CHECK_OK(savepoint_autosave(world->session, &options, NULL));
}

/* Of a third of the pages all bytes: about 200 KiB. */
static void scribble(const struct world *world)
{
    const size_t third = world->pages / 3;
    random_fill(world_page(world, random_next(&seed) % 3 * third), third * PAGE_BYTES, &seed);
}

static void save(struct world *world)
{
    scribble(world);
    autosave_take(world);
}

/* Once what the tick began is through: takes of the archive wait for it, and a search waits for takes. */
static void settle(const struct world *world)
{
    struct savepoint_snapshot head;
    CHECK_OK(savepoint_find(world->session, &head, "HEAD", NULL));
}

static void forget_dropped(struct world *world)
{
    compaction_forget(&world->history, world->history.count > KEEP ? world->history.count - KEEP : 0);
}

/* The ones that are dropped and there are gone, too. */
static void end(struct world *world)
{
    struct view view;
    world_close(world);
    CHECK_OK(savepoint_archive_compact(world->path, NULL, NULL, NULL));
    check_archive(world->path, &world->history, world->history.count, "at the end");
    view_archive(&view, world->path, &world->history, "at the end");
    CHECK_EQ(view.kept, KEEP);
    world_free(world);
}

CHECK_TEST(compaction_auto, when_the_dropped_outweigh_the_kept)
{
    struct world world = { 0 };
    uint64_t largest = 0;
    autosave_open(&world, "outweigh.svp", PAGES);
    set(&world, 0, 0);
    for (int i = 0; i < 60; i++) {
        save(&world);
        settle(&world);
        const uint64_t bytes = autosave_statistics(world.session).archive_bytes;
        largest = bytes > largest ? bytes : largest;
    }
    const struct savepoint_statistics seen = autosave_statistics(world.session);
    printf("%llu compactions gave back %llu bytes, at most %llu were in use\n", (unsigned long long)seen.compactions,
           (unsigned long long)seen.compacted_bytes, (unsigned long long)largest);
    CHECK(seen.compactions >= 3 && seen.compactions <= 12);
    CHECK(largest < UINT64_C(4) << 20);
    CHECK_EQ(seen.autosaves, 60);
    CHECK_EQ(seen.autosaves_dropped, 58);
    CHECK_EQ(seen.autosaves_late, 0);
    struct bytes file = file_read(world.path);
    CHECK(file.count <= seen.archive_bytes + 100);
    bytes_free(&file);
    CHECK_OK(savepoint_restore(world.session, &world.history.moments[58].id, NULL, NULL));
    CHECK_MEM(world.memory, world.history.moments[58].memory, world.history.memory_bytes);
    forget_dropped(&world);
    end(&world);
}

CHECK_TEST(compaction_auto, not_before_it_is_worth_it)
{
    static const struct {
        size_t pages, saves, changed;
    } ways[] = { { 900, 9, 60 }, { PAGES, 60, 1 } }; /* above 1 MiB, not above the rest; the other way round */
    for (size_t i = 0; i < 2; i++) {
        struct world world = { 0 };
        autosave_open(&world, "worth.svp", ways[i].pages);
        set(&world, 0, 0);
        random_fill(world.memory, i == 0 ? 900 * PAGE_BYTES : PAGE_BYTES, &seed);
        for (size_t save = 0; save < ways[i].saves; save++) {
            random_fill(world_page(&world, save), ways[i].changed * PAGE_BYTES, &seed);
            autosave_take(&world);
        }
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        settle(&world);
        CHECK_EQ(autosave_statistics(world.session).compactions, 0);
        forget_dropped(&world);
        end(&world);
    }
}

CHECK_TEST(compaction_auto, not_where_it_is_turned_off)
{
    struct world world = { 0 };
    autosave_open(&world, "off.svp", PAGES);
    set(&world, 0, SAVEPOINT_AUTOSAVE_NO_COMPACTION);
    for (int i = 0; i < 20; i++) {
        save(&world);
    }
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    CHECK(autosave_statistics(world.session).archive_bytes > UINT64_C(4) << 20);
    autosave_end(&world);
}

/* What an earlier session dropped counts too, but first this one saves: it may be one of many that all end soon. */
CHECK_TEST(compaction_auto, after_an_earlier_session)
{
    struct world world = { 0 };
    autosave_open(&world, "earlier.svp", PAGES);
    set(&world, 0, SAVEPOINT_AUTOSAVE_NO_COMPACTION);
    for (int i = 0; i < 20; i++) {
        save(&world);
    }
    world_close(&world);
    world_open(&world, world.path, "compare", PAGES);
    world_resume(&world);
    set(&world, 0, 0);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    settle(&world);
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    save(&world);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    settle(&world);
    CHECK_EQ(autosave_statistics(world.session).compactions, 1);
    save(&world);
    forget_dropped(&world);
    end(&world);
}

/* The tick puts the autosave off, and the next one that finds room takes it. */
CHECK_TEST(compaction_auto, the_cap_makes_room)
{
    struct world world = { 0 };
    const uint64_t cap = UINT64_C(3) << 19; /* 1.5 MiB: six or so autosaves */
    unsigned made = 0;
    autosave_open(&world, "cap.svp", PAGES);
    set(&world, cap, 0);
    for (int i = 0; i < 40; i++) {
        scribble(&world);
        clock_advance(SECOND);
        uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
        if (ticket == 0) {
            made++;
            settle(&world);
            CHECK(autosave_statistics(world.session).archive_bytes < cap);
            ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
        }
        CHECK(ticket != 0);
        struct savepoint_snapshot snapshot;
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
    }
    CHECK(made >= 3);
    CHECK_EQ(autosave_statistics(world.session).autosaves_late, made);
    /* One that followed an autosave because it was worth it may be through before the next tick, and puts nothing off.
     */
    CHECK(autosave_statistics(world.session).compactions >= made);
    CHECK(autosave_statistics(world.session).compactions <= 12);
    forget_dropped(&world);
    end(&world);
}

/* Where that would not help it is not done. */
CHECK_TEST(compaction_auto, a_cap_below_what_is_kept)
{
    struct world world = { 0 };
    autosave_open(&world, "small.svp", PAGES);
    set(&world, 0, 0);
    random_fill(world.memory, PAGES * PAGE_BYTES, &seed);
    autosave_take(&world);
    set(&world, 1000, 0);
    for (int i = 0; i < 3; i++) {
        clock_advance(SECOND);
        autosave_tick(world.session, SAVEPOINT_LIMIT, NULL);
    }
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    set(&world, 0, 0);
    for (int i = 0; i < 5; i++) {
        save(&world);
    }
    set(&world, 1000, 0);
    clock_advance(SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    settle(&world);
    CHECK_EQ(autosave_statistics(world.session).compactions, 1);
    for (int i = 0; i < 3; i++) {
        clock_advance(SECOND);
        autosave_tick(world.session, SAVEPOINT_LIMIT, NULL);
    }
    CHECK_EQ(autosave_statistics(world.session).compactions, 1);
    CHECK_EQ(autosave_statistics(world.session).compactions_failed, 0);
    forget_dropped(&world);
    end(&world);
}

/* Told once; autosaves go on; tried again when a minute has passed, and then two. */
CHECK_TEST(compaction_auto, a_failure_is_told_once)
{
    struct world world = { 0 };
    struct savepoint_error error;
    autosave_open(&world, "failure.svp", PAGES);
    set(&world, 0, SAVEPOINT_AUTOSAVE_NO_COMPACTION);
    for (int i = 0; i < 20; i++) {
        save(&world);
    }
    set(&world, 0, 0);
    for (uint64_t wait = 60; wait <= 120; wait += 60) {
        fault_arm(FAULT_WRITE, 1, true, ENOSPC);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        settle(&world);
        fault_disarm();
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_NO_SPACE, &error), 0);
        CHECK_MSG(strstr(error.message, "room") != NULL, "%s", error.message);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        for (int i = 0; i < 3; i++) {
            save(&world);
            settle(&world);
        }
        CHECK_EQ(autosave_statistics(world.session).compactions_failed, wait / 60);
        clock_advance((wait - 4) * SECOND);
        set(&world, 0, 0);
        CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
        settle(&world);
        CHECK_EQ(autosave_statistics(world.session).compactions_failed, wait / 60);
        clock_advance(2 * SECOND);
        set(&world, 0, 0);
    }
    CHECK_EQ(autosave_statistics(world.session).compactions, 0);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    settle(&world);
    CHECK_EQ(autosave_statistics(world.session).compactions, 1);
    forget_dropped(&world);
    end(&world);
}

/* Pages restored into new memory, of which the session has no second copy: it reads them in the new file. */
CHECK_TEST(compaction_auto, of_memory_that_was_mapped)
{
    const char *path = scratch_path("mapped.svp");
    struct history history = { .memory_bytes = PAGES * PAGE_BYTES };
    struct savepoint_snapshot snapshot;
    file_remove(path);
    for (int round = 0; round < 3; round++) {
        struct savepoint *session = NULL;
        void *memory = NULL;
        uint64_t ticket = 0;
        struct savepoint_compact_options rules = SAVEPOINT_COMPACT_OPTIONS_INIT;
        rules.keep_last = 1;
        CHECK_OK(savepoint_open(&session, path, NULL, NULL));
        CHECK_OK(savepoint_map(session, &memory, "heap", PAGES * PAGE_BYTES, NULL, NULL));
        CHECK_STATUS(savepoint_resume(session, NULL, NULL), round > 0 ? SAVEPOINT_OK : SAVEPOINT_EMPTY);
        if (round == 0) {
            random_fill(memory, PAGES * PAGE_BYTES, &seed);
        }
        CHECK_OK(savepoint_compact(session, NULL, &rules, NULL));
        for (int i = 0; i < 6; i++) {
            for (size_t page = 0; page < PAGES; page += 1 + random_next(&seed) % 4) {
                random_fill((uint8_t *)memory + page * PAGE_BYTES + 100, 16, &seed);
            }
            CHECK_OK(savepoint_take(session, &ticket, NULL, NULL));
            CHECK_OK(savepoint_wait(session, ticket, &snapshot, NULL));
            history_add(&history, &snapshot, memory);
            const struct savepoint_statistics seen = autosave_statistics(session);
            CHECK(round == 0 || (seen.compactions == 1 && seen.pages_delta > 0 && seen.pages_whole == 0));
        }
        CHECK_OK(savepoint_close(session, NULL));
        CHECK(check_known(path, &history, "mapped") >= 6);
    }
    history_free(&history);
}
