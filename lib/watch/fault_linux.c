/* fault_linux.c - how Linux tells that a write was refused */
#define _GNU_SOURCE
#include "fault_handler.h"

#include <ucontext.h>

const int svp_fault_signals[SVP_FAULT_SIGNALS_MAX] = { SIGSEGV };

bool svp_fault_was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

bool svp_fault_is_write(const siginfo_t *info, const void *context)
{
    if (info->si_code != SEGV_ACCERR) {
        return false;
    }
#if defined(__x86_64__)
    return (((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    (void)context;
    return true;
#endif
}
