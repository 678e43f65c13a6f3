/* fault_handler.h - the handler for write faults: what it asks, what it is told, how it comes and goes */
#ifndef SVP_FAULT_HANDLER_H
#define SVP_FAULT_HANDLER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- of the system (fault_linux.c, fault_macos.c) */

enum { SVP_FAULT_SIGNALS_MAX = 2 };
/* The signals that a refused write raises; 0 past the last. */
extern const int svp_fault_signals[SVP_FAULT_SIGNALS_MAX];

/* By kill and the like, not by an instruction. Async-signal-safe. */
bool svp_fault_was_sent(const siginfo_t *info);

/* True when a write was refused; where system and processor do not tell, true for every refusal. Reading a page that
 * the application has closed, or running data, is nothing that can be mended by opening it for writing: served, it
 * would repeat for ever. Async-signal-safe. */
bool svp_fault_is_write(const siginfo_t *info, const void *context);

/* ---- of the table (fault.c) */

typedef _Atomic(struct sigaction *) svp_fault_previous;

/* Opens the page if it is in a published range. If not, *before becomes the handler to ask instead. Async-signal-safe.
 */
bool svp_fault_serve(uintptr_t address, bool write_refused, svp_fault_previous *previous, struct sigaction *before);

/* ---- of the handler (fault_handler.c); one thread at a time */

/* Puts the handler in front of those that are there; nothing to do where it is already. 0 or an OS error code. */
int svp_fault_install(void);
/* Whether running it may write to a part of this range. */
bool svp_fault_handler_writes_to(uintptr_t start, size_t bytes);
/* Where another handler stands on top of ours, ours stays: it may be called, and passes everything on. */
void svp_fault_uninstall(void);

#endif
