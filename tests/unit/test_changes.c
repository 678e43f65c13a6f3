/* test_changes.c - savepoint_archive_changes tells every page a snapshot stored, and how */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, PAGES = 600, SNAPSHOTS = 3 };

struct told { /* per page, of one snapshot */
    uint32_t times[PAGES];
    struct savepoint_change change[PAGES];
    uint32_t total, stop_after;
    uint64_t delta_bytes, key_bytes;
};

static int note(void *user, const struct savepoint_change *change)
{
    struct told *told = user;
    CHECK(change->page < PAGES);
    told->times[change->page]++;
    told->change[change->page] = *change;
    told->total++;
    *(change->kind == SAVEPOINT_CHANGE_DELTA ? &told->delta_bytes : &told->key_bytes) += change->stored_bytes;
    return told->total == told->stop_after;
}

struct made {
    struct savepoint_snapshot snapshots[SNAPSHOTS];
    struct savepoint_statistics statistics;
};

/* 0: page 0 zeros, the others noise; 1: byte 7 of each third page and bytes 100 to 163 of page 5; 2: page 9 zeros. */
static void make_archive(const char *path, struct made *made)
{
    struct savepoint *session = NULL;
    uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    unlink(path);
    CHECK_OK(savepoint_open(&session, path, NULL, NULL));
    CHECK_OK(savepoint_watch(session, "r", memory, PAGES * PAGE, NULL));
    uint32_t noise = 1; /* does not compress: a delta is cheaper than the page */
    for (size_t i = PAGE; i < (size_t)PAGES * PAGE; i++) {
        noise = noise * 1664525 + 1013904223;
        memory[i] = (uint8_t)(noise >> 24);
    }
    for (unsigned k = 0; k < SNAPSHOTS; k++) {
        for (size_t page = 0; k == 1 && page < PAGES; page += 3) {
            memory[page * PAGE + 7] ^= 0x55;
        }
        for (size_t i = 0; k == 1 && i < 64; i++) {
            memory[5 * PAGE + 100 + i] ^= 0xff;
        }
        if (k == 2) {
            memset(memory + 9 * PAGE, 0, PAGE);
        }
        CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
        CHECK_OK(savepoint_wait(session, 0, &made->snapshots[k], NULL));
    }
    made->statistics.size = sizeof made->statistics;
    CHECK_OK(savepoint_read_statistics(session, &made->statistics, NULL));
    CHECK_OK(savepoint_close(session, NULL));
    munmap(memory, PAGES * PAGE);
}

static struct told tell(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot)
{
    struct told told = { 0 };
    CHECK_OK(savepoint_archive_changes(archive, snapshot, note, &told, NULL));
    CHECK(told.total == snapshot->changed_pages);
    return told;
}

CHECK_TEST(changes, every_stored_page_is_told_once)
{
    char path[64];
    struct made made;
    struct savepoint_archive *archive = NULL;
    snprintf(path, sizeof path, "changes-%ld.svp", (long)getpid());
    make_archive(path, &made);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));

    struct told first = tell(archive, &made.snapshots[0]);
    for (unsigned page = 1; page < PAGES; page++) {
        CHECK(first.times[page] == 1 && first.change[page].kind == SAVEPOINT_CHANGE_WHOLE);
        CHECK(first.change[page].changed_bytes == PAGE && first.change[page].stored_bytes > 0);
    }

    struct told second = tell(archive, &made.snapshots[1]);
    for (unsigned page = 0; page < PAGES; page++) {
        bool third = page % 3 == 0;
        CHECK_MSG(second.times[page] == (third || page == 5 ? 1 : 0), "page %u told %u times", page,
                  second.times[page]);
        if (third && page > 0) {
            CHECK(second.change[page].kind == SAVEPOINT_CHANGE_DELTA && second.change[page].changed_bytes == 1);
            CHECK(strcmp(second.change[page].coder, "xor-runs") == 0);
        }
    }
    CHECK(second.change[5].changed_bytes == 64);

    struct told third = tell(archive, &made.snapshots[2]);
    CHECK(third.total == 1 && third.times[9] == 1 && third.change[9].kind == SAVEPOINT_CHANGE_ZERO);
    CHECK(third.change[9].region_id == first.change[1].region_id);
    CHECK_EQ(first.delta_bytes + second.delta_bytes + third.delta_bytes, made.statistics.delta_bytes);
    CHECK_EQ(first.key_bytes + second.key_bytes + third.key_bytes, made.statistics.key_bytes);
    savepoint_archive_close(archive);
    unlink(path);
}

CHECK_TEST(changes, the_caller_may_stop)
{
    char path[64];
    struct made made;
    struct savepoint_archive *archive = NULL;
    struct savepoint_error error;
    struct told told = { .stop_after = 10 };
    snprintf(path, sizeof path, "changes-stop-%ld.svp", (long)getpid());
    make_archive(path, &made);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK(savepoint_archive_changes(archive, &made.snapshots[0], note, &told, &error) == SAVEPOINT_CANCELLED);
    CHECK(told.total == 10);
    CHECK(savepoint_archive_changes(archive, &made.snapshots[0], NULL, &told, &error) == SAVEPOINT_INVALID);
    savepoint_archive_close(archive);
    unlink(path);
}
