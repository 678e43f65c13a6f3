/* test_watch_signal.c - the signal backend beside the application's own handlers and stacks */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch_fixture.h"

static const struct svp_watch_backend *signal_backend(void)
{
    return svp_watch_backend_find("signal");
}

/* Each test has a process of its own, since the backend's handler stays where it has once served. */
#define SIGNAL_TEST(name)                                                                                              \
    static void name(void *unused);                                                                                    \
    CHECK_TEST(watch_signal, name)                                                                                     \
    {                                                                                                                  \
        CHECK_CHILD(name, NULL);                                                                                       \
    }                                                                                                                  \
    static void name(void *unused)

/* ---- what the application's handler saw */

static sigjmp_buf escape;
static volatile sig_atomic_t handler_runs;
static void *volatile fault_address;
static void *volatile handler_stack;
static sigset_t handler_mask;

static void take_note(void)
{
    char here;
    handler_stack = &here;
    handler_runs++;
    pthread_sigmask(SIG_BLOCK, NULL, &handler_mask);
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    take_note();
    siglongjmp(escape, 1);
}

static void on_signal_info(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    fault_address = info->si_addr;
    take_note();
    siglongjmp(escape, 1);
}

static struct sigaction install(void (*handler)(int), void (*info_handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_flags = flags };
    struct sigaction before;
    if (info_handler != NULL) {
        action.sa_sigaction = info_handler;
        action.sa_flags |= SA_SIGINFO;
    } else {
        action.sa_handler = handler;
    }
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_EQ(sigaction(SIGSEGV, &action, &before), 0);
    handler_runs = 0;
    return before;
}

/* Writes to read-only memory that nobody watches; returns true when a handler jumped out. */
static bool fault_elsewhere(void)
{
    static unsigned char *foreign;
    if (foreign == NULL) {
        foreign = map_pages(1);
        CHECK_EQ(mprotect(foreign, host_page_bytes(), PROT_READ), 0);
    }
    if (sigsetjmp(escape, 1) != 0) {
        return true;
    }
    *(volatile unsigned char *)(foreign + 77) = 1;
    return false;
}

SIGNAL_TEST(a_handler_with_information_is_chained)
{
    (void)unused;
    install(NULL, on_signal_info, 0);
    struct watched watched;
    watched_open(&watched, signal_backend(), 8);
    write_page(&watched, 3);
    CHECK_EQ(handler_runs, 0);
    CHECK(fault_elsewhere());
    CHECK_EQ(handler_runs, 1);
    CHECK_EQ((uintptr_t)fault_address % host_page_bytes(), 77);
    CHECK(sigismember(&handler_mask, SIGUSR2) == 1 && sigismember(&handler_mask, SIGSEGV) == 1);
    CHECK(sigismember(&handler_mask, SIGUSR1) == 0 && sigismember(&handler_mask, SIGTERM) == 0);
    write_page(&watched, 4);
    CHECK_REARM(&watched, PAGE(3) | PAGE(4));
    watched_close(&watched);
}

SIGNAL_TEST(a_plain_handler_is_chained)
{
    (void)unused;
    install(on_signal, NULL, SA_NODEFER);
    struct watched watched;
    watched_open(&watched, signal_backend(), 8);
    CHECK(fault_elsewhere());
    CHECK(fault_elsewhere());
    CHECK_EQ(handler_runs, 2);
    CHECK(sigismember(&handler_mask, SIGUSR2) == 1 && sigismember(&handler_mask, SIGSEGV) == 0);
    /* A sent signal is a foreign one too. */
    if (sigsetjmp(escape, 1) == 0) {
        raise(SIGSEGV);
        CHECK(false);
    }
    CHECK_EQ(handler_runs, 3);
    watched_close(&watched);
}

