/* test_ring.c - the log of the shadow: going back and forth, cutting, dropping, and what a record costs */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ring_world.h"

static struct ring_world world;

/* ---- allocations, counted */

void *__real_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes);
void *__real_svp_memory_resize(void *old, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes);
static unsigned allocations;
static unsigned fails_at; /* 0: none */

static bool fails(void)
{
    return ++allocations == fails_at;
}

void *__wrap_svp_memory_alloc(size_t bytes)
{
    return fails() ? NULL : __real_svp_memory_alloc(bytes);
}

void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes)
{
    return fails() ? NULL : __real_svp_memory_resize(old, count, bytes);
}

/* ---- going back and forth */

static void change_some(unsigned count)
{
    static const size_t sizes[] = { 1, 64, 900, MODEL_PAGE_BYTES };
    for (unsigned i = 0; i < count; i++) {
        ring_world_change(&world, (unsigned)model_below(&world.random, WORLD_REGIONS),
                          model_below(&world.random, WORLD_PAGES), sizes[model_below(&world.random, 4)]);
    }
}

static struct svp_ring_mark mark_of(uint64_t sequence)
{
    struct savepoint_id id = { { 0 } };
    struct svp_ring_mark mark = { .position = 0 };
    memcpy(id.bytes, &sequence, sizeof sequence);
    CHECK(svp_ring_find(&world.ring, &mark, &id));
    CHECK_EQ(mark.snapshot.sequence, sequence);
    return mark;
}

CHECK_TEST(ring, every_mark_is_reached_from_every_other)
{
    enum { MARKS = 6 };
    static uint8_t kept[MARKS][WORLD_BYTES];
    ring_world_open(&world, 1 << 20);
    for (unsigned i = 0; i < MARKS; i++) {
        change_some(i == 2 ? 0 : 20);
        memcpy(kept[i], world.shadow, WORLD_BYTES);
        CHECK(ring_world_mark(&world, "here"));
    }
    change_some(10); /* since the newest mark */
    for (unsigned i = 0; i < 200; i++) {
        uint64_t to = model_below(&world.random, MARKS);
        struct svp_ring_mark mark = mark_of(to + 1);
        ring_world_go(&world, &mark);
        CHECK_MEM(world.shadow, kept[to], WORLD_BYTES);
        CHECK(svp_ring_standing(&world.ring, &mark));
        CHECK_EQ(mark.snapshot.sequence, to + 1);
    }
    CHECK_EQ(world.ring.mark_count, MARKS);
    ring_world_close(&world);
}

CHECK_TEST(ring, what_was_gone_back_from_is_cut_by_the_next_record)
{
    static uint8_t kept[WORLD_BYTES];
    ring_world_open(&world, 1 << 20);
    for (unsigned i = 0; i < 5; i++) {
        change_some(10);
        CHECK(ring_world_mark(&world, ""));
        memcpy(kept, world.shadow, i == 1 ? WORLD_BYTES : 0);
    }
    struct svp_ring_mark mark = mark_of(2);
    CHECK(ring_world_go(&world, &mark) > 0);
    CHECK(svp_ring_newest(&world.ring, &mark));
    CHECK_EQ(mark.snapshot.sequence, 5);
    ring_world_change(&world, 0, 0, 64);
    CHECK(svp_ring_newest(&world.ring, &mark));
    CHECK_EQ(mark.snapshot.sequence, 2);
    CHECK_EQ(world.ring.mark_count, 2);
    CHECK(ring_world_mark(&world, ""));
    CHECK_EQ(world.ring.mark_count, 3);
    mark = mark_of(2);
    CHECK_EQ(ring_world_go(&world, &mark), 1);
    CHECK_MEM(world.shadow, kept, WORLD_BYTES);
    ring_world_close(&world);
}

CHECK_TEST(ring, a_mark_cuts_as_a_record_does)
{
    ring_world_open(&world, 1 << 20);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(ring_world_mark(&world, ""));
        change_some(3);
    }
    struct svp_ring_mark mark = mark_of(1);
    ring_world_go(&world, &mark);
    CHECK(ring_world_mark(&world, ""));
    CHECK(svp_ring_newest(&world.ring, &mark));
    CHECK_EQ(mark.snapshot.sequence, 4);
    CHECK(svp_ring_previous(&world.ring, &mark));
    CHECK_EQ(mark.snapshot.sequence, 1);
    CHECK(!svp_ring_previous(&world.ring, &mark));
    ring_world_close(&world);
}

