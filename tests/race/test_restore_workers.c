/* test_restore_workers.c - restores on several threads: right, and whatever goes wrong in any of them changes nothing
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#if defined(__SANITIZE_THREAD__)
enum { PAGES = 512, CHANGED = 100 }; /* each byte costs it a hundred times as much */
#else
enum { PAGES = 1536, CHANGED = 300 };
#endif
enum { PAGE = 4096, SNAPSHOTS = 6, WORKERS = 4 };
#define BYTES ((size_t)PAGES * PAGE)

struct lab {
    char path[64];
    uint32_t noise;
    enum savepoint_profile profile;
    struct savepoint *session;
    uint8_t *memory;
    uint8_t *models[SNAPSHOTS];
    struct savepoint_id made[SNAPSHOTS];
};

static uint32_t draw(struct lab *lab)
{
    lab->noise = lab->noise * 1664525 + 1013904223;
    return lab->noise >> 8;
}

static void open_session(struct lab *lab)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    void *memory;
    options.workers = WORKERS;
    options.profile = lab->profile;
    CHECK_OK(savepoint_open(&lab->session, lab->path, &options, NULL));
    CHECK_OK(savepoint_map(lab->session, &memory, "r", BYTES, NULL, NULL));
    lab->memory = memory;
}

/* Half of the pages are zeros, some for ever; the others change now and then, a little or wholly. */
static void change(struct lab *lab)
{
    for (unsigned i = 0; i < CHANGED; i++) {
        uint8_t *page = lab->memory + draw(lab) % PAGES * (size_t)PAGE;
        unsigned bytes = draw(lab) % 8 == 0 ? PAGE : 16;
        for (unsigned k = 0; k < bytes; k++) {
            page[k] = (uint8_t)draw(lab);
        }
    }
}

static void open_lab_of(struct lab *lab, enum savepoint_profile profile)
{
    *lab = (struct lab){ .noise = 5, .profile = profile };
    snprintf(lab->path, sizeof lab->path, "restore-workers-%ld.svp", (long)getpid());
    unlink(lab->path);
    open_session(lab);
    for (size_t i = 0; i < BYTES / 2; i++) {
        lab->memory[i] = (uint8_t)draw(lab);
    }
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        struct savepoint_snapshot snapshot;
        if (i > 0) {
            change(lab);
        }
        CHECK_OK(savepoint_take(lab->session, NULL, NULL, NULL));
        CHECK_OK(savepoint_wait(lab->session, 0, &snapshot, NULL));
        lab->made[i] = snapshot.id;
        lab->models[i] = malloc(BYTES);
        CHECK(lab->models[i] != NULL);
        memcpy(lab->models[i], lab->memory, BYTES);
    }
}

static void open_lab(struct lab *lab)
{
    open_lab_of(lab, SAVEPOINT_PROFILE_SMALL);
}

static void close_session(struct lab *lab)
{
    CHECK_OK(savepoint_close(lab->session, NULL));
}

static void close_lab(struct lab *lab)
{
    close_session(lab);
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        free(lab->models[i]);
    }
    unlink(lab->path);
}

static bool is_zero(const uint8_t *memory)
{
    return memory[0] == 0 && memcmp(memory, memory + 1, BYTES - 1) == 0;
}

/* How often something is made to fail: seldom the later it happens. */
static uint64_t next_number(uint64_t number)
{
    return number + 1 + number / 4;
}

static void restore_often(enum savepoint_profile profile)
{
    struct lab lab;
    open_lab_of(&lab, profile);
    for (unsigned i = 0; i < 40; i++) {
        unsigned target = draw(&lab) % SNAPSHOTS;
        if (i % 4 == 0) {
            close_session(&lab);
            open_session(&lab);
        } else {
            change(&lab);
        }
        CHECK_OK(savepoint_restore(lab.session, &lab.made[target], NULL, NULL));
        CHECK_MEM(lab.memory, lab.models[target], BYTES);
    }
    close_lab(&lab);
}

CHECK_TEST(restore_workers, any_snapshot_comes_back_in_place_and_into_new_memory)
{
    restore_often(SAVEPOINT_PROFILE_SMALL);
    restore_often(SAVEPOINT_PROFILE_FAST);
}

struct kinds {
    uint64_t zero, stored, whole, delta;
};

static int count_kind(void *user, const struct savepoint_change *change)
{
    struct kinds *kinds = user;
    bool stored = strcmp(change->coder, "stored") == 0 || strcmp(change->coder, "same") == 0 ||
                  strcmp(change->coder, "runs") == 0; /* little but zeros */
    kinds->zero += change->kind == SAVEPOINT_CHANGE_ZERO;
    kinds->delta += change->kind == SAVEPOINT_CHANGE_DELTA;
    kinds->stored += stored;
    kinds->whole += change->kind == SAVEPOINT_CHANGE_WHOLE && !stored;
    return 0;
}

