/* race_promote.c - threads write while snapshots are promoted, loaded and hashed: none of it looks at memory, or writes
 * it
 *
 * usage: race_promote [BACKEND|all] [ROUNDS]
 * A plain program, so that it also runs under ThreadSanitizer. Writers are held for takes of the ring, for the stops of
 * LIVE snapshots and for restores, and for nothing else. Exit status 0: passed, 1: failed, 77: the backend cannot work
 * here. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

enum { WRITERS = 2, PAGES = 48, PAGE = 4096, SLOTS = PAGE / 8, ROUNDS = 120, STATES_MAX = 512 };

struct known { /* a snapshot that came to be */
    struct savepoint_id id, digest;
};

static struct savepoint *session;
static _Atomic uint64_t *memory;
static pthread_rwlock_t gate; /* writers hold it shared while they store */
static atomic_bool stop;
static _Atomic uint64_t epoch; /* raised by restores, with the gate held */
static _Atomic uint64_t stores;
static struct known frames[STATES_MAX], promoted[STATES_MAX];
static size_t frame_count, promoted_count;
static unsigned lives_begun, lives;
static char own_path[64], other_path[64];

/* What a writer stores stays, unless the program went back. */
static void *write_for_ever(void *argument)
{
    const size_t writer = (size_t)(uintptr_t)argument;
    uint64_t state = writer + 1;
    uint64_t last[PAGES] = { 0 };
    uint64_t seen = 0;
    while (!atomic_load(&stop)) {
        pthread_rwlock_rdlock(&gate);
        const bool went_back = seen != atomic_load(&epoch);
        seen = atomic_load(&epoch);
        for (int i = 0; i < 20; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            const size_t page = (size_t)(state >> 40) % PAGES;
            _Atomic uint64_t *slot = &memory[page * SLOTS + (page * 37 + writer * 101) % SLOTS];
            if (went_back) {
                for (size_t k = 0; k < PAGES; k++) {
                    last[k] = atomic_load(&memory[k * SLOTS + (k * 37 + writer * 101) % SLOTS]);
                }
            }
            if (!went_back && atomic_load(slot) != last[page]) {
                fail("page %zu: a store of writer %zu is gone", page, writer);
            }
            if (!went_back) {
                last[page] = state;
                atomic_store(slot, state);
                atomic_fetch_add(&stores, 1);
            }
        }
        pthread_rwlock_unlock(&gate);
        usleep(20);
    }
    return NULL;
}

static void note(struct known *known, size_t *count, const struct savepoint_snapshot *snapshot)
{
    if (*count == STATES_MAX) {
        fail("too many snapshots");
    }
    known[(*count)++] = (struct known){ snapshot->id, snapshot->digest };
}

/* With the gate held. */
static void take_frame(void)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    options.history = SAVEPOINT_RING;
    require(savepoint_take(session, NULL, &options, &error), &error);
    require(savepoint_wait(session, 0, &snapshot, &error), &error);
    note(frames, &frame_count, &snapshot);
}

static void promote(unsigned round)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    const struct known *frame = &frames[frame_count - 1 - round % (frame_count < 5 ? frame_count : 5)];
    enum savepoint_status status =
        savepoint_promote(session, &snapshot, &frame->id, round % 2 == 0 ? NULL : other_path, NULL, &error);
    if (status == SAVEPOINT_NOT_FOUND) { /* cut off by going back */
        return;
    }
    require(status, &error);
    if (memcmp(&snapshot.digest, &frame->digest, sizeof snapshot.digest) != 0) {
        fail("round %u: another digest", round);
    }
    if (round % 2 == 0) {
        note(promoted, &promoted_count, &snapshot);
    }
}

static void load(unsigned round)
{
    char text[SAVEPOINT_ID_TEXT_BYTES];
    struct savepoint_snapshot snapshot;
    struct savepoint_hashes *hashes = NULL;
    struct savepoint_error error;
    const struct known *from = &promoted[round % promoted_count];
    savepoint_id_format(&from->id, text);
    require(savepoint_load(session, &snapshot, NULL, text, NULL, &error), &error);
    if (memcmp(&snapshot.digest, &from->digest, sizeof snapshot.digest) != 0) {
        fail("round %u: another digest", round);
    }
    note(frames, &frame_count, &snapshot);
    require(savepoint_hashes_open(session, &hashes, &snapshot.id, &error), &error);
    savepoint_hashes_close(hashes);
}