CHECK_TEST(ring, a_mark_tells_what_it_was_told)
{
    struct savepoint_snapshot snapshot = { .sequence = 9, .changed_pages = 4, .region_count = 2, .metadata_bytes = 3 };
    struct svp_ring_mark mark;
    ring_world_open(&world, 1 << 16);
    CHECK(!svp_ring_newest(&world.ring, &mark));
    CHECK(!svp_ring_oldest(&world.ring, &mark));
    CHECK(!svp_ring_standing(&world.ring, &mark));
    CHECK(!svp_ring_find(&world.ring, &mark, &snapshot.id));
    memset(snapshot.label, 'x', sizeof snapshot.label - 1);
    memset(snapshot.digest.bytes, 0x55, sizeof snapshot.digest.bytes);
    CHECK(svp_ring_mark(&world.ring, &snapshot, "abc", 3));
    CHECK(svp_ring_oldest(&world.ring, &mark));
    CHECK_EQ(mark.body_bytes, 3);
    CHECK_MEM(mark.body, "abc", 3);
    CHECK_EQ(mark.snapshot.stored_bytes, mark.position - mark.record);
    snapshot.stored_bytes = mark.snapshot.stored_bytes;
    CHECK_MEM(&mark.snapshot, &snapshot, sizeof snapshot);
    ring_world_close(&world);
}

/* ---- the budget */

CHECK_TEST(ring, the_oldest_go_when_the_budget_is_used_up)
{
    enum { BUDGET = 40000, MARKS = 300 };
    static uint8_t kept[MARKS][WORLD_BYTES];
    struct svp_ring_mark mark;
    ring_world_open(&world, BUDGET);
    for (unsigned i = 0; i < MARKS; i++) {
        change_some(3);
        memcpy(kept[i], world.shadow, WORLD_BYTES);
        CHECK(ring_world_mark(&world, ""));
        CHECK(svp_ring_newest(&world.ring, &mark));
        CHECK_EQ(mark.snapshot.sequence, i + 1);
        CHECK(world.ring.end - world.ring.begin <= BUDGET);
        CHECK(svp_ring_oldest(&world.ring, &mark));
        CHECK_EQ(mark.record, world.ring.begin);
        CHECK_EQ(mark.snapshot.sequence, i + 2 - world.ring.mark_count);
        CHECK_EQ(world.ring.dropped_count + world.ring.mark_count, i + 1);
    }
    CHECK(world.ring.mark_count > 3 && world.ring.mark_count < 100);
    for (bool any = svp_ring_newest(&world.ring, &mark); any; any = svp_ring_previous(&world.ring, &mark)) {
        ring_world_go(&world, &mark);
        CHECK_MEM(world.shadow, kept[mark.snapshot.sequence - 1], WORLD_BYTES);
    }
    CHECK(svp_ring_oldest(&world.ring, &mark));
    CHECK_EQ(world.ring.standing, mark.record);
    ring_world_close(&world);
}

CHECK_TEST(ring, changes_beyond_the_budget_leave_the_newest_mark_alone)
{
    struct svp_ring_mark mark;
    ring_world_open(&world, 2000);
    CHECK(ring_world_mark(&world, ""));
    ring_world_change(&world, 0, 1, 64);
    CHECK_EQ(world.ring.mark_count, 1);
    ring_world_change(&world, 0, 1, 3000);
    CHECK_EQ(world.ring.mark_count, 0);
    CHECK_EQ(world.ring.dropped_count, 1);
    ring_world_change(&world, 0, 1, 64);
    CHECK(ring_world_mark(&world, ""));
    CHECK(svp_ring_newest(&world.ring, &mark));
    CHECK_EQ(ring_world_go(&world, &mark), 0);
    CHECK(!svp_ring_previous(&world.ring, &mark));
    ring_world_close(&world);
}

CHECK_TEST(ring, a_mark_beyond_the_budget_is_refused)
{
    static const char label[] = "a label that is longer than what is left of so little memory";
    ring_world_open(&world, 240);
    CHECK(ring_world_mark(&world, ""));
    CHECK(!ring_world_mark(&world, label));
    CHECK_EQ(world.ring.mark_count, 1);
    CHECK_EQ(world.ring.dropped_count, 0);
    CHECK(ring_world_mark(&world, ""));
    CHECK_EQ(world.ring.mark_count, 1);
    ring_world_close(&world);
}

CHECK_TEST(ring, a_changed_page_costs_at_most_80_bytes)
{
    enum { PAGES = 1500, FRAMES = 15 };
    struct svp_ring ring = { .capacity = 0 };
    uint8_t *shadow = calloc(PAGES, MODEL_PAGE_BYTES);
    uint64_t random = 5;
    CHECK(shadow != NULL);
    CHECK_OK(svp_ring_open(&ring, 4 << 20, NULL));
    CHECK(svp_ring_cover(&ring, 1, PAGES));
    CHECK(svp_ring_mark(&ring, &(struct savepoint_snapshot){ .label = "" }, NULL, 0));
    allocations = 0;
    const uint64_t before = ring.end;
    for (unsigned i = 0; i < PAGES * FRAMES; i++) {
        uint8_t *page = shadow + (size_t)(i % PAGES) * MODEL_PAGE_BYTES;
        uint8_t now[MODEL_PAGE_BYTES];
        struct svp_changes changes;
        memcpy(now, page, sizeof now);
        for (size_t at = model_below(&random, MODEL_PAGE_BYTES / 8 - 7) * 8, end = at + 64; at < end; at++) {
            now[at] = (uint8_t)model_random(&random);
        }
        svp_compare(&changes, page, now);
        svp_ring_log(&ring, 1, i % PAGES, page, now, &changes);
        memcpy(page, now, sizeof now);
        if (i % PAGES == PAGES - 1) {
            CHECK(svp_ring_mark(&ring, &(struct savepoint_snapshot){ .label = "frame" }, NULL, 0));
        }
    }
    CHECK_EQ(ring.mark_count, FRAMES + 1);
    CHECK_MSG(ring.end - before <= 80 * PAGES * FRAMES, "%.2f bytes a page",
              (double)(ring.end - before) / (PAGES * FRAMES));
    CHECK_EQ(allocations, 0);
    svp_ring_close(&ring);
    free(shadow);
}

