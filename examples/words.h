/* words.h - an inverted index: every word, the documents that hold it, and where in each of them */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/* All of this lives in an arena and is tied together by ordinary pointers. Nothing in it points out of the arena:
 * no functions, no string constants, no FILE. */
struct document {
    struct document *next; /* in the order in which they were added */
    uint32_t number;       /* 0, 1, ... */
    uint32_t place_count;  /* words in it */
    char path[];
};

/* One word in one document. */
struct posting {
    struct posting *next; /* of the same word, in a later document */
    struct document *document;
    uint32_t *places; /* ascending: 0 is the document's first word */
    uint32_t place_count, place_capacity;
};

struct word {
    struct word *next; /* in the same bucket */
    struct posting *first, *last;
    uint64_t hash;
    uint64_t document_count;
    char text[];
};

enum { WORDS_BUCKETS_MIN = 1024, WORDS_TEXT_BYTES = 64 };

struct words {
    struct word **buckets;
    uint64_t bucket_count; /* a power of two, at least as many as there are words */
    uint64_t word_count, posting_count, place_count, document_count;
    struct document *first, *last;
    /* How far the work is: it comes back together with what was built. */
    uint64_t folder_digest; /* of the list of files, which must be the same at every start */
    uint64_t next_file;     /* in that list */
    uint64_t skipped_count; /* files that hold no text */
};

/* An empty index, which becomes the root of the heap's arena; NULL: no memory. */
struct words *words_begin(struct heap *heap);

/* Takes in one document. Anything but 0: no memory, and the index is broken off in the middle. */
int words_add(struct heap *heap, const char *path, const char *text, size_t bytes);

/* NULL: no document holds it. The text is as words_next() gives it. */
const struct word *words_find(const struct words *words, const char *text);

/* Reads the next word from [*text, end) and moves *text behind it; returns 0 at the end. A word is a run of letters,
 * digits and bytes above 127 (UTF-8); ASCII letters become small, and only the first 63 bytes count. */
int words_next(char word[WORDS_TEXT_BYTES], const char **text, const char *end);

/* Follows every pointer. Returns NULL when all is sound and each block in use belongs to the index, else what is wrong.
 */
const char *words_check(const struct arena *arena);

/* Of what the index says, whatever the addresses: documents, words in the order of the alphabet, their places.
 * Returns 0 when done. */
int words_digest(uint64_t *digest, const struct words *words);

#endif
