/* host.h - what a process can ask about itself: time, randomness, identity, forks */
#ifndef SVP_HOST_H
#define SVP_HOST_H

#include <stddef.h>
#include <stdint.h>

uint64_t svp_host_time_ns(void);      /* UTC since 1970 */
uint64_t svp_host_monotonic_ns(void); /* for durations */
/* Random bytes that do not repeat between processes; not for secrets. */
void svp_host_random(void *to, size_t bytes);
uint64_t svp_host_process(void); /* the process id */
unsigned svp_host_cores(void);   /* that this process may run on; at least 1 */
/* From here on the calling thread works behind the application: waking up, it does not displace a thread that runs.
 * Where the system knows no such thing, nothing changes. */
void svp_host_work_behind(void);
const char *svp_host_abi(void); /* "linux-x86_64" */
/* The build id of the running program; returns its bytes, 0 where there is none. */
size_t svp_host_build_id(uint8_t *to, size_t capacity);

/* Calls `hook(item)` in every child that fork() makes, for every registered item: the one thing that must be done
 * for sessions there is closing descriptors. The hook must be async-signal-safe. */
int svp_host_at_fork(void (*hook)(void *item), void *item); /* 0 or an OS error code */
void svp_host_at_fork_end(void *item);

#endif
