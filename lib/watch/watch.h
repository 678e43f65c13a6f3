/* watch.h - the write-watch contract: which pages were written since they were last armed
 *
 * Preconditions of every function, stated once: pointers are not NULL; ranges are aligned to the host page,
 * not empty, do not wrap, and (but for `add`) lie inside one added range; one thread at a time calls into one
 * watch, while any number of threads write to the memory. Where caps.concurrent_collects, collect, mark and prepare
 * may run on several threads at once. In a forked child a watch that arms memory refuses all (FORKED) but remove and
 * close, which leave the parent's watch alone.
 *
 * Laws (tests/contract runs them over every backend):
 *  1. A write is reported by this collect or by the next: never by neither.
 *  2. Only reported pages are re-armed. A partial collect (limits, sub-range) leaves all others as they were.
 *  3. Over-reporting is allowed, under-reporting never. Any error means "all not yet reported is dirty".
 *  4. After remove or close the memory behaves as before add. A failed add leaves nothing armed.
 *  5. Several watches coexist in one process, also with the application's own signal handlers.
 *  6. Kernel writes into watched memory are counted where caps say so; else `prepare` makes a range writable
 *     and dirty first. What no backend can see is served by `mark`.
 *  7. fork, madvise, munmap, mremap, mprotect by the application: stated per backend in docs/PLATFORMS.md.
 *
 * Differences between systems travel as data (svp_watch_caps), never as #if above this floor. */
#ifndef SVP_WATCH_H
#define SVP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"
#include "savepoint/watch.h"

enum svp_watch_mode {
    SVP_WATCH_REARM, /* report and re-arm exactly the reported pages, in one step */
    SVP_WATCH_PEEK   /* report only */
};

struct svp_watch_run { /* neighbouring written pages */
    uintptr_t start;
    size_t bytes;
};

struct svp_watch_caps {
    size_t page_bytes;            /* unit of tracking: the host page */
    bool kernel_writes_counted;   /* read(2) and friends into armed memory work and are reported */
    bool atomic_rearm;            /* get and re-arm are one step per page */
    bool concurrent_writers_safe; /* collect may run while threads write */
    bool concurrent_collects;     /* collects, marks and prepares may run at once; false: one at a time */
    bool arms_memory;             /* false: nothing is armed, every page is always reported (compare) */
    bool exclusive;               /* a range can have only one such watch in the process */
    enum savepoint_watch_cost cost;
};

struct svp_watch; /* one instance of one backend */
struct svp_watch_backend {
    const char *name;      /* "uffd": option, environment variable, messages */
    const char *mechanism; /* one line for people */

    /* Tries the mechanism on a real page, both ways (clean stays clean, a write is seen), and leaves no trace.
     * OK and caps; NO_BACKEND with a message that says why and what to do; NO_MEMORY. */
    enum savepoint_status (*probe)(struct svp_watch_caps *caps, struct savepoint_error *error);

    enum savepoint_status (*open)(struct svp_watch **watch, struct savepoint_error *error);

    /* Starts to watch a range; it is armed (clean) when this returns: writes from now on are reported.
     * Neighbouring ranges may be added separately and stay separate. OVERLAP, where caps.exclusive, when another
     * watch of this process (or a foreign user of the mechanism) holds a part of it; BAD_MEMORY when a part is not
     * mapped readable and writable, or is of a kind that cannot be watched. On failure nothing is armed. */
    enum savepoint_status (*add)(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error);

    /* Ends the watch of a range that was added as such; memory is writable again. Threads may be writing to it. */
    void (*remove)(struct svp_watch *watch, uintptr_t start, size_t bytes);

    /* Reports written pages of [start, start + bytes) into runs[0 .. *run_count), ascending, and in mode REARM
     * re-arms exactly those. Stops early when run_capacity runs or max_pages host pages (0: no limit) are
     * reached. *resume is the first address not looked at: start + bytes when complete. run_capacity >= 1.
     * A write that was complete when this is called is reported by this call, if it gets that far.
     * On failure the outputs are as before, and all of this call's range counts as written: pages may have been
     * re-armed unreported. What earlier calls reported stands. */
    enum savepoint_status (*collect)(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode,
                                     size_t max_pages, struct svp_watch_run *runs, size_t run_capacity,
                                     size_t *run_count, uintptr_t *resume, struct savepoint_error *error);

    /* The range will be reported by the next collect, whatever happens to it. */
    enum savepoint_status (*mark)(struct svp_watch *watch, uintptr_t start, size_t bytes,
                                  struct savepoint_error *error);

    /* Until the next REARM of it the range can be written by system calls, and will be reported. */
    enum savepoint_status (*prepare)(struct svp_watch *watch, uintptr_t start, size_t bytes,
                                     struct savepoint_error *error);

    /* True once the backend has had to report wider runs than were written (mapping limit). */
    bool (*widened)(const struct svp_watch *watch);

    /* Removes every range. NULL is allowed. */
    void (*close)(struct svp_watch *watch);
};

/* ---- the switchboard (watch.c): the one file that asks which OS this is */

/* Backend `index` in order of preference on this system, NULL past the last. */
const struct svp_watch_backend *svp_watch_backend_at(size_t index);

/* By name, NULL where this system has none of that name. */
const struct svp_watch_backend *svp_watch_backend_find(const char *name);

struct svp_watch_choice {
    const struct svp_watch_backend *backend;
    struct svp_watch_caps caps; /* what its probe found */
    bool fallback;              /* the primary of the system is missing */
};

/* The backend for a region of `bytes`: `forced` (NULL or empty: not forced) must work or NO_BACKEND is
 * returned; else the primary of the system if its probe succeeds; else `compare` for at most
 * compare_max_bytes; else `signal`. NO_MEMORY for a probe is an error, no reason to take another. Probes are made anew
 * on each call (the caller keeps the answer). */
enum savepoint_status svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                       size_t compare_max_bytes, struct savepoint_error *error);

#endif
