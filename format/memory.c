/* memory.c - the library's one door to the allocator */
#include "format/memory.h"

#include <stdint.h>
#include <stdlib.h>

void *svp_memory_alloc(size_t bytes)
{
    return malloc(bytes > 0 ? bytes : 1);
}

void *svp_memory_zalloc(size_t count, size_t bytes)
{
    return calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1);
}

void *svp_memory_resize(void *old, size_t count, size_t bytes)
{
    if (bytes != 0 && count > SIZE_MAX / bytes) {
        return NULL;
    }
    return realloc(old, count * bytes > 0 ? count * bytes : 1);
}

void svp_memory_free(void *block)
{
    free(block);
}
