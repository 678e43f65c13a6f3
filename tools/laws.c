/* laws.c - the self-test's first check: writes of every kind are saved, and come back
 *
 * Everything is done to memory and to a model of it. Each step ends with a take; then memory, the model and the
 * snapshot as a reader finds it must be the same, byte for byte. Stores of a step go to pages of their own where that
 * can be: a second one to the same page would hide that the first was missed. */
#include "laws.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "terminal.h"

/* Parts of the region, in units: a unit is what the backend tracks, at least a page. */
enum {
    STORES = 64,     /* units for stores of every size and alignment; above them cross stores the borders of units */
    DROPPED = 192,   /* handed back to the system */
    UNTOUCHED = 208, /* read, then some of them written */
    LATE = 240,      /* written for the first time near the end */
    NEVER = 248,     /* stay zero */
    UNITS = 256
};
enum { SIZE_MOST = 64, UNIT_LEAST = 4096, KEPT = 4, KEPT_EVERY = 20 };

struct kept { /* a snapshot to go back to */
    struct savepoint_id id;
    unsigned char *copy;
};

struct laws {
    struct check *check;
    size_t unit;
    unsigned char *model, *found, *scratch; /* as large as the region */
    uint64_t random;
    struct kept kept[KEPT];
    size_t kept_count;
};

/* ---- writing to memory and model alike */

static unsigned char *memory_of(const struct laws *laws)
{
    return laws->check->trial.memory;
}

/* New bytes for a place, every one different from what is there. */
static void invent(struct laws *laws, size_t offset, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        laws->scratch[i] = (unsigned char)(laws->model[offset + i] + 1 + check_random(&laws->random) % 255);
    }
}

static void put(struct laws *laws, size_t offset, size_t count)
{
    invent(laws, offset, count);
    memcpy(memory_of(laws) + offset, laws->scratch, count);
    memcpy(laws->model + offset, laws->scratch, count);
    laws->check->writes++;
}

/* Does the same to both: the result must depend on nothing but what is there. Returns how many writes that was. */
typedef size_t change(unsigned char *base, size_t unit);

static void apply(struct laws *laws, change *what)
{
    laws->check->writes += what(memory_of(laws), laws->unit);
    what(laws->model, laws->unit);
}

static size_t add_bytes(unsigned char *base, size_t unit)
{
    for (size_t i = 0; i < STORES; i++) {
        volatile uint8_t *place = base + i * unit + i;
        *place = (uint8_t)(*place + 1);
    }
    return STORES;
}

static size_t add_halves(unsigned char *base, size_t unit)
{
    for (size_t i = 0; i < STORES; i++) {
        volatile uint16_t *place = (void *)(base + i * unit + 2 * i);
        *place = (uint16_t)(*place + 1);
    }
    return STORES;
}

static size_t add_words(unsigned char *base, size_t unit)
{
    for (size_t i = 0; i < STORES; i++) {
        volatile uint32_t *place = (void *)(base + i * unit + 4 * i);
        *place += 1;
    }
    return STORES;
}

static size_t add_longs(unsigned char *base, size_t unit)
{
    for (size_t i = 0; i < STORES; i++) {
        volatile uint64_t *place = (void *)(base + (i + 1) * unit - 8 * (i + 1));
        *place += 1;
    }
    return STORES;
}

/* Instructions that read, change and write at once, of every width. */
static size_t change_atomically(unsigned char *base, size_t unit)
{
    for (size_t i = 0; i + 4 <= STORES; i += 4) {
        _Atomic uint8_t *byte = (void *)(base + i * unit + 7);
        _Atomic uint16_t *half = (void *)(base + (i + 1) * unit + 14);
        _Atomic uint32_t *word = (void *)(base + (i + 2) * unit + 28);
        _Atomic uint64_t *wide = (void *)(base + (i + 3) * unit + 56);
        uint32_t before = atomic_load(word);
        atomic_fetch_add(byte, 1);
        atomic_fetch_xor(half, 0x5aa5);
        atomic_compare_exchange_strong(word, &before, before + 77);
        atomic_exchange(wide, ~atomic_load(wide));
    }
    return STORES;
}

