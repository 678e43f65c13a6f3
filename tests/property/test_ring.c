/* test_ring.c - random and exhaustive programs over a ring, against full copies of every state
 *
 * The oracle does not know what a record costs: which marks are still there it learns from the ring, which may drop the
 * oldest only, and only when the budget is used up. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ring_world.h"

enum { KEPT_MAX = 400, MOMENTS = 8, REGION_RECORD_BYTES = 11 };

struct kept { /* a mark, and what must come back with it */
    uint64_t sequence;
    uint64_t record;
    uint8_t *bytes;
};

struct moment {        /* a position, and what every page was there */
    uint64_t position; /* 0: none */
    uint8_t *bytes;
};

static struct program {
    struct ring_world world;
    size_t kept_count; /* in order, those that were dropped among them */
    struct kept kept[KEPT_MAX];
    struct moment moments[MOMENTS];
} program;

static uint64_t below(uint64_t limit)
{
    return model_below(&program.world.random, limit);
}

static uint8_t *copy_world(void)
{
    uint8_t *bytes = malloc(WORLD_BYTES);
    CHECK(bytes != NULL);
    memcpy(bytes, program.world.shadow, WORLD_BYTES);
    return bytes;
}

static void forget_moment(struct moment *moment)
{
    free(moment->bytes);
    *moment = (struct moment){ 0 };
}

static void end_program(void)
{
    while (program.kept_count > 0) {
        free(program.kept[--program.kept_count].bytes);
    }
    for (size_t i = 0; i < MOMENTS; i++) {
        forget_moment(&program.moments[i]);
    }
    ring_world_close(&program.world);
}

/* ---- what writing to the log must do to what it holds */

struct before { /* a step */
    uint64_t cursor, dropped_count, standing;
};

static struct before look(void)
{
    const struct svp_ring *ring = &program.world.ring;
    struct svp_ring_mark mark = { .record = 0 };
    (void)svp_ring_standing(ring, &mark);
    return (struct before){ ring->cursor, ring->dropped_count, mark.snapshot.sequence };
}

/* The marks of the ring are the newest ones of those kept. */
static void check_marks(void)
{
    const struct svp_ring *ring = &program.world.ring;
    struct svp_ring_mark mark;
    size_t count = 0;
    for (bool any = svp_ring_newest(ring, &mark); any; any = svp_ring_previous(ring, &mark)) {
        CHECK(count < program.kept_count);
        count++;
        CHECK_EQ(mark.snapshot.sequence, program.kept[program.kept_count - count].sequence);
        CHECK_EQ(mark.body_bytes, strlen(mark.snapshot.label));
    }
    CHECK_EQ(count, ring->mark_count);
    if (count > 0) {
        CHECK(svp_ring_oldest(ring, &mark));
        CHECK_EQ(mark.snapshot.sequence, program.kept[program.kept_count - count].sequence);
        CHECK_EQ(mark.record, ring->begin);
    }
    CHECK(ring->begin <= ring->cursor && ring->cursor <= ring->end);
    CHECK(ring->end - ring->begin <= ring->capacity);
}

/* After a step that may have written: what lay behind the cursor is gone, and nothing before it without need. */
static void settle(const struct before *before, bool marked)
{
    const struct svp_ring *ring = &program.world.ring;
    if (ring->cursor == before->cursor) {
        return;
    }
    CHECK_EQ(ring->cursor, ring->end);
    while (program.kept_count > 0 && program.kept[program.kept_count - 1].sequence > before->standing) {
        free(program.kept[--program.kept_count].bytes);
    }
    for (size_t i = 0; i < MOMENTS; i++) {
        if (program.moments[i].position > before->cursor) {
            forget_moment(&program.moments[i]);
        }
    }
    if (ring->dropped_count > before->dropped_count && ring->mark_count > 0) {
        const size_t held = ring->mark_count - (marked ? 1 : 0);
        const struct kept *dropped = &program.kept[program.kept_count - held - 1];
        CHECK(ring->end + REGION_RECORD_BYTES - dropped->record > ring->capacity);
    }
}

/* ---- steps */

static void step_change(void)
{
    static const size_t sizes[] = { 1, 8, 64, 64, 64, 700, 2100, MODEL_PAGE_BYTES };
    const struct before before = look();
    ring_world_change(&program.world, (unsigned)below(WORLD_REGIONS), below(WORLD_PAGES), sizes[below(8)]);
    settle(&before, false);
}

static void step_lose(void)
{
    const struct before before = look();
    const unsigned region = (unsigned)below(WORLD_REGIONS);
    const uint64_t page = below(WORLD_PAGES);
    svp_ring_lose(&program.world.ring, ring_world_id(region), page);
    memset(program.world.shadow[region][page], (int)below(256), MODEL_PAGE_BYTES);
    settle(&before, false);
    CHECK_EQ(program.world.ring.mark_count, 0);
}

static void step_mark(void)
{
    const struct before before = look();
    char label[200] = "";
    memset(label, 'l', below(8) == 0 ? below(sizeof label) : 0);
    if (program.kept_count < KEPT_MAX && ring_world_mark(&program.world, label)) {
        struct svp_ring_mark mark;
        settle(&before, true);
        CHECK(svp_ring_newest(&program.world.ring, &mark));
        program.kept[program.kept_count++] = (struct kept){ program.world.sequence, mark.record, copy_world() };
    }
}

