/* test_trap_process.c - fork, exec, signals and stacks: the process around memory under watch */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trap_fixture.h"

extern char **environ;

/* ---- fork, from both sides */

/* True when read(2) can write to the page. */
static bool read_into(const struct watched *watched, size_t page)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    bool done = read(ends[0], page_address(watched, page), 1) == 1;
    CHECK(done || errno == EFAULT);
    close(ends[0]);
    close(ends[1]);
    return done;
}

/* A private copy. signal: armed and served there, until the child closes the watch. */
static void be_the_child(void *argument)
{
    struct watched *watched = argument;
    for (size_t page = 0; page < TRAP_PAGES; page++) {
        CHECK_EQ(page_address(watched, page)[9], 7);
        write_page(watched, page);
    }
    if (watched->caps.arms_memory) {
        CHECK_STATUS(try_collect(watched, SVP_WATCH_PEEK), SAVEPOINT_FORKED);
        CHECK_STATUS(try_collect(watched, SVP_WATCH_REARM), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_add(watched, 0, 1), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_mark(watched, 0, 1), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_prepare(watched, 0, 1), SAVEPOINT_FORKED);
    }
    watched_remove(watched, 0, TRAP_PAGES);
    fill_pages(watched, 0, TRAP_PAGES, 9);
    CHECK(read_into(watched, 3));
}

static void read_in_child(void *argument)
{
    const struct watched *watched = argument;
    CHECK_EQ(read_into(watched, 3), watched->caps.kernel_writes_counted);
    write_page(watched, 3);
    CHECK(read_into(watched, 3));
}

TRAP_TEST(trap_process, forked)
{
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    write_page(watched, 2);
    CHECK_CHILD(read_in_child, watched);
    CHECK_CHILD(be_the_child, watched);
    CHECK_PEEK(watched, PAGE(2));
    CHECK_EQ(page_address(watched, 3)[9], 7);
    CHECK_REARM(watched, PAGE(2));
    check_alive(watched);
}

/* The parent writes and collects while a child lives that shares its pages. */
TRAP_TEST(trap_process, forked_with_a_living_child)
{
    int ends[2];
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    write_page(watched, 2);
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char end;
        close(ends[1]);
        bool alone = read(ends[0], &end, 1) == 0;
        for (size_t page = 0; page < TRAP_PAGES; page++) { /* nothing the parent wrote since is here */
            alone = alone && page_address(watched, page)[page] == 7 + (page == 2);
        }
        _exit(alone ? 0 : 1);
    }
    close(ends[0]);
    CHECK_PEEK(watched, PAGE(2));
    CHECK_REARM(watched, PAGE(2));
    check_alive(watched);
    close(ends[1]);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    check_alive(watched);
}

/* ---- exec */

static void become_another_program(void *unused)
{
    (void)unused;
    char *const arguments[] = { "true", NULL };
    execv("/bin/true", arguments);
}

TRAP_TEST(trap_process, executed_another_program)
{
    write_page(watched, 2);
    CHECK_CHILD(become_another_program, NULL);
    pid_t child = -1;
    char *const arguments[] = { "true", NULL };
    CHECK_EQ(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ), 0);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_REARM(watched, PAGE(2));
    check_alive(watched);
}

/* ---- signals */

static struct watched *shared;
static volatile sig_atomic_t handled;

static void write_in_handler(int signal_number)
{
    (void)signal_number;
    write_page(shared, 5);
    handled++;
}

TRAP_TEST(trap_process, written_in_a_signal_handler)
{
    struct sigaction action = { .sa_handler = write_in_handler };
    struct sigaction before;
    shared = watched;
    handled = 0;
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    for (int turn = 0; turn < 3; turn++) {
        CHECK_EQ(raise(SIGUSR1), 0);
        write_page(watched, 6);
        CHECK_REARM(watched, PAGE(5) | PAGE(6));
    }
    CHECK_EQ(handled, 3);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
    check_alive(watched);
}

