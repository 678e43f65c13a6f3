/* host_posix.c - time and the process on POSIX systems */
#define _POSIX_C_SOURCE 200809L
#include "os/host.h"

#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t svp_host_time_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t svp_host_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t svp_host_process(void)
{
    return (uint64_t)getpid();
}
