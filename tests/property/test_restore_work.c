/* test_restore_work.c - a restore reads what lies between here and there, and one that fails loses nothing */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "format/memory.h"
#include "os/file.h"
#include "savepoint.h"

enum { PAGE = 4096, PAGES = 1024, SNAPSHOTS = 12, CHANGED = 40 };
#define BYTES ((size_t)PAGES * PAGE)

static uint64_t read_bytes, read_calls, failing_call; /* from this one on reads fail; 0: none does */

int __real_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    read_bytes += bytes;
    return ++read_calls >= failing_call && failing_call != 0 ? EIO
                                                             : __real_svp_file_read(file, to, bytes, offset, done);
}

struct lab {
    char path[64];
    struct savepoint *session;
    uint8_t *memory;
    uint8_t *models[SNAPSHOTS];
    struct savepoint_snapshot made[SNAPSHOTS];
    uint32_t noise;
};

static uint32_t draw(struct lab *lab)
{
    lab->noise = lab->noise * 1664525 + 1013904223;
    return lab->noise >> 8;
}

static void take(struct lab *lab, struct savepoint_snapshot *snapshot)
{
    CHECK_OK(savepoint_take(lab->session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(lab->session, 0, snapshot, NULL));
}

/* The first snapshot stores everything whole, the others some bytes of some pages. */
static void open_lab(struct lab *lab)
{
    *lab = (struct lab){ .noise = 7 };
    snprintf(lab->path, sizeof lab->path, "restore-work-%ld.svp", (long)getpid());
    unlink(lab->path);
    lab->memory = aligned_alloc(PAGE, BYTES);
    CHECK(lab->memory != NULL);
    for (size_t i = 0; i < BYTES; i++) {
        lab->memory[i] = (uint8_t)draw(lab);
    }
    failing_call = 0;
    CHECK_OK(savepoint_open(&lab->session, lab->path, NULL, NULL));
    CHECK_OK(savepoint_watch(lab->session, "r", lab->memory, BYTES, NULL));
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        for (unsigned k = 0; i > 0 && k < CHANGED; k++) {
            lab->memory[(draw(lab) % PAGES) * (size_t)PAGE + draw(lab) % PAGE] ^= 0x5a;
        }
        take(lab, &lab->made[i]);
        lab->models[i] = malloc(BYTES);
        CHECK(lab->models[i] != NULL);
        memcpy(lab->models[i], lab->memory, BYTES);
    }
}

static void close_lab(struct lab *lab)
{
    CHECK_OK(savepoint_close(lab->session, NULL));
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        free(lab->models[i]);
    }
    free(lab->memory);
    unlink(lab->path);
}

/* Changes a byte of every page; twice changes nothing. */
static void touch_all(struct lab *lab)
{
    for (size_t page = 0; page < PAGES; page++) {
        lab->memory[page * PAGE + 17] ^= 1;
    }
}

CHECK_TEST(restore_work, going_back_and_forth_reads_deltas_and_not_the_whole_state)
{
    struct lab lab;
    open_lab(&lab);
    for (unsigned i = 0; i < 200; i++) {
        unsigned target = draw(&lab) % SNAPSHOTS;
        read_bytes = 0;
        CHECK_OK(savepoint_restore(lab.session, &lab.made[target].id, NULL, NULL));
        CHECK_MSG(memcmp(lab.memory, lab.models[target], BYTES) == 0, "round %u: snapshot %u is not what it was", i,
                  target);
        CHECK_MSG(read_bytes < BYTES / 6, "round %u: %llu bytes read", i, (unsigned long long)read_bytes);
    }
    close_lab(&lab);
}

CHECK_TEST(restore_work, a_restore_that_fails_leaves_memory_and_the_next_take_right)
{
    struct lab lab;
    struct savepoint_snapshot after;
    uint64_t failures = 0;
    open_lab(&lab);
    for (uint64_t call = 1;; call += 1 + call / 8) {
        unsigned from = SNAPSHOTS - 1, to = draw(&lab) % 4;
        CHECK_OK(savepoint_restore(lab.session, &lab.made[from].id, NULL, NULL));
        read_calls = 0;
        failing_call = call;
        enum savepoint_status status = savepoint_restore(lab.session, &lab.made[to].id, NULL, NULL);
        bool reached = read_calls >= call;
        failing_call = 0;
        if (status == SAVEPOINT_OK) {
            CHECK_MSG(memcmp(lab.memory, lab.models[to], BYTES) == 0, "call %llu", (unsigned long long)call);
            if (!reached) {
                break;
            }
            continue; /* what could not be read was not needed after all */
        }
        failures++;
        CHECK_MSG(memcmp(lab.memory, lab.models[from], BYTES) == 0, "call %llu", (unsigned long long)call);
        /* The next take stands on `from`, whatever the failed restore has done to the library's own copy. */
        touch_all(&lab);
        take(&lab, &after);
        CHECK_OK(savepoint_restore(lab.session, &lab.made[from].id, NULL, NULL));
        CHECK_OK(savepoint_restore(lab.session, &after.id, NULL, NULL));
        touch_all(&lab);
        CHECK_MSG(memcmp(lab.memory, lab.models[from], BYTES) == 0, "call %llu", (unsigned long long)call);
    }
    CHECK_MSG(failures > 10, "only %llu restores failed", (unsigned long long)failures);
    close_lab(&lab);
}
