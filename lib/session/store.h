/* store.h - pages copied while the program runs: one place for each, which a later round overwrites
 *
 * Two threads use a store, one after the other: the worker that copies (live.h), until it has left it; then the
 * encoder, which takes the pages from it. In between the caller ends the capture: it finds out which of the pages that
 * were being copied have got there, and asks the worker to leave. */
#ifndef SVP_STORE_H
#define SVP_STORE_H

#include <stdatomic.h>

#include "session/session.h"

struct svp_stored { /* what is copied of one region */
    struct svp_region *region;
    uint32_t *slots;            /* by page: 1 + the number of its copy; 0: there is none */
    struct svp_pageset written; /* as reported to the round */
    struct svp_pageset todo;    /* what the round copies */
};

struct svp_store {
    size_t part_count;
    struct svp_stored *parts;
    size_t slab_count;
    uint8_t **slabs;
    uint32_t used_slots;
    uint64_t budget_ns; /* of the pause, as the capture was asked for; and */
    enum savepoint_live_policy policy;
    struct svp_chunk *chunk;        /* encoder: pages on their way from here */
    atomic_bool leave;              /* the worker is to leave the store */
    atomic_uint_least64_t position; /* of the round's copying: all before it is copied; SVP_STORE_REST: none is going on
                                       (released by the worker, acquired by the caller) */
    bool at_work;                   /* shared: the worker has not left it yet */
};

#define SVP_STORE_REST UINT64_MAX
static inline uint64_t svp_store_position(size_t part, uint64_t page)
{
    return (uint64_t)part << 40 | page;
}

/* For all regions of the session, empty; NULL: no memory. */
struct svp_store *svp_store_open(const struct savepoint *session);
/* Once the worker has left it; NULL does nothing. */
void svp_store_close(struct savepoint *session, struct svp_store *store);

/* Worker: a place for each page to be copied. False: the budget or the memory does not suffice for all; the others are
 * to be copied no more. */
bool svp_store_place(struct savepoint *session, struct svp_store *store);
uint8_t *svp_store_page(const struct svp_store *store, const struct svp_stored *part, uint64_t page);

/* With the mutex held: the worker is to leave, and the copies that it has not finished are none. */
void svp_store_end(struct svp_store *store);
/* Waits until the worker has left. */
void svp_store_settle(struct savepoint *session, const struct svp_store *store);

#endif