CHECK_TEST(restore_workers, a_fast_profile_stores_whole_pages_as_they_are)
{
    struct lab lab;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct kinds kinds = { 0 };
    open_lab_of(&lab, SAVEPOINT_PROFILE_FAST);
    memset(lab.memory, 7, BYTES / 8); /* would shrink to nothing */
    CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(lab.session, 0, NULL, NULL));
    CHECK_OK(savepoint_archive_open(&archive, lab.path, NULL));
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL);
    for (; status == SAVEPOINT_OK; status = savepoint_archive_previous(archive, &snapshot, NULL)) {
        CHECK_OK(savepoint_archive_changes(archive, &snapshot, count_kind, &kinds, NULL));
    }
    savepoint_archive_close(archive);
    CHECK(kinds.stored > PAGES / 2 && kinds.delta > 0);
    CHECK_EQ(kinds.whole, 0);
    close_lab(&lab);
    options.profile = SAVEPOINT_PROFILE_FAST + 1;
    CHECK_STATUS(savepoint_open(&lab.session, lab.path, &options, NULL), SAVEPOINT_INVALID);
}

CHECK_TEST(restore_workers, new_memory_that_was_written_is_not_taken_for_zeros)
{
    struct lab lab;
    open_lab(&lab);
    close_session(&lab);
    for (unsigned round = 0; round < 2; round++) {
        open_session(&lab);
        for (size_t page = 0; page < PAGES; page += 3) {
            lab.memory[page * PAGE + 77] = 1; /* before resuming, which is allowed and lost */
        }
        fault_arm(FAULT_READ, round == 0 ? 60 : UINT64_MAX, true, EIO);
        enum savepoint_status status = savepoint_resume(lab.session, NULL, NULL);
        fault_disarm();
        CHECK_STATUS(status, round == 0 ? SAVEPOINT_IO : SAVEPOINT_OK);
        for (size_t page = 0; round == 0 && page < PAGES; page++) {
            CHECK_EQ(lab.memory[page * PAGE + 77], page % 3 == 0 ? 1 : 0);
            CHECK_EQ(lab.memory[page * PAGE], 0);
        }
        CHECK_OK(savepoint_resume(lab.session, NULL, NULL));
        CHECK_MEM(lab.memory, lab.models[SNAPSHOTS - 1], BYTES);
        close_session(&lab);
    }
    open_session(&lab);
    close_lab(&lab);
}

/* The restore of each number fails until there are no so many calls: memory stays what it is, also for the next take.
 */
static uint64_t fail_in_place(struct lab *lab, enum fault_kind kind, int os_code)
{
    uint64_t failures = 0;
    for (uint64_t number = 1;; number = next_number(number)) {
        unsigned from = draw(lab) % SNAPSHOTS, to = (from + 1 + draw(lab) % (SNAPSHOTS - 1)) % SNAPSHOTS;
        CHECK_OK(savepoint_restore(lab->session, &lab->made[from], NULL, NULL));
        fault_arm(kind, number, kind == FAULT_READ, os_code);
        enum savepoint_status status = savepoint_restore(lab->session, &lab->made[to], NULL, NULL);
        bool reached = fault_hits(kind) > 0;
        fault_disarm();
        const uint8_t *wanted = lab->models[status == SAVEPOINT_OK ? to : from];
        CHECK_MSG(memcmp(lab->memory, wanted, BYTES) == 0, "kind %d, call %llu", (int)kind, (unsigned long long)number);
        if (!reached) {
            return failures;
        }
        failures += status != SAVEPOINT_OK;
    }
}

static uint64_t fail_in_new_memory(struct lab *lab, enum fault_kind kind, int os_code)
{
    uint64_t failures = 0;
    for (uint64_t number = 1;; number = next_number(number)) {
        close_session(lab);
        open_session(lab);
        fault_arm(kind, number, kind == FAULT_READ, os_code);
        enum savepoint_status status = savepoint_resume(lab->session, NULL, NULL);
        bool reached = fault_hits(kind) > 0;
        fault_disarm();
        if (status != SAVEPOINT_OK) {
            CHECK_MSG(is_zero(lab->memory), "kind %d, call %llu", (int)kind, (unsigned long long)number);
            CHECK_OK(savepoint_resume(lab->session, NULL, NULL));
            failures++;
        }
        CHECK_MEM(lab->memory, lab->models[SNAPSHOTS - 1], BYTES);
        if (!reached) {
            return failures;
        }
    }
}

CHECK_TEST(restore_workers, without_memory_at_any_point_nothing_changes)
{
    struct lab lab;
    open_lab(&lab);
    CHECK(fail_in_new_memory(&lab, FAULT_MEMORY, ENOMEM) > 5);
    CHECK(fail_in_place(&lab, FAULT_MEMORY, ENOMEM) > 5);
    close_lab(&lab);
}

CHECK_TEST(restore_workers, a_read_that_fails_at_any_point_changes_nothing)
{
    struct lab lab;
    open_lab(&lab);
    CHECK(fail_in_new_memory(&lab, FAULT_READ, EIO) > 10);
    CHECK(fail_in_place(&lab, FAULT_READ, EIO) > 10);
    close_lab(&lab);
}

