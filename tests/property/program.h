/* program.h - one random program: a session, the model beside it, and everything both can do */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "check.h"
#include "bad_disk.h"
#include "model.h"

enum { PROGRAM_PAGES_MAX = 24, PROGRAM_MAPPED_PAGES = 16, PROGRAM_OWNED = 2 };

struct program_counts {
    uint64_t programs, steps, writes, takes, failed_takes, cancelled_takes, restores, refused_restores, branches,
        reopens, heads_set;
    uint64_t snapshots_read, bytes_read;
};

struct program {
    const char *backend;
    uint64_t seed, random;
    unsigned step;
    const char *action; /* of the step, for messages */
    char path[64];
    struct savepoint *session;
    struct model model;
    uint8_t *arenas[PROGRAM_OWNED]; /* PROGRAM_PAGES_MAX pages each */
    bool parent_has_child;          /* the next commit makes a branch */
    unsigned faults_seen;
    uint64_t given_up; /* the oldest ticket that was, with all behind it; 0: none in flight */
    struct program_counts *counts;
};

/* Fails with the seed and the step that reproduce it. */
_Noreturn void program_fail(const struct program *program, const char *where, const char *what);
#define PROGRAM_CHECK(program, condition) ((condition) ? (void)0 : program_fail((program), CHECK_WHERE_, #condition))
void program_status(const struct program *program, const char *where, enum savepoint_status got,
                    enum savepoint_status wanted, const struct savepoint_error *error);
#define PROGRAM_STATUS(program, call, wanted, error) program_status((program), CHECK_WHERE_, (call), (wanted), (error))

/* program.c: writing, taking, restoring */
uint64_t program_below(struct program *program, uint64_t limit);       /* random: 0 .. limit - 1 */
struct model_region *program_any_region(struct program *program);      /* NULL: there is none */
uint8_t *program_memory(const struct model_region *region);            /* where it lives */
void program_fill(struct program *program, uint8_t *to, size_t bytes); /* random bytes */
void program_step(struct program *program);
void program_settle(struct program *program); /* waits for every take in flight */
bool program_restore(struct program *program, const struct model_snapshot *snapshot, bool skip_missing);

/* program_session.c: regions, opening and closing */
void program_open(struct program *program, const char *backend, uint64_t seed, struct program_counts *counts);
void program_add_or_remove(struct program *program);
void program_grow(struct program *program);
void program_exclude_or_include(struct program *program);
void program_reopen_now(struct program *program);
void program_reopen(struct program *program, bool as_large_as_possible);
void program_close(struct program *program);

/* program_check.c */
void program_check_memory(const struct program *program);
void program_check_session(const struct program *program);
/* One snapshot in any archive: what goes with it wherever it goes. */
void program_check_snapshot(struct program *program, struct savepoint_archive *archive,
                            const struct savepoint_snapshot *snapshot, const struct model_snapshot *expected);
/* Every snapshot, through a reader of the file: the session must be closed. */
void program_check_archive(struct program *program);

#endif
