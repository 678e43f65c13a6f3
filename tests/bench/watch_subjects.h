/* watch_subjects.h - what is measured under the loops of watch_loop.c: the backends, their floors, and Wine as a peer
 */
#ifndef WATCH_SUBJECTS_H
#define WATCH_SUBJECTS_H

#include "watch_loop.h"

/* savepoint_watch_* with each backend (watch_backends.c). */
extern const struct watch_subject watch_uffd, watch_signal, watch_compare;

/* The same without the library: the two system calls (watch_floors.c). */
extern const struct watch_subject watch_raw, watch_raw_mprotect;

/* VirtualAlloc, GetWriteWatch and ResetWriteWatch of a Windows program under Wine (wine.c): in a process of its own,
 * which is started with the first job. As watch_run. */
bool wine_run(const struct watch_job *job, double figures[WATCH_FIGURES], const char **why);
void wine_stop(void);

#endif
