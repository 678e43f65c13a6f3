/* crash_fixture.c - a session over memory, its history as plain copies, and a look at an archive against them */
#define _DEFAULT_SOURCE
#include "crash_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

bool deep(void)
{
    const char *asked = getenv("SAVEPOINT_TEST_DEEP");
    return asked != NULL && strcmp(asked, "1") == 0;
}

uint64_t random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_fill(void *to, size_t bytes, uint64_t *state)
{
    uint8_t *at = to;
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        uint64_t value = random_next(state);
        memcpy(at + i, &value, bytes - i < sizeof value ? bytes - i : sizeof value);
    }
}

const char *backend_name(size_t index)
{
    static struct savepoint_backend backend;
    const char *only = getenv("SAVEPOINT_TEST_BACKEND");
    size_t met = 0;
    for (size_t i = 0; savepoint_backend_at(&backend, i, NULL) == SAVEPOINT_OK; i++) {
        bool wanted = backend.available != 0 && (only == NULL || strcmp(only, backend.name) == 0);
        if (wanted && met++ == index) {
            return backend.name;
        }
    }
    CHECK_MSG(met > 0, "no backend to test");
    return NULL;
}

/* ---- files */

static char folder[64];
static long folder_owner;

static void remove_folder(void)
{
    char command[96];
    if (folder[0] != '\0' && folder_owner == (long)getpid()) {
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        if (system(command) != 0) {
            fprintf(stderr, "%s is left behind\n", folder);
        }
    }
}

const char *scratch_path(const char *name)
{
    static char paths[32][256];
    static size_t count;
    if (folder[0] == '\0') {
        const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/savepoint-crash-XXXXXX", parent);
        CHECK(mkdtemp(folder) != NULL);
        folder_owner = (long)getpid();
        atexit(remove_folder);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(strrchr(paths[i], '/') + 1, name) == 0) {
            return paths[i];
        }
    }
    CHECK(count < sizeof paths / sizeof paths[0]);
    snprintf(paths[count], sizeof paths[count], "%s/%s", folder, name);
    return paths[count++];
}

struct bytes file_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK_MSG(file != NULL, "cannot read %s", path);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    struct bytes bytes = { NULL, (size_t)ftell(file) };
    bytes.at = malloc(bytes.count + 1);
    rewind(file);
    CHECK(bytes.at != NULL && fread(bytes.at, 1, bytes.count, file) == bytes.count);
    fclose(file);
    return bytes;
}

void file_write(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    CHECK_MSG(file != NULL, "cannot write %s", path);
    CHECK(fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void file_remove(const char *path)
{
    unlink(path);
}

void check_file(const char *path, struct bytes wanted, const char *what)
{
    struct bytes there = file_read(path);
    CHECK_MSG(there.count == wanted.count && memcmp(there.at, wanted.at, wanted.count) == 0,
              "%s: %s has changed (%zu bytes, then %zu)", what, path, wanted.count, there.count);
    bytes_free(&there);
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){ NULL, 0 };
}

/* ---- a history and its model */

void history_add(struct history *history, const struct savepoint_snapshot *snapshot, const uint8_t *memory)
{
    CHECK(history->count < sizeof history->moments / sizeof history->moments[0]);
    struct moment *moment = &history->moments[history->count++];
    moment->id = snapshot->id;
    moment->memory = malloc(history->memory_bytes);
    CHECK(moment->memory != NULL);
    memcpy(moment->memory, memory, history->memory_bytes);
}

void history_cut(struct history *history, size_t count)
{
    while (history->count > count) {
        free(history->moments[--history->count].memory);
    }
}

void history_free(struct history *history)
{
    history_cut(history, 0);
}

enum savepoint_status
world_try_open(struct world *world, const char *path, const char *backend, size_t pages, struct savepoint_error *error)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    world->path = path;
    world->backend = backend;
    world->pages = pages;
    world->history.memory_bytes = pages * PAGE_BYTES;
    world->session = NULL;
    if (world->memory == NULL) {
        world->memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(world->memory != MAP_FAILED);
    }
    options.watch = backend;
    enum savepoint_status status = savepoint_open(&world->session, path, &options, error);
    if (status == SAVEPOINT_OK) {
        CHECK_OK(savepoint_watch(world->session, "heap", world->memory, pages * PAGE_BYTES, error));
    }
    return status;
}

void world_open(struct world *world, const char *path, const char *backend, size_t pages)
{
    struct savepoint_error error = { 0 };
    enum savepoint_status status = world_try_open(world, path, backend, pages, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "cannot open %s: %s: %s", path, savepoint_status_name(status), error.message);
}

void world_close(struct world *world)
{
    struct savepoint_error error = { 0 };
    enum savepoint_status status = savepoint_close(world->session, &error);
    world->session = NULL;
    CHECK_MSG(status == SAVEPOINT_OK, "close: %s: %s", savepoint_status_name(status), error.message);
}

void world_free(struct world *world)
{
    if (world->memory != NULL) {
        munmap(world->memory, world->pages * PAGE_BYTES);
    }
    history_free(&world->history);
    *world = (struct world){ 0 };
}

uint8_t *world_page(const struct world *world, size_t page)
{
    CHECK(page < world->pages);
    return world->memory + page * PAGE_BYTES;
}

enum savepoint_status world_start(struct world *world, enum savepoint_durability durability, uint64_t *ticket)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = durability;
    return savepoint_take(world->session, ticket, &options, NULL);
}

