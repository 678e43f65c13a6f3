/* pages_posix.c - fresh memory of a kind that this system can watch */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "pages.h"

void *svp_pages_map(size_t bytes)
{
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

void svp_pages_unmap(void *start, size_t bytes)
{
    munmap(start, bytes);
}