/* With the gate held: back to any frame that is still held. */
static void go_back(unsigned round)
{
    const struct known *frame = &frames[round * 7 % frame_count];
    if (savepoint_restore(session, &frame->id, NULL, NULL) == SAVEPOINT_OK) {
        struct savepoint_snapshot first = { .sequence = 0 };
        struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
        options.history = SAVEPOINT_RING;
        atomic_fetch_add(&epoch, 1);
        require(savepoint_take(session, NULL, &options, NULL), NULL);
        require(savepoint_wait(session, 0, &first, NULL), NULL);
        if (memcmp(&first.digest, &frame->digest, sizeof first.digest) != 0) {
            fail("round %u: going back did not bring the state back", round);
        }
        note(frames, &frame_count, &first);
    }
}

static void begin_live(void)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.mode = SAVEPOINT_LIVE;
    options.history = SAVEPOINT_ARCHIVE;
    const enum savepoint_status status = savepoint_take(session, NULL, &options, NULL);
    lives_begun += status == SAVEPOINT_OK; /* one may be on its way */
}

static void run_round(unsigned round)
{
    pthread_rwlock_wrlock(&gate);
    take_frame();
    if (savepoint_stop_wanted(session)) {
        lives += savepoint_tick(session, NULL, NULL) == SAVEPOINT_OK; /* a restore may have given it up */
    }
    if (round % 11 == 10) {
        go_back(round);
    }
    pthread_rwlock_unlock(&gate);
    if (round % 3 == 0) {
        begin_live();
    }
    promote(round);
    if (promoted_count > 0 && round % 4 == 1) {
        load(round);
    }
}

static void open_session(const char *backend)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    snprintf(own_path, sizeof own_path, "race-promote-%ld.svp", (long)getpid());
    snprintf(other_path, sizeof other_path, "race-promoted-%ld.svp", (long)getpid());
    unlink(own_path);
    unlink(other_path);
    memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("no memory");
    }
    options.watch = backend;
    options.ring_bytes = 8 << 20;
    enum savepoint_status status = savepoint_open(&session, own_path, &options, &error);
    status = status == SAVEPOINT_OK ? savepoint_watch(session, "r", (void *)memory, PAGES * PAGE, &error) : status;
    if (status == SAVEPOINT_NO_BACKEND) {
        unlink(own_path);
        exit(77);
    }
    require(status, &error);
}

static void check_archive(const char *path, size_t least)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    struct savepoint_error error;
    require(savepoint_archive_open(&archive, path, &error), &error);
    require(savepoint_archive_verify(archive, &result, NULL, &error), &error);
    if (result.findings != 0 || result.snapshots_checked < least) {
        fail("%s: %llu findings, %llu snapshots", path, (unsigned long long)result.findings,
             (unsigned long long)result.snapshots_checked);
    }
    savepoint_archive_close(archive);
    unlink(path);
}

int main(int argc, char **argv)
{
    const char *backend = argc > 1 && strcmp(argv[1], "all") != 0 ? argv[1] : NULL;
    const unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : ROUNDS;
    pthread_t writers[WRITERS];
    struct savepoint_error error;
    open_session(backend);
    pthread_rwlock_init(&gate, NULL);
    for (uintptr_t i = 0; i < WRITERS; i++) {
        pthread_create(&writers[i], NULL, write_for_ever, (void *)i);
    }
    for (unsigned round = 0; round < rounds; round++) {
        run_round(round);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i], NULL);
    }
    require(savepoint_close(session, &error), &error);
    check_archive(own_path, promoted_count);
    check_archive(other_path, rounds / 4);
    printf("race_promote: %llu stores, %zu snapshots of the ring, %zu promoted to its own archive, %llu times back, "
           "%u LIVE snapshots of %u begun\n",
           (unsigned long long)atomic_load(&stores), frame_count, promoted_count,
           (unsigned long long)atomic_load(&epoch), lives, lives_begun);
    return 0;
}
