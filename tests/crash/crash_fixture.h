/* crash_fixture.h - a session over memory, its history as plain copies, and a look at an archive against them */
#ifndef CRASH_FIXTURE_H
#define CRASH_FIXTURE_H

#include "check.h"

enum { PAGE_BYTES = 4096 };

/* SAVEPOINT_TEST_DEEP=1 asks for the long loops. */
bool deep(void);
uint64_t random_next(uint64_t *state);
void random_fill(void *to, size_t bytes, uint64_t *state);

/* Backends that work here, one of them when SAVEPOINT_TEST_BACKEND names it; NULL past the last. */
const char *backend_name(size_t index);

/* ---- files */

/* A path in this process's own folder, on memory where there is such a file system; static, for the whole run. The
 * folder is removed at the end of a run that passes. */
const char *scratch_path(const char *name);
struct bytes {
    uint8_t *at;
    size_t count;
};
struct bytes file_read(const char *path);
void file_write(const char *path, const void *bytes, size_t count);
bool file_exists(const char *path);
void file_remove(const char *path); /* it need not exist */
void check_file(const char *path, struct bytes wanted, const char *what);
void bytes_free(struct bytes *bytes);

/* ---- a history and its model */

struct moment { /* a snapshot, or what became of a take */
    struct savepoint_id id;
    uint8_t *memory;
};
struct history {
    size_t count;
    struct moment moments[512];
    size_t memory_bytes;
};
void history_add(struct history *history, const struct savepoint_snapshot *snapshot, const uint8_t *memory);
void history_cut(struct history *history, size_t count);
void history_free(struct history *history);

struct world { /* one region, "heap" */
    const char *path, *backend;
    struct savepoint *session;
    uint8_t *memory;
    size_t pages;
    struct history history;
};
/* Makes the memory, zero-filled, and opens the session; `world` may be opened again after a close. */
void world_open(struct world *world, const char *path, const char *backend, size_t pages);
enum savepoint_status
world_try_open(struct world *world, const char *path, const char *backend, size_t pages, struct savepoint_error *error);
void world_close(struct world *world); /* must be OK; history and memory stay */
void world_free(struct world *world);
uint8_t *world_page(const struct world *world, size_t page);
/* Takes, waits, must be OK: the moment joins the history. */
struct savepoint_snapshot world_take(struct world *world, enum savepoint_durability durability);
enum savepoint_status world_start(struct world *world, enum savepoint_durability durability, uint64_t *ticket);
/* An autosave that keeps the last `keep_last`, as soon as the clock allows; returns its ticket. */
uint64_t world_autosave(struct world *world, uint32_t keep_last, enum savepoint_durability durability);
/* Resumes; memory must equal the newest moment. */
void world_resume(struct world *world);

/* ---- an archive against a history */

struct view {
    enum savepoint_status opened;
    struct savepoint_archive_info info; /* once opened */
    size_t snapshots;                   /* met on the walk from the newest to the oldest */
    size_t kept;                        /* of them, not dropped */
    bool walk_broken;                   /* it ended with an error */
    size_t unreadable;                  /* of them, some page gave an error */
    uint64_t findings;                  /* of verify */
    struct savepoint_error error;       /* the newest one */
};
/* Opens, walks, reads every byte of every snapshot and verifies. Fails the test when a snapshot is not one of the
 * history, when one is missing before the newest one met that no damage explains, or when bytes read with OK differ
 * from the model's. */
void view_archive(struct view *view, const char *path, const struct history *history, const char *what);
/* The same, and nothing may be wrong: at least `least` snapshots. */
void check_archive(const char *path, const struct history *history, size_t least, const char *what);

#endif
