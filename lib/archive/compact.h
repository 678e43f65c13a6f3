/* compact.h - the kept snapshots in a new file, for who holds the writer lock of the old one */
#ifndef SVP_COMPACT_H
#define SVP_COMPACT_H

#include "archive/append.h"
#include "savepoint.h"

struct svp_compact {
    struct savepoint_compact_options options;
    const struct svp_append *old; /* holds the lock, and is not written to meanwhile; NULL: only measure */
    const char *path;             /* of `old`, resolved */
    uint64_t standing;            /* COMMIT that is kept whatever the options say; 0: none */
    struct svp_append new;        /* while it is written; and from `ready` on */

    /* The new file is whole, and open for writing as `new`; `standing` is where the COMMIT is in it. Any failure that
     * is returned leaves the old one in its place. May be NULL: then the new file is closed. */
    enum savepoint_status (*ready)(void *user, uint64_t standing, struct savepoint_error *error);
    void *user;

    struct savepoint_compact_result result;
};

/* With a `ready` and result.replaced, `new` is the caller's, also where the status is UNCERTAIN: it has the name, but a
 * power cut may bring the old file back. Else nothing has changed. */
enum savepoint_status svp_compact(struct svp_compact *call, struct savepoint_error *error);

/* The options given, checked. */
enum savepoint_status svp_compact_options(struct savepoint_compact_options *chosen,
                                          const struct savepoint_compact_options *given, struct savepoint_error *error);

#endif
