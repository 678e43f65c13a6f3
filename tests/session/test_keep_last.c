/* test_keep_last.c - which autosaves are dropped, and that a dropped one is hidden and nothing else */
#include <errno.h>
#include <stdio.h>

#include "autosave_world.h"
#include "fault.h"

enum { PAGES = 4 };

static void reopen(struct world *world)
{
    world_close(world);
    world_open(world, world->path, "compare", PAGES);
    world_resume(world);
}

/* What the session itself knows of the moments. */
static void check_session(const struct world *world, const char *moments)
{
    for (size_t i = 0; i < world->history.count; i++) {
        struct savepoint_snapshot found;
        char text[SAVEPOINT_ID_TEXT_BYTES];
        savepoint_id_format(&world->history.moments[i].id, text);
        CHECK_STATUS(savepoint_find(world->session, &found, text, NULL),
                     strchr(moments, (int)('A' + i)) != NULL ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
    }
}

static void check_kept(const struct world *world, const char *moments)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_archive_info info;
    struct savepoint_snapshot head;
    check_archive(world->path, &world->history, world->history.count, moments);
    CHECK_STR(kept_moments(world), moments);
    CHECK_OK(savepoint_archive_open(&archive, world->path, NULL));
    savepoint_archive_describe(archive, &info);
    CHECK_EQ(info.snapshot_count, strlen(moments));
    CHECK_OK(savepoint_archive_find(archive, &head, "HEAD", NULL));
    CHECK_EQ(head.flags & SAVEPOINT_SNAPSHOT_DROPPED, 0);
    savepoint_archive_close(archive);
    if (world->session != NULL) {
        check_session(world, moments);
    }
}

static struct savepoint_snapshot save(struct world *world)
{
    world_page(world, world->history.count % PAGES)[world->history.count] ^= 0x5a;
    return autosave_take(world);
}

static void restore(struct world *world, size_t moment)
{
    CHECK_OK(savepoint_restore(world->session, &world->history.moments[moment].id, NULL, NULL));
    CHECK_MEM(world->memory, world->history.moments[moment].memory, world->history.memory_bytes);
}

CHECK_TEST(keep_last, the_newest_stay)
{
    struct world world = { 0 };
    autosave_open(&world, "newest.svp", PAGES);
    autosave_set(&world, 3);
    for (int i = 0; i < 3; i++) {
        save(&world);
    }
    check_kept(&world, "ABC");
    save(&world);
    check_kept(&world, "BCD");
    save(&world);
    check_kept(&world, "CDE");
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 2);
    autosave_set(&world, 1);
    check_kept(&world, "CDE"); /* not before the next autosave */
    save(&world);
    check_kept(&world, "F");
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 5);
    CHECK_EQ(autosave_statistics(world.session).autosaves, 6);
    autosave_set(&world, 0);
    save(&world);
    save(&world);
    check_kept(&world, "FGH");
    world_close(&world);
    check_kept(&world, "FGH");
    world_free(&world);
}

CHECK_TEST(keep_last, takes_of_the_application_neither_count_nor_go)
{
    struct world world = { 0 };
    autosave_open(&world, "takes.svp", PAGES);
    autosave_set(&world, 2);
    world_take(&world, SAVEPOINT_SYNC);
    save(&world);
    world_take(&world, SAVEPOINT_ORDERED);
    save(&world);
    world_take(&world, SAVEPOINT_SYNC);
    check_kept(&world, "ABCDE");
    save(&world);
    check_kept(&world, "ACDEF");
    save(&world);
    check_kept(&world, "ACEFG");
    world_close(&world);
    world_free(&world);
}

/* What is named neither counts nor goes; a name that goes away gives its snapshot back to the count. */
CHECK_TEST(keep_last, names_protect)
{
    struct world world = { 0 };
    struct savepoint_snapshot saved[3];
    autosave_open(&world, "names.svp", PAGES);
    autosave_set(&world, 0);
    for (int i = 0; i < 3; i++) {
        saved[i] = save(&world);
    }
    world_close(&world);
    ref_write(world.path, SVP_REF_LABEL, "boss fight", &saved[0]);
    ref_write(world.path, SVP_REF_PIN, "keep", &saved[1]);
    world_open(&world, world.path, "compare", PAGES);
    world_resume(&world);
    autosave_set(&world, 2);
    save(&world);
    check_kept(&world, "ABCD");
    save(&world);
    check_kept(&world, "ABDE");
    world_close(&world);
    ref_write(world.path, SVP_REF_LABEL, "boss fight", &saved[1]); /* it moves: A is bare, B has two names */
    ref_write(world.path, SVP_REF_PIN, "keep", NULL);
    world_open(&world, world.path, "compare", PAGES);
    world_resume(&world);
    autosave_set(&world, 2);
    save(&world);
    check_kept(&world, "BEF");
    save(&world);
    check_kept(&world, "BFG");
    struct savepoint_snapshot found;
    CHECK_OK(savepoint_find(world.session, &found, "boss fight", NULL));
    CHECK_MEM(found.id.bytes, saved[1].id.bytes, sizeof found.id.bytes);
    world_close(&world);
    world_free(&world);
}