struct savepoint_snapshot world_take(struct world *world, enum savepoint_durability durability)
{
    struct savepoint_error error = { 0 };
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    CHECK_OK(world_start(world, durability, &ticket));
    enum savepoint_status status = savepoint_wait(world->session, ticket, &snapshot, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "take: %s: %s", savepoint_status_name(status), error.message);
    history_add(&world->history, &snapshot, world->memory);
    return snapshot;
}

uint64_t world_autosave(struct world *world, uint32_t keep_last, enum savepoint_durability durability)
{
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    uint64_t ticket = 0;
    options.interval_ns = 1;
    options.keep_last = keep_last;
    options.durability = durability;
    CHECK_OK(savepoint_autosave(world->session, &options, NULL));
    while (ticket == 0) {
        CHECK_OK(savepoint_tick(world->session, &ticket, NULL));
    }
    return ticket;
}

void world_resume(struct world *world)
{
    struct savepoint_error error = { 0 };
    const struct history *history = &world->history;
    enum savepoint_status status = savepoint_resume(world->session, NULL, &error);
    if (history->count == 0) {
        CHECK_STATUS(status, SAVEPOINT_EMPTY);
        return;
    }
    CHECK_MSG(status == SAVEPOINT_OK, "resume: %s: %s", savepoint_status_name(status), error.message);
    CHECK_MEM(world->memory, history->moments[history->count - 1].memory, history->memory_bytes);
}

/* ---- an archive against a history */

static size_t find_moment(const struct history *history, const struct savepoint_snapshot *snapshot, const char *what)
{
    for (size_t i = history->count; i > 0; i--) {
        if (memcmp(history->moments[i - 1].id.bytes, snapshot->id.bytes, sizeof snapshot->id.bytes) == 0) {
            return i - 1;
        }
    }
    check_fail(__FILE__, "%s: snapshot %llu was never taken", what, (unsigned long long)snapshot->sequence);
}

static bool read_moment(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot,
                        const struct history *history, size_t index, struct view *view, const char *what)
{
    uint8_t page[PAGE_BYTES];
    bool whole = true;
    for (size_t at = 0; at < history->memory_bytes; at += PAGE_BYTES) {
        enum savepoint_status status =
            savepoint_archive_read(archive, page, snapshot, "heap", at, PAGE_BYTES, &view->error);
        CHECK_MSG(status != SAVEPOINT_OK || memcmp(page, history->moments[index].memory + at, PAGE_BYTES) == 0,
                  "%s: moment %zu: page %zu reads wrong", what, index, at / PAGE_BYTES);
        whole = whole && status == SAVEPOINT_OK;
    }
    return whole;
}

/* Only a record that is known to be damaged may be missing from the walk. */
static bool damage_met(const struct savepoint_archive *archive)
{
    struct savepoint_archive_info info;
    savepoint_archive_describe(archive, &info);
    return info.damage_offset != UINT64_MAX;
}

static void walk(struct savepoint_archive *archive, struct view *view, const struct history *history, const char *what)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { 0 };
    size_t expected = history->count;
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, &error);
    while (status == SAVEPOINT_OK) {
        size_t index = find_moment(history, &snapshot, what);
        bool next = view->snapshots == 0 || index + 1 == expected;
        CHECK_MSG(next || (index < expected && damage_met(archive)), "%s: moment %zu follows %zu", what, index,
                  expected);
        expected = index;
        bool dropped = (snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0;
        CHECK_MSG(!dropped || (snapshot.flags & SAVEPOINT_SNAPSHOT_HEAD) == 0, "%s: HEAD is dropped", what);
        view->snapshots++;
        view->kept += dropped ? 0 : 1;
        view->unreadable += read_moment(archive, &snapshot, history, index, view, what) ? 0 : 1;
        status = savepoint_archive_previous(archive, &snapshot, &error);
    }
    view->walk_broken = status != SAVEPOINT_NOT_FOUND && status != SAVEPOINT_EMPTY;
    CHECK_MSG(view->walk_broken || view->snapshots == 0 || expected == 0 || damage_met(archive),
              "%s: moments before %zu are missing", what, expected);
    if (view->walk_broken) {
        view->error = error;
    }
}

void view_archive(struct view *view, const char *path, const struct history *history, const char *what)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result = { 0 };
    *view = (struct view){ .error = { .status = SAVEPOINT_OK } };
    view->opened = savepoint_archive_open(&archive, path, &view->error);
    if (view->opened != SAVEPOINT_OK) {
        return;
    }
    savepoint_archive_describe(archive, &view->info);
    walk(archive, view, history, what);
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, &view->error));
    view->findings = result.findings;
    savepoint_archive_close(archive);
}

void check_archive(const char *path, const struct history *history, size_t least, const char *what)
{
    struct view view;
    view_archive(&view, path, history, what);
    CHECK_MSG(view.opened == SAVEPOINT_OK, "%s: open: %s: %s", what, savepoint_status_name(view.opened),
              view.error.message);
    CHECK_MSG(!view.walk_broken && view.unreadable == 0, "%s: %s", what, view.error.message);
    CHECK_MSG(view.findings == 0, "%s: verify has %llu findings", what, (unsigned long long)view.findings);
    CHECK_MSG(view.info.damage_offset == UINT64_MAX, "%s: damage at %llu", what,
              (unsigned long long)view.info.damage_offset);
    CHECK_MSG(view.kept == view.info.snapshot_count, "%s: %zu snapshots are not dropped, the archive tells of %llu",
              what, view.kept, (unsigned long long)view.info.snapshot_count);
    CHECK_MSG(view.snapshots >= least, "%s: %zu snapshots of at least %zu", what, view.snapshots, least);
}
