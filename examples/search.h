/* search.h - which documents hold all the words of a query, the best first */
#ifndef SEARCH_H
#define SEARCH_H

#include "words.h"

struct hit {
    const struct document *document;
    uint64_t together; /* places where the words follow each other as in the query */
    uint64_t places;   /* of any of the words */
};

/* Finds the documents that hold every word of `query`. Those where the words stand together come first, then those
 * where they are frequent, then by path. Returns 0 when done; `*hits` is the caller's to free.
 * Only the first 16 words of a query count. */
int search(struct hit **hits, size_t *count, const struct words *words, const char *query);

#endif