static void flip(const struct lab *lab, uint64_t offset)
{
    uint8_t byte;
    int file = open(lab->path, O_RDWR | O_CLOEXEC);
    CHECK(file >= 0 && pread(file, &byte, 1, (off_t)offset) == 1);
    byte ^= 0x10;
    CHECK(pwrite(file, &byte, 1, (off_t)offset) == 1);
    close(file);
}

CHECK_TEST(restore_workers, what_cannot_be_decoded_changes_nothing)
{
    struct lab lab;
    uint64_t failures = 0;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    open_lab(&lab);
    CHECK_OK(savepoint_read_statistics(lab.session, &statistics, NULL));
    for (uint64_t offset = 8192; offset < statistics.archive_bytes; offset += statistics.archive_bytes / 48) {
        close_session(&lab);
        open_session(&lab);
        flip(&lab, offset);
        enum savepoint_status status = savepoint_resume(lab.session, NULL, NULL);
        CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_CORRUPT, "offset %llu", (unsigned long long)offset);
        flip(&lab, offset);
        CHECK(status == SAVEPOINT_OK || is_zero(lab.memory));
        CHECK_OK(savepoint_restore(lab.session, &lab.made[SNAPSHOTS - 1], NULL, NULL));
        failures += status != SAVEPOINT_OK;
        flip(&lab, offset);
        status = savepoint_restore(lab.session, &lab.made[0], NULL, NULL);
        flip(&lab, offset);
        CHECK_MEM(lab.memory, lab.models[status == SAVEPOINT_OK ? 0 : SNAPSHOTS - 1], BYTES);
        failures += status != SAVEPOINT_OK;
    }
    CHECK_MSG(failures > 20, "only %llu", (unsigned long long)failures);
    close_lab(&lab);
}

/* What it stands on is only the shorter way to where it goes. */
CHECK_TEST(restore_workers, damage_in_the_version_it_stands_on_is_gone_around)
{
    struct lab lab;
    struct savepoint_statistics before = { .size = sizeof before }, after = { .size = sizeof after };
    struct savepoint_snapshot last;
    open_lab(&lab);
    CHECK_OK(savepoint_read_statistics(lab.session, &before, NULL));
    change(&lab);
    CHECK_OK(savepoint_take(lab.session, NULL, NULL, NULL));
    CHECK_OK(savepoint_wait(lab.session, 0, &last, NULL));
    CHECK_OK(savepoint_read_statistics(lab.session, &after, NULL));
    const uint64_t step = (after.archive_bytes - before.archive_bytes) / 16;
    for (unsigned i = 0; i < 16; i++) {
        const uint64_t offset = before.archive_bytes + i * step + 100;
        flip(&lab, offset);
        CHECK_OK(savepoint_restore(lab.session, &lab.made[i % SNAPSHOTS], NULL, NULL));
        CHECK_MEM(lab.memory, lab.models[i % SNAPSHOTS], BYTES);
        flip(&lab, offset);
        CHECK_OK(savepoint_restore(lab.session, &last.id, NULL, NULL));
    }
    CHECK_OK(savepoint_read_statistics(lab.session, &after, NULL));
    CHECK_MSG(after.restores_around > 1 && after.restores_around < 16, "%llu",
              (unsigned long long)after.restores_around);
    close_lab(&lab);
}

/* ---- cancelling */

static int slow_reads;

static void slow_down(enum fault_kind kind)
{
    if (kind == FAULT_READ && __atomic_load_n(&slow_reads, __ATOMIC_RELAXED)) {
        usleep(3000);
    }
}

struct patience {
    unsigned calls, most; /* cancelled at call number `most` */
    uint64_t seen_bytes;
};

static int lose_patience(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct patience *patience = user;
    CHECK(done_bytes >= patience->seen_bytes && done_bytes <= total_bytes);
    patience->seen_bytes = done_bytes;
    return ++patience->calls >= patience->most;
}

CHECK_TEST(restore_workers, cancelled_in_the_midst_nothing_changes)
{
    struct lab lab;
    open_lab(&lab);
    fault_watch(slow_down);
    for (unsigned most = 1; most <= 2; most++) {
        for (unsigned fresh = 0; fresh < 2; fresh++) {
            struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
            struct patience patience = { .most = most };
            options.progress = lose_patience;
            options.progress_user = &patience;
            if (fresh == 1) {
                close_session(&lab);
                open_session(&lab);
            } else {
                CHECK_OK(savepoint_restore(lab.session, &lab.made[0], NULL, NULL));
            }
            __atomic_store_n(&slow_reads, 1, __ATOMIC_RELAXED);
            CHECK_STATUS(savepoint_restore(lab.session, &lab.made[SNAPSHOTS - 1], &options, NULL), SAVEPOINT_CANCELLED);
            __atomic_store_n(&slow_reads, 0, __ATOMIC_RELAXED);
            CHECK(fresh == 1 ? is_zero(lab.memory) : memcmp(lab.memory, lab.models[0], BYTES) == 0);
            CHECK_EQ(patience.calls, most);
        }
    }
    fault_watch(NULL);
    close_lab(&lab);
}
