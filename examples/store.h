/* store.h - an index that lives in a mapped region, and its snapshots */
#ifndef STORE_H
#define STORE_H

#include <savepoint.h>

#include "arena.h"
#include "words.h"

struct store {
    struct savepoint *session;
    struct heap heap;
    struct words *words;  /* in the region, as everything it points to */
    uint64_t ticket;      /* of the newest take, 0 when it has been waited for */
    uint64_t ticket_file; /* how many files it captured */
};

/* All functions return 0 when done; else they have said why on the standard error. After a failure in the middle of
 * adding a file, the memory is not to be used any more; the last snapshot is whole. */

/* Opens the archive, maps the region as large as it was, and brings the index back as it was at the last snapshot; or
 * makes an empty one. With `must_exist` a missing archive is an error. store_close() in either case.
 * The store must stay where it is: its heap points to it. */
int store_open(struct store *store, const char *archive, int must_exist);
int store_close(struct store *store);

/* A snapshot of the index as it is. Waits for the one before, if that is still being written, but not for this one. */
int store_take(struct store *store, enum savepoint_durability durability);

/* Waits for the newest snapshot and reports it on the standard error. */
int store_wait(struct store *store);

#endif
