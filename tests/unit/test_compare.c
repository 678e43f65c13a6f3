/* test_compare.c - comparing pages against a byte by byte oracle */
#include "check.h"
#include "format/compare.h"
#include "hostile.h"

/* Every differing byte lies in a run, runs ascend with a gap between them, begin and end with a differing byte. */
static void check_runs(const struct svp_changes *changes, const uint8_t *before, const uint8_t *after)
{
    static bool covered[SVP_PAGE_BYTES];
    uint32_t bytes = 0;
    uint32_t end = 0;
    memset(covered, 0, sizeof covered);
    for (uint32_t i = 0; i < changes->run_count; i++) {
        const struct svp_run *run = &changes->runs[i];
        uint32_t last = run->offset + run->bytes - 1u;
        CHECK(run->bytes > 0 && last < SVP_PAGE_BYTES);
        CHECK(i == 0 || run->offset > end);
        CHECK(before[run->offset] != after[run->offset] && before[last] != after[last]);
        memset(covered + run->offset, 1, run->bytes);
        bytes += run->bytes;
        end = last + 1;
    }
    CHECK_EQ(changes->changed_bytes, bytes);
    for (uint32_t i = 0; i < SVP_PAGE_BYTES; i++) {
        CHECK(covered[i] || before[i] == after[i]);
    }
}

static void check_pair(const uint8_t *before, const uint8_t *after)
{
    static const uint8_t zeros[SVP_PAGE_BYTES];
    struct svp_changes changes;
    svp_compare(&changes, before, after);
    CHECK_EQ(changes.same, memcmp(before, after, SVP_PAGE_BYTES) == 0);
    CHECK_EQ(changes.all_zero, memcmp(after, zeros, SVP_PAGE_BYTES) == 0);
    CHECK_EQ(svp_all_zero(after), changes.all_zero);
    CHECK(changes.run_count <= SVP_RUNS_MAX);
    if (!changes.dense) {
        check_runs(&changes, before, after);
    }
}

CHECK_TEST(compare, every_single_byte_counts)
{
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    struct svp_changes changes;
    check_pair(before, after);
    for (uint32_t i = 0; i < SVP_PAGE_BYTES; i++) {
        after[i] = 0x80;
        svp_compare(&changes, before, after);
        CHECK(!changes.same && !changes.dense && !changes.all_zero);
        CHECK_EQ(changes.run_count, 1);
        CHECK_EQ(changes.runs[0].offset, i);
        CHECK_EQ(changes.runs[0].bytes, 1);
        CHECK(!svp_all_zero(after));
        svp_compare(&changes, after, before);
        CHECK(!changes.same && changes.all_zero);
        after[i] = 0;
    }
}

CHECK_TEST(compare, random_changes_agree_with_the_oracle)
{
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    uint64_t random = 5;
    unsigned dense = 0;
    for (unsigned round = 0; round < hostile_rounds(4000); round++) {
        size_t places = model_below(&random, 1 + round % 300);
        memcpy(after, before, sizeof after);
        for (size_t i = 0; i < places; i++) {
            size_t at = model_below(&random, SVP_PAGE_BYTES);
            size_t bytes = 1 + model_below(&random, SVP_PAGE_BYTES - at < 20 ? SVP_PAGE_BYTES - at : 20);
            memset(after + at, (int)model_below(&random, 3), bytes);
        }
        struct svp_changes changes;
        svp_compare(&changes, before, after);
        dense += changes.dense ? 1 : 0;
        check_pair(before, after);
        memcpy(before, after, sizeof before);
    }
    CHECK(dense > 10 && dense < hostile_rounds(4000) - 10);
}
