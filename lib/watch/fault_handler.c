/* fault_handler.c - the process-wide handler for write faults, and the handlers that were there before it
 *
 * The handler calls nothing but svp_fault_serve, sigaction, pthread_sigmask, raise; it touches only atomics, its own
 * stack and saved handlers. */
#define _GNU_SOURCE
#include "fault_handler.h"

#include <errno.h>
#include <pthread.h>

struct state {
    bool installed;
    struct sigaction saved[2]; /* the handlers before ours; the newer one is `previous` */
    svp_fault_previous previous;
    atomic_bool previous_spent; /* it was installed with SA_RESETHAND and has run */
};
static struct state states[SVP_FAULT_SIGNALS_MAX]; /* of svp_fault_signals */

static struct state *state_of(int signal_number)
{
    return &states[signal_number == svp_fault_signals[0] ? 0 : 1];
}

/* What the kernel would do by default: a fault repeats when we return, a signal that was sent must be sent again. */
static void die(int signal_number, bool sent)
{
    struct sigaction standard = { .sa_handler = SIG_DFL };
    sigaction(signal_number, &standard, NULL);
    if (sent) {
        raise(signal_number);
    }
}

/* Runs the application's handler under the mask it asked for. It may leave by siglongjmp. */
static void chain(int signal_number, siginfo_t *info, void *context, const struct sigaction *before)
{
    bool sent = svp_fault_was_sent(info); /* no instruction will repeat */
    bool takes_info = (before->sa_flags & SA_SIGINFO) != 0;
    if (!takes_info && before->sa_handler == SIG_IGN && sent) {
        return;
    }
    bool spent =
        (before->sa_flags & (int)SA_RESETHAND) != 0 && atomic_exchange(&state_of(signal_number)->previous_spent, true);
    if (spent || (!takes_info && (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN))) {
        die(signal_number, sent);
        return;
    }
    sigset_t mask = before->sa_mask;
    if ((before->sa_flags & SA_NODEFER) == 0) {
        sigaddset(&mask, signal_number);
    }
    pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    if (takes_info) {
        before->sa_sigaction(signal_number, info, context);
    } else {
        before->sa_handler(signal_number);
    }
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct sigaction before;
    bool write_refused = !svp_fault_was_sent(info) && svp_fault_is_write(info, context);
    if (!svp_fault_serve((uintptr_t)info->si_addr, write_refused, &state_of(signal_number)->previous, &before)) {
        chain(signal_number, info, context, &before);
    }
    errno = saved_errno;
}

/* ---- installing it */

bool svp_fault_handler_writes_to(uintptr_t start, size_t bytes)
{
    return (uintptr_t)states < start + bytes && start < (uintptr_t)states + sizeof states;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_fault;
}

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static int install(int signal_number)
{
    struct state *state = state_of(signal_number);
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) != 0) {
        return errno;
    }
    /* Somebody who installed a handler over ours is trusted to call the one he found: to stand on top of him
     * would send a foreign fault round in circles. */
    if (is_ours(&now) || (state->installed && is_function(&now))) {
        return 0;
    }
    struct sigaction *slot = atomic_load(&state->previous) == &state->saved[0] ? &state->saved[1] : &state->saved[0];
    *slot = now;
    atomic_store(&state->previous_spent, false);
    atomic_store(&state->previous, slot);
    /* All signals wait until it is through: nothing can park the thread inside it. On the alternate stack, where
     * there is one, for threads with small stacks. */
    struct sigaction ours = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&ours.sa_mask);
    if (sigaction(signal_number, &ours, NULL) != 0) {
        return errno;
    }
    state->installed = true;
    return 0;
}

int svp_fault_install(void)
{
    int failure = 0;
    for (size_t i = 0; i < SVP_FAULT_SIGNALS_MAX && svp_fault_signals[i] != 0 && failure == 0; i++) {
        failure = install(svp_fault_signals[i]);
    }
    return failure;
}

static void uninstall(int signal_number)
{
    struct state *state = state_of(signal_number);
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) == 0 && is_ours(&now)) {
        const struct sigaction standard = { .sa_handler = SIG_DFL };
        sigaction(signal_number, atomic_load(&state->previous_spent) ? &standard : atomic_load(&state->previous), NULL);
        state->installed = false;
    }
}

void svp_fault_uninstall(void)
{
    for (size_t i = 0; i < SVP_FAULT_SIGNALS_MAX && svp_fault_signals[i] != 0; i++) {
        uninstall(svp_fault_signals[i]);
    }
}