static void write_with_faults_blocked(void *argument)
{
    const struct watched *watched = argument;
    struct watched own;
    sigset_t faults;
    watched_open(&own, watched->backend, TRAP_PAGES);
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &faults, NULL), 0);
    write_page(&own, 3);
    CHECK_REARM(&own, PAGE(3));
}

TRAP_TEST(trap_process, written_with_sigsegv_blocked)
{
    if (is(watched, "signal")) {
        check_dies(write_with_faults_blocked, watched, SIGSEGV);
    } else {
        CHECK_CHILD(write_with_faults_blocked, watched);
    }
}

/* ---- stacks */

enum { STACK_PAGES = 32 };

static void run_handler_on(unsigned char *stack, size_t bytes)
{
    struct sigaction action = { .sa_handler = write_in_handler, .sa_flags = SA_ONSTACK };
    stack_t alternate = { .ss_sp = stack, .ss_size = bytes };
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
}

/* The kernel itself writes the frame of a handler: it counts, or it cannot. */
static void watch_the_alternate_stack(void *argument)
{
    const struct watched *watched = argument;
    struct watched stack;
    struct watched data;
    watched_open(&data, watched->backend, TRAP_PAGES);
    watched_open(&stack, watched->backend, STACK_PAGES);
    shared = &data;
    run_handler_on(stack.memory, STACK_PAGES * stack.page_bytes);
    CHECK((collect_pages(&stack, SVP_WATCH_REARM) & PAGE(STACK_PAGES - 1)) != 0);
    CHECK_REARM(&data, PAGE(5));
    run_handler_on(stack.memory, STACK_PAGES * stack.page_bytes);
    CHECK((collect_pages(&stack, SVP_WATCH_REARM) & PAGE(STACK_PAGES - 1)) != 0);
}

TRAP_TEST(trap_process, the_alternate_stack)
{
    if (is(watched, "signal")) {
        check_dies(watch_the_alternate_stack, watched, SIGSEGV);
    } else {
        CHECK_CHILD(watch_the_alternate_stack, watched);
    }
}

static pthread_barrier_t steps;

static void *use_the_stack(void *unused)
{
    (void)unused;
    for (int turn = 0; turn < 3; turn++) {
        pthread_barrier_wait(&steps); /* watched now */
        volatile unsigned char deep[8192];
        deep[0] = (unsigned char)turn;
        deep[8191] = deep[0];
        pthread_barrier_wait(&steps);
    }
    return NULL;
}

/* Of a running thread: never with the signal watch, whose faults the kernel could not deliver there. */
TRAP_TEST(trap_process, the_stack_of_a_running_thread)
{
    if (is(watched, "signal")) {
        return;
    }
    rewatch(watched, map_pages(STACK_PAGES), STACK_PAGES);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQ(pthread_barrier_init(&steps, NULL, 2), 0);
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, watched->memory, STACK_PAGES * watched->page_bytes), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, use_the_stack, NULL), 0);
    for (int turn = 0; turn < 3; turn++) {
        (void)collect_pages(watched, SVP_WATCH_REARM);
        pthread_barrier_wait(&steps);
        pthread_barrier_wait(&steps);
        CHECK(collect_pages(watched, SVP_WATCH_PEEK) != 0);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    pthread_barrier_destroy(&steps);
}

static void watch_the_stack_of_a_thread(void *argument)
{
    const struct watched *watched = argument;
    unsigned char *memory = map_pages(STACK_PAGES);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQ(pthread_barrier_init(&steps, NULL, 2), 0);
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, memory, STACK_PAGES * host_page_bytes()), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, use_the_stack, NULL), 0);
    usleep(20000); /* it waits at the barrier, or will find its stack closed on the way there */
    struct watched stack;
    watched_open_on(&stack, watched->backend, memory, STACK_PAGES);
    for (int turn = 0; turn < 6; turn++) {
        pthread_barrier_wait(&steps);
    }
}

TRAP_TEST(trap_process, the_stack_of_a_thread_kills_under_signal)
{
    if (is(watched, "signal")) {
        check_dies(watch_the_stack_of_a_thread, watched, SIGSEGV);
    }
}
