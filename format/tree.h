/* tree.h - the hash tree over a region's pages, and the state root over all regions (SPEC.md section 6)
 *
 * Invariant: after svp_tree_update of every changed page's hash and svp_tree_root, the root is that of all
 * page hashes. Changing c pages costs O(c log n) small hashes. */
#ifndef SVP_TREE_H
#define SVP_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/digest.h"
#include "format/regions.h"

#define SVP_TREE_FANOUT 16u
#define SVP_TREE_LEVELS_MAX 10 /* 16^9 pages are beyond the largest region */

struct svp_tree {
    uint64_t pages;
    unsigned levels;                              /* levels above the pages */
    struct svp_hash *hashes[SVP_TREE_LEVELS_MAX]; /* [0]: the pages */
    uint64_t *stale[SVP_TREE_LEVELS_MAX];         /* [k >= 1]: bitmap of nodes to hash anew */
};

/* The hash of a page of zeros. */
struct svp_hash svp_tree_zero_page(void);

/* All pages zero; 1 page or more. False when there is no memory. */
bool svp_tree_open(struct svp_tree *tree, uint64_t pages);
void svp_tree_close(struct svp_tree *tree);
void svp_tree_update(struct svp_tree *tree, uint64_t page, const struct svp_hash *hash);
struct svp_hash svp_tree_root(struct svp_tree *tree);

/* ---- the first page in which the trees of two peers differ, of as many pages each
 *
 * Where the roots differ, each asks the other for the children of one node after the other, from the root downwards:
 * as many messages as there are levels, of at most 16 hashes. A tree stays as it is meanwhile, its root computed. */

struct svp_tree_search {
    unsigned level; /* 0: `node` is the page; else the peer is asked for the children of this node */
    uint64_t node;
    struct svp_hash theirs; /* what the peer's node hashes to */
};

/* What a peer answers: the children of a node of level 1 or higher. Returns how many; 0: there is no such node. */
unsigned svp_tree_children(const struct svp_tree *tree, unsigned level, uint64_t node,
                           struct svp_hash children[SVP_TREE_FANOUT]);
/* False: the roots are the same. */
bool svp_tree_search_begin(struct svp_tree_search *search, const struct svp_tree *tree, const struct svp_hash *root);
/* False: that is no answer to the question, as when the peer's tree has changed since. */
bool svp_tree_search_step(struct svp_tree_search *search, const struct svp_tree *tree, const struct svp_hash *children,
                          unsigned count);

/* Adds one region to the text whose hash is the state root; regions in the order of the table. */
void svp_state_add(struct svp_buffer *state, const struct svp_region_entry *entry, const struct svp_hash *region_root);

#endif
