/* bulk_chains.h - what one thread of a bulk decoding works on: a window of pages of one region */
#ifndef SVP_BULK_CHAINS_H
#define SVP_BULK_CHAINS_H

#include "archive/bulk.h"

enum { SVP_CHAINS_PAGES_MAX = 65536 }; /* of a window: what it takes in memory stays within bounds */
enum { SVP_CHAINS_EXPECT_LINES = 4 };  /* of a page that is about to be hashed */

struct svp_chains_descent { /* one page on its way down: the records of the versions it stands at */
    uint64_t wanted, held;
    uint64_t page;
    uint32_t beside; /* the next page that stands at the same record; 0: none */
    uint32_t bucket; /* of the first page of a record: the next such in its bucket; 0: none */
};

struct svp_chains_record { /* where some pages stand: the newer of what they want and hold */
    uint64_t offset;
    uint32_t first; /* of its descents */
};

struct svp_chains_step { /* one version of one page, to be applied */
    uint64_t record_offset;
    uint64_t page;
    uint32_t slot; /* in the record, as its tables said before they were checked */
};

struct svp_chains_reference { /* one page that is the same as another, at the start of its chain */
    uint64_t record_offset;   /* of the reference */
    uint64_t page;
    struct svp_reference to;
    struct svp_hash hash;
};

struct svp_chains {
    struct svp_source source; /* the archive, for this thread alone */
    struct svp_reader reader;
    const struct svp_bulk_part *part;
    uint32_t descent_count; /* the first one is not used */
    struct svp_chains_descent *descents;
    uint32_t *buckets; /* first descents of records, by offset */
    size_t heap_count;
    struct svp_chains_record *heap; /* newest on top */
    size_t step_count, step_capacity;
    struct svp_chains_step *steps; /* newest first */
    size_t reference_count, reference_capacity;
    struct svp_chains_reference *references;
    struct svp_cached_pages *tables, *batch;
    uint64_t done_pages; /* of all windows */
    struct savepoint_error error;
};

/* To be closed whatever is returned. */
enum savepoint_status svp_chains_open(struct svp_chains *chains, const struct svp_source *source);
void svp_chains_close(struct svp_chains *chains);

/* Adds a page of chains->part, not zeros, to the window. */
void svp_chains_add(struct svp_chains *chains, uint64_t page);
/* Called after each record; anything but OK ends the work with that status. */
typedef enum savepoint_status svp_chains_pause(void *user);
/* Brings the window's pages to their wanted versions, and empties it. */
enum savepoint_status svp_chains_run(struct svp_chains *chains, svp_chains_pause *pause, void *user);

/* References (bulk_references.c): noted by record; then all are looked up; then those that lead to the record that some
 * of them lead to are copied, until none are left. */
enum savepoint_status svp_chains_note_reference(struct svp_chains *chains, uint64_t record_offset, uint64_t page);
enum savepoint_status svp_chains_look_up(struct svp_chains *chains);
enum savepoint_status svp_chains_copy(struct svp_chains *chains);
/* All steps of the oldest record left (bulk_apply.c). */
enum savepoint_status svp_chains_apply(struct svp_chains *chains);
/* The slot of a page of chains->part in a record; -1: it is not there. */
int svp_chains_slot(const struct svp_chains *chains, const struct svp_cached_pages *cached, uint64_t page);
/* Whether that slot of the record is the page's. */
bool svp_chains_holds(const struct svp_chains *chains, const struct svp_cached_pages *cached, uint32_t slot,
                      uint64_t page);
enum savepoint_status svp_chains_damaged(struct svp_chains *chains, uint64_t offset, uint64_t page, const char *what);

#endif
