/* test_sparse_root.c - roots from stored pages alone equal those of the whole tree; sparse page tables */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "archive/page_map.h"
#include "check.h"
#include "format/sparse_root.h"

static uint64_t state = 12345;

static uint32_t random_below(uint32_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

/* A region of `pages` pages of which about one in `every` is stored. */
static void compare_roots(uint64_t pages, uint32_t every)
{
    struct svp_tree tree;
    struct svp_sparse_root sparse;
    CHECK(svp_tree_open(&tree, pages));
    svp_sparse_root_open(&sparse, pages);
    for (uint64_t page = 0; page < pages; page++) {
        if (random_below(every) == 0) {
            struct svp_hash hash = svp_digest128(7, &page, sizeof page);
            svp_tree_update(&tree, page, &hash);
            svp_sparse_root_add(&sparse, page, &hash);
        }
    }
    struct svp_hash dense_root = svp_tree_root(&tree);
    struct svp_hash sparse_root = svp_sparse_root_finish(&sparse);
    CHECK_MSG(memcmp(&dense_root, &sparse_root, sizeof dense_root) == 0, "%llu pages, one in %u",
              (unsigned long long)pages, every);
    svp_tree_close(&tree);
}

CHECK_TEST(sparse_root, equals_the_whole_tree)
{
    static const uint64_t edges[] = { 1, 2, 15, 16, 17, 31, 255, 256, 257, 4095, 4096, 4097, 65536, 70000 };
    static const uint32_t shares[] = { 1, 3, 100, 1000000 };
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++) {
            compare_roots(edges[i], shares[k]);
        }
    }
    for (int i = 0; i < 200; i++) {
        compare_roots(1 + random_below(5000), 1 + random_below(50));
    }
}

CHECK_TEST(sparse_root, the_largest_region_costs_nothing)
{
    struct svp_sparse_root sparse;
    struct svp_hash hash = svp_digest128(0, "x", 1);
    uint64_t pages = SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES;
    svp_sparse_root_open(&sparse, pages);
    struct svp_hash empty = svp_sparse_root_finish(&sparse);
    svp_sparse_root_open(&sparse, pages);
    svp_sparse_root_add(&sparse, pages - 1, &hash);
    struct svp_hash last = svp_sparse_root_finish(&sparse);
    CHECK(memcmp(&empty, &last, sizeof empty) != 0);
}

CHECK_TEST(page_map, keeps_the_first_offset_of_each_page)
{
    enum { PAGES = 20000 };
    static uint64_t model[PAGES];
    struct svp_page_map map;
    CHECK(svp_page_map_open(&map, 3, PAGES));
    CHECK(svp_page_map_next(&map, 0) == UINT64_MAX);
    for (int i = 0; i < 3000; i++) {
        uint64_t page = random_below(PAGES + 100);
        uint64_t offset = 8 + random_below(1000) * 8u;
        CHECK(svp_page_map_fill(&map, page, offset)); /* behind the end: ignored */
        if (page < PAGES && model[page] == 0) {
            model[page] = offset;
        }
    }
    uint64_t next = svp_page_map_next(&map, 0);
    for (uint64_t page = 0; page < PAGES; page++) {
        CHECK(svp_page_map_get(&map, page) == model[page]);
        if (model[page] != 0) {
            CHECK(next == page);
            next = svp_page_map_next(&map, page + 1);
        }
    }
    CHECK(next == UINT64_MAX);
    CHECK(svp_page_map_get(&map, PAGES) == 0);
    svp_page_map_close(&map);
}

CHECK_TEST(page_map, what_is_empty_costs_nothing) /* else this takes minutes */
{
    const uint64_t pages = UINT64_C(1) << 34;
    const uint64_t first = pages / 2 + 5;
    const uint64_t second = first + 9000;
    struct svp_page_map map;
    CHECK(svp_page_map_open(&map, 3, pages));
    for (int i = 0; i < 100000; i++) {
        CHECK(svp_page_map_next(&map, 0) == UINT64_MAX);
    }
    CHECK(svp_page_map_fill(&map, second, 8) && svp_page_map_fill(&map, first, 16));
    for (int i = 0; i < 100000; i++) {
        CHECK(svp_page_map_next(&map, 0) == first && svp_page_map_next(&map, first + 1) == second);
        CHECK(svp_page_map_next(&map, second + 1) == UINT64_MAX && svp_page_map_next(&map, pages) == UINT64_MAX);
    }
    svp_page_map_close(&map);
}
