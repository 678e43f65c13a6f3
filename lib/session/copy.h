/* copy.h - the one place that reads live memory */
#ifndef SVP_COPY_H
#define SVP_COPY_H

#include <stddef.h>

/* Copies `bytes` (a multiple of 8, both sides 8-byte aligned) out of memory that other threads may be writing and that
 * the application may have poisoned for the address sanitizer. Exempt from both sanitizers for that reason; nothing
 * else reads live memory during a take. */
void svp_copy_live(void *to, const void *live, size_t bytes);

#endif
