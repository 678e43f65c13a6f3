/* forge.h - archives that no writer makes, under right hashes: record after record, as the test wants them
 *
 * Whoever can write a file can forge its hashes: what its records say of each other is then the test's to choose. */
#ifndef FORGE_H
#define FORGE_H

#include "format/body.h"
#include "format/index.h"
#include "format/record.h"

struct forge { /* start with forge_open */
    struct svp_buffer file, chain, body;
    uint32_t alignment;
    uint16_t flags; /* of the records to come */
    uint64_t transaction;
    struct svp_end end; /* as it will be written */
    uint64_t sequence, index;
    struct svp_packer *packer;
};

struct forge_commit { /* what a snapshot is to rest on; offsets, 0: none */
    uint64_t base, parent;
    uint32_t depth;
};

/* Begins the first transaction, with a SEGMENT and the table of one region. */
void forge_open(struct forge *forge, uint32_t alignment, uint64_t region_pages);
void forge_close(struct forge *forge);

/* A record of forge->body, which is empty afterwards. Returns where it stands. */
uint64_t forge_record(struct forge *forge, unsigned type);
void forge_begin(struct forge *forge); /* the next transaction: its SEAL, in a file */
void forge_end(struct forge *forge);
void forge_index(struct forge *forge, enum svp_index_kind kind, uint64_t below);
/* A COMMIT with the newest INDEX. */
uint64_t forge_commit(struct forge *forge, const struct forge_commit *commit);
/* A transaction of an empty list and a snapshot. */
uint64_t forge_snapshot(struct forge *forge, const struct forge_commit *commit);
void forge_tombstone(struct forge *forge, uint64_t commit_offset);
/* Ends the file as a writer does that closes it, and writes it. */
void forge_save(struct forge *forge, const char *path);

#endif
