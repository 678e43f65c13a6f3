/* test_mach_gaps.c - stores while the kernel is half done with a copy: none lost, none unreported */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "mach_fixture.h"

static struct mach_emulation_options options;
static const struct svp_watch_backend *backend;
static unsigned gaps_seen[MACH_EMULATION_GAP_REPLACE + 1];

static void set_hook(mach_emulation_gap_hook *hook, void *context)
{
    options.gap_hook = hook;
    options.gap_context = context;
    mach_emulation_change(&options);
}

/* ---- epochs: threads run, and may store at any moment */

static uint64_t stored_in_gaps;

static void store_in_gap(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    struct guarded *guarded = context;
    size_t page = 2 + gaps_seen[gap]++ % 4;
    (void)address;
    (void)size;
    guarded_store(guarded, page);
    stored_in_gaps |= PAGE(page);
}

/* The second half becomes an entry of its own: in the gap of the first one it is still in the old epoch. */
static void divide(struct guarded *guarded)
{
    mach_vm_address_t at = guarded_page(guarded, GUARDED / 2);
    CHECK_EQ(mach_vm_allocate(mach_task_self(), &at, GUARDED / 2 * vm_page_size, VM_FLAGS_FIXED | VM_FLAGS_OVERWRITE),
             KERN_SUCCESS);
    guarded_changed(guarded, GUARDED / 2, GUARDED / 2);
}

CHECK_TEST(mach_gaps, stores_while_a_snapshot_is_taken)
{
    unsigned before = gaps_seen[MACH_EMULATION_GAP_COPY];
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        if (backend != &svp_mach_epochs_backend) {
            continue;
        }
        guarded_map(&guarded, backend, GUARDED);
        divide(&guarded);
        set_hook(store_in_gap, &guarded);
        CHECK_OK(guarded_try(&guarded));
        set_hook(NULL, NULL);
        collect_pages(&guarded.watched, SVP_WATCH_REARM); /* stores while it was added may be reported */
        for (size_t round = 0; round < 8; round++) {
            guarded_store(&guarded, round);
            set_hook(store_in_gap, &guarded);
            stored_in_gaps = 0;
            uint64_t found = collect_pages(&guarded.watched, SVP_WATCH_REARM);
            CHECK(found & PAGE(round));
            set_hook(NULL, NULL);
            found |= collect_pages(&guarded.watched, SVP_WATCH_REARM);
            CHECK_EQ(found, PAGE(round) | stored_in_gaps);
            CHECK_MEM(guarded.watched.memory, guarded.stored, GUARDED * vm_page_size);
        }
        CHECK_EQ(collect_pages(&guarded.watched, SVP_WATCH_REARM), 0);
        guarded_close(&guarded);
    }
    CHECK(gaps_seen[MACH_EMULATION_GAP_COPY] > before);
}

/* ---- page by page: a store in a gap would be lost, so no thread may run in one */

struct counting {
    struct guarded *guarded;
    atomic_bool stop;
    _Atomic uint64_t counts[GUARDED]; /* stores begun */
    _Atomic uint64_t total;
};

static void *count_for_ever(void *argument)
{
    struct counting *counting = argument;
    for (size_t i = 0; !atomic_load(&counting->stop); i++) {
        size_t page = i % GUARDED;
        atomic_uint *live =
            (atomic_uint *)(uintptr_t)(guarded_page(counting->guarded, page) + vm_page_size / 2 + 4 * page);
        atomic_fetch_add(live, 1);
        atomic_fetch_add(&counting->counts[page], 1);
        atomic_fetch_add(&counting->total, 1);
    }
    return NULL;
}

static void watch_the_gap(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    struct counting *counting = context;
    const struct timespec pause = { .tv_nsec = 50000 };
    (void)address;
    (void)size;
    uint64_t before = atomic_load(&counting->total);
    nanosleep(&pause, NULL);
    CHECK_MSG(atomic_load(&counting->total) == before, "a thread runs while a page is remapped");
    gaps_seen[gap]++;
}

CHECK_TEST(mach_gaps, no_thread_runs_while_pages_are_remapped)
{
    unsigned before = gaps_seen[MACH_EMULATION_GAP_REPLACE];
    FOR_EACH_SETTING(options, backend)
    {
        struct guarded guarded;
        struct counting counting = { .guarded = &guarded };
        pthread_t thread;
        if (backend != &svp_mach_pages_backend) {
            continue;
        }
        guarded_map(&guarded, backend, GUARDED);
        CHECK_EQ(pthread_create(&thread, NULL, count_for_ever, &counting), 0);
        set_hook(watch_the_gap, &counting);
        CHECK_OK(guarded_try(&guarded));
        for (int round = 0; round < 30; round++) {
            CHECK_OK(try_collect(&guarded.watched, SVP_WATCH_REARM));
        }
        set_hook(NULL, NULL);
        atomic_store(&counting.stop, true);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        for (size_t page = 0; page < GUARDED; page++) {
            const unsigned *live =
                (const unsigned *)(uintptr_t)(guarded_page(&guarded, page) + vm_page_size / 2) + page;
            CHECK_EQ(*live, (unsigned)atomic_load(&counting.counts[page]));
        }
        guarded_changed(&guarded, 0, GUARDED);
        guarded_close(&guarded);
    }
    CHECK(gaps_seen[MACH_EMULATION_GAP_REPLACE] > before);
}
