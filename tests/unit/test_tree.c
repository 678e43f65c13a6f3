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

/* ---- searching with a peer */

static void change(struct svp_tree *tree, uint64_t page, uint8_t value)
{
    struct svp_hash hash = { { 1, value } };
    svp_tree_update(tree, page, &hash);
}

/* The first page that differs, by messages; UINT64_MAX: none. */
static uint64_t search(struct svp_tree *tree, struct svp_tree *peer, unsigned *messages)
{
    struct svp_tree_search search;
    struct svp_hash answer[SVP_TREE_FANOUT];
    const struct svp_hash root = svp_tree_root(peer);
    svp_tree_root(tree);
    *messages = 0;
    if (!svp_tree_search_begin(&search, tree, &root)) {
        return UINT64_MAX;
    }
    while (search.level > 0) {
        unsigned count = svp_tree_children(peer, search.level, search.node, answer);
        CHECK(svp_tree_search_step(&search, tree, answer, count));
        ++*messages;
    }
    return search.node;
}

CHECK_TEST(tree, peers_find_the_first_page_that_differs)
{
    static const uint64_t sizes[] = { 1, 2, 16, 17, 255, 256, 257, 5000, 65537 };
    uint64_t random = 23;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct svp_tree tree, peer;
        unsigned messages;
        CHECK(svp_tree_open(&tree, sizes[s]));
        CHECK(svp_tree_open(&peer, sizes[s]));
        CHECK_EQ(search(&tree, &peer, &messages), UINT64_MAX);
        for (unsigned round = 0; round < 50; round++) {
            uint64_t first = UINT64_MAX;
            for (uint64_t i = model_below(&random, 5); i > 0; i--) {
                uint64_t page = model_below(&random, sizes[s]);
                change(&peer, page, (uint8_t)(round + 1));
                first = page < first ? page : first;
            }
            CHECK_EQ(search(&tree, &peer, &messages), first);
            CHECK_EQ(messages, first == UINT64_MAX ? 0 : tree.levels);
            for (uint64_t page = 0; page < sizes[s]; page++) {
                svp_tree_update(&tree, page, &peer.hashes[0][page]);
            }
        }
        svp_tree_close(&tree);
        svp_tree_close(&peer);
    }
}

CHECK_TEST(tree, what_is_no_answer_ends_the_search)
{
    struct svp_tree tree, peer;
    struct svp_tree_search begun, search;
    struct svp_hash answer[SVP_TREE_FANOUT];
    CHECK(svp_tree_open(&tree, 1000)); /* 63 nodes, of which the last has 8 pages; 4; the root */
    CHECK(svp_tree_open(&peer, 1000));
    change(&peer, 999, 1);
    svp_tree_root(&tree);
    const struct svp_hash root = svp_tree_root(&peer);
    CHECK(svp_tree_search_begin(&begun, &tree, &root));
    CHECK_EQ(svp_tree_children(&peer, 3, 0, answer), 4);
    search = begun;
    CHECK(!svp_tree_search_step(&search, &tree, answer, 0));
    CHECK(!svp_tree_search_step(&search, &tree, answer, 3));
    CHECK_EQ(svp_tree_children(&tree, 3, 0, answer), 4);
    CHECK(!svp_tree_search_step(&search, &tree, answer, 4)); /* our own */
    change(&peer, 3, 1);
    svp_tree_root(&peer);
    CHECK_EQ(svp_tree_children(&peer, 3, 0, answer), 4);
    CHECK(!svp_tree_search_step(&search, &tree, answer, 4)); /* of another state */
    CHECK_MEM(&search, &begun, sizeof search);
    CHECK_EQ(svp_tree_children(&peer, 1, 62, answer), 8);
    CHECK_EQ(svp_tree_children(&peer, 1, 63, answer), 0);
    CHECK_EQ(svp_tree_children(&peer, 3, 1, answer), 0);
    CHECK_EQ(svp_tree_children(&peer, 0, 0, answer), 0);
    CHECK_EQ(svp_tree_children(&peer, 4, 0, answer), 0);
    CHECK_EQ(svp_tree_children(&peer, UINT32_MAX, UINT64_MAX, answer), 0);
    svp_tree_close(&tree);
    svp_tree_close(&peer);
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
