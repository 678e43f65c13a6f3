/* promote_world.h - a session with a ring over some regions, its states as plain copies, and archives against them */
#ifndef PROMOTE_WORLD_H
#define PROMOTE_WORLD_H

#include "../crash/crash_fixture.h"

enum { FRAMES_MAX = 64, REGION_PAGES = 40 };

struct frame { /* a snapshot and what it must bring back */
    struct savepoint_snapshot snapshot;
    uint8_t memory[REGION_PAGES * PAGE_BYTES];
};

struct stage {        /* one region, "r" */
    const char *path; /* NULL: a ring alone */
    struct savepoint *session;
    uint8_t *memory;
    uint64_t random;
    size_t frame_count;
    struct frame frames[FRAMES_MAX];
};

/* Opens a session over fresh memory, all random; the file at `path` is removed first. */
void stage_open(struct stage *stage, const char *path, uint64_t ring_bytes);
void stage_close(struct stage *stage);
/* Writes to some pages, by chance. */
void stage_write(struct stage *stage);
/* Takes, waits, must be OK: the newest of the frames. */
struct frame *stage_take(struct stage *stage, uint32_t history);
/* The same for a snapshot that came about otherwise. */
struct frame *stage_note(struct stage *stage, const struct savepoint_snapshot *snapshot, const uint8_t *memory);
/* Restores to it; memory must be as it was. */
void stage_check_restore(struct stage *stage, const struct frame *frame);

/* In the archive at `path` the snapshot of this id is made from `origin` and reads as it byte for byte. */
void check_promoted(const char *path, const struct savepoint_id *id, const struct frame *origin);
/* So many snapshots in all, none damaged; HEAD is `head`. */
void check_whole(const char *path, size_t snapshots, const struct savepoint_id *head);

bool same_id(const struct savepoint_id *left, const struct savepoint_id *right);

#endif
