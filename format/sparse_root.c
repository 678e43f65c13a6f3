/* sparse_root.c - a region's root from its stored pages alone, in constant memory */
#include "format/sparse_root.h"

static struct svp_hash hash_group(const struct svp_hash *group, unsigned count, unsigned level)
{
    return svp_digest128(level, group, count * sizeof *group);
}

/* Adds a node of `level`; full groups become a node of the level above. */
static void push(struct svp_sparse_root *root, unsigned level, struct svp_hash hash)
{
    root->groups[level][root->counts[level]++] = hash;
    while (root->counts[level] == SVP_TREE_FANOUT && level + 1 < SVP_TREE_LEVELS_MAX) {
        root->counts[level] = 0;
        hash = hash_group(root->groups[level], SVP_TREE_FANOUT, level + 1);
        level++;
        root->groups[level][root->counts[level]++] = hash;
    }
}

void svp_sparse_root_open(struct svp_sparse_root *root, uint64_t pages)
{
    *root = (struct svp_sparse_root){ .pages = pages };
    root->zeros[0] = svp_tree_zero_page();
    for (unsigned level = 1; level < SVP_TREE_LEVELS_MAX; level++) {
        struct svp_hash group[SVP_TREE_FANOUT];
        for (unsigned i = 0; i < SVP_TREE_FANOUT; i++) {
            group[i] = root->zeros[level - 1];
        }
        root->zeros[level] = hash_group(group, SVP_TREE_FANOUT, level);
    }
}

/* Pages of zeros up to `end`: the largest whole subtrees first that fit where `next` stands. */
static void add_zeros(struct svp_sparse_root *root, uint64_t end)
{
    while (root->next < end) {
        unsigned level = 0;
        uint64_t span = 1;
        while (level + 2 < SVP_TREE_LEVELS_MAX && root->next % (span * SVP_TREE_FANOUT) == 0 &&
               span * SVP_TREE_FANOUT <= end - root->next) {
            span *= SVP_TREE_FANOUT;
            level++;
        }
        push(root, level, root->zeros[level]);
        root->next += span;
    }
}

void svp_sparse_root_add(struct svp_sparse_root *root, uint64_t page, const struct svp_hash *hash)
{
    add_zeros(root, page);
    push(root, 0, *hash);
    root->next++;
}

struct svp_hash svp_sparse_root_finish(struct svp_sparse_root *root)
{
    add_zeros(root, root->pages);
    uint64_t nodes = root->pages;
    unsigned level = 0;
    for (; nodes > 1; level++) {
        if (root->counts[level] > 0) {
            struct svp_hash hash = hash_group(root->groups[level], root->counts[level], level + 1);
            root->counts[level] = 0;
            push(root, level + 1, hash);
        }
        nodes = (nodes + SVP_TREE_FANOUT - 1) / SVP_TREE_FANOUT;
    }
    return root->groups[level][0];
}
