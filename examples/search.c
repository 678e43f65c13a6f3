/* search.c - which documents hold all the words of a query, the best first */
#include "search.h"

#include <stdlib.h>
#include <string.h>

enum { QUERY_WORDS = 16 };

/* The words of a query, each at its posting for one and the same document. */
struct cursor {
    const struct posting *at[QUERY_WORDS];
    size_t count;
};

/* Every word at its first document; 0 where some word stands nowhere. */
static int begin(struct cursor *cursor, const struct words *words, const char *query)
{
    const char *end = query + strlen(query);
    char token[WORDS_TEXT_BYTES];
    cursor->count = 0;
    while (cursor->count < QUERY_WORDS && words_next(token, &query, end)) {
        const struct word *word = words_find(words, token);
        if (word == NULL) {
            return 0;
        }
        cursor->at[cursor->count++] = word->first;
    }
    return cursor->count > 0;
}

/* Moves on to the next document, here or later, that holds all words; 0: there is none. */
static int settle(struct cursor *cursor)
{
    uint32_t wanted = 0;
    for (size_t agreeing = 0, i = 0; agreeing < cursor->count; i = (i + 1) % cursor->count) {
        const struct posting *posting = cursor->at[i];
        while (posting != NULL && posting->document->number < wanted) {
            posting = posting->next;
        }
        if (posting == NULL) {
            return 0;
        }
        cursor->at[i] = posting;
        agreeing = posting->document->number == wanted ? agreeing + 1 : 1;
        wanted = posting->document->number;
    }
    return 1;
}

static int stands_at(const struct posting *posting, uint32_t place)
{
    uint32_t low = 0, high = posting->place_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (posting->places[middle] < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < posting->place_count && posting->places[low] == place;
}

static struct hit judge(const struct cursor *cursor)
{
    struct hit hit = { .document = cursor->at[0]->document };
    for (size_t i = 0; i < cursor->count; i++) {
        hit.places += cursor->at[i]->place_count;
    }
    for (uint32_t first = 0; first < cursor->at[0]->place_count; first++) {
        uint32_t place = cursor->at[0]->places[first];
        size_t following = 1;
        while (following < cursor->count && stands_at(cursor->at[following], place + (uint32_t)following)) {
            following++;
        }
        hit.together += following == cursor->count;
    }
    return hit;
}

static int best_first(const void *left, const void *right)
{
    const struct hit *a = left, *b = right;
    if (a->together != b->together) {
        return a->together > b->together ? -1 : 1;
    }
    if (a->places != b->places) {
        return a->places > b->places ? -1 : 1;
    }
    return strcmp(a->document->path, b->document->path);
}

int search(struct hit **hits, size_t *count, const struct words *words, const char *query)
{
    struct cursor cursor;
    size_t found = 0;
    struct hit *list = malloc((size_t)(words->document_count + 1) * sizeof *list);
    if (list == NULL) {
        return -1;
    }
    int more = begin(&cursor, words, query) && settle(&cursor);
    while (more) {
        list[found++] = judge(&cursor);
        cursor.at[0] = cursor.at[0]->next;
        more = cursor.at[0] != NULL && settle(&cursor);
    }
    qsort(list, found, sizeof *list, best_first);
    *hits = list;
    *count = found;
    return 0;
}
