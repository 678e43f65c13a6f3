/* compaction_world.c - a session that compacts its own archive, held where the new file gets the name */
#define _POSIX_C_SOURCE 200809L
#include "compaction_world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "os/file.h"

/* ---- the moment before the new file gets the name */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool holding, held;
int rename_code;
bool renames_over_open = true;

int __real_svp_file_rename(const char *from, const char *to);
int __wrap_svp_file_rename(const char *from, const char *to);
int __wrap_svp_file_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&mutex);
    held = holding;
    pthread_cond_broadcast(&changed);
    while (holding) {
        pthread_cond_wait(&changed, &mutex);
    }
    held = false;
    pthread_mutex_unlock(&mutex);
    return rename_code != 0 ? rename_code : __real_svp_file_rename(from, to);
}

bool __wrap_svp_file_renames_over_open(void);
bool __wrap_svp_file_renames_over_open(void)
{
    return renames_over_open;
}

void rename_hold(bool hold)
{
    pthread_mutex_lock(&mutex);
    holding = hold;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void rename_wait_held(void)
{
    pthread_mutex_lock(&mutex);
    while (!held) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

bool rename_held_within(unsigned milliseconds)
{
    struct timespec end;
    CHECK(clock_gettime(CLOCK_REALTIME, &end) == 0);
    end.tv_nsec += (long)milliseconds * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    int code = 0;
    pthread_mutex_lock(&mutex);
    while (!held && code == 0) {
        code = pthread_cond_timedwait(&changed, &mutex, &end);
    }
    const bool waits = held;
    pthread_mutex_unlock(&mutex);
    return waits;
}

/* ---- sessions */

static uint64_t seed = 11;

/* A few pages, a few bytes of each: deltas; now and then a whole page. */
void compaction_scribble(const struct world *world)
{
    for (uint64_t i = random_next(&seed) % 6 + 1; i > 0; i--) {
        uint8_t *page = world_page(world, random_next(&seed) % world->pages);
        if (random_next(&seed) % 8 == 0) {
            random_fill(page, PAGE_BYTES, &seed);
        } else {
            random_fill(page + random_next(&seed) % 4000, 16, &seed);
        }
    }
}

void compaction_make(struct world *world, const char *name, int takes)
{
    autosave_open(world, name, COMPACTION_PAGES);
    random_fill(world->memory, COMPACTION_PAGES * PAGE_BYTES / 2, &seed);
    for (int i = 0; i < takes; i++) {
        compaction_scribble(world);
        world_take(world, SAVEPOINT_SYNC);
    }
}

uint64_t compaction_begin(const struct world *world, uint32_t keep_last)
{
    struct savepoint_compact_options options = SAVEPOINT_COMPACT_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.keep_last = keep_last;
    CHECK_OK(savepoint_compact(world->session, &ticket, &options, NULL));
    CHECK(ticket != 0);
    return ticket;
}

void compaction_do(const struct world *world, uint32_t keep_last)
{
    struct savepoint_error error = { 0 };
    enum savepoint_status status = savepoint_wait(world->session, compaction_begin(world, keep_last), NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "compact: %s: %s", savepoint_status_name(status), error.message);
}

/* Of the moments before `end` only those from `first` on are left. */
void compaction_forget(struct history *history, size_t first)
{
    for (size_t i = 0; i < first; i++) {
        free(history->moments[i].memory);
    }
    history->count -= first;
    memmove(history->moments, history->moments + first, history->count * sizeof history->moments[0]);
}

void compaction_check(const struct world *world, const char *what)
{
    struct view view;
    check_archive(world->path, &world->history, world->history.count, what);
    view_archive(&view, world->path, &world->history, what);
    CHECK_EQ(view.kept, world->history.count);
    char beside[300];
    snprintf(beside, sizeof beside, "%s.compact", world->path);
    CHECK_MSG(!file_exists(beside), "%s: a part is left behind", what);
}

void compaction_restore_all(struct world *world)
{
    for (size_t i = world->history.count; i-- > 0;) {
        struct savepoint_error error = { 0 };
        enum savepoint_status status = savepoint_restore(world->session, &world->history.moments[i].id, NULL, &error);
        CHECK_MSG(status == SAVEPOINT_OK, "restore %zu: %s", i, error.message);
        CHECK_MEM(world->memory, world->history.moments[i].memory, world->history.memory_bytes);
    }
}

void compaction_end(struct world *world)
{
    world_close(world);
    compaction_check(world, "closed");
    world_open(world, world->path, "compare", COMPACTION_PAGES);
    world_resume(world);
    world_close(world);
    world_free(world);
}

bool can_write(const char *path)
{
    struct savepoint *other = NULL;
    enum savepoint_status status = savepoint_open(&other, path, NULL, NULL);
    CHECK(status == SAVEPOINT_OK || status == SAVEPOINT_LOCKED);
    CHECK_OK(savepoint_close(other, NULL));
    return status == SAVEPOINT_OK;
}

/* The archive verifies, and each snapshot in it is one of the history, byte for byte; returns how many there are. */
size_t check_known(const char *path, const struct history *history, const char *what)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_verify_result result;
    struct savepoint_error error = { 0 };
    size_t count = 0;
    uint8_t *memory = malloc(history->memory_bytes);
    CHECK(memory != NULL);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, &error));
    CHECK_MSG(result.findings == 0, "%s: %s", what, error.message);
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, &error);
    for (; status == SAVEPOINT_OK; status = savepoint_archive_previous(archive, &snapshot, &error)) {
        size_t at = 0;
        while (at < history->count &&
               memcmp(history->moments[at].id.bytes, snapshot.id.bytes, sizeof snapshot.id.bytes) != 0) {
            at++;
        }
        CHECK_MSG(at < history->count, "%s: snapshot %llu is not known", what, (unsigned long long)snapshot.sequence);
        CHECK_OK(savepoint_archive_read(archive, memory, &snapshot, "heap", 0, history->memory_bytes, NULL));
        CHECK_MEM(memory, history->moments[at].memory, history->memory_bytes);
        count++;
    }
    CHECK_MSG(status == SAVEPOINT_NOT_FOUND, "%s: %s", what, error.message);
    savepoint_archive_close(archive);
    free(memory);
    return count;
}
