/* hot.c - pages written in almost every interval: which of them are cheaper unarmed */
#include "session/hot.h"

#include <string.h>

#include "format/memory.h"

enum {
    CLASS_BITS = 2,
    TAKE_MASK = 0x3fff, /* a mark that is 16384 takes old may count as new: it costs a comparison */
    SEEN_MIN = 8,       /* pages a take to have seen before a guess */
    FADE_SHIFT = 3      /* sums fade by an eighth a take */
};

bool svp_hot_open(struct svp_hot *hot, uint64_t pages)
{
    hot->pages = pages;
    hot->marks = svp_memory_zalloc((size_t)pages, sizeof *hot->marks);
    atomic_init(&hot->take, 2); /* so that no mark is of this take or of the one before */
    return svp_pageset_open(&hot->unarmed, pages) && svp_pageset_open(&hot->kept, pages) && hot->marks != NULL;
}

void svp_hot_close(struct svp_hot *hot)
{
    svp_memory_free((void *)hot->marks);
    hot->marks = NULL;
    svp_pageset_close(&hot->unarmed);
    svp_pageset_close(&hot->kept);
}

/* ---- the caller's side */

bool svp_hot_any(const struct svp_hot *hot)
{
    return atomic_load_explicit(&hot->worthwhile, memory_order_relaxed) != 0;
}

/* What is known of a page once so many takes have been evaluated. */
static enum svp_hot_class class_of(const struct svp_hot *hot, uint64_t page, unsigned take)
{
    unsigned mark = atomic_load_explicit(&hot->marks[page], memory_order_relaxed);
    enum svp_hot_class then = (enum svp_hot_class)(mark & ((1u << CLASS_BITS) - 1));
    unsigned age = (take - (mark >> CLASS_BITS)) & TAKE_MASK;
    return age == 0 ? then : age == 1 && then == SVP_HOT_OFTEN ? SVP_HOT_MISSED : SVP_HOT_COLD;
}

/* After one more change. */
static enum svp_hot_class warmer(enum svp_hot_class known)
{
    return known < SVP_HOT_OFTEN ? known + 1 : SVP_HOT_OFTEN;
}

/* A page that was armed has changed now, though that is not evaluated yet. */
bool svp_hot_has(const struct svp_hot *hot, uint64_t page, uint64_t page_count)
{
    unsigned take = atomic_load_explicit(&hot->take, memory_order_relaxed);
    unsigned worthwhile = atomic_load_explicit(&hot->worthwhile, memory_order_relaxed);
    bool kept = svp_pageset_has(&hot->kept, page);
    for (uint64_t i = page; i < page + page_count; i++) {
        enum svp_hot_class known = class_of(hot, i, take);
        if ((worthwhile >> (kept ? known : warmer(known)) & 1) != 0) {
            return true;
        }
    }
    return false;
}

void svp_hot_begin(struct svp_hot *hot)
{
    struct svp_pageset held = hot->kept;
    hot->kept = hot->unarmed;
    hot->unarmed = held;
    svp_pageset_clear(&hot->unarmed);
}

/* ---- the worker's side */

void svp_hot_note(struct svp_hot *hot, uint64_t page, bool changed)
{
    hot->touched = true;
    if (changed) {
        unsigned take = atomic_load_explicit(&hot->take, memory_order_relaxed);
        enum svp_hot_class known = class_of(hot, page, take);
        enum svp_hot_class now = warmer(known);
        unsigned mark = ((take + 1) & TAKE_MASK) << CLASS_BITS | now;
        hot->again[known]++;
        hot->now[now]++;
        atomic_store_explicit(&hot->marks[page], (uint16_t)mark, memory_order_relaxed);
    }
}

/* Leaving the pages of a class unarmed saves a fault for each that changes again. It costs, for each that does not, two
 * looks in vain, since the first is not evaluated yet when the next take collects, and a call to arm it. */
static bool pays(const struct svp_hot *hot, enum svp_hot_class known)
{
    uint64_t vain = hot->seen_sum[known] - hot->again_sum[known];
    return hot->seen_sum[known] >= SEEN_MIN << FADE_SHIFT &&
           hot->again_sum[known] * hot->costs.fault > vain * (2 * hot->costs.page + hot->costs.call);
}

static void choose(struct svp_hot *hot)
{
    unsigned worthwhile = 0;
    for (unsigned known = SVP_HOT_ONCE; known < SVP_HOT_CLASSES; known++) {
        worthwhile |= pays(hot, (enum svp_hot_class)known) ? 1u << known : 0;
    }
    atomic_store_explicit(&hot->fault_ns, hot->costs.fault, memory_order_relaxed);
    atomic_store_explicit(&hot->call_ns, hot->costs.call, memory_order_relaxed);
    atomic_store_explicit(&hot->worthwhile, worthwhile, memory_order_relaxed);
}

void svp_hot_settle(struct svp_hot *hot, const struct svp_watch_backend *backend)
{
    if (!hot->touched) {
        return; /* nothing was captured: pages that were hot are so still */
    }
    bool repeated = false;
    for (unsigned known = SVP_HOT_ONCE; known < SVP_HOT_CLASSES; known++) {
        hot->seen_sum[known] += hot->before[known] - (hot->seen_sum[known] >> FADE_SHIFT);
        hot->again_sum[known] += hot->again[known] - (hot->again_sum[known] >> FADE_SHIFT);
        repeated = repeated || hot->again_sum[known] * 2 > hot->seen_sum[known];
    }
    if (repeated && hot->costs.fault == 0 && !svp_hot_measure(&hot->costs, backend)) {
        hot->costs = (struct svp_hot_costs){ .fault = 1, .call = UINT32_MAX, .page = UINT32_MAX }; /* never worth it */
    }
    if (hot->costs.fault != 0) {
        choose(hot);
    }
    hot->now[SVP_HOT_MISSED] = hot->before[SVP_HOT_OFTEN] - hot->again[SVP_HOT_OFTEN];
    memcpy(hot->before, hot->now, sizeof hot->before);
    memset(hot->now, 0, sizeof hot->now);
    memset(hot->again, 0, sizeof hot->again);
    hot->touched = false;
    atomic_fetch_add_explicit(&hot->take, 1, memory_order_relaxed);
}