/* The list of autosaves is made of what the archive holds, also where others were dropped before. */
CHECK_TEST(keep_last, across_sessions)
{
    struct world world = { 0 };
    autosave_open(&world, "sessions.svp", PAGES);
    for (int i = 0; i < 12; i++) {
        autosave_set(&world, i < 6 ? 0 : 4);
        save(&world);
        if (i % 3 == 2) {
            reopen(&world);
        }
    }
    check_kept(&world, "IJKL");
    world_close(&world);
    world_free(&world);
}

/* Autosaves of a branch that was left count and go as well; the session may stand on one that is dropped by the
 * autosave that follows it, and on one whose ancestors are all dropped. */
CHECK_TEST(keep_last, branches)
{
    struct world world = { 0 };
    autosave_open(&world, "branches.svp", PAGES);
    autosave_set(&world, 3);
    for (int i = 0; i < 3; i++) {
        save(&world);
    }
    restore(&world, 0); /* A - B - C */
    save(&world);       /*  \- D      A, its own parent, goes */
    check_kept(&world, "BCD");
    struct savepoint_snapshot parent;
    CHECK_STATUS(savepoint_find(world.session, &parent, "HEAD~1", NULL), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_restore(world.session, &world.history.moments[0].id, NULL, NULL), SAVEPOINT_NOT_FOUND);
    restore(&world, 1);
    save(&world);
    check_kept(&world, "CDE");
    restore(&world, 2);
    save(&world);
    check_kept(&world, "DEF");
    reopen(&world);
    autosave_set(&world, 1);
    restore(&world, 3);
    save(&world);
    check_kept(&world, "G");
    reopen(&world);
    autosave_set(&world, 1);
    save(&world);
    check_kept(&world, "H");
    world_close(&world);
    world_free(&world);
}

/* HEAD was set back to an old autosave while no session was open: it stays until another one is HEAD. */
CHECK_TEST(keep_last, an_old_head)
{
    struct world world = { 0 };
    struct savepoint_snapshot old;
    autosave_open(&world, "head.svp", PAGES);
    autosave_set(&world, 0);
    old = save(&world);
    save(&world);
    save(&world);
    world_close(&world);
    const struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = old.id };
    CHECK_OK(savepoint_archive_set_ref(world.path, &head, NULL));
    world_open(&world, world.path, "compare", PAGES);
    CHECK_OK(savepoint_resume(world.session, NULL, NULL));
    autosave_set(&world, 2);
    fault_arm(FAULT_WRITE, 1, false, ENOSPC);
    clock_advance(SECOND);
    uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    CHECK_STATUS(savepoint_wait(world.session, ticket, NULL, NULL), SAVEPOINT_NO_SPACE);
    fault_disarm();
    autosave_tick(world.session, SAVEPOINT_NO_SPACE, NULL);
    check_kept(&world, "ABC");
    save(&world);
    check_kept(&world, "CD");
    world_close(&world);
    world_free(&world);
}

/* What an autosave stores in the file is all of its transaction, tombstones included; 40 of them take more than a
 * block.
 */
CHECK_TEST(keep_last, many_at_once)
{
    enum { MANY = 120 };
    struct world world = { 0 };
    autosave_open(&world, "many.svp", PAGES);
    autosave_set(&world, 0);
    for (int i = 0; i < MANY; i++) {
        save(&world);
    }
    reopen(&world);
    autosave_set(&world, 7);
    uint64_t before = autosave_statistics(world.session).archive_bytes;
    struct savepoint_snapshot snapshot = save(&world);
    uint64_t after = autosave_statistics(world.session).archive_bytes;
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, MANY - 6);
    CHECK_EQ(snapshot.stored_bytes, after - before);
    CHECK_EQ(autosave_statistics(world.session).stored_bytes, after - before);
    CHECK(after - before > (MANY - 6) * 128);
    bool dropped[MANY + 1];
    read_dropped(&world, dropped);
    for (size_t i = 0; i <= MANY; i++) {
        CHECK_EQ(dropped[i], i < MANY - 6);
    }
    struct savepoint_snapshot found;
    CHECK_OK(savepoint_find(world.session, &found, "HEAD", NULL));
    CHECK_EQ(found.stored_bytes, after - before);
    CHECK_OK(savepoint_find(world.session, &found, "HEAD~6", NULL));
    CHECK_STATUS(savepoint_find(world.session, &found, "HEAD~7", NULL), SAVEPOINT_NOT_FOUND);
    check_archive(world.path, &world.history, MANY + 1, "many");
    world_close(&world);
    world_free(&world);
}

