/* mach.h - a range under the mach write-watch, and the ways of watching one
 *
 * Both ways share one frame (mach.c): what the kernel tells joins `written` and stays there until it has been
 * reported, so that a collect which stops early leaves all other pages as they were, whatever unit was re-armed. */
#ifndef SVP_MACH_H
#define SVP_MACH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pageset.h"
#include "watch.h"

struct svp_mach_piece; /* of an epoch: mach_epoch.c */
struct svp_mach_epoch {
    size_t count, capacity;
    struct svp_mach_piece *pieces; /* ascending, apart */
};

struct svp_mach_range {
    struct svp_mach_range *next;            /* of the same watch */
    struct svp_mach_range *next_of_process; /* of all watches */
    uintptr_t start, end;
    size_t page_bytes;
    pthread_mutex_t lock;       /* guards the rest: collects and marks may meet */
    bool widened;               /* pages that were not written had to be reported */
    struct svp_pageset written; /* found written, and not yet reported */
    struct svp_mach_epoch epoch;
};

static inline void svp_mach_found(struct svp_mach_range *range, uintptr_t from, uintptr_t to)
{
    svp_pageset_add(&range->written, (from - range->start) / range->page_bytes, (to - from) / range->page_bytes);
}

struct svp_mach_strategy {
    const char *name;  /* "by epochs": messages */
    bool atomic_rearm; /* see struct svp_watch_caps */

    /* From now on writes are seen. On failure the range is as before. */
    enum savepoint_status (*arm)(struct svp_mach_range *range, struct savepoint_error *error);

    /* What was written to [from, to) since it was last armed joins range->written. True when there was any, or when
     * re-arming is due for another reason; with `any`, the first reason is enough. */
    bool (*look)(struct svp_mach_range *range, uintptr_t from, uintptr_t to, bool any);

    /* As look, and what it found is armed again, in [from, to) at least. On failure nothing is forgotten. */
    enum savepoint_status (*rearm)(struct svp_mach_range *range, uintptr_t from, uintptr_t to,
                                   struct savepoint_error *error);

    /* Ends it; memory is ordinary again. */
    void (*disarm)(struct svp_mach_range *range);
};

extern const struct svp_mach_strategy svp_mach_epochs;
extern const struct svp_mach_strategy svp_mach_pages;

/* Each strategy as a backend of its own, for probes and tests; svp_mach_backend takes the first that works. */
extern const struct svp_watch_backend svp_mach_epochs_backend;
extern const struct svp_watch_backend svp_mach_pages_backend;

#endif