/* Reads of what the application has closed, and jumps into data, are foreign also inside a range. */
SIGNAL_TEST(only_writes_are_served)
{
    (void)unused;
    install(NULL, on_signal_info, 0);
    struct watched watched;
    watched_open(&watched, signal_backend(), 8);
#if defined(__x86_64__)
    unsigned char *closed = watched.memory + 2 * watched.page_bytes;
    CHECK_EQ(mprotect(closed, watched.page_bytes, PROT_NONE), 0);
    if (sigsetjmp(escape, 1) == 0) {
        (void)*(volatile unsigned char *)closed;
    }
    CHECK_EQ(handler_runs, 1);
    if (sigsetjmp(escape, 1) == 0) {
        unsigned char *data = watched.memory;
        void (*run)(void);
        memcpy(&run, &data, sizeof run);
        run();
    }
    CHECK_EQ(handler_runs, 2);
    CHECK_PEEK(&watched, 0);
#endif
    watched_close(&watched);
}

/* ---- the default action, in children that die of it */

static void no_core(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
}

static void die_by_default(void *argument)
{
    struct watched watched;
    no_core();
    signal(SIGSEGV, *(const bool *)argument ? SIG_IGN : SIG_DFL);
    watched_open(&watched, signal_backend(), 8);
    write_page(&watched, 1);
    if (*(const bool *)argument) {
        raise(SIGSEGV); /* ignored, as without us */
    }
    CHECK(!fault_elsewhere()); /* not ignored: the kernel kills */
}

static void die_by_signal(void *argument)
{
    struct watched watched;
    (void)argument;
    no_core();
    signal(SIGSEGV, SIG_DFL);
    watched_open(&watched, signal_backend(), 8);
    raise(SIGSEGV);
}

static void die_at_the_second_fault(void *argument)
{
    struct watched watched;
    (void)argument;
    no_core();
    install(on_signal, NULL, (int)SA_RESETHAND);
    watched_open(&watched, signal_backend(), 8);
    CHECK(fault_elsewhere());
    write_page(&watched, 1);
    CHECK(!fault_elsewhere());
}

SIGNAL_TEST(an_ignored_signal_stays_ignored)
{
    (void)unused;
    struct watched watched;
    signal(SIGSEGV, SIG_IGN);
    watched_open(&watched, signal_backend(), 8);
    raise(SIGSEGV);
    raise(SIGSEGV);
    write_page(&watched, 1);
    CHECK_REARM(&watched, PAGE(1));
    watched_close(&watched);
}

SIGNAL_TEST(the_default_action_kills)
{
    (void)unused;
    bool ignored = false;
    void (*const bodies[])(void *) = { die_by_default, die_by_default, die_by_signal, die_at_the_second_fault };
    for (size_t i = 0; i < 4; i++) {
        ignored = i == 1;
        int status = run_child(bodies[i], &ignored);
        CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "body %zu: wait status 0x%x", i,
                  (unsigned)status);
    }
}

/* ---- installing and restoring */

static void (*current_handler(void))(int)
{
    struct sigaction now;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    return now.sa_handler;
}

SIGNAL_TEST(a_probe_leaves_no_handler_and_a_watch_leaves_a_harmless_one)
{
    (void)unused;
    struct svp_watch_caps caps;
    install(on_signal, NULL, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(signal_backend()->probe(&caps, NULL));
        CHECK(current_handler() == on_signal);
    }
    struct watched first;
    struct watched second;
    watched_open(&first, signal_backend(), 2);
    void (*ours)(int) = current_handler();
    CHECK(ours != on_signal);
    watched_open(&second, signal_backend(), 2);
    CHECK(current_handler() == ours);
    watched_close(&first);
    write_page(&second, 1);
    watched_close(&second);
    /* It stays: a thread may be on its way into it. All faults are passed on. */
    CHECK(current_handler() == ours);
    CHECK(fault_elsewhere());
    CHECK_OK(signal_backend()->probe(&caps, NULL));
    CHECK(current_handler() == ours);
    /* One who has put the default action back does not chain: ours returns. */
    signal(SIGSEGV, SIG_DFL);
    watched_open(&first, signal_backend(), 2);
    CHECK(current_handler() == ours);
    write_page(&first, 1);
    watched_close(&first);
}

static struct sigaction beneath;

static void on_top(int signal_number, siginfo_t *info, void *context)
{
    take_note();
    beneath.sa_sigaction(signal_number, info, context);
}

