/* watch_loop.h - the loops that measure a write-watch: one source for every subject, on Linux and on Windows
 *
 * A subject is a table of functions over one piece of memory. What is measured is the same for all:
 *   row    threads add 1 to the counter at the head of a page, at random or in order; meanwhile one thread waits, asks
 *          which pages were written, and resets them. At the end every store must be in memory, and must have been
 *          reported.
 *   first  one thread, nobody beside it: arm, write each page once in random order, query; query again, nothing
 *          written since; write all and reset without a query.
 *   query  write a part of the pages, drawn at random, and query.
 * A query fills an array with the addresses of the pages, and resets just those; or, apart, all is reset after it. */
#ifndef WATCH_LOOP_H
#define WATCH_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_page {
    _Atomic uint32_t version; /* stores so far */
    uint8_t rest[4092];
};

struct watch_subject {
    const char *name;
    /* Nothing of it counts as written when this returns. False: cannot, and *why says why. */
    bool (*arm)(struct watch_page *pages, size_t count, const char **why);
    void (*disarm)(void);
    /* The pages written, to addresses[0 .. result), which has room for all; SIZE_MAX: failed. */
    size_t (*query)(bool reset, void **addresses);
    void (*reset)(void);
};

struct watch_stage { /* where subjects are measured, in turn */
    struct watch_page *pages;
    size_t count;
    void **addresses; /* room for all pages */
    uint32_t *order;  /* all pages, in random order */
    uint32_t *seen;   /* the version of each page when it was last looked at */
};

/* The memory is resident, and the caller's. False: no memory for the rest. */
bool watch_stage_open(struct watch_stage *stage, struct watch_page *pages, size_t count);
void watch_stage_close(struct watch_stage *stage);

enum watch_kind { WATCH_ROW, WATCH_FIRST, WATCH_QUERY };

struct watch_job {
    int kind;         /* enum watch_kind */
    int pages;        /* of the stage */
    int amount;       /* row: milliseconds; first and query: rounds, of which the mean is taken */
    int threads;      /* row, as all below but the last */
    int delay_ms;     /* between queries */
    int random;       /* 1: pages at random; 0: in order */
    int reset_inside; /* 1: the query resets; 0: apart */
    int dirty_pages;  /* query: pages written before it */
};
enum { WATCH_JOB_NUMBERS = sizeof(struct watch_job) / sizeof(int) };

enum watch_row_figure {                 /* of WATCH_ROW */
                        WATCH_WRITE_NS, /* mean over all stores, those that fault and those that do not */
                        WATCH_QUERY_US, /* query and reset */
                        WATCH_STORES_PER_S,
                        WATCH_FAULTS_PER_S,  /* pages reported: each was the first store to an armed page */
                        WATCH_DIRTY_PAGE_NS, /* query and reset, by pages reported */
                        WATCH_LOST,          /* stores that are not in memory, or were never reported */
                        WATCH_FIGURES
};
enum watch_first_figure { /* of WATCH_FIRST */
                          WATCH_FIRST_WRITE_NS,
                          WATCH_ALL_DIRTY_US,
                          WATCH_NONE_DIRTY_US,
                          WATCH_RESET_US
};
/* WATCH_QUERY has one figure: microseconds. */

/* False: cannot be measured, and *why says why. */
bool watch_run(const struct watch_subject *subject, struct watch_stage *stage, const struct watch_job *job,
               double figures[WATCH_FIGURES], const char **why);

#endif
