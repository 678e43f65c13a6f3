/* workload.h - states and changes that every benchmark runs on: the same bytes on every machine
 *
 * A state is made of stripes of 256 pages (1 MiB), in turn of four classes:
 *     zero      nothing but zeros
 *     text      records as JSON, 170 bytes or so with 128 bits drawn at random: 0.8 bits of entropy per byte
 *     doubles   64-bit floats as a measured series has them, 40 bits of noise in each: 5 bits of entropy per byte
 *     random    8 bits of entropy per byte
 * An interval changes distinct pages, drawn at random from all of the state: either 64 bytes of each, to random ones
 * at a random multiple of 8, or all of it, to other bytes of its class (a page of zeros is written and stays zero), or
 * to those of another page. Every byte follows from the seed, the number of the page and the number of the interval, by
 * integers alone. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKLOAD_PAGE_BYTES = 4096, WORKLOAD_STRIPE_PAGES = 256, WORKLOAD_CHANGE_BYTES = 64 };

enum workload_class { WORKLOAD_ZERO, WORKLOAD_TEXT, WORKLOAD_DOUBLES, WORKLOAD_RANDOM, WORKLOAD_CLASS_COUNT };

enum workload_change {
    WORKLOAD_CHANGE_64_BYTES,
    WORKLOAD_CHANGE_PAGE,
    WORKLOAD_CHANGE_COPY /* it becomes a copy of another page, drawn from all: not in parts */
};

struct workload_shape {
    uint64_t seed;
    uint64_t pages;         /* of the state */
    uint64_t changed_pages; /* in an interval */
    /* Of the changed pages, how many were changed in the interval before as well. 0: each interval draws anew,
     * whatever the one before drew. */
    uint64_t repeated_pages;
    enum workload_change change;
};

struct workload {
    struct workload_shape shape;
    uint32_t interval; /* 0: the initial state */
    uint64_t *changed; /* changed_pages of them, in random order: what this interval changes */
    /* own */
    uint64_t random;
    uint32_t *last_changed; /* by page: the interval that changed it last, 0 for none */
};

/* A sequence of random numbers (splitmix64). */
uint64_t workload_random(uint64_t *state);

enum workload_class workload_class_of(uint64_t page);
const char *workload_class_name(enum workload_class kind);

/* Writes a page as it is after an interval that rewrote all of it; interval 0: the initial state. */
void workload_page(void *bytes, const struct workload_shape *shape, uint64_t page, uint32_t interval);

/* Writes the initial state of the pages [first, first + count) to `bytes`. */
void workload_fill(void *bytes, const struct workload_shape *shape, uint64_t first, uint64_t count);

/* False: no memory, or a shape that cannot be drawn. Stands at interval 0. */
bool workload_open(struct workload *workload, const struct workload_shape *shape);
void workload_close(struct workload *workload);

/* Goes on to the next interval: draws the pages that it changes. */
void workload_next(struct workload *workload);

/* Makes the changes of this interval in a state that has seen all those before. */
void workload_apply(const struct workload *workload, void *state);
/* The same of the pages of one part of several, which may be made at once by as many threads. */
void workload_apply_part(const struct workload *workload, void *state, unsigned part, unsigned parts);

#endif
