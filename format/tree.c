/* tree.c - the hash tree over a region's pages */
#include "format/tree.h"

#include <string.h>

#include "format/expect.h"
#include "format/memory.h"

struct svp_hash svp_tree_zero_page(void)
{
    static const uint8_t zeros[SVP_PAGE_BYTES];
    return svp_digest128(0, zeros, sizeof zeros);
}

static uint64_t parents_of(uint64_t nodes)
{
    return (nodes + SVP_TREE_FANOUT - 1) / SVP_TREE_FANOUT;
}

static void set_stale(struct svp_tree *tree, unsigned level, uint64_t node)
{
    tree->stale[level][node / 64] |= UINT64_C(1) << node % 64;
}

bool svp_tree_open(struct svp_tree *tree, uint64_t pages)
{
    *tree = (struct svp_tree){ .pages = pages };
    uint64_t nodes = pages;
    bool enough = true;
    for (unsigned level = 0;; level++) {
        tree->levels = level;
        tree->hashes[level] = svp_memory_zalloc((size_t)nodes, sizeof(struct svp_hash));
        enough = enough && tree->hashes[level] != NULL;
        if (level > 0) {
            tree->stale[level] = svp_memory_zalloc((size_t)(nodes / 64 + 1), sizeof(uint64_t));
            enough = enough && tree->stale[level] != NULL;
        }
        if (nodes == 1) {
            break;
        }
        nodes = parents_of(nodes);
    }
    if (!enough) {
        svp_tree_close(tree);
        return false;
    }
    const struct svp_hash zero = svp_tree_zero_page();
    for (uint64_t page = 0; page < pages; page++) {
        tree->hashes[0][page] = zero;
    }
    if (tree->levels > 0) {
        for (uint64_t node = 0; node < parents_of(pages); node++) {
            set_stale(tree, 1, node);
        }
    }
    return true;
}

void svp_tree_close(struct svp_tree *tree)
{
    for (unsigned level = 0; level < SVP_TREE_LEVELS_MAX; level++) {
        svp_memory_free(tree->hashes[level]);
        svp_memory_free(tree->stale[level]);
    }
    *tree = (struct svp_tree){ 0 };
}

void svp_tree_update(struct svp_tree *tree, uint64_t page, const struct svp_hash *hash)
{
    tree->hashes[0][page] = *hash;
    if (tree->levels > 0) {
        set_stale(tree, 1, page / SVP_TREE_FANOUT);
    }
}

/* What the stale nodes of a word are made of lies apart: it is fetched before the first is hashed. */
static void expect_nodes(const struct svp_tree *tree, unsigned level, uint64_t word, uint64_t stale)
{
    enum { LINES = SVP_TREE_FANOUT * sizeof(struct svp_hash) / 64 };
    for (; stale != 0; stale &= stale - 1) {
        uint64_t node = word * 64 + (uint64_t)__builtin_ctzll(stale);
        svp_expect(&tree->hashes[level - 1][node * SVP_TREE_FANOUT], LINES);
    }
}

struct svp_hash svp_tree_root(struct svp_tree *tree)
{
    uint64_t below = tree->pages;
    for (unsigned level = 1; level <= tree->levels; level++) {
        uint64_t nodes = parents_of(below);
        for (uint64_t word = 0; word <= nodes / 64; word++) {
            uint64_t stale = tree->stale[level][word];
            tree->stale[level][word] = 0;
            expect_nodes(tree, level, word, stale);
            for (; stale != 0; stale &= stale - 1) {
                uint64_t node = word * 64 + (uint64_t)__builtin_ctzll(stale);
                uint64_t first = node * SVP_TREE_FANOUT;
                uint64_t count = below - first < SVP_TREE_FANOUT ? below - first : SVP_TREE_FANOUT;
                tree->hashes[level][node] =
                    svp_digest128(level, &tree->hashes[level - 1][first], (size_t)count * sizeof(struct svp_hash));
                if (level < tree->levels) {
                    set_stale(tree, level + 1, node / SVP_TREE_FANOUT);
                }
            }
        }
        below = nodes;
    }
    return tree->hashes[tree->levels][0];
}

/* ---- searching with a peer */

unsigned
svp_tree_children(const struct svp_tree *tree, unsigned level, uint64_t node, struct svp_hash children[SVP_TREE_FANOUT])
{
    uint64_t below = tree->pages;
    for (unsigned i = 1; i < level && i <= tree->levels; i++) {
        below = parents_of(below);
    }
    if (level == 0 || level > tree->levels || node >= parents_of(below)) {
        return 0;
    }
    const uint64_t first = node * SVP_TREE_FANOUT;
    const uint64_t count = below - first < SVP_TREE_FANOUT ? below - first : SVP_TREE_FANOUT;
    memcpy(children, &tree->hashes[level - 1][first], (size_t)count * sizeof *children);
    return (unsigned)count;
}

bool svp_tree_search_begin(struct svp_tree_search *search, const struct svp_tree *tree, const struct svp_hash *root)
{
    *search = (struct svp_tree_search){ .level = tree->levels, .theirs = *root };
    return memcmp(&tree->hashes[tree->levels][0], root, sizeof *root) != 0;
}

bool svp_tree_search_step(struct svp_tree_search *search, const struct svp_tree *tree, const struct svp_hash *children,
                          unsigned count)
{
    struct svp_hash own[SVP_TREE_FANOUT];
    if (count != svp_tree_children(tree, search->level, search->node, own)) {
        return false;
    }
    const struct svp_hash hash = svp_digest128(search->level, children, count * sizeof *children);
    for (unsigned i = 0; i < count && memcmp(&hash, &search->theirs, sizeof hash) == 0; i++) {
        if (memcmp(&own[i], &children[i], sizeof own[i]) != 0) {
            search->level--;
            search->node = search->node * SVP_TREE_FANOUT + i;
            search->theirs = children[i];
            return true;
        }
    }
    return false;
}

void svp_state_add(struct svp_buffer *state, const struct svp_region_entry *entry, const struct svp_hash *region_root)
{
    size_t name_bytes = strlen(entry->name);
    svp_buffer_add32(state, (uint32_t)name_bytes);
    svp_buffer_add(state, entry->name, name_bytes);
    svp_buffer_add64(state, entry->bytes);
    svp_buffer_add64(state, (entry->flags & SVP_REGION_MAPPED) != 0 ? entry->address : 0);
    svp_buffer_add(state, region_root->bytes, sizeof region_root->bytes);
}