/* An old snapshot that cannot be read ends the list, not the autosave. */
CHECK_TEST(keep_last, damage_below)
{
    struct world world = { 0 };
    struct savepoint_snapshot saved[5];
    struct savepoint_error error = { 0 };
    autosave_open(&world, "damage.svp", PAGES);
    autosave_set(&world, 0);
    for (int i = 0; i < 5; i++) {
        saved[i] = save(&world);
    }
    reopen(&world);
    FILE *file = fopen(world.path, "r+b"); /* what is open stays good: B is read again for the list only */
    CHECK(file != NULL && fseek(file, (long)saved[1].file_offset + 100, SEEK_SET) == 0 && fputc(0x77, file) == 0x77);
    CHECK(fclose(file) == 0);
    autosave_set(&world, 2);
    save(&world);
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 2); /* C and D */
    save(&world);
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 3);
    CHECK_OK(savepoint_close(world.session, &error));
    struct savepoint_archive *archive = NULL;
    struct savepoint_archive_info info;
    CHECK_OK(savepoint_archive_open(&archive, world.path, NULL));
    savepoint_archive_describe(archive, &info);
    CHECK_EQ(info.snapshot_count, 4); /* A, the damaged B, F, G */
    savepoint_archive_close(archive);
    world_free(&world);
}

/* What a lost reference had pinned is not known. */
CHECK_TEST(keep_last, a_damaged_pin_keeps_all)
{
    static const char name[] = "keepsake";
    struct world world = { 0 };
    struct savepoint_ref pin = { .kind = SAVEPOINT_REF_PIN, .name = "keepsake" };
    autosave_open(&world, "pin.svp", PAGES);
    autosave_set(&world, 0);
    pin.target = save(&world).id;
    for (int i = 0; i < 3; i++) {
        save(&world);
    }
    world_close(&world);
    CHECK_OK(savepoint_archive_set_ref(world.path, &pin, NULL));
    struct bytes file = file_read(world.path);
    size_t at = file.count - sizeof name;
    while (memcmp(file.at + at, name, sizeof name - 1) != 0) {
        at--;
    }
    file.at[at] ^= 1;
    file_write(world.path, file.at, file.count);
    world_open(&world, world.path, "compare", PAGES);
    world_resume(&world);
    autosave_set(&world, 2);
    save(&world);
    CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 0);
    bytes_free(&file);
    world_close(&world);
    world_free(&world);
}

/* Where the list cannot be made, or kept, the snapshot is saved all the same, and a later one drops what is due. */
CHECK_TEST(keep_last, failures_of_memory_and_reading_only_put_off)
{
    static const enum fault_kind kinds[] = { FAULT_MEMORY, FAULT_READ };
    uint64_t put_off = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint64_t number = 1; number < 300; number++) {
            struct world world = { 0 };
            struct savepoint_snapshot snapshot;
            autosave_open(&world, "put_off.svp", PAGES);
            autosave_set(&world, 0);
            for (int i = 0; i < 4; i++) {
                save(&world);
            }
            reopen(&world);
            autosave_set(&world, 2);
            clock_advance(SECOND);
            fault_hold_worker(true);
            uint64_t ticket = autosave_tick(world.session, SAVEPOINT_OK, NULL);
            fault_arm(kinds[k], number, false, EIO);
            fault_hold_worker(false);
            enum savepoint_status status = savepoint_wait(world.session, ticket, &snapshot, NULL);
            bool met = fault_hits(kinds[k]) > 0;
            fault_disarm();
            if (status == SAVEPOINT_OK) {
                history_add(&world.history, &snapshot, world.memory);
                put_off += autosave_statistics(world.session).autosaves_dropped == 0 ? 1 : 0;
            } else {
                CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, 0);
                autosave_tick(world.session, status, NULL);
            }
            save(&world);
            CHECK_EQ(autosave_statistics(world.session).autosaves_dropped, world.history.count - 2);
            check_kept(&world, world.history.count == 6 ? "EF" : "DE");
            world_close(&world);
            world_free(&world);
            if (!met) {
                break;
            }
            CHECK_MSG(number < 299, "call %llu is still met", (unsigned long long)number);
        }
    }
    printf("%llu autosaves were saved without dropping\n", (unsigned long long)put_off);
    CHECK(put_off >= 8);
}

/* A LIVE autosave ends whatever is in flight: its take is encoded while the one before is not published yet. */
CHECK_TEST(keep_last, a_live_one_behind_a_take_in_flight)
{
    struct world world = { 0 };
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t tickets[2] = { 0, 0 };
    autosave_open(&world, "live.svp", PAGES);
    autosave_set(&world, 0);
    save(&world);
    reopen(&world); /* which autosaves there are is not known yet */
    options.interval_ns = SECOND;
    options.keep_last = 1;
    options.mode = SAVEPOINT_LIVE;
    CHECK_OK(savepoint_autosave(world.session, &options, NULL));
    clock_advance(SECOND);
    CHECK_EQ(autosave_tick(world.session, SAVEPOINT_OK, NULL), 0);
    fault_hold_writer(true);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &tickets[0]));
    while (tickets[1] == 0) {
        tickets[1] = autosave_tick(world.session, SAVEPOINT_OK, NULL);
    }
    fault_wait_encoded(2);
    fault_hold_writer(false);
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(savepoint_wait(world.session, tickets[i], &snapshot, NULL));
        history_add(&world.history, &snapshot, world.memory);
    }
    autosave_set(&world, 1);
    save(&world);
    check_kept(&world, "BD");
    autosave_end(&world);
}
