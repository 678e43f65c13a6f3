/* test_gate.c - many may share, one is alone, and who wants to be alone is not passed over */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "check.h"
#include "watch/gate.h"

enum { THREADS = 4, ROUNDS = 2000 };

static struct svp_gate gate;
static atomic_int sharing, alone, most_sharing;
static atomic_bool stop;

static void raise_most(int now)
{
    int most = atomic_load(&most_sharing);
    while (now > most && !atomic_compare_exchange_weak(&most_sharing, &most, now)) {
    }
}

static void *share(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        svp_gate_enter(&gate, false);
        raise_most(atomic_fetch_add(&sharing, 1) + 1);
        CHECK_EQ(atomic_load(&alone), 0);
        sched_yield();
        CHECK_EQ(atomic_load(&alone), 0);
        atomic_fetch_sub(&sharing, 1);
        svp_gate_leave(&gate, false);
    }
    return NULL;
}

static void *be_alone(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        svp_gate_enter(&gate, true);
        CHECK_EQ(atomic_fetch_add(&alone, 1), 0);
        CHECK_EQ(atomic_load(&sharing), 0);
        sched_yield();
        CHECK_EQ(atomic_load(&sharing), 0);
        CHECK_EQ(atomic_fetch_sub(&alone, 1), 1);
        svp_gate_leave(&gate, true);
    }
    return NULL;
}

/* Though the others never stop coming: the test would not end. */
CHECK_TEST(gate, whoever_is_alone_is_alone)
{
    pthread_t sharers[THREADS];
    pthread_t loners[2];
    CHECK(svp_gate_open(&gate));
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&sharers[i], NULL, share, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&loners[i], NULL, be_alone, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(loners[i], NULL), 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(sharers[i], NULL), 0);
    }
    CHECK(atomic_load(&most_sharing) > 1);
    svp_gate_close(&gate);
}

static void *share_once(void *unused)
{
    (void)unused;
    svp_gate_enter(&gate, false);
    svp_gate_leave(&gate, false);
    return NULL;
}

/* It would wait for ever if one kept others out. */
CHECK_TEST(gate, two_share)
{
    pthread_t thread;
    CHECK(svp_gate_open(&gate));
    svp_gate_enter(&gate, false);
    CHECK_EQ(pthread_create(&thread, NULL, share_once, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    svp_gate_leave(&gate, false);
    svp_gate_close(&gate);
}
