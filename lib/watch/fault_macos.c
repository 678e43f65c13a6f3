/* fault_macos.c - how macOS tells that a write was refused
 *
 * A protection that forbids the access raises SIGBUS, memory that is not there SIGSEGV; debuggers and older systems mix
 * the two up, and the codes say no more. So both are asked for the kind of access, which the processor reports. */
#include "fault_handler.h"

#include <sys/ucontext.h>

const int svp_fault_signals[SVP_FAULT_SIGNALS_MAX] = { SIGBUS, SIGSEGV };

bool svp_fault_was_sent(const siginfo_t *info)
{
    return info->si_code <= 0 || info->si_code >= SI_USER;
}

bool svp_fault_is_write(const siginfo_t *info, const void *context)
{
    (void)info;
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    return (machine->uc_mcontext->__es.__err & 2) != 0; /* the page fault's error code */
#elif defined(__aarch64__)
    uint32_t syndrome = machine->uc_mcontext->__es.__esr;
    uint32_t kind = syndrome >> 26;
    bool data_abort = kind == 0x24 || kind == 0x25; /* from user or kernel mode */
    return data_abort && (syndrome >> 6 & 1) != 0;  /* WnR: a write, not a read */
#else
    (void)machine;
    return true;
#endif
}
