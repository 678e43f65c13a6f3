/* pageset.h - a set of page indexes of one region, as a bitmap */
#ifndef SVP_PAGESET_H
#define SVP_PAGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct svp_pageset { /* start with all zero, or svp_pageset_open */
    uint64_t pages;  /* members are below this */
    uint64_t *words;
};

#define SVP_PAGESET_NONE UINT64_MAX

bool svp_pageset_open(struct svp_pageset *set, uint64_t pages); /* empty; false: no memory */
void svp_pageset_close(struct svp_pageset *set);

bool svp_pageset_has(const struct svp_pageset *set, uint64_t page);
void svp_pageset_add(struct svp_pageset *set, uint64_t first_page, uint64_t page_count);
void svp_pageset_remove(struct svp_pageset *set, uint64_t first_page, uint64_t page_count);
void svp_pageset_clear(struct svp_pageset *set);
void svp_pageset_unite(struct svp_pageset *set, const struct svp_pageset *other);    /* other is not larger */
void svp_pageset_subtract(struct svp_pageset *set, const struct svp_pageset *other); /* other is not larger */
uint64_t svp_pageset_count(const struct svp_pageset *set);
/* The first member at or after `page`, or SVP_PAGESET_NONE. */
uint64_t svp_pageset_next(const struct svp_pageset *set, uint64_t page);

#endif
