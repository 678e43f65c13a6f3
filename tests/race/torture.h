/* torture.h - what the torture of the write-watch shares with the part of it that knows the operating system
 *
 * The invariant that proves the watch: every byte of an arena belongs to one slot, which alone writes it. A store
 * raises the slot's version of each page it touches and fills its bytes with the low byte of that; when it is
 * done, it publishes version and place. So any copy of a page tells how old it is, byte by byte. */
#ifndef TORTURE_H
#define TORTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/watch.h"

enum {
    WRITERS = 3,
    SLOTS = 2 * WRITERS,  /* of writer w: slot w for its stores, WRITERS + w for those of its signal handlers */
    DISCARD_SLOT = SLOTS, /* of the disturber */
    ALL_SLOTS,
    ARENAS = 2,     /* each has a watch and a collector of its own */
    PAGES = 1024,   /* of an arena */
    DISCARDED = 16, /* the last ones of them, which the disturber alone writes and discards */
    WRITTEN = PAGES - DISCARDED,
    STORE_BYTES = 64, /* 1 to so many at a time */
    CHURNED = 16      /* pages at the default base, under watches that come and go */
};

/* The last store that a slot has finished in a page: version, offset, length. */
#define TORTURE_RECORD(version, offset, length)                                                                        \
    ((uint64_t)(version) << 32 | (uint64_t)(offset) << 8 | (uint64_t)(length))
enum { TORTURE_DISCARD = 255 }; /* as length: all of the page is zero, unless stored to later */

struct torture_arena {
    struct svp_watch *watch;
    unsigned char *memory, *copies;
    unsigned char *seen;                         /* one page, as it was read */
    uint32_t version[ALL_SLOTS][PAGES];          /* each row is its slot's own */
    _Atomic uint64_t finished[ALL_SLOTS][PAGES]; /* raised after the store */
    uint64_t before[ALL_SLOTS][PAGES];
    uint64_t collects, reported, judged, unjudged;
    _Atomic uint64_t changed; /* pages that were reported, re-armed, and had changed */
};

struct torture {
    const struct svp_watch_backend *backend;
    struct svp_watch_caps caps;
    size_t page_bytes;
    struct torture_arena arenas[ARENAS];
    pthread_t writers[WRITERS];
    atomic_bool stop;
    atomic_bool pause; /* for backends that cannot collect while threads write */
    atomic_uint parked;
    _Atomic uint64_t stores, disturbances, churns;
    uint64_t changed_wanted, stores_wanted;
};

/* One random store of a slot below SLOTS. Safe in a signal handler. */
void torture_store(struct torture *torture, unsigned slot, uint64_t random);

/* What is finished now; and after a collect of all of the arena: that is in the copies, or later stores are. */
void torture_remember(struct torture_arena *arena);
void torture_judge(const struct torture *torture, struct torture_arena *arena);

/* Opens a watch on the churned pages, sees a store reported, and closes it. */
void torture_churn(struct torture *torture, size_t turn);

void torture_require(enum savepoint_status status, const struct savepoint_error *error);
_Noreturn void torture_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the operating system's part: torture_linux.c, or torture_plain.c where there is none */

/* Changes no byte, or only those of the pages that are its own: advice, locking, forks, signals. Called again and
 * again by a thread of its own, while all others are at work. */
void torture_disturb(struct torture *torture, uint64_t random);
void torture_disturb_begin(struct torture *torture);

#endif
