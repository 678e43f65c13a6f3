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

/* Adds one region to the text whose hash is the state root; regions in the order of the table. */
void svp_state_add(struct svp_buffer *state, const struct svp_region_entry *entry, const struct svp_hash *region_root);

#endif
