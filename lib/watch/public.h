/* public.h - a write-watch as its users hold it: a backend, the ranges added to it, and who may call at once
 *
 * Invariant: `ranges` ascend, lie apart, and are those that the backend watches. They change only while one thread is
 * alone behind the gate. */
#ifndef SVP_PUBLIC_H
#define SVP_PUBLIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate.h"
#include "savepoint/watch.h"
#include "watch.h"

struct svp_public_range {
    uintptr_t start;
    size_t bytes;
    bool allocated; /* by savepoint_write_watch_alloc */
};

struct savepoint_write_watch {
    const struct svp_watch_backend *backend;
    struct svp_watch *watch;
    struct svp_watch_caps caps;
    bool fallback;
    uint64_t process; /* that opened it */
    struct svp_gate gate;
    struct svp_public_range *ranges;
    size_t range_count, range_capacity;
};

/* What every call begins with: INVALID for NULL, FORKED in a child, INVALID where [start, start + bytes) is not made
 * of whole pages, or is empty, or wraps. */
enum savepoint_status
svp_public_check(const struct savepoint_write_watch *watch, const char *operation, struct savepoint_error *error);
enum savepoint_status svp_public_check_part(const struct savepoint_write_watch *watch, uintptr_t start, size_t bytes,
                                            const char *operation, struct savepoint_error *error);

/* Behind the gate: the range that holds all of a part, NULL for none. */
struct svp_public_range *svp_public_find(const struct savepoint_write_watch *watch, uintptr_t start, size_t bytes);

/* As savepoint_watch_add; `allocated` is kept with the range. */
enum savepoint_status svp_public_add(struct savepoint_write_watch *watch, uintptr_t start, size_t bytes, bool allocated,
                                     struct savepoint_error *error);

/* Ends the watch of the allocated range that begins at `start`, and tells its size; else INVALID, or FORKED. */
enum savepoint_status svp_public_remove_allocated(struct savepoint_write_watch *watch, uintptr_t start, size_t *bytes);

#endif
