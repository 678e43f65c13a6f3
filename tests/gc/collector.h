/* collector.h - a small concurrent mark-sweep collector that leans on the write-watch as .NET's does
 *
 * A heap of cells, a part of it for each mutator. A cycle: stop, reset the watch, take the roots; go on, and mark what
 * they reach while the mutators run; ask which pages were written meanwhile, through a buffer of 100 addresses, and
 * look again at the marked objects there; stop, and do the same with the roots and the last pages. What is not marked
 * then is free. Objects made while marking are marked from the start.
 *
 * A pointer that a mutator moves from an object not yet seen into one that has been seen is found by the page of the
 * second alone: a write that the watch loses frees a live object. GC_IGNORING shows it. */
#ifndef COLLECTOR_H
#define COLLECTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct savepoint_write_watch;

enum { GC_WORD_CELLS = 64, GC_LINKS = 4, GC_ROOTS = 64, GC_MUTATORS_MAX = 16, GC_PAUSES_MAX = 8192 };

enum gc_mode {
    GC_CONCURRENT, /* as above */
    GC_STOPPED,    /* all marking in one stop, without a watch */
    GC_IGNORING    /* concurrent, but the pages written are not asked for: wrong */
};

struct gc_object { /* a cell of 128 bytes */
    _Atomic(struct gc_object *) links[GC_LINKS];
    uint64_t expected[GC_LINKS]; /* ids of what the links lead to */
    uint64_t id, check;          /* check: a hash of the id */
    uint64_t payload[6];
};

struct gc;

struct gc_thread { /* a mutator; its own but when it is stopped */
    struct gc *gc;
    pthread_t thread;
    unsigned number;
    struct gc_object *roots[GC_ROOTS];
    size_t first, end, cursor; /* its cells, and where it looks for a free one next */
    uint64_t cycle;            /* that the cursor belongs to */
    uint64_t made;             /* objects so far */
    uint64_t made_before;      /* at the beginning of this cycle */
    uint64_t random;
    uint64_t steps; /* to do */
};

struct gc {
    enum gc_mode mode;
    bool audit; /* each cycle: everything reachable must be marked, by a second, independent marking; and no haste */
    struct gc_object *cells;
    size_t count;
    _Atomic uint64_t *marks; /* a bit for each cell; so is live */
    uint64_t *live;
    uint64_t *audited;
    struct gc_object **stack;
    size_t depth;
    struct savepoint_write_watch *watch;
    size_t page_bytes;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    atomic_bool stopping, marking;
    atomic_uint_fast64_t cycle; /* cycles done */
    unsigned running, parked;
    bool wanted; /* a cycle */
    struct gc_thread threads[GC_MUTATORS_MAX];
    unsigned thread_count;

    double pauses_ms[GC_PAUSES_MAX];
    size_t pause_count;
    uint64_t pages_revisited;
    uint64_t unmarked;            /* reachable objects that a cycle would have freed; without audit 0 */
    atomic_uint_fast64_t damaged; /* objects that a mutator met and that were not what they should be */
};

/* `backend` of the watch; NULL: the best. False: `why` says why. */
bool gc_open(struct gc *gc, enum gc_mode mode, const char *backend, size_t heap_bytes, unsigned mutators,
             const char **why);
void gc_close(struct gc *gc);

/* Collects whenever a mutator wants it, until all have left. On a thread of its own. */
void gc_serve(struct gc *gc);

/* ---- for mutators */

/* Stops here when the collector asks for it. Only what the roots reach is kept. */
void gc_poll(struct gc_thread *thread);
/* A new object; waits for a cycle when there is no room. NULL: there is none after it either. */
struct gc_object *gc_make(struct gc_thread *thread);
void gc_leave(struct gc_thread *thread);

uint64_t gc_check_of(uint64_t id);

/* For allocate.c: a cycle soon; and to stop here until one has ended. */
void gc_want_cycle(struct gc *gc);
void gc_wait_for_cycle(struct gc *gc);

#endif
