/* torture_linux.c - what Linux does to a process under watch: advice, locking, forks, signals, discarded pages */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

/* None of these changes a byte. Numbers, since headers lack the newer ones: a kernel without them refuses. */
enum { ADVICE_COLD = 20, ADVICE_PAGEOUT = 21, ADVICE_POPULATE_READ = 22, ADVICE_COLLAPSE = 25 };
static const int harmless[] = { MADV_HUGEPAGE,  MADV_NOHUGEPAGE,      MADV_WILLNEED,  ADVICE_COLD,
                                ADVICE_PAGEOUT, ADVICE_POPULATE_READ, ADVICE_COLLAPSE };

static struct torture *disturbed;
static uint64_t handler_state[WRITERS];

/* A store inside a signal handler, which has interrupted its thread anywhere, within another store as well. */
static void on_signal(int signal_number)
{
    (void)signal_number;
    pthread_t self = pthread_self();
    if (atomic_load(&disturbed->pause)) {
        return;
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        if (pthread_equal(self, disturbed->writers[writer])) {
            handler_state[writer] = handler_state[writer] * UINT64_C(6364136223846793005) + 1442695040888963407u;
            torture_store(disturbed, WRITERS + writer, handler_state[writer] >> 16);
        }
    }
}

void torture_disturb_begin(struct torture *torture)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    disturbed = torture;
    if (sigaction(SIGUSR1, &action, NULL) != 0) {
        torture_fail("no handler for SIGUSR1");
    }
}

static void advise(const struct torture *torture, unsigned char *memory, uint64_t random)
{
    size_t first = (random >> 8) % PAGES;
    size_t pages = 1 + (random >> 24) % (PAGES - first);
    int advice = harmless[random % (sizeof harmless / sizeof harmless[0])];
    (void)madvise(memory + first * torture->page_bytes, pages * torture->page_bytes, advice);
}

static void lock(const struct torture *torture, unsigned char *memory, uint64_t random)
{
    unsigned char *start = memory + random % (PAGES - 8) * torture->page_bytes;
    if (mlock(start, 8 * torture->page_bytes) == 0) {
        munlock(start, 8 * torture->page_bytes);
    }
}

static void bear_a_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
}

/* Empties a page of our own, or stores to it. The signal watch cannot see that a page was emptied: there a store
 * has to follow. */
static void discard(const struct torture *torture, struct torture_arena *arena, uint64_t random)
{
    size_t page = WRITTEN + random % DISCARDED;
    unsigned char *start = arena->memory + page * torture->page_bytes;
    size_t offset = (random >> 8) % (torture->page_bytes - STORE_BYTES);
    size_t length = 1 + (random >> 24) % STORE_BYTES;
    bool emptied = (random >> 40) % 2 == 0;
    bool stored = !emptied || strcmp(torture->backend->name, "signal") == 0;
    uint32_t version = ++arena->version[DISCARD_SLOT][page];
    _Atomic uint64_t *finished = &arena->finished[DISCARD_SLOT][page];
    atomic_store(finished, TORTURE_RECORD(version, 0, 0)); /* begun: older stores may be gone from now on */
    if (emptied && madvise(start, torture->page_bytes, MADV_DONTNEED) != 0) {
        torture_fail("a page cannot be discarded");
    }
    if (stored) {
        memset(start + offset, (int)(version & 255), length);
    }
    atomic_store(finished,
                 stored ? TORTURE_RECORD(version, offset, length) : TORTURE_RECORD(version, 0, TORTURE_DISCARD));
}

void torture_disturb(struct torture *torture, uint64_t random)
{
    struct torture_arena *arena = &torture->arenas[random % ARENAS];
    uint64_t action = (random >> 4) % 64;
    random >>= 10;
    if (action == 0) {
        bear_a_child();
    } else if (action < 4) {
        lock(torture, arena->memory, random);
    } else if (action < 16) {
        advise(torture, arena->memory, random);
    } else if (action < 40) {
        pthread_kill(torture->writers[random % WRITERS], SIGUSR1);
    } else {
        discard(torture, arena, random);
    }
}
