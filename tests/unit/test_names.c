/* test_names.c - finding snapshots by expression, in a real small archive with branches */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, SNAPSHOTS = 6 };

struct fixture {
    char path[64];
    struct savepoint_snapshot made[SNAPSHOTS];
    struct savepoint_archive *archive;
};

static const char *const labels[SNAPSHOTS] = { "start", "boss", NULL, "boss", "feed", "a~b" };

/* 0 - 1 - 2 - 3, and 4 - 5 from 1: HEAD is 5. */
static void open_fixture(struct fixture *fixture)
{
    struct savepoint *session = NULL;
    uint8_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    snprintf(fixture->path, sizeof fixture->path, "names-%ld.svp", (long)getpid());
    unlink(fixture->path);
    CHECK_OK(savepoint_open(&session, fixture->path, NULL, NULL));
    CHECK_OK(savepoint_watch(session, "r", memory, PAGE, NULL));
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
        options.label = labels[i];
        memory[0]++;
        if (i == 4) {
            CHECK_OK(savepoint_restore(session, &fixture->made[1].id, NULL, NULL));
        }
        CHECK_OK(savepoint_take(session, NULL, &options, NULL));
        CHECK_OK(savepoint_wait(session, 0, &fixture->made[i], NULL));
    }
    CHECK_OK(savepoint_close(session, NULL));
    CHECK_OK(savepoint_archive_open(&fixture->archive, fixture->path, NULL));
    munmap(memory, PAGE);
}

static void close_fixture(struct fixture *fixture)
{
    savepoint_archive_close(fixture->archive);
    unlink(fixture->path);
}

static void finds(struct fixture *fixture, const char *expression, unsigned index)
{
    struct savepoint_snapshot found;
    CHECK_MSG(savepoint_archive_find(fixture->archive, &found, expression, NULL) == SAVEPOINT_OK, "'%s' is not found",
              expression);
    CHECK_MSG(memcmp(&found.id, &fixture->made[index].id, sizeof found.id) == 0, "'%s' is another one", expression);
}

static void refuses(struct fixture *fixture, const char *expression, enum savepoint_status wanted)
{
    struct savepoint_snapshot found = { .sequence = 99 };
    struct savepoint_error error;
    enum savepoint_status status = savepoint_archive_find(fixture->archive, &found, expression, &error);
    CHECK_MSG(status == wanted, "'%s': got %s, wanted %s", expression, savepoint_status_name(status),
              savepoint_status_name(wanted));
    CHECK_EQ(found.sequence, 99); /* outputs are untouched on failure */
    CHECK_EQ(error.status, wanted);
    CHECK(error.message[0] != '\0');
}

CHECK_TEST(names, head_and_ancestors)
{
    struct fixture fixture;
    open_fixture(&fixture);
    finds(&fixture, "HEAD", 5);
    finds(&fixture, "@{}", 5);
    finds(&fixture, "HEAD~", 4);
    finds(&fixture, "HEAD~1", 4);
    finds(&fixture, "HEAD~0", 5);
    finds(&fixture, "HEAD~~", 1);
    finds(&fixture, "HEAD~2~1", 0);
    finds(&fixture, "HEAD~3", 0);
    refuses(&fixture, "HEAD~4", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "HEAD~4294967296", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "HEAD~99999999999999999999999", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "HEAD~18446744073709551615~2", SAVEPOINT_NOT_FOUND); /* the sum would wrap to 1 */
    refuses(&fixture, "HEAD~x", SAVEPOINT_INVALID);
    refuses(&fixture, "HEAD~-1", SAVEPOINT_INVALID);
    refuses(&fixture, "HEAD~1x", SAVEPOINT_INVALID);
    refuses(&fixture, "", SAVEPOINT_INVALID);
    refuses(&fixture, "~1", SAVEPOINT_INVALID);
    refuses(&fixture, "head", SAVEPOINT_NOT_FOUND);
    close_fixture(&fixture);
}

CHECK_TEST(names, labels)
{
    struct fixture fixture;
    char long_name[2000];
    open_fixture(&fixture);
    finds(&fixture, "start", 0);
    finds(&fixture, "boss", 3); /* the newest, also on another branch */
    finds(&fixture, "boss~1", 2);
    finds(&fixture, "label:boss~", 2);
    finds(&fixture, "label:start", 0);
    finds(&fixture, "label:feed", 4);
    refuses(&fixture, "feed", SAVEPOINT_NOT_FOUND); /* hex digits are an id */
    refuses(&fixture, "label:", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "label:none", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "bos", SAVEPOINT_NOT_FOUND);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    refuses(&fixture, long_name, SAVEPOINT_INVALID);
    close_fixture(&fixture);
}

