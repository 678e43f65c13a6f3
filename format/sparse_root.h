/* sparse_root.h - a region's root from its stored pages alone, in constant memory (SPEC.md section 6) */
#ifndef SVP_SPARSE_ROOT_H
#define SVP_SPARSE_ROOT_H

#include <stdint.h>

#include "format/digest.h"
#include "format/tree.h"

struct svp_sparse_root { /* one partly filled group of hashes per level */
    uint64_t pages;
    uint64_t next;                              /* first page not yet added */
    struct svp_hash zeros[SVP_TREE_LEVELS_MAX]; /* [k]: of 16^k pages of zeros */
    struct svp_hash groups[SVP_TREE_LEVELS_MAX][SVP_TREE_FANOUT];
    unsigned counts[SVP_TREE_LEVELS_MAX];
};

void svp_sparse_root_open(struct svp_sparse_root *root, uint64_t pages);
/* Pages ascend; those left out are zeros. */
void svp_sparse_root_add(struct svp_sparse_root *root, uint64_t page, const struct svp_hash *hash);
struct svp_hash svp_sparse_root_finish(struct svp_sparse_root *root);

#endif
