/* restore_history.h - the archives that bench_restore brings back, and what is known of them */
#ifndef RESTORE_HISTORY_H
#define RESTORE_HISTORY_H

#include "harness.h"
#include "workload.h"

struct restore_history {
    char path[BENCH_PATH_BYTES];
    size_t bytes; /* of the state */
    enum savepoint_profile profile;
    unsigned threads;
    struct workload workload;
    struct savepoint *session; /* while it is open */
    uint8_t *memory;
    struct savepoint_id oldest, newest;
    uint64_t oldest_content, newest_content; /* what the state hashes to then */
    uint64_t *differing;                     /* numbers of the pages that differ between the two */
    uint64_t differing_pages;
};

/* Makes the first, full snapshot in a new archive, of a state in which `changed_pages` pages change from one snapshot
 * to the next, and leaves the session open. Path, profile and threads are set. */
void restore_history_begin(struct restore_history *history, size_t bytes, uint64_t changed_pages);
/* The same, but the state is that at the end of another history, as large, which is not open. */
void restore_history_begin_as(struct restore_history *history, struct restore_history *other);
/* Takes so many more. */
void restore_history_go_on(struct restore_history *history, unsigned snapshots);
void restore_history_free(struct restore_history *history);

/* Opens the archive, maps the state and resumes. */
void restore_history_open(struct restore_history *history);
void restore_history_close(struct restore_history *history);
void restore_history_restore(struct restore_history *history, const struct savepoint_id *id);

/* Ends the program unless the memory hashes to `content`. */
void restore_history_check(const struct restore_history *history, uint64_t content);

#endif
