/* histories.h - a session with a ring and an archive, driven by a random program: what it should hold */
#ifndef HISTORIES_H
#define HISTORIES_H

#include <inttypes.h>

#include "check.h"

enum { PAGE = 4096, PAGES_MAX = 48, PAGES_MIN = 16, STATES_MAX = 200 };

enum home { IN_RING, IN_ARCHIVE, IN_OTHER /* archive, of what was promoted */ };

struct state { /* what a snapshot must bring back */
    enum home home;
    struct savepoint_id id, digest;
    size_t pages;
    bool excluded[PAGES_MAX];
    uint8_t bytes[PAGES_MAX * PAGE];
};

struct asked { /* a take in flight */
    uint64_t ticket;
    struct state *state;
};

struct counts {
    uint64_t programs, ring_takes, archive_takes, failed, ring_restores, archive_restores, dropped, compared, promoted,
        loaded, refused;
};

struct world {
    const char *backend;
    uint64_t seed, random;
    unsigned step;
    char path[64], other_path[64];
    bool has_archive;
    struct savepoint *session;
    uint8_t *memory;
    size_t pages;
    bool excluded[PAGES_MAX];
    uint8_t expected[PAGES_MAX * PAGE]; /* of memory */
    size_t state_count;
    struct state *states[STATES_MAX];
    size_t asked_count;
    struct asked asked[STATES_MAX];
    struct counts *counts;
};

#define WORLD_CHECK(world, condition)                                                                                  \
    CHECK_MSG(condition, "%s, SEED=%" PRIu64 ", step %u: %s", (world)->backend, (world)->seed, (world)->step,          \
              #condition)

/* Waits for all takes in flight: those that came about join the states. */
void histories_settle(struct world *world);

/* promotions.c: what the ring holds goes to an archive, or the other way; memory stays as it is */
void histories_promote(struct world *world);
void histories_load(struct world *world);

#endif
