/* visit.h - the shadow taken to states of the ring, one after the other, and back to where it stood
 *
 * While a visit lasts the shadow holds another state, so no take may be in flight; memory, the log, the hash trees and
 * what is pending stay as they are. Records of the log are applied there and back: closing cannot fail. */
#ifndef SVP_VISIT_H
#define SVP_VISIT_H

#include "session/ring_take.h"
#include "session/session.h"

struct svp_visit_region {
    struct svp_region *region;
    struct svp_hash *hashes;   /* of its pages in the shadow, also of those that are excluded */
    struct svp_pageset moved;  /* since the state visited before */
    bool held;                 /* the state visited has it, thus: */
    struct svp_ring_part part; /* of its pages the first part.pages belong to the state */
};

struct svp_visit {
    struct savepoint *session;
    uint64_t at;
    size_t count;
    struct svp_visit_region *regions; /* those of the session, in its order */

    /* the state visited */
    size_t part_count;
    struct svp_visit_region **parts; /* its regions, by name */
    const uint8_t *metadata;
    size_t metadata_bytes;
};

/* Stands where the ring does, at no state. To be closed whatever is returned, and starts as all zero. */
enum savepoint_status svp_visit_open(struct svp_visit *visit, struct savepoint *session, const char *operation,
                                     struct savepoint_error *error);
void svp_visit_close(struct svp_visit *visit);

/* MISMATCH: a region that the snapshot holds was removed since, and what the shadow had of it. */
enum savepoint_status svp_visit_check(const struct svp_visit *visit, const struct svp_ring_mark *mark,
                                      const char *operation, struct savepoint_error *error);
/* To a snapshot that was checked. */
void svp_visit_go(struct svp_visit *visit, const struct svp_ring_mark *mark);

/* The regions of the state visited, entry i for part i; ids are those of the session's archive. False: no memory; to be
 * freed in any case, and starts as all zero. */
bool svp_visit_table(const struct svp_visit *visit, struct svp_region_table *table);
/* Their state root. False: no memory. */
bool svp_visit_root(const struct svp_visit *visit, const struct svp_region_table *table, struct svp_hash *state_root);

#endif
