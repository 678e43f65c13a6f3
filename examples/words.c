/* words.c - an inverted index: every word, the documents that hold it, and where in each of them */
#include "words.h"

#include <string.h>

#include "fnv.h"

struct words *words_begin(struct heap *heap)
{
    struct words *words = arena_alloc(heap, sizeof *words);
    struct word **buckets = arena_alloc(heap, WORDS_BUCKETS_MIN * sizeof(struct word *));
    if (words == NULL || buckets == NULL) {
        return NULL;
    }
    words->buckets = buckets;
    words->bucket_count = WORDS_BUCKETS_MIN;
    heap->arena->root = words;
    return words;
}

/* ---- reading */

static int is_word_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte > 127;
}

int words_next(char word[WORDS_TEXT_BYTES], const char **text, const char *end)
{
    const char *at = *text;
    size_t bytes = 0;
    while (at < end && !is_word_byte((unsigned char)*at)) {
        at++;
    }
    for (; at < end && is_word_byte((unsigned char)*at); at++) {
        if (bytes < WORDS_TEXT_BYTES - 1) {
            word[bytes++] = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
        }
    }
    word[bytes] = '\0';
    *text = at;
    return bytes > 0;
}

/* ---- the hash table */

static uint64_t hash_of(const char *text)
{
    return fnv_add(FNV_BEGIN, text, strlen(text));
}

static struct word **bucket_of(const struct words *words, uint64_t hash)
{
    return &words->buckets[hash & (words->bucket_count - 1)];
}

static struct word *find(const struct words *words, const char *text, uint64_t hash)
{
    struct word *word = *bucket_of(words, hash);
    while (word != NULL && (word->hash != hash || strcmp(word->text, text) != 0)) {
        word = word->next;
    }
    return word;
}

const struct word *words_find(const struct words *words, const char *text)
{
    return find(words, text, hash_of(text));
}

static void put_in(struct words *words, struct word *word)
{
    struct word **bucket = bucket_of(words, word->hash);
    word->next = *bucket;
    *bucket = word;
}

static int double_buckets(struct heap *heap, struct words *words)
{
    uint64_t old_count = words->bucket_count;
    struct word **old = words->buckets;
    struct word **buckets = arena_alloc(heap, (size_t)old_count * 2 * sizeof(struct word *));
    if (buckets == NULL) {
        return -1;
    }
    words->buckets = buckets;
    words->bucket_count = old_count * 2;
    for (uint64_t i = 0; i < old_count; i++) {
        for (struct word *word = old[i], *next; word != NULL; word = next) {
            next = word->next;
            put_in(words, word);
        }
    }
    arena_free(heap, old);
    return 0;
}

static struct word *find_or_add(struct heap *heap, struct words *words, const char *text)
{
    uint64_t hash = hash_of(text);
    size_t text_bytes = strlen(text) + 1;
    struct word *word = find(words, text, hash);
    if (word != NULL) {
        return word;
    }
    if (words->word_count == words->bucket_count && double_buckets(heap, words) != 0) {
        return NULL;
    }
    word = arena_alloc(heap, offsetof(struct word, text) + text_bytes);
    if (word == NULL) {
        return NULL;
    }
    memcpy(word->text, text, text_bytes);
    word->hash = hash;
    put_in(words, word);
    words->word_count++;
    return word;
}

/* ---- postings */

static struct posting *posting_of(struct heap *heap, struct words *words, struct word *word, struct document *document)
{
    if (word->last != NULL && word->last->document == document) {
        return word->last;
    }
    struct posting *posting = arena_alloc(heap, sizeof *posting);
    if (posting == NULL) {
        return NULL;
    }
    posting->document = document;
    *(word->last != NULL ? &word->last->next : &word->first) = posting;
    word->last = posting;
    word->document_count++;
    words->posting_count++;
    return posting;
}

/* 2, 6, 14, 30, ...: these fill the arena's blocks. */
static int add_place(struct heap *heap, struct posting *posting, uint32_t place)
{
    if (posting->place_count == posting->place_capacity) {
        uint32_t capacity = posting->place_capacity * 2 + 2;
        uint32_t *places = arena_alloc(heap, capacity * sizeof *places);
        if (places == NULL) {
            return -1;
        }
        if (posting->place_count > 0) {
            memcpy(places, posting->places, posting->place_count * sizeof *places);
        }
        arena_free(heap, posting->places);
        posting->places = places;
        posting->place_capacity = capacity;
    }
    posting->places[posting->place_count++] = place;
    return 0;
}

static struct document *add_document(struct heap *heap, struct words *words, const char *path)
{
    size_t path_bytes = strlen(path) + 1;
    struct document *document = arena_alloc(heap, offsetof(struct document, path) + path_bytes);
    if (document == NULL) {
        return NULL;
    }
    memcpy(document->path, path, path_bytes);
    document->number = (uint32_t)words->document_count++;
    *(words->last != NULL ? &words->last->next : &words->first) = document;
    words->last = document;
    return document;
}

int words_add(struct heap *heap, const char *path, const char *text, size_t bytes)
{
    struct words *words = heap->arena->root;
    struct document *document = add_document(heap, words, path);
    const char *end = text + bytes;
    char token[WORDS_TEXT_BYTES];
    while (document != NULL && words_next(token, &text, end)) {
        struct word *word = find_or_add(heap, words, token);
        struct posting *posting = word != NULL ? posting_of(heap, words, word, document) : NULL;
        if (posting == NULL || add_place(heap, posting, document->place_count) != 0) {
            return -1;
        }
        document->place_count++;
        words->place_count++;
    }
    return document != NULL ? 0 : -1;
}
