/* race_emulation.c - threads that count in memory while another ends epochs, resets pages, or stops them */
#define _GNU_SOURCE
#include "emulation.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, PAGES = 64, RESET_TRIES = 50 };

static volatile unsigned char *memory;
static atomic_bool stop;
static atomic_ulong done;

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static atomic_ulong *counter_of(size_t page)
{
    return (atomic_ulong *)(uintptr_t)(memory + page * vm_page_size);
}

static void *count(void *argument)
{
    unsigned long state = (unsigned long)(uintptr_t)argument;
    while (!atomic_load(&stop)) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        atomic_fetch_add(counter_of(state >> 33 & (PAGES - 1)), 1);
        atomic_fetch_add(&done, 1);
        if ((state >> 40 & 15) == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static unsigned long sum(void)
{
    unsigned long total = 0;
    for (size_t page = 0; page < PAGES; page++) {
        total += atomic_load(counter_of(page));
    }
    return total;
}

static void start(pthread_t *threads, const struct mach_emulation_options *options)
{
    mach_vm_address_t address = 0;
    mach_emulation_reset(options);
    REQUIRE(mach_vm_allocate(mach_task_self(), &address, PAGES * vm_page_size, VM_FLAGS_ANYWHERE) == KERN_SUCCESS);
    memory = (volatile unsigned char *)(uintptr_t)address;
    atomic_store(&stop, false);
    atomic_store(&done, 0);
    for (size_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, count, (void *)(uintptr_t)(i + 1)) == 0);
    }
    while (atomic_load(&done) == 0) { /* what is to be seen needs them, and a busy machine lets them wait */
        sched_yield();
    }
}

/* Returns how many increments are missing. */
static unsigned long finish(const char *what, const pthread_t *threads)
{
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    const char *broken = mach_emulation_check();
    REQUIRE(broken == NULL);
    unsigned long total = sum();
    printf("%s: %lu of %lu counted\n", what, total, atomic_load(&done));
    return atomic_load(&done) - total;
}

static mach_vm_address_t snapshot(void)
{
    mach_vm_address_t address = 0;
    vm_prot_t current = 0;
    vm_prot_t maximum = 0;
    REQUIRE(mach_vm_remap(mach_task_self(), &address, PAGES * vm_page_size, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                          (mach_vm_address_t)(uintptr_t)memory, TRUE, &current, &maximum,
                          VM_INHERIT_NONE) == KERN_SUCCESS);
    return address;
}

/* Each counter is looked at before an epoch ends: if it differs from what it was at the epoch's begin, the page must be
 * reported by this epoch or the one before. */
static void epochs(const struct mach_emulation_options *options)
{
    pthread_t threads[THREADS];
    int seen[PAGES];
    unsigned long reports = 0;
    start(threads, options);
    mach_vm_address_t old = snapshot();
    for (unsigned round = 0; round < 400 || reports == 0; round++) {
        unsigned long before[PAGES];
        for (size_t page = 0; page < PAGES; page++) {
            before[page] = atomic_load(counter_of(page));
        }
        mach_vm_size_t pages = PAGES;
        mach_vm_address_t fresh = snapshot();
        REQUIRE(mach_vm_page_range_query(mach_task_self(), old, PAGES * vm_page_size, (mach_vm_address_t)seen,
                                         &pages) == KERN_SUCCESS);
        for (size_t page = 0; page < PAGES; page++) {
            unsigned long at_begin = atomic_load((atomic_ulong *)(uintptr_t)(old + page * vm_page_size));
            bool reported = (seen[page] & VM_PAGE_QUERY_PAGE_COPIED) != 0;
            reports += reported;
            REQUIRE(reported || before[page] == at_begin);
        }
        REQUIRE(mach_vm_deallocate(mach_task_self(), old, PAGES * vm_page_size) == KERN_SUCCESS);
        old = fresh;
    }
    printf("%lu reports\n", reports);
    REQUIRE(finish("epochs", threads) == 0);
}

static void yield(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    (void)gap;
    (void)address;
    (void)size;
    (void)context;
    for (unsigned i = 0; i < 20; i++) {
        sched_yield();
    }
}

static void reset_pages(void)
{
    for (size_t page = 0; page < PAGES; page++) {
        mach_vm_protect(mach_task_self(), (mach_vm_address_t)(uintptr_t)memory + page * vm_page_size, vm_page_size,
                        FALSE, VM_PROT_READ | VM_PROT_WRITE | VM_PROT_COPY);
    }
}

/* VM_PROT_COPY while threads count: increments vanish (A.6). */
static void resets(void)
{
    struct mach_emulation_options options = { .gap_hook = yield };
    pthread_t threads[THREADS];
    unsigned long vanished = 0;
    for (unsigned tries = 0; vanished == 0 && tries < RESET_TRIES; tries++) {
        start(threads, &options);
        for (unsigned round = 0; round < 15; round++) {
            reset_pages();
        }
        vanished = finish("resets", threads);
    }
    REQUIRE(vanished > 0);
}

/* The same with the other threads stopped: nothing vanishes. */
static void stopped_resets(void)
{
    struct mach_emulation_options options = { .gap_hook = yield };
    pthread_t threads[THREADS];
    start(threads, &options);
    for (unsigned round = 0; round < 15; round++) {
        thread_act_array_t list = NULL;
        mach_msg_type_number_t listed = 0;
        REQUIRE(task_threads(mach_task_self(), &list, &listed) == KERN_SUCCESS);
        for (mach_msg_type_number_t i = 0; i < listed; i++) {
            if (list[i] != mach_thread_self()) {
                thread_suspend(list[i]);
            }
        }
        unsigned long before = atomic_load(&done);
        reset_pages();
        unsigned long after = atomic_load(&done);
        for (mach_msg_type_number_t i = 0; i < listed; i++) {
            if (list[i] != mach_thread_self()) {
                thread_resume(list[i]);
            }
        }
        REQUIRE(before == after || listed <= 1);
        REQUIRE(vm_deallocate(mach_task_self(), (vm_address_t)list, listed * sizeof *list) == KERN_SUCCESS);
    }
    REQUIRE(finish("stopped resets", threads) == 0);
}

int main(void)
{
    struct mach_emulation_options options = { .collapse = MACH_EMULATION_COLLAPSE_RANDOM, .seed = 3 };
    epochs(NULL);
    epochs(&options);
    options.gap_hook = yield;
    epochs(&options);
    options.object_page_bytes = 16384;
    options.map_page_bytes = 16384;
    epochs(&options);
    resets();
    stopped_resets();
    return 0;
}