/* ---- what a page was */

CHECK_TEST(ring, a_page_is_taken_back_to_an_earlier_position)
{
    uint8_t was[MODEL_PAGE_BYTES], page[MODEL_PAGE_BYTES];
    ring_world_open(&world, 1 << 20);
    CHECK(ring_world_mark(&world, ""));
    ring_world_change(&world, 0, 5, 100);
    memcpy(was, world.shadow[0][5], sizeof was);
    const uint64_t since = world.ring.cursor;
    for (unsigned i = 0; i < 6; i++) {
        memcpy(page, world.shadow[0][5], sizeof page);
        CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 5, since, page));
        CHECK_MEM(page, was, sizeof page);
        ring_world_change(&world, 0, 5, 800 * i);
        ring_world_change(&world, 0, 6, 64);
        CHECK(ring_world_mark(&world, ""));
    }
    const struct svp_ring_mark mark = mark_of(4);
    ring_world_go(&world, &mark);
    memcpy(page, world.shadow[0][5], sizeof page);
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 5, since, page));
    CHECK_MEM(page, was, sizeof page);
    ring_world_close(&world);
}

CHECK_TEST(ring, a_page_whose_records_were_dropped_is_not_taken_back)
{
    uint8_t page[MODEL_PAGE_BYTES];
    ring_world_open(&world, 10000);
    CHECK(ring_world_mark(&world, ""));
    const uint64_t since = world.ring.cursor;
    ring_world_change(&world, 0, 5, 100);
    memcpy(page, world.shadow[0][5], sizeof page);
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 5, since, page));
    for (unsigned i = 0; i < 5; i++) {
        ring_world_change(&world, 0, 6, MODEL_PAGE_BYTES);
        CHECK(ring_world_mark(&world, ""));
    }
    CHECK(!svp_ring_rewind_page(&world.ring, ring_world_id(0), 5, since, page));
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 7, since, page)); /* never changed */
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 5, world.ring.cursor, page));
    svp_ring_lose(&world.ring, ring_world_id(0), 7);
    CHECK_EQ(world.ring.mark_count, 0);
    CHECK(!svp_ring_rewind_page(&world.ring, ring_world_id(0), 7, since, page));
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(0), 7, world.ring.cursor, page));
    CHECK(svp_ring_rewind_page(&world.ring, ring_world_id(1), 7, since, page));
    ring_world_close(&world);
}

/* ---- regions and memory */

CHECK_TEST(ring, a_region_grows_and_goes)
{
    ring_world_open(&world, 1 << 20);
    CHECK(svp_ring_cover(&world.ring, ring_world_id(0), WORLD_PAGES - 1)); /* not smaller */
    CHECK(ring_world_mark(&world, ""));
    ring_world_change(&world, 0, WORLD_PAGES - 1, 64);
    ring_world_change(&world, 1, 3, 64);
    CHECK(svp_ring_cover(&world.ring, ring_world_id(0), WORLD_PAGES + 1));
    CHECK_EQ(world.ring.indexes[0].newest[WORLD_PAGES], 0);
    CHECK(world.ring.indexes[0].newest[WORLD_PAGES - 1] != 0);
    svp_ring_uncover(&world.ring, ring_world_id(0));
    svp_ring_uncover(&world.ring, 12345);
    CHECK_EQ(world.ring.index_count, 1);
    const struct svp_ring_mark mark = mark_of(1);
    CHECK_EQ(ring_world_go(&world, &mark), 2); /* the caller still hears of it */
    ring_world_close(&world);
}

CHECK_TEST(ring, no_memory_is_told_at_once)
{
    struct svp_ring ring = { .capacity = 0 };
    CHECK_STATUS(svp_ring_open(&ring, 0, NULL), SAVEPOINT_INVALID);
    svp_ring_close(&ring);
    CHECK_STATUS(svp_ring_open(&ring, UINT64_MAX, NULL), SAVEPOINT_NO_MEMORY);
    svp_ring_close(&ring);
    for (fails_at = 1; fails_at <= 3; fails_at++) {
        allocations = 0;
        CHECK(svp_ring_open(&ring, 1000, NULL) == SAVEPOINT_NO_MEMORY || !svp_ring_cover(&ring, 1, 10));
        svp_ring_close(&ring);
    }
    fails_at = 0;
}
