/* test_workload.c - the workloads of the benchmarks are the same bytes on every machine, and what they say they are */
#include "check.h"
#include "format/digest.h"
#include "workload.h"

#include <stdlib.h>

enum { PAGES = 2 * WORKLOAD_CLASS_COUNT * WORKLOAD_STRIPE_PAGES, INTERVALS = 5 };

static const struct workload_shape shapes[] = {
    { .seed = 1, .pages = PAGES, .changed_pages = 20, .change = WORKLOAD_CHANGE_64_BYTES },
    { .seed = 2, .pages = PAGES, .changed_pages = 200, .change = WORKLOAD_CHANGE_PAGE },
    { .seed = 3, .pages = PAGES, .changed_pages = 100, .repeated_pages = 85, .change = WORKLOAD_CHANGE_64_BYTES },
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static uint8_t *new_state(const struct workload_shape *shape)
{
    uint8_t *state = malloc((size_t)shape->pages * WORKLOAD_PAGE_BYTES);
    CHECK(state != NULL);
    workload_fill(state, shape, 0, shape->pages);
    return state;
}

static void check_digest(const struct svp_hash *hash, const char *expected)
{
    char text[33] = "";
    for (size_t i = 0; i < sizeof hash->bytes; i++) {
        text[2 * i] = "0123456789abcdef"[hash->bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[hash->bytes[i] & 15];
    }
    CHECK_STR(text, expected);
}

/* Seeds never change: figures of different versions are figures of the same work. */
CHECK_TEST(workload, initial_state_is_the_committed_one)
{
    uint8_t *state = new_state(&shapes[0]);
    struct svp_hash hash = svp_digest128(0, state, (size_t)PAGES * WORKLOAD_PAGE_BYTES);
    check_digest(&hash, "27ed59b627672f8832a15804f9b9ca94");
    free(state);
}

CHECK_TEST(workload, changes_are_the_committed_ones)
{
    static const char *const expected[SHAPES][2] = {
        { "0677d222c735d80491f368ded04c4889", "f2ec6d87b8ded3bb713cff09423b9db3" },
        { "8f80385814a801a630e61d1485a41907", "2441e616d33227c0a7362d1b3b4759a8" },
        { "4e847d06bc20a176aab5d72e9558bf90", "c21cd4a95960e892b1ace74c7dd26ac0" },
    };
    for (size_t i = 0; i < SHAPES; i++) {
        struct workload workload;
        struct svp_hash lists = { { 0 } };
        uint8_t *state = new_state(&shapes[i]);
        CHECK(workload_open(&workload, &shapes[i]));
        for (int interval = 0; interval < INTERVALS; interval++) {
            workload_next(&workload);
            workload_apply(&workload, state);
            for (uint64_t k = 0; k < shapes[i].changed_pages; k++) {
                uint8_t chained[24];
                memcpy(chained, lists.bytes, 16);
                for (unsigned byte = 0; byte < 8; byte++) {
                    chained[16 + byte] = (uint8_t)(workload.changed[k] >> 8 * byte);
                }
                lists = svp_digest128(0, chained, sizeof chained);
            }
        }
        check_digest(&lists, expected[i][0]);
        struct svp_hash hash = svp_digest128(0, state, (size_t)PAGES * WORKLOAD_PAGE_BYTES);
        check_digest(&hash, expected[i][1]);
        workload_close(&workload);
        free(state);
    }
}

CHECK_TEST(workload, draws_distinct_pages_and_repeats_as_told)
{
    enum { FEW_PAGES = 200 };
    for (uint64_t repeated_pages = 0; repeated_pages <= 100; repeated_pages += 50) {
        const struct workload_shape dense = {
            .seed = 4, .pages = FEW_PAGES, .changed_pages = 100, .repeated_pages = repeated_pages
        };
        struct workload workload;
        int last_drawn[FEW_PAGES] = { 0 };
        CHECK(workload_open(&workload, &dense));
        for (int interval = 1; interval <= INTERVALS; interval++) {
            uint64_t repeated = 0;
            workload_next(&workload);
            for (uint64_t k = 0; k < dense.changed_pages; k++) {
                uint64_t page = workload.changed[k];
                CHECK(page < FEW_PAGES);
                CHECK_MSG(last_drawn[page] != interval, "page %d is drawn twice", (int)page);
                repeated += last_drawn[page] == interval - 1 ? 1 : 0;
                last_drawn[page] = interval;
            }
            if (repeated_pages != 0 && interval > 1) {
                CHECK_EQ(repeated, repeated_pages);
            }
        }
        workload_close(&workload);
    }
}

/* How many of the pages differ; every one that does must differ as its workload says. */
static uint64_t count_differing(const struct workload *workload, const uint8_t *before, const uint8_t *after)
{
    uint64_t differing = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        const uint8_t *old_page = before + page * WORKLOAD_PAGE_BYTES;
        const uint8_t *new_page = after + page * WORKLOAD_PAGE_BYTES;
        size_t first = 0, end = WORKLOAD_PAGE_BYTES;
        if (memcmp(old_page, new_page, WORKLOAD_PAGE_BYTES) == 0) {
            continue;
        }
        while (old_page[first] == new_page[first]) {
            first++;
        }
        while (old_page[end - 1] == new_page[end - 1]) {
            end--;
        }
        bool small = workload->shape.change == WORKLOAD_CHANGE_64_BYTES;
        CHECK(small ? end - first <= WORKLOAD_CHANGE_BYTES : end - first > WORKLOAD_PAGE_BYTES / 2);
        differing++;
    }
    return differing;
}

CHECK_TEST(workload, changes_what_it_drew_and_nothing_else)
{
    for (size_t i = 0; i < SHAPES; i++) {
        struct workload workload;
        uint8_t *before = new_state(&shapes[i]);
        uint8_t *after = new_state(&shapes[i]);
        CHECK(workload_open(&workload, &shapes[i]));
        workload_next(&workload);
        for (unsigned part = 0; part < 3; part++) {
            workload_apply_part(&workload, after, part, 3);
        }
        uint64_t zeros = 0;
        for (uint64_t k = 0; k < shapes[i].changed_pages; k++) {
            zeros += workload_class_of(workload.changed[k]) == WORKLOAD_ZERO ? 1 : 0;
        }
        uint64_t stay = shapes[i].change == WORKLOAD_CHANGE_PAGE ? zeros : 0;
        CHECK_EQ(count_differing(&workload, before, after), shapes[i].changed_pages - stay);
        free(before);
        free(after);
        workload_close(&workload);
    }
}

CHECK_TEST(workload, copies_are_other_pages)
{
    const struct workload_shape shape = {
        .seed = 6, .pages = PAGES, .changed_pages = 40, .change = WORKLOAD_CHANGE_COPY
    };
    struct workload workload;
    uint64_t moved = 0;
    uint8_t *before = new_state(&shape);
    uint8_t *after = new_state(&shape);
    CHECK(workload_open(&workload, &shape));
    workload_next(&workload);
    workload_apply(&workload, after);
    for (uint64_t k = 0; k < shape.changed_pages; k++) {
        const uint64_t page = workload.changed[k];
        const uint8_t *copy = after + page * WORKLOAD_PAGE_BYTES;
        uint64_t from = 0;
        while (from < PAGES && memcmp(before + from * WORKLOAD_PAGE_BYTES, copy, WORKLOAD_PAGE_BYTES) != 0) {
            from++;
        }
        CHECK(from < PAGES);
        moved += memcmp(before + page * WORKLOAD_PAGE_BYTES, copy, WORKLOAD_PAGE_BYTES) != 0 ? 1 : 0;
    }
    CHECK(moved > shape.changed_pages / 2); /* zeros may become zeros */
    free(before);
    free(after);
    workload_close(&workload);
}

CHECK_TEST(workload, draws_all_pages_where_all_change)
{
    enum { FEW_PAGES = 200 };
    const struct workload_shape shape = { .seed = 5, .pages = FEW_PAGES, .changed_pages = FEW_PAGES };
    struct workload workload;
    bool drawn[FEW_PAGES] = { false };
    CHECK(workload_open(&workload, &shape));
    workload_next(&workload);
    for (uint64_t k = 0; k < FEW_PAGES; k++) {
        CHECK_MSG(!drawn[workload.changed[k]], "page %d is drawn twice", (int)workload.changed[k]);
        drawn[workload.changed[k]] = true;
    }
    workload_close(&workload);
}

CHECK_TEST(workload, refuses_what_it_cannot_draw)
{
    static const struct workload_shape bad[] = {
        { .pages = 100, .changed_pages = 0 },
        { .pages = 100, .changed_pages = 101 },
        { .pages = 100, .changed_pages = 51, .repeated_pages = 1 },
        { .pages = 100, .changed_pages = 10, .repeated_pages = 11 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct workload workload;
        CHECK(!workload_open(&workload, &bad[i]));
    }
}
