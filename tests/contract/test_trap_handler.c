/* test_trap_handler.c - a SIGSEGV handler that was there before the first watch gets the faults of the application
 *
 * A program of its own: nothing may be watched in the process before. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trap_fixture.h"

static unsigned char *volatile foreign;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(signal_number == SIGSEGV && info->si_addr == foreign ? 42 : 43);
}

static void fault_elsewhere(void *argument)
{
    const struct svp_watch_backend *backend = argument;
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    struct watched watched;
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    watched_open(&watched, backend, TRAP_PAGES);
    check_alive(&watched);
    foreign = map_pages(1);
    CHECK_EQ(mprotect(foreign, host_page_bytes(), PROT_READ), 0);
    *(volatile unsigned char *)foreign = 1;
}

CHECK_TEST(trap_handler, faults_of_the_application)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        int status = run_child(fault_elsewhere, (void *)(uintptr_t)backend);
        CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 42, "wait status 0x%x", (unsigned)status);
    }
}
