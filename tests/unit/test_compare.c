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

/* Wherever a run lies among the words and lines that are compared at once, it is one run. */
CHECK_TEST(compare, a_run_of_any_length_anywhere_is_one_run)
{
    static const uint32_t lengths[] = { 1, 7, 8, 9, 63, 64, 65, 128, 200 };
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    struct svp_changes changes;
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        for (uint32_t offset = 0; offset + lengths[k] <= SVP_PAGE_BYTES; offset++) {
            memset(after + offset, 1 + (int)offset % 255, lengths[k]);
            svp_compare(&changes, before, after);
            CHECK(changes.run_count == 1 && changes.runs[0].offset == offset && changes.runs[0].bytes == lengths[k]);
            memset(after + offset, 0, lengths[k]);
        }
    }
}

CHECK_TEST(compare, runs_are_joined_over_at_most_four_bytes)
{
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    struct svp_changes changes;
    for (uint32_t gap = 1; gap < 80; gap++) {
        for (uint32_t offset = 0; offset + gap + 1 < SVP_PAGE_BYTES; offset++) {
            after[offset] = after[offset + gap + 1] = 1;
            svp_compare(&changes, before, after);
            CHECK_EQ(changes.run_count, gap <= 4 ? 1 : 2);
            CHECK_EQ(changes.changed_bytes, gap <= 4 ? gap + 2 : 2);
            after[offset] = after[offset + gap + 1] = 0;
        }
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