CHECK_TEST(names, ids_and_their_prefixes)
{
    struct fixture fixture;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    open_fixture(&fixture);
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        savepoint_id_format(&fixture.made[i].id, text);
        CHECK_EQ(strlen(text), 32);
        finds(&fixture, text, i);
        for (char *at = text; *at != '\0'; at++) {
            *at = (char)(*at >= 'a' ? *at - 'a' + 'A' : *at);
        }
        finds(&fixture, text, i);
        text[12] = '\0';
        finds(&fixture, text, i); /* 48 bits: unique among six */
        text[3] = '\0';
        refuses(&fixture, text, SAVEPOINT_NOT_FOUND); /* three digits are a label */
    }
    refuses(&fixture, "00000000000000000000000000000000", SAVEPOINT_NOT_FOUND);
    refuses(&fixture, "000000000000000000000000000000000", SAVEPOINT_NOT_FOUND);
    close_fixture(&fixture);
}

/* With 2000 snapshots some share their first four digits. */
CHECK_TEST(names, an_ambiguous_prefix_lists_candidates)
{
    enum { MANY = 2000 };
    static struct savepoint_id ids[MANY];
    struct savepoint *session = NULL;
    char path[64];
    bool ambiguous = false;
    snprintf(path, sizeof path, "names-many-%ld.svp", (long)getpid());
    unlink(path);
    CHECK_OK(savepoint_open(&session, path, NULL, NULL));
    for (unsigned i = 0; i < MANY; i++) {
        struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
        struct savepoint_snapshot snapshot;
        options.durability = SAVEPOINT_NONE;
        CHECK_OK(savepoint_take(session, NULL, &options, NULL));
        CHECK_OK(savepoint_wait(session, 0, &snapshot, NULL));
        ids[i] = snapshot.id;
    }
    for (unsigned i = 0; !ambiguous && i < MANY; i++) {
        for (unsigned k = 0; !ambiguous && k < i; k++) {
            ambiguous = memcmp(ids[i].bytes, ids[k].bytes, 2) == 0;
            if (ambiguous) {
                struct savepoint_snapshot found;
                struct savepoint_error error;
                char text[SAVEPOINT_ID_TEXT_BYTES];
                savepoint_id_format(&ids[i], text);
                text[12] = '\0';
                char prefix[5] = { text[0], text[1], text[2], text[3], '\0' };
                CHECK_STATUS(savepoint_find(session, &found, prefix, &error), SAVEPOINT_AMBIGUOUS);
                CHECK(strstr(error.message, text) != NULL);
                CHECK_OK(savepoint_find(session, &found, text, &error));
            }
        }
    }
    CHECK(ambiguous); /* 2000 ids on 65536 prefixes: without a pair once in 10^13 runs */
    CHECK_OK(savepoint_close(session, NULL));
    unlink(path);
}

CHECK_TEST(names, times_and_sets_of_head)
{
    struct fixture fixture;
    struct savepoint_snapshot found;
    open_fixture(&fixture);
    CHECK_OK(savepoint_archive_find_time(fixture.archive, &found, UINT64_MAX, NULL));
    CHECK_EQ(found.sequence, 6);
    CHECK_OK(savepoint_archive_find_time(fixture.archive, &found, fixture.made[4].time_ns, NULL));
    CHECK_EQ(found.sequence, 5);
    CHECK_OK(savepoint_archive_find_time(fixture.archive, &found, fixture.made[3].time_ns, NULL));
    CHECK_EQ(found.sequence, 2); /* 3 is on the other branch */
    CHECK_STATUS(savepoint_archive_find_time(fixture.archive, &found, 5, NULL), SAVEPOINT_NOT_FOUND);
    savepoint_archive_close(fixture.archive);
    struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = fixture.made[3].id };
    CHECK_OK(savepoint_archive_set_ref(fixture.path, &head, NULL));
    CHECK_OK(savepoint_archive_open(&fixture.archive, fixture.path, NULL));
    finds(&fixture, "HEAD", 3);
    finds(&fixture, "HEAD~1", 2);
    head.target = (struct savepoint_id){ { 1 } };
    CHECK_STATUS(savepoint_archive_set_ref(fixture.path, &head, NULL), SAVEPOINT_NOT_FOUND);
    close_fixture(&fixture);
}
