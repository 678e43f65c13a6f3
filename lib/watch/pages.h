/* pages.h - fresh memory of a kind that this system can watch */
#ifndef SVP_PAGES_H
#define SVP_PAGES_H

#include <stddef.h>

/* Zero-filled, readable and writable, `bytes` a multiple of the host's page; NULL: no memory. */
void *svp_pages_map(size_t bytes);
void svp_pages_unmap(void *start, size_t bytes);

#endif
