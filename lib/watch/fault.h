/* fault.h - the process-wide SIGSEGV handler of the signal write-watch, and the ranges it serves
 *
 * Invariant: a page of a published range that can be written is marked written, or a handler in flight is about
 * to mark it, or a collect that has just cleared it is reporting it. */
#ifndef SVP_FAULT_H
#define SVP_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

/* A range under watch. Owned by its watch; fields but the atomics stay as they were when published. */
struct svp_fault_range {
    struct svp_fault_range *next; /* of the same watch; the handler does not look at it */
    uintptr_t start;
    size_t bytes, page_bytes;
    bool trial;             /* a probe's own memory: no other thread can be writing to it */
    int protection;         /* what the application had: restored page by page */
    atomic_bool widened;    /* set by the handler when more than the written page had to be opened */
    atomic_ulong written[]; /* a bit per page; set by the handler and by mark, cleared only by collect */
};

enum { SVP_FAULT_WORD_PAGES = 8 * sizeof(unsigned long) };

/* Whether the handler, run on this thread, would write to a part of this range. */
bool svp_fault_writes_to(uintptr_t start, size_t bytes);

/* NULL without memory. Released once withdrawn. */
void svp_fault_range_free(struct svp_fault_range *range);
struct svp_fault_range *svp_fault_range_new(uintptr_t start, size_t bytes, size_t page_bytes, int protection);

/* OVERLAP when a published range holds a part of this one. */
enum savepoint_status svp_fault_check_free(uintptr_t start, size_t bytes, struct savepoint_error *error);

/* Whether a published range holds a part of this one. */
bool svp_fault_holds(uintptr_t start, size_t bytes);

/* From now on write faults in the range are served. The first one installs the handler.
 * OVERLAP when a published range holds a part of it; NO_MEMORY; IO. */
enum savepoint_status svp_fault_publish(struct svp_fault_range *range, struct savepoint_error *error);

/* No handler looks at the range any more when this returns; its memory must be writable again before. The handler
 * stays for the life of the process, unless only trials have used it: a thread may have met the old protection and
 * be still on its way into the handler, and would get the application's instead. False without memory,
 * which only a forked child can need: then it stays published. */
bool svp_fault_withdraw(struct svp_fault_range *range);

/* Waits for the handlers that are running now, not for those that start later. */
void svp_fault_settle(void);

/* Between these two, faults that have not been served yet wait for a moment: for a collect that changes protections. */
void svp_fault_hold(void);
void svp_fault_release(void);

/* The bits of pages [page, end) in the word of `page`; *next is the first page beyond them. */
static inline unsigned long svp_fault_word_mask(size_t page, size_t end, size_t *next)
{
    size_t bit = page % SVP_FAULT_WORD_PAGES;
    size_t count = SVP_FAULT_WORD_PAGES - bit;
    if (count > end - page) {
        count = end - page;
    }
    *next = page + count;
    return (~0UL >> (SVP_FAULT_WORD_PAGES - count)) << bit;
}

static inline void svp_fault_mark(struct svp_fault_range *range, size_t first, size_t end)
{
    for (size_t page = first, next; page < end; page = next) {
        unsigned long mask = svp_fault_word_mask(page, end, &next);
        atomic_fetch_or(&range->written[page / SVP_FAULT_WORD_PAGES], mask);
    }
}

static inline void svp_fault_clear(struct svp_fault_range *range, size_t first, size_t end)
{
    for (size_t page = first, next; page < end; page = next) {
        unsigned long mask = svp_fault_word_mask(page, end, &next);
        atomic_fetch_and(&range->written[page / SVP_FAULT_WORD_PAGES], ~mask);
    }
}

#endif