static void go(const struct svp_ring_mark *mark)
{
    size_t i = 0;
    while (program.kept[i].sequence != mark->snapshot.sequence) {
        i++;
        CHECK(i < program.kept_count);
    }
    ring_world_go(&program.world, mark);
    CHECK_MEM(program.world.shadow, program.kept[i].bytes, WORLD_BYTES);
    CHECK_EQ(program.world.ring.cursor, mark->position);
    CHECK_EQ(look().standing, mark->snapshot.sequence);
}

static void step_go(void)
{
    struct svp_ring_mark mark;
    bool any = svp_ring_newest(&program.world.ring, &mark);
    for (uint64_t back = any ? below(program.world.ring.mark_count) : 0; back > 0; back--) {
        CHECK(svp_ring_previous(&program.world.ring, &mark));
    }
    if (any) {
        go(&mark);
    }
}

static void step_remember(void)
{
    struct moment *moment = &program.moments[below(MOMENTS)];
    forget_moment(moment);
    *moment = (struct moment){ program.world.ring.cursor, copy_world() };
}

/* Each page is taken back to a moment; it has to work where all records since are held. */
static void step_rewind(void)
{
    const struct svp_ring *ring = &program.world.ring;
    const struct moment *moment = &program.moments[below(MOMENTS)];
    for (unsigned i = 0; moment->position != 0 && i < WORLD_REGIONS * WORLD_PAGES; i++) {
        uint8_t page[MODEL_PAGE_BYTES];
        memcpy(page, program.world.shadow[i / WORLD_PAGES][i % WORLD_PAGES], sizeof page);
        if (svp_ring_rewind_page(ring, ring_world_id(i / WORLD_PAGES), i % WORLD_PAGES, moment->position, page)) {
            CHECK(moment->position <= ring->cursor);
            CHECK_MEM(page, moment->bytes + i * sizeof page, sizeof page);
        } else {
            CHECK(moment->position < ring->begin || moment->position > ring->cursor);
        }
    }
}

static void run_program(uint64_t seed, unsigned steps)
{
    static const uint64_t budgets[] = { 160, 400, 1500, 6000, 20000, 20000, 100000, 1000000 };
    uint64_t random = seed;
    ring_world_open(&program.world, budgets[model_below(&random, 8)] + model_below(&random, 300));
    program.world.random = random;
    for (unsigned step = 0; step < steps; step++) {
        const uint64_t kind = below(100);
        if (kind < 55) {
            step_change();
        } else if (kind < 75) {
            step_mark();
        } else if (kind < 88) {
            step_go();
        } else if (kind < 93) {
            step_remember();
        } else {
            kind < 99 ? step_rewind() : step_lose();
        }
        check_marks();
    }
    struct svp_ring_mark mark;
    for (bool any = svp_ring_newest(&program.world.ring, &mark); any;
         any = svp_ring_previous(&program.world.ring, &mark)) {
        go(&mark);
    }
    end_program();
}

CHECK_TEST(ring, random_programs_agree_with_full_copies)
{
    const char *deep = getenv("SAVEPOINT_TEST_DEEP");
    for (uint64_t seed = 1; seed <= (deep != NULL ? 20000 : 400); seed++) {
        run_program(seed * 7919, 300);
    }
}

/* ---- every program of a few steps, over two pages */

static void run_letter(unsigned letter)
{
    struct svp_ring_mark mark;
    const struct svp_ring *ring = &program.world.ring;
    const struct before before = look();
    if (letter < 2) { /* each state of a page is another one */
        uint8_t now[MODEL_PAGE_BYTES];
        memcpy(now, program.world.shadow[letter][0], sizeof now);
        now[ring->cursor % sizeof now] ^= 1;
        ring_world_store(&program.world, letter, 0, now);
        settle(&before, false);
    } else if (letter == 2) {
        step_mark();
    } else if (letter == 3 && svp_ring_standing(ring, &mark)) {
        const bool moved = ring->cursor > mark.position;
        if (moved || svp_ring_previous(ring, &mark)) {
            go(&mark);
        }
    } else if (letter == 4 && svp_ring_newest(ring, &mark)) {
        go(&mark);
    }
}

static void run_word(unsigned word, unsigned letters, uint64_t budget_bytes)
{
    ring_world_open(&program.world, budget_bytes);
    for (; letters > 0; letters--, word /= 5) {
        run_letter(word % 5);
        check_marks();
    }
    end_program();
}

CHECK_TEST(ring, every_short_program_agrees_with_full_copies)
{
    const unsigned letters = getenv("SAVEPOINT_TEST_DEEP") != NULL ? 8 : 6;
    unsigned words = 1;
    for (unsigned i = 0; i < letters; i++) {
        words *= 5;
    }
    for (unsigned word = 0; word < words; word++) {
        run_word(word, letters, 100000);
        run_word(word, letters, 460); /* two marks, or one and some records */
    }
}
