/* pageset.c - a set of page indexes of one region, as a bitmap */
#include "pageset.h"

#include <string.h>

#include "format/memory.h"

enum { BITS = 64 };

static size_t words_for(uint64_t pages)
{
    return (size_t)((pages + BITS - 1) / BITS);
}

bool svp_pageset_open(struct svp_pageset *set, uint64_t pages)
{
    set->words = svp_memory_zalloc(words_for(pages), sizeof *set->words);
    set->pages = set->words != NULL ? pages : 0;
    return set->words != NULL;
}

void svp_pageset_close(struct svp_pageset *set)
{
    svp_memory_free(set->words);
    *set = (struct svp_pageset){ 0 };
}

bool svp_pageset_has(const struct svp_pageset *set, uint64_t page)
{
    return (set->words[page / BITS] >> page % BITS & 1) != 0;
}

/* The bits of word `word` that belong to [first, end). */
static uint64_t mask_of(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t start = word * BITS;
    uint64_t mask = UINT64_MAX;
    if (first > start) {
        mask &= UINT64_MAX << (first - start);
    }
    if (end - start < BITS) {
        mask &= (UINT64_C(1) << (end - start)) - 1;
    }
    return mask;
}

void svp_pageset_add(struct svp_pageset *set, uint64_t first_page, uint64_t page_count)
{
    uint64_t end = first_page + page_count;
    for (uint64_t word = first_page / BITS; page_count > 0 && word <= (end - 1) / BITS; word++) {
        set->words[word] |= mask_of(word, first_page, end);
    }
}

void svp_pageset_remove(struct svp_pageset *set, uint64_t first_page, uint64_t page_count)
{
    uint64_t end = first_page + page_count;
    for (uint64_t word = first_page / BITS; page_count > 0 && word <= (end - 1) / BITS; word++) {
        set->words[word] &= ~mask_of(word, first_page, end);
    }
}

void svp_pageset_clear(struct svp_pageset *set)
{
    memset(set->words, 0, words_for(set->pages) * sizeof *set->words);
}

void svp_pageset_unite(struct svp_pageset *set, const struct svp_pageset *other)
{
    for (size_t i = 0; i < words_for(other->pages); i++) {
        set->words[i] |= other->words[i];
    }
}

void svp_pageset_subtract(struct svp_pageset *set, const struct svp_pageset *other)
{
    for (size_t i = 0; i < words_for(other->pages); i++) {
        set->words[i] &= ~other->words[i];
    }
}

static unsigned lowest_bit(uint64_t word) /* word is not 0 */
{
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(word);
#else
    unsigned bit = 0;
    for (; (word & 1) == 0; word >>= 1) {
        bit++;
    }
    return bit;
#endif
}

static unsigned count_bits(uint64_t word)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_popcountll(word);
#else
    unsigned count = 0;
    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
#endif
}

uint64_t svp_pageset_count(const struct svp_pageset *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < words_for(set->pages); i++) {
        count += count_bits(set->words[i]);
    }
    return count;
}

uint64_t svp_pageset_next(const struct svp_pageset *set, uint64_t page)
{
    if (page >= set->pages) {
        return SVP_PAGESET_NONE;
    }
    size_t i = (size_t)(page / BITS);
    uint64_t word = set->words[i] & UINT64_MAX << page % BITS;
    while (word == 0) {
        if (++i >= words_for(set->pages)) {
            return SVP_PAGESET_NONE;
        }
        word = set->words[i];
    }
    return (uint64_t)i * BITS + lowest_bit(word);
}
