/* words_check.c - is the index sound, and what does it say: a walk along every pointer, and a digest */
#include <stdlib.h>
#include <string.h>

#include "fnv.h"
#include "words.h"

/* What a walk meets, to be compared with what the index and the arena believe. */
struct tally {
    uint64_t blocks, documents, words, postings, places;
};

static int holds_text(const struct arena *arena, const void *memory, size_t offset)
{
    if (!arena_holds(arena, memory, offset + 1)) {
        return 0;
    }
    const char *text = (const char *)memory + offset;
    return arena_holds(arena, memory, offset + strlen(text) + 1);
}

static const char *check_documents(const struct arena *arena, const struct words *words, struct tally *tally)
{
    const struct document *last = NULL;
    uint64_t places = 0;
    for (const struct document *document = words->first; document != NULL; document = document->next) {
        if (!holds_text(arena, document, offsetof(struct document, path))) {
            return "the list of documents leads out of the arena";
        }
        if (document->number != tally->documents) {
            return "the documents are not in order";
        }
        tally->documents++;
        tally->blocks++;
        places += document->place_count;
        last = document;
    }
    return last == words->last && places == words->place_count ? NULL : "the documents and their count do not agree";
}

static const char *check_places(const struct posting *posting)
{
    for (uint32_t i = 0; i < posting->place_count; i++) {
        if (posting->places[i] >= posting->document->place_count) {
            return "a place is behind the end of its document";
        }
        if (i > 0 && posting->places[i] <= posting->places[i - 1]) {
            return "the places of a word are not in order";
        }
    }
    return posting->place_count > 0 ? NULL : "a word stands nowhere";
}

static const char *check_postings(const struct arena *arena, const struct word *word, struct tally *tally)
{
    const struct posting *last = NULL;
    uint64_t count = 0;
    for (const struct posting *posting = word->first; posting != NULL; posting = posting->next) {
        if (!arena_holds(arena, posting, sizeof *posting) ||
            !holds_text(arena, posting->document, offsetof(struct document, path)) ||
            !arena_holds(arena, posting->places, posting->place_capacity * sizeof *posting->places) ||
            posting->place_count > posting->place_capacity) {
            return "a posting leads out of the arena";
        }
        if (last != NULL && last->document->number >= posting->document->number) {
            return "the documents of a word are not in order";
        }
        const char *problem = check_places(posting);
        if (problem != NULL) {
            return problem;
        }
        count++;
        tally->blocks += 2;
        tally->places += posting->place_count;
        last = posting;
    }
    tally->postings += count;
    return last == word->last && count == word->document_count ? NULL : "a word and its count do not agree";
}

static const char *
check_bucket(const struct arena *arena, const struct words *words, uint64_t bucket, struct tally *tally)
{
    for (const struct word *word = words->buckets[bucket]; word != NULL; word = word->next) {
        if (!holds_text(arena, word, offsetof(struct word, text))) {
            return "a bucket leads out of the arena";
        }
        if (word->hash != fnv_add(FNV_BEGIN, word->text, strlen(word->text)) ||
            (word->hash & (words->bucket_count - 1)) != bucket) {
            return "a word is in the wrong bucket";
        }
        if (tally->words++ == words->word_count) {
            return "a bucket runs in a circle";
        }
        tally->blocks++;
        const char *problem = check_postings(arena, word, tally);
        if (problem != NULL) {
            return problem;
        }
    }
    return NULL;
}

const char *words_check(const struct arena *arena)
{
    struct arena_totals totals;
    struct tally tally = { .blocks = 2 }; /* the index itself and its buckets */
    const struct words *words = arena->root;
    const char *problem = arena_walk(arena, &totals);
    if (problem != NULL) {
        return problem;
    }
    if (!arena_holds(arena, words, sizeof *words) ||
        !arena_holds(arena, words->buckets, (size_t)words->bucket_count * sizeof *words->buckets)) {
        return "the arena holds no index";
    }
    problem = check_documents(arena, words, &tally);
    for (uint64_t bucket = 0; problem == NULL && bucket < words->bucket_count; bucket++) {
        problem = check_bucket(arena, words, bucket, &tally);
    }
    if (problem != NULL) {
        return problem;
    }
    if (tally.documents != words->document_count || tally.words != words->word_count ||
        tally.postings != words->posting_count || tally.places != words->place_count) {
        return "the index and its counts do not agree";
    }
    return tally.blocks == totals.used_count ? NULL : "a block is in use, but not by the index";
}

/* ---- the digest */

static uint64_t add_number(uint64_t digest, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(number >> 8 * i);
    }
    return fnv_add(digest, bytes, sizeof bytes);
}

static uint64_t add_text(uint64_t digest, const char *text)
{
    return fnv_add(digest, text, strlen(text) + 1);
}

static uint64_t add_word(uint64_t digest, const struct word *word)
{
    digest = add_text(digest, word->text);
    for (const struct posting *posting = word->first; posting != NULL; posting = posting->next) {
        digest = add_number(digest, posting->document->number);
        for (uint32_t i = 0; i < posting->place_count; i++) {
            digest = add_number(digest, posting->places[i]);
        }
        digest = add_number(digest, posting->place_count);
    }
    return add_number(digest, word->document_count);
}

static int by_text(const void *left, const void *right)
{
    const struct word *const *a = left, *const *b = right;
    return strcmp((*a)->text, (*b)->text);
}

int words_digest(uint64_t *digest, const struct words *words)
{
    size_t count = 0;
    const struct word **sorted = malloc((size_t)(words->word_count + 1) * sizeof *sorted);
    if (sorted == NULL) {
        return -1;
    }
    for (uint64_t bucket = 0; bucket < words->bucket_count; bucket++) {
        for (const struct word *word = words->buckets[bucket]; word != NULL; word = word->next) {
            sorted[count++] = word;
        }
    }
    qsort(sorted, count, sizeof *sorted, by_text);
    uint64_t sum = FNV_BEGIN;
    for (const struct document *document = words->first; document != NULL; document = document->next) {
        sum = add_number(add_text(sum, document->path), document->place_count);
    }
    for (size_t i = 0; i < count; i++) {
        sum = add_word(sum, sorted[i]);
    }
    free(sorted);
    *digest = sum;
    return 0;
}
