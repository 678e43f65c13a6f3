/* test_live_threads.c - threads stopped for LIVE snapshots as documented: each is the state at its stop, byte for byte
 *
 * They move amounts from page to page, so that the sum stays. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "live_world.h"

enum { PAGES = 64, WRITERS = 2, LIVES = 30, WORDS = PAGE_BYTES / 8 };

static struct {
    pthread_rwlock_t gate;
    atomic_bool ends;
    atomic_ullong moves;
    uint64_t *words;
} bank;

static void *move_for_ever(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument + 1;
    while (!atomic_load(&bank.ends)) {
        pthread_rwlock_rdlock(&bank.gate);
        for (int i = 0; i < 20; i++) {
            /* Each thread has words of its own on every page. */
            size_t word = 2 * (random_next(&state) % (WORDS / 2)) + (size_t)(uintptr_t)argument;
            size_t from = random_next(&state) % PAGES, to = random_next(&state) % PAGES;
            uint64_t amount = random_next(&state) % 1000;
            bank.words[from * WORDS + word] -= amount;
            bank.words[to * WORDS + word] += amount;
        }
        pthread_rwlock_unlock(&bank.gate);
        atomic_fetch_add(&bank.moves, 20);
        usleep(20); /* the gate would starve the one who stops */
    }
    return NULL;
}

static uint64_t sum(const uint8_t *memory)
{
    uint64_t total = 0;
    for (size_t i = 0; i < PAGES * WORDS; i++) {
        uint64_t word;
        memcpy(&word, memory + 8 * i, sizeof word);
        total += word;
    }
    return total;
}

CHECK_TEST(live_threads, stopped_as_documented)
{
    struct world world;
    pthread_t writers[WRITERS];
    struct savepoint_error error = { 0 };
    live_open(&world, "threads.svp", PAGES, NULL);
    memset(&bank, 0, sizeof bank);
    pthread_rwlock_init(&bank.gate, NULL);
    bank.words = (uint64_t *)(void *)world.memory;
    live_fill(&world, 0, PAGES);
    const uint64_t total = sum(world.memory);
    for (uintptr_t i = 0; i < WRITERS; i++) {
        CHECK_EQ(pthread_create(&writers[i], NULL, move_for_ever, (void *)i), 0);
    }
    for (int turn = 0; turn < LIVES; turn++) {
        uint64_t ticket = 0;
        struct savepoint_snapshot snapshot;
        CHECK_OK(live_begin(&world, turn % 3 == 0 ? 1 : 20000, SAVEPOINT_LIVE_ACCEPT));
        live_wait_wanted(&world);
        pthread_rwlock_wrlock(&bank.gate);
        enum savepoint_status status = savepoint_tick(world.session, &ticket, &error);
        history_add(&world.history, &(struct savepoint_snapshot){ .sequence = 0 }, world.memory);
        pthread_rwlock_unlock(&bank.gate);
        CHECK_MSG(status == SAVEPOINT_OK && ticket != 0, "tick: %s", error.message);
        CHECK_OK(savepoint_wait(world.session, ticket, &snapshot, NULL));
        world.history.moments[turn].id = snapshot.id;
        CHECK_EQ(sum(world.history.moments[turn].memory), total);
    }
    atomic_store(&bank.ends, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i], NULL);
    }
    CHECK(atomic_load(&bank.moves) > 100);
    for (size_t i = world.history.count; i-- > 0;) {
        CHECK_OK(savepoint_restore(world.session, &world.history.moments[i].id, NULL, NULL));
        CHECK_MEM(world.memory, world.history.moments[i].memory, PAGES * PAGE_BYTES);
        CHECK_EQ(sum(world.memory), total);
    }
    pthread_rwlock_destroy(&bank.gate);
    live_close(&world);
}
