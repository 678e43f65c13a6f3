/* test_pageset.c - the page bitmap against an array of bools */
#include "check.h"
#include "hostile.h"
#include "pageset.h"

enum { PAGES_MAX = 300 };

struct pair {
    struct svp_pageset set;
    bool has[PAGES_MAX];
};

static void compare(const struct pair *pair)
{
    uint64_t count = 0;
    uint64_t next = SVP_PAGESET_NONE;
    for (uint64_t page = pair->set.pages; page > 0; page--) {
        CHECK_EQ(svp_pageset_has(&pair->set, page - 1), pair->has[page - 1]);
        count += pair->has[page - 1] ? 1 : 0;
        next = pair->has[page - 1] ? page - 1 : next;
        CHECK_EQ(svp_pageset_next(&pair->set, page - 1), next);
    }
    CHECK_EQ(svp_pageset_count(&pair->set), count);
    CHECK_EQ(svp_pageset_next(&pair->set, pair->set.pages), SVP_PAGESET_NONE);
}

static void change(struct pair *pair, const struct pair *other, uint64_t *random)
{
    uint64_t first = model_below(random, pair->set.pages);
    uint64_t count = model_below(random, pair->set.pages - first + 1);
    uint64_t action = model_below(random, 8);
    if (action < 6) {
        bool add = action < 3;
        (add ? svp_pageset_add : svp_pageset_remove)(&pair->set, first, count);
        for (uint64_t i = 0; i < count; i++) {
            pair->has[first + i] = add;
        }
    } else {
        bool unite = action == 6;
        (unite ? svp_pageset_unite : svp_pageset_subtract)(&pair->set, &other->set);
        for (uint64_t i = 0; i < other->set.pages; i++) {
            pair->has[i] = other->has[i] ? unite : pair->has[i];
        }
    }
}

CHECK_TEST(pageset, agrees_with_an_array_of_bools)
{
    static const uint64_t sizes[] = { 1, 63, 64, 65, 127, 128, 200 };
    uint64_t random = 11;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pair pair = { 0 };
        struct pair other = { 0 };
        CHECK(svp_pageset_open(&pair.set, sizes[i]));
        CHECK(svp_pageset_open(&other.set, 1 + sizes[i] / 2));
        compare(&pair);
        for (unsigned round = 0; round < 300; round++) {
            change(&pair, &other, &random);
            change(&other, &other, &random);
            compare(&pair);
        }
        svp_pageset_clear(&pair.set);
        CHECK_EQ(svp_pageset_count(&pair.set), 0);
        svp_pageset_close(&pair.set);
        svp_pageset_close(&other.set);
    }
}