/* One who comes later and calls what he found keeps his place, and our watch works beneath him. */
SIGNAL_TEST(a_handler_on_top_stays)
{
    (void)unused;
    install(NULL, on_signal_info, 0);
    struct watched watched;
    watched_open(&watched, signal_backend(), 8);
    beneath = install(NULL, on_top, 0);
    write_page(&watched, 1);
    CHECK_EQ(handler_runs, 1);
    watched_close(&watched);
    CHECK(current_handler() == (void (*)(int))(uintptr_t)on_top);
    CHECK(fault_elsewhere()); /* repeated once: it might be a late one of the range just closed */
    handler_runs = 0;
    CHECK(fault_elsewhere());
    CHECK_EQ(handler_runs, 2); /* on top, then the first one, through ours */

    watched_open(&watched, signal_backend(), 8);
    CHECK(current_handler() == (void (*)(int))(uintptr_t)on_top);
    write_page(&watched, 2);
    CHECK_REARM(&watched, PAGE(2));
    CHECK(fault_elsewhere());
    CHECK_EQ(sigaction(SIGSEGV, &beneath, NULL), 0); /* he leaves */
    write_page(&watched, 3);
    CHECK_REARM(&watched, PAGE(3));
    watched_close(&watched);
}

/* ---- where handlers run */

static void on_user_signal(int signal_number)
{
    (void)signal_number;
    fault_address = NULL;
}

static struct watched *shared;

static void write_in_handler(int signal_number)
{
    (void)signal_number;
    sigset_t faults; /* blocked, a fault kills: who writes to armed memory must let it through */
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
    errno = 0;
    write_page(shared, 5);
}

SIGNAL_TEST(writes_inside_a_signal_handler_and_errno)
{
    (void)unused;
    struct watched watched;
    watched_open(&watched, signal_backend(), 8);
    shared = &watched;
    struct sigaction action = { .sa_handler = write_in_handler };
    sigfillset(&action.sa_mask);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    raise(SIGUSR1);
    errno = 4321;
    write_page(&watched, 6);
    CHECK_EQ(errno, 4321);
    CHECK_REARM(&watched, PAGE(5) | PAGE(6));
    watched_close(&watched);
}

enum { ALTERNATE_BYTES = 256 * 1024 };
static unsigned char alternate[ALTERNATE_BYTES];

static void *fault_on_the_alternate_stack(void *argument)
{
    const struct watched *watched = argument;
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
    stack_t none = { .ss_flags = SS_DISABLE };
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    write_page(watched, 1);
    CHECK(fault_elsewhere());
    CHECK((uintptr_t)handler_stack - (uintptr_t)alternate < sizeof alternate);
    CHECK_EQ(sigaltstack(&none, NULL), 0);
    return NULL;
}

SIGNAL_TEST(alternate_stacks_are_used)
{
    (void)unused;
    install(NULL, on_signal_info, SA_ONSTACK);
    struct watched watched;
    pthread_t thread;
    watched_open(&watched, signal_backend(), 8);
    CHECK_EQ(pthread_create(&thread, NULL, fault_on_the_alternate_stack, &watched), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_REARM(&watched, PAGE(1));
    watched_close(&watched);
}

/* Other signals arrive between faults, never inside our handler. */
static void *interrupt_for_ever(void *argument)
{
    const pthread_t *target = argument;
    for (int i = 0; i < 3000; i++) {
        pthread_kill(*target, SIGUSR1);
    }
    return NULL;
}

SIGNAL_TEST(under_a_storm_of_signals)
{
    (void)unused;
    struct watched watched;
    pthread_t self = pthread_self();
    pthread_t thread;
    struct sigaction action = { .sa_handler = on_user_signal };
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    watched_open(&watched, signal_backend(), 8);
    CHECK_EQ(pthread_create(&thread, NULL, interrupt_for_ever, &self), 0);
    for (int i = 0; i < 3000; i++) {
        write_page(&watched, (size_t)i % 8);
        CHECK_REARM(&watched, PAGE(i % 8));
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    watched_close(&watched);
}
