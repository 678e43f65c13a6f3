/* pages_windows.c - fresh memory of a kind that Windows can watch */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "pages.h"

void *svp_pages_map(size_t bytes)
{
    return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE);
}

void svp_pages_unmap(void *start, size_t bytes)
{
    (void)bytes; /* an allocation is given back as a whole */
    VirtualFree(start, 0, MEM_RELEASE);
}
