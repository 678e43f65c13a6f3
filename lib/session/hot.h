/* hot.h - pages written in almost every interval: left unarmed, and told by comparison when they were not
 *
 * A page that will be written again costs a fault if it is armed; one that is left unarmed is reported whether it was
 * written or not, and costs a copy and a comparison when it was not. Which is cheaper is learned: from the costs of the
 * backend, measured once, and from how often pages that changed in so many takes in a row changed in the next one too.
 *
 * Nothing but cost rests on it: what is captured is what the watch reports, armed or not (law 1).
 *
 * Threads: the worker tells what it found (note, settle); the caller reads it when it collects. What both touch is
 * atomic, and may be late. */
#ifndef SVP_HOT_H
#define SVP_HOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pageset.h"
#include "watch/watch.h"

/* What is known of a page: in how many takes in a row it changed, up to the last one that was evaluated. */
enum svp_hot_class {
    SVP_HOT_COLD,
    SVP_HOT_ONCE,
    SVP_HOT_TWICE,
    SVP_HOT_OFTEN,  /* three times or more */
    SVP_HOT_MISSED, /* often, but not in the last one */
    SVP_HOT_CLASSES
};

struct svp_hot_costs { /* nanoseconds; all 0: not measured yet */
    uint64_t fault;    /* the first store to an armed page */
    uint64_t call;     /* re-arming a part by itself */
    uint64_t page;     /* copying and comparing a page in vain */
};

struct svp_hot {
    uint64_t pages;
    _Atomic uint16_t *marks;   /* by page: take of the last change (modulo), and its class there */
    atomic_uint take;          /* takes that have been evaluated */
    atomic_uint worthwhile;    /* bit by class: its pages are better left unarmed */
    _Atomic uint64_t fault_ns; /* as measured, for the choice of each scan */
    _Atomic uint64_t call_ns;

    /* caller */
    struct svp_pageset unarmed; /* left so by the last collect */
    uint32_t rest, backoff;     /* takes until parts are looked for again; and the next time that they do not pay */
    uint64_t call_seen_ns;      /* what a call has cost in the takes themselves, where caches are not warm */
    struct svp_pageset kept;    /* by the one before: reported by the last without a fault */

    /* worker */
    struct svp_hot_costs costs;
    uint32_t now[SVP_HOT_CLASSES];                                  /* pages that came into the class in this take */
    uint32_t before[SVP_HOT_CLASSES];                               /* in the take before ... */
    uint32_t again[SVP_HOT_CLASSES];                                /* ... and how many of them changed in this one */
    uint64_t seen_sum[SVP_HOT_CLASSES], again_sum[SVP_HOT_CLASSES]; /* the same, fading */
    bool touched;                                                   /* a page was noted in this take */
};

bool svp_hot_open(struct svp_hot *hot, uint64_t pages); /* false: no memory, nothing kept */
void svp_hot_close(struct svp_hot *hot);

/* Caller: some pages are worth leaving unarmed. */
bool svp_hot_any(const struct svp_hot *hot);
/* Caller: the host page that begins at `page`, of page_count pages, was reported and is worth leaving unarmed. */
bool svp_hot_has(const struct svp_hot *hot, uint64_t page, uint64_t page_count);
/* Caller: a collect begins; what was unarmed is kept, and nothing is unarmed. */
void svp_hot_begin(struct svp_hot *hot);

/* Worker: a captured page was compared. */
void svp_hot_note(struct svp_hot *hot, uint64_t page, bool changed);
/* Worker: a take was evaluated. Measures the backend's costs when they are first needed. */
void svp_hot_settle(struct svp_hot *hot, const struct svp_watch_backend *backend);

/* Measures on a few pages of its own; false: could not. */
bool svp_hot_measure(struct svp_hot_costs *costs, const struct svp_watch_backend *backend);

#endif