static size_t change_blocks(unsigned char *base, size_t unit)
{
    memset(base + 3 * unit + 123, base[0] + 1, 5 * unit);               /* across borders */
    memcpy(base + 20 * unit + 1, base + 3 * unit, 9 * unit + 17);       /* from watched memory to watched memory */
    memmove(base + 40 * unit + 5, base + 41 * unit - 100, 7 * unit);    /* downwards over itself */
    memmove(base + 60 * unit - 1, base + 59 * unit + 11, 6 * unit + 3); /* upwards */
    memset(base + 101 * unit, base[0] + 2, unit);                       /* a unit exactly */
    return 5;
}

/* ---- the steps; `round` counts up from 0 */

/* One size: at every alignment, and across a border, with any part of it on either side. */
static void write_sizes(struct laws *laws, size_t round)
{
    size_t size = round + 1;
    for (size_t alignment = 0; alignment < SIZE_MOST; alignment++) {
        size_t line = check_random(&laws->random) % (laws->unit / SIZE_MOST - 1);
        put(laws, alignment * laws->unit + line * SIZE_MOST + alignment, size);
    }
    for (size_t before = 1; before < size; before++) {
        put(laws, (STORES + 2 * before) * laws->unit - before, size);
    }
}

static void write_words(struct laws *laws, size_t round)
{
    static change *const widths[] = { add_bytes, add_halves, add_words, add_longs };
    apply(laws, widths[round % 4]);
}

static void write_atomically(struct laws *laws, size_t round)
{
    (void)round;
    apply(laws, change_atomically);
}

static void write_blocks(struct laws *laws, size_t round)
{
    (void)round;
    apply(laws, change_blocks);
}

static void write_nothing(struct laws *laws, size_t round)
{
    (void)laws;
    (void)round;
}

/* Stores that change nothing. */
static void write_the_same(struct laws *laws, size_t round)
{
    (void)round;
    memcpy(memory_of(laws), laws->model, STORES * laws->unit);
    laws->check->writes++;
}

/* Pages that have never been touched: read, then written, some of them late and some never. */
static void write_untouched(struct laws *laws, size_t round)
{
    for (size_t i = UNTOUCHED; i < LATE && round == 0; i++) {
        const volatile unsigned char *place = memory_of(laws) + i * laws->unit;
        (void)*place;
    }
    for (size_t i = UNTOUCHED; i < LATE && round == 1; i += 2) {
        put(laws, i * laws->unit + i, 1);
    }
    for (size_t i = LATE; i < NEVER && round == 2; i++) {
        put(laws, (i + 1) * laws->unit - 1, 1);
    }
}

static void write_by_call(struct laws *laws, size_t offset, size_t count, bool prepared)
{
    struct trial *trial = &laws->check->trial;
    unsigned char *place = trial->memory + offset;
    if (prepared && !check_status(laws->check, savepoint_prepare(trial->session, place, count, &trial->error))) {
        return;
    }
    invent(laws, offset, count);
    int code = machine_call_writes(place, laws->scratch, count);
    if (code != 0) {
        check_fail(laws->check, "a system call cannot write to watched memory%s: %s",
                   prepared ? " that was prepared" : "", strerror(code));
    }
    memcpy(laws->model + offset, laws->scratch, count);
    laws->check->writes++;
}

/* The system itself writes: after savepoint_prepare, and without it where the backend promises to see that. */
static void write_by_calls(struct laws *laws, size_t round)
{
    size_t unit = laws->unit;
    bool prepared = round == 0;
    if (!prepared && laws->check->backend->kernel_writes_counted == 0) {
        return;
    }
    write_by_call(laws, 5, 1, prepared);
    write_by_call(laws, 3 * unit + 100, 1000, prepared);
    write_by_call(laws, 6 * unit, unit, prepared);
    write_by_call(laws, 9 * unit - 300, 2 * unit + 600, prepared);
}

/* Pages that go back to the system: zero from then on, without any store. A backend that does not count what the
 * system does has to be told. */
static void drop_pages(struct laws *laws, size_t round)
{
    struct trial *trial = &laws->check->trial;
    size_t offset = DROPPED * laws->unit;
    size_t bytes = (UNTOUCHED - DROPPED) / 2 * laws->unit;
    if (round == 0) {
        put(laws, offset, bytes);
        return;
    }
    if (machine_drop(trial->memory + offset, bytes)) {
        if (laws->check->backend->kernel_writes_counted == 0) {
            check_status(laws->check, savepoint_mark(trial->session, trial->memory + offset, bytes, &trial->error));
        }
        memcpy(laws->model + offset, trial->memory + offset,
               bytes); /* zeros, or not yet: that is the system's affair */
        laws->check->writes++;
    }
}

