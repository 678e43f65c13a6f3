/* trial.h - a session on an archive in a temporary folder, over memory of its own: what doctor measures and proves
 * with, through the public interface alone */
#ifndef TOOL_TRIAL_H
#define TOOL_TRIAL_H

#include <stddef.h>

#include "savepoint.h"

struct trial {
    const char *backend; /* as in savepoint_options; NULL: what the library chooses */
    char *path;          /* of the archive */
    struct savepoint *session;
    unsigned char *memory; /* one region */
    size_t bytes;
    struct savepoint_error error; /* of the call that failed last */
};

/* Maps memory, all zero, and watches it. Every trial that was opened, also in vain, is to be closed. */
enum savepoint_status trial_open(struct trial *trial, const char *folder, const char *backend, size_t bytes);

/* Ends the session, gives the memory back and removes the archive. */
enum savepoint_status trial_close(struct trial *trial);

/* Takes a snapshot and waits until it is written (not synced). */
enum savepoint_status trial_take(struct trial *trial, struct savepoint_snapshot *snapshot);
enum savepoint_status trial_wait(struct trial *trial, struct savepoint_snapshot *snapshot, uint64_t ticket);

/* The same in two steps: the memory may be written once this has returned. */
enum savepoint_status trial_capture(struct trial *trial, uint64_t *ticket);

/* Reads the whole region as of a snapshot, with a reader opened for it. */
enum savepoint_status trial_read(struct trial *trial, unsigned char *to, const struct savepoint_snapshot *snapshot);

enum savepoint_status trial_restore(struct trial *trial, const struct savepoint_id *id);

/* Ends the session and resumes in another one, over memory at another address. */
enum savepoint_status trial_move(struct trial *trial);

#endif
