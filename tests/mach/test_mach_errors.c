/* test_mach_errors.c - each call of the kernel fails once, at each of its turns: laws 3 and 4 hold, nothing leaks */
#include "mach_fixture.h"

enum { TURNS = 200 };

static struct mach_emulation_options options;
static const struct svp_watch_backend *backend;

static uint64_t calls_of(enum mach_emulation_call call)
{
    struct mach_emulation_counters counters;
    mach_emulation_read_counters(&counters);
    return counters.calls[call];
}

static bool gives_back(enum mach_emulation_call call)
{
    return call == MACH_EMULATION_DEALLOCATE || call == MACH_EMULATION_PORT_DEALLOCATE;
}

/* What a step does with the failure to come; then it is checked, with none. */
struct step {
    void (*before)(struct guarded *guarded);
    void (*during)(struct guarded *guarded);
    void (*after)(struct guarded *guarded);
};

static enum savepoint_status status_during;

/* The step with the nth call failing; false when it makes fewer calls. */
static bool try_turn(const struct step *step, enum mach_emulation_call call, unsigned nth)
{
    struct guarded guarded;
    mach_emulation_reset(&options);
    guarded_map(&guarded, backend, GUARDED);
    step->before(&guarded);
    uint64_t calls = calls_of(call);
    mach_emulation_fail(call, nth, 1, KERN_RESOURCE_SHORTAGE);
    step->during(&guarded);
    calls = calls_of(call) - calls;
    mach_emulation_fail(call, 0, 0, KERN_SUCCESS);
    step->after(&guarded);
    if (gives_back(call)) {
        guarded_end(&guarded); /* what was not given back is still there */
    } else {
        guarded_close(&guarded);
    }
    return calls >= nth;
}

static void try_all_turns(const struct step *step)
{
    unsigned turns = 0;
    FOR_EACH_SETTING(options, backend)
    {
        for (int call = 0; call < MACH_EMULATION_CALL_COUNT; call++) {
            unsigned nth = 1;
            while (nth < TURNS && try_turn(step, (enum mach_emulation_call)call, nth)) {
                nth++;
            }
            turns += nth - 1;
        }
    }
    CHECK_MSG(turns > 0, "no call was made to fail");
}

static void do_nothing(struct guarded *guarded)
{
    (void)guarded;
}

static void watch_it(struct guarded *guarded)
{
    CHECK_OK(guarded_try(guarded));
    guarded_store(guarded, 1);
    guarded_store(guarded, 6);
}

/* ---- probe */

static void probe(struct guarded *guarded)
{
    struct svp_watch_caps caps;
    (void)guarded;
    status_during = backend->probe(&caps, NULL);
    CHECK(status_during == SAVEPOINT_OK || status_during == SAVEPOINT_NO_BACKEND);
}

static void probe_well(struct guarded *guarded)
{
    probe(guarded);
    CHECK_OK(status_during);
}

CHECK_TEST(mach_errors, probe)
{
    try_all_turns(&(struct step){ do_nothing, probe, probe_well });
}

/* ---- add */

static void add(struct guarded *guarded)
{
    status_during = guarded_try(guarded);
}

/* Failed, it can be tried again. */
static void use(struct guarded *guarded)
{
    if (status_during != SAVEPOINT_OK) {
        for (size_t page = 0; page < GUARDED; page++) {
            guarded_store(guarded, page);
        }
        memcpy(guarded->seen, guarded->stored, GUARDED * vm_page_size);
        CHECK_OK(guarded_try(guarded));
    }
    guarded_store(guarded, 2);
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_REARM, PAGE(2)));
    guarded_store(guarded, 3);
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_REARM, PAGE(3)));
}

CHECK_TEST(mach_errors, add)
{
    try_all_turns(&(struct step){ do_nothing, add, use });
}

/* ---- collect: what a failed one owes is reported by the next */

static uint64_t owed;

static void collect_once(struct guarded *guarded, enum svp_watch_mode mode)
{
    owed = PAGE(1) | PAGE(6);
    status_during = guarded_try_look(guarded, mode, owed);
    if (status_during == SAVEPOINT_OK && mode == SVP_WATCH_REARM) {
        owed = 0;
    }
}

static void peek(struct guarded *guarded)
{
    collect_once(guarded, SVP_WATCH_PEEK);
}

static void rearm(struct guarded *guarded)
{
    collect_once(guarded, SVP_WATCH_REARM);
}

static void collect_well(struct guarded *guarded)
{
    guarded_store(guarded, 4);
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_PEEK, owed | PAGE(4)));
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_REARM, owed | PAGE(4)));
    guarded_store(guarded, 5);
    CHECK_OK(guarded_try_look(guarded, SVP_WATCH_REARM, PAGE(5)));
    CHECK(!is_exact(guarded) || guarded_look(guarded, SVP_WATCH_REARM, 0) == 0);
}

CHECK_TEST(mach_errors, collect_without_rearming)
{
    try_all_turns(&(struct step){ watch_it, peek, collect_well });
}

CHECK_TEST(mach_errors, collect_with_rearming)
{
    try_all_turns(&(struct step){ watch_it, rearm, collect_well });
}

/* Another task's copy makes written pages look shared, and clean, to whoever asks once only. */
static unsigned copy;

static void watch_it_copied(struct guarded *guarded)
{
    watch_it(guarded);
    CHECK_EQ(mach_emulation_foreign_copy(guarded_page(guarded, 0), GUARDED * vm_page_size, &copy), KERN_SUCCESS);
}

static void collect_without_copy(struct guarded *guarded)
{
    guarded_store(guarded, 3);
    mach_emulation_release(copy);
    owed |= PAGE(3);
    collect_well(guarded);
}

CHECK_TEST(mach_errors, collect_when_copied)
{
    try_all_turns(&(struct step){ watch_it_copied, peek, collect_without_copy });
    try_all_turns(&(struct step){ watch_it_copied, rearm, collect_without_copy });
}

/* ---- mark and remove */

static void mark_and_rearm(struct guarded *guarded)
{
    CHECK_OK(watched_mark(&guarded->watched, 0, 1));
    status_during = guarded_try_look(guarded, SVP_WATCH_REARM, PAGE(0) | PAGE(1) | PAGE(6));
    owed = status_during == SAVEPOINT_OK ? 0 : PAGE(0) | PAGE(1) | PAGE(6);
}

CHECK_TEST(mach_errors, mark)
{
    try_all_turns(&(struct step){ watch_it, mark_and_rearm, collect_well });
}

static void remove_it(struct guarded *guarded)
{
    watched_remove(&guarded->watched, 0, GUARDED);
    status_during = SAVEPOINT_OK;
}

/* Ordinary memory, which may be watched anew. */
static void add_again(struct guarded *guarded)
{
    for (size_t page = 0; page < GUARDED; page++) {
        guarded_store(guarded, page);
    }
    memcpy(guarded->seen, guarded->stored, GUARDED * vm_page_size);
    CHECK_OK(watched_add(&guarded->watched, 0, GUARDED));
    use(guarded);
}

CHECK_TEST(mach_errors, remove)
{
    try_all_turns(&(struct step){ watch_it, remove_it, add_again });
}