/* Back to a kept snapshot, and on from there: the changes made meanwhile are gone. */
static void go_back(struct laws *laws, size_t round)
{
    const struct kept *kept = &laws->kept[(laws->kept_count - 1 - round % laws->kept_count)];
    for (size_t i = 0; i < STORES; i += 3) {
        put(laws, i * laws->unit + 8 * i, 8);
    }
    if (check_status(laws->check, trial_restore(&laws->check->trial, &kept->id))) {
        laws->check->restores++;
        memcpy(laws->model, kept->copy, laws->check->trial.bytes);
        check_same(laws->check, memory_of(laws), laws->model, "memory after a restore differs from the snapshot");
    }
    put(laws, round * laws->unit, 8);
}

static void go_elsewhere(struct laws *laws, size_t round)
{
    if (check_status(laws->check, trial_move(&laws->check->trial))) {
        laws->check->restores++;
        check_same(laws->check, memory_of(laws), laws->model, "memory resumed elsewhere differs from the snapshot");
        put(laws, round * laws->unit, 8);
    }
}

static const struct step {
    const char *name;
    void (*run)(struct laws *laws, size_t round);
    size_t rounds;
} steps[] = {
    { "a take of untouched memory", write_nothing, 1 },
    { "stores of every size and alignment", write_sizes, SIZE_MOST },
    { "aligned words", write_words, 8 },
    { "atomic instructions", write_atomically, 2 },
    { "memset, memcpy and memmove", write_blocks, 2 },
    { "nothing", write_nothing, 1 },
    { "stores of equal values", write_the_same, 1 },
    { "writes to untouched pages", write_untouched, 2 },
    { "system calls that write", write_by_calls, 2 },
    { "pages given back to the system", drop_pages, 2 },
    { "going back", go_back, 2 * KEPT },
    { "going on elsewhere", go_elsewhere, 2 },
    { "writes after all that", write_sizes, 2 },
    { "late writes to untouched pages", write_untouched, 3 },
};

/* ---- running them */

static void keep(struct laws *laws, const struct savepoint_snapshot *snapshot)
{
    struct kept *kept = &laws->kept[laws->kept_count++];
    kept->id = snapshot->id;
    kept->copy = fail_alloc(laws->check->trial.bytes, 1);
    memcpy(kept->copy, laws->model, laws->check->trial.bytes);
}

static void compare(struct laws *laws, const unsigned char *found, const char *step, const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "after %s %s", step, what);
    check_same(laws->check, found, laws->model, text);
}

static void settle(struct laws *laws, const char *step)
{
    struct check *check = laws->check;
    struct savepoint_snapshot snapshot;
    compare(laws, memory_of(laws), step, "memory differs from what was written to it");
    if (!check_goes_on(check) || !check_status(check, trial_take(&check->trial, &snapshot)) ||
        !check_status(check, trial_read(&check->trial, laws->found, &snapshot))) {
        return;
    }
    check->takes++;
    compare(laws, laws->found, step, "the snapshot differs from memory");
    compare(laws, memory_of(laws), step, "a take has changed memory");
    if (laws->kept_count < KEPT && check->takes % KEPT_EVERY == KEPT_EVERY / 2) {
        keep(laws, &snapshot);
    }
}

static void run_steps(struct laws *laws)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (size_t round = 0; round < steps[i].rounds && check_goes_on(laws->check); round++) {
            steps[i].run(laws, round);
            settle(laws, steps[i].name);
        }
    }
}

void laws_run(struct check *check)
{
    struct laws laws = { .check = check, .random = UINT64_C(0x9e3779b97f4a7c15) };
    laws.unit = check->backend->tracking_page_bytes > UNIT_LEAST ? check->backend->tracking_page_bytes : UNIT_LEAST;
    size_t bytes = UNITS * laws.unit;
    laws.model = fail_alloc(bytes, 1);
    laws.found = fail_alloc(bytes, 1);
    laws.scratch = fail_alloc(bytes, 1);
    memset(laws.model, 0, bytes);
    if (check_status(check, trial_open(&check->trial, check->folder, check->backend->name, bytes))) {
        run_steps(&laws);
    }
    check_status(check, trial_close(&check->trial));
    for (size_t i = 0; i < laws.kept_count; i++) {
        free(laws.kept[i].copy);
    }
    free(laws.model);
    free(laws.found);
    free(laws.scratch);
}
