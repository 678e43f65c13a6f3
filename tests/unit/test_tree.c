/* test_tree.c - the hash tree against hashing everything anew, and that its work follows the changes */
#include "check.h"
#include "format/tree.h"
#include "hostile.h"

enum { PAGES_MAX = 700 };

/* ---- hashes computed, counted */

struct svp_hash __real_svp_digest128(uint64_t seed, const void *bytes, size_t count);
struct svp_hash __wrap_svp_digest128(uint64_t seed, const void *bytes, size_t count);
static unsigned digests;

struct svp_hash __wrap_svp_digest128(uint64_t seed, const void *bytes, size_t count)
{
    digests++;
    return __real_svp_digest128(seed, bytes, count);
}

static struct svp_hash naive_root(const struct svp_hash *pages, size_t count)
{
    struct svp_hash level[PAGES_MAX];
    memcpy(level, pages, count * sizeof *level);
    for (uint64_t seed = 1; count > 1; seed++) {
        size_t parents = (count + 15) / 16;
        for (size_t i = 0; i < parents; i++) {
            size_t members = count - i * 16 < 16 ? count - i * 16 : 16;
            level[i] = __real_svp_digest128(seed, &level[i * 16], members * sizeof *level);
        }
        count = parents;
    }
    return level[0];
}

static void check_root(struct svp_tree *tree, const struct svp_hash *pages)
{
    const struct svp_hash root = svp_tree_root(tree);
    const struct svp_hash expected = naive_root(pages, tree->pages);
    CHECK_MEM(&root, &expected, sizeof root);
}

static void fill_zero(struct svp_hash *pages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pages[i] = svp_tree_zero_page();
    }
}

CHECK_TEST(tree, root_is_that_of_all_pages)
{
    static const size_t sizes[] = { 1, 2, 15, 16, 17, 255, 256, 257, PAGES_MAX };
    struct svp_hash pages[PAGES_MAX];
    uint64_t random = 17;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct svp_tree tree;
        CHECK(svp_tree_open(&tree, sizes[s]));
        fill_zero(pages, sizes[s]);
        check_root(&tree, pages);
        for (unsigned round = 0; round < 60; round++) {
            for (uint64_t i = model_below(&random, 9); i > 0; i--) {
                size_t page = model_below(&random, sizes[s]);
                memset(pages[page].bytes, (int)model_below(&random, 256), sizeof pages[page].bytes);
                svp_tree_update(&tree, page, &pages[page]);
            }
            check_root(&tree, pages);
        }
        svp_tree_close(&tree);
    }
}

CHECK_TEST(tree, work_follows_the_changed_pages)
{
    struct svp_tree tree;
    struct svp_hash hash = { { 1 } };
    CHECK(svp_tree_open(&tree, 100000)); /* 5 levels above the pages */
    svp_tree_root(&tree);
    digests = 0;
    svp_tree_root(&tree);
    CHECK_EQ(digests, 0);
    svp_tree_update(&tree, 77777, &hash);
    svp_tree_root(&tree);
    CHECK_EQ(digests, 5);
    for (uint64_t page = 0; page < 16; page++) {
        svp_tree_update(&tree, 160 + page, &hash); /* one group */
    }
    svp_tree_root(&tree);
    CHECK_EQ(digests, 10);
    svp_tree_close(&tree);
}

CHECK_TEST(tree, state_covers_name_size_and_the_address_of_mapped_regions_only)
{
    const struct svp_hash root = { { 4 } };
    struct svp_region_entry entry = { .id = 9, .address = 0x10000, .bytes = 8192, .name = "ab" };
    struct svp_buffer state = { 0 };
    svp_state_add(&state, &entry, &root);
    CHECK_EQ(state.count, 4 + 2 + 8 + 8 + 16);
    CHECK_MEM(state.bytes, "\2\0\0\0ab\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4", 23);
    svp_buffer_clear(&state);
    entry.flags = SVP_REGION_MAPPED;
    svp_state_add(&state, &entry, &root);
    CHECK_MEM(state.bytes, "\2\0\0\0ab\0\x20\0\0\0\0\0\0\0\0\1\0\0\0\0\0\4", 23);
    svp_buffer_free(&state);
}
