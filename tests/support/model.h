/* model.h - the plain-memory oracle: what regions and snapshots must hold, as full copies */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/digest.h"
#include "savepoint.h"

enum { MODEL_REGIONS_MAX = 4, MODEL_PAGE_BYTES = 4096, MODEL_PENDING_MAX = 64 };

struct model_region {
    char name[16];
    bool mapped;
    uint64_t address; /* where it lives */
    size_t pages;
    uint8_t *bytes;
    bool *excluded; /* by page */
};

struct model_state { /* regions in no order */
    size_t region_count;
    struct model_region regions[MODEL_REGIONS_MAX];
};

struct model_snapshot {
    uint64_t ticket; /* of the take, while it is in flight */
    struct savepoint_id id, parent, digest;
    uint64_t sequence;
    char label[16];
    uint8_t metadata[40];
    size_t metadata_bytes;
    uint32_t durability;
    struct model_state state; /* excluded pages are zeros */
};

struct model { /* start with all zero */
    struct model_state live;
    struct savepoint_id parent; /* of the next snapshot; all zero: none */
    struct savepoint_id head;
    size_t snapshot_count, snapshot_capacity;
    struct model_snapshot *snapshots; /* committed, in order of commit */
    size_t pending_count;
    struct model_snapshot pending[MODEL_PENDING_MAX]; /* takes in flight, oldest first */
};

/* Deterministic random numbers (xorshift64*); `state` must not be 0. */
uint64_t model_random(uint64_t *state);
uint64_t model_below(uint64_t *state, uint64_t limit); /* 0 .. limit - 1 */

struct model_region *model_add_region(struct model_state *state, const char *name, bool mapped, const void *base,
                                      size_t pages); /* copies the memory at `base` */
void model_grow_region(struct model_region *region, const void *base, size_t pages);
void model_remove_region(struct model_state *state, const char *name);
struct model_region *model_find_region(const struct model_state *state, const char *name);
void model_free_state(struct model_state *state);
void model_free(struct model *model);

/* A take: what its snapshot has to hold from now on. */
struct model_snapshot *model_take(struct model *model);
/* The oldest take in flight ended: as this snapshot, or (NULL) as a failure. */
void model_commit(struct model *model, const struct savepoint_snapshot *snapshot);
const struct model_snapshot *model_find(const struct model *model, const struct savepoint_id *id);

/* What a restore must return, and (when OK) do to the live state. */
enum savepoint_status model_restore(struct model *model, const struct model_snapshot *snapshot, bool skip_missing);

/* The state root, computed from nothing but SPEC.md section 6. */
struct svp_hash model_digest(const struct model_state *state);
/* Same names, sizes, contents, and addresses of mapped regions. */
bool model_equal(const struct model_state *left, const struct model_state *right);

#endif
