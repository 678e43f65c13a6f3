/* memory.h - the library's one door to the allocator (tests make it fail on purpose) */
#ifndef SVP_MEMORY_H
#define SVP_MEMORY_H

#include <stddef.h>

/* All return NULL when there is no memory or when count * bytes overflows; release with svp_memory_free. */
void *svp_memory_alloc(size_t bytes);
void *svp_memory_zalloc(size_t count, size_t bytes);
void *svp_memory_resize(void *old, size_t count, size_t bytes); /* old stays valid on failure */
void svp_memory_free(void *block);                              /* NULL does nothing */

#endif
