/* fault_memory.h - memory that the fault handler writes to: apart from the heap, so that the heap can be watched */
#ifndef SVP_FAULT_MEMORY_H
#define SVP_FAULT_MEMORY_H

#include <stddef.h>

/* Zero-filled; NULL without memory. One thread at a time. */
void *svp_fault_memory_new(size_t bytes);
void svp_fault_memory_free(void *block, size_t bytes); /* with the size that it was made with */

/* In a forked child, where a change may have been cut short: what is free is given up. */
void svp_fault_memory_forget(void);

#endif
