/* word_index.c - a full-text index made of pointers, which is built on after any end from its last snapshot */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, nanosleep */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "folder.h"
#include "search.h"
#include "store.h"
#include "words.h"

enum { QUERIES_MAX = 64, SHOWN_MAX = 10 };

struct options {
    const char *archive, *folder; /* without a folder nothing is added */
    const char *queries[QUERIES_MAX];
    size_t query_count;
    uint64_t every, every_ms, limit, slow_ms;
    int stats, walk, digest;
};

static int tell(const char *doing, const char *what)
{
    fprintf(stderr, "word_index: %s: %s\n", doing, what);
    return -1;
}

/* ---- the work */

/* An index goes with one list of files: what came back must belong to the files that are there. */
static int go_on(const struct store *store, const struct folder *folder)
{
    struct words *words = store->words;
    if (words->folder_digest == 0) {
        words->folder_digest = folder_digest(folder);
    }
    if (words->folder_digest != folder_digest(folder)) {
        return tell(folder->root, "these are not the files that the index was begun with: start a new archive");
    }
    fprintf(stderr, "goes on with file %" PRIu64 " of %zu\n", words->next_file, folder->count);
    return 0;
}

static int add_file(struct store *store, const struct folder *folder)
{
    struct words *words = store->words;
    size_t index = (size_t)words->next_file;
    size_t bytes = 0;
    char *text = folder_read(folder, index, &bytes);
    if (text == NULL) {
        words->skipped_count++;
    } else if (words_add(&store->heap, folder->files[index].path, text, bytes) != 0) {
        free(text);
        return tell(folder->files[index].path, "no memory to add it");
    }
    free(text);
    words->next_file++;
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec time = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    if (ms > 0) {
        nanosleep(&time, NULL);
    }
}

/* Snapshots are taken between two files, when the index is whole. On the way they are ORDERED: a kill costs the work
 * since the last one, a power cut may cost more. The one at the end is SYNC, and makes all of them durable. */
static int build(struct store *store, const struct folder *folder, const struct options *options)
{
    const struct words *words = store->words;
    uint64_t taken_file = words->next_file, taken_ms = now_ms();
    if (go_on(store, folder) != 0) {
        return -1;
    }
    if (words->next_file == folder->count) {
        return 0;
    }
    while (words->next_file < folder->count) {
        if (add_file(store, folder) != 0) {
            return -1;
        }
        sleep_ms(options->slow_ms);
        int due = words->next_file >= taken_file + options->every ||
                  (options->every_ms > 0 && now_ms() >= taken_ms + options->every_ms);
        if (!due || words->next_file == folder->count) {
            continue;
        }
        if (store_take(store, SAVEPOINT_ORDERED) != 0) {
            return -1;
        }
        taken_file = words->next_file;
        taken_ms = now_ms();
    }
    return store_take(store, SAVEPOINT_SYNC) != 0 ? -1 : store_wait(store);
}

/* ---- what it says */

static int print_walk(const struct arena *arena)
{
    struct arena_totals totals;
    const char *problem = words_check(arena);
    if (problem != NULL) {
        return tell("walk", problem);
    }
    arena_walk(arena, &totals);
    printf("walk: sound, %" PRIu64 " blocks of %" PRIu64 " bytes in use, %" PRIu64 " of %" PRIu64 " bytes free\n",
           totals.used_count, totals.used_bytes, totals.free_count, totals.free_bytes);
    fflush(stdout);
    return 0;
}

static int print_answer(const struct words *words, const char *query)
{
    struct hit *hits;
    size_t count;
    if (search(&hits, &count, words, query) != 0) {
        return tell(query, "no memory to search");
    }
    printf("\"%s\": %zu documents\n", query, count);
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        printf("  %" PRIu64 " together, %" PRIu64 " in all: %s\n", hits[i].together, hits[i].places,
               hits[i].document->path);
    }
    free(hits);
    return 0;
}

static int print_digest(const struct words *words)
{
    uint64_t digest;
    if (words_digest(&digest, words) != 0) {
        return tell("digest", "no memory");
    }
    printf("digest %016" PRIx64 "\n", digest);
    return 0;
}

static void print_statistics(const struct store *store)
{
    const struct words *words = store->words;
    printf("%" PRIu64 " documents, %" PRIu64 " files without text, %" PRIu64 " words at %" PRIu64 " places, %" PRIu64
           " of %" PRIu64 " KiB filled\n",
           words->document_count, words->skipped_count, words->word_count, words->place_count,
           store->heap.arena->end_bytes / 1024, store->heap.arena->bytes / 1024);
}

static int print_all(const struct store *store, const struct options *options)
{
    int failed = 0;
    if (options->stats) {
        print_statistics(store);
    }
    for (size_t i = 0; i < options->query_count; i++) {
        failed = print_answer(store->words, options->queries[i]) != 0 || failed;
    }
    failed = (options->walk && print_walk(store->heap.arena) != 0) || failed;
    failed = (options->digest && print_digest(store->words) != 0) || failed;
    return failed ? -1 : 0;
}

/* ---- the command line */

static int usage(void)
{
    fputs("usage: word_index ARCHIVE [FOLDER] [options]\n"
          "Indexes the text files below FOLDER, goes on where it was when it ended, and answers queries.\n"
          "  --query WORDS     the documents that hold all the words, the best first; may be given again\n"
          "  --every N         a snapshot every N files (25)\n"
          "  --every-ms N      and at the next file when N ms have gone by (never)\n"
          "  --limit N         only the first N files\n"
          "  --stats           how much there is\n"
          "  --walk            check every block, free list and pointer, at the start and at the end\n"
          "  --digest          print a digest of all that the index says\n"
          "  --slow-ms N       sleep N ms after every file\n",
          stderr);
    return -1;
}

static int parse_flag(struct options *options, const char *name)
{
    int *flag = strcmp(name, "--stats") == 0    ? &options->stats
                : strcmp(name, "--walk") == 0   ? &options->walk
                : strcmp(name, "--digest") == 0 ? &options->digest
                                                : NULL;
    return flag != NULL ? *flag = 1 : 0;
}

static int parse_value(struct options *options, const char *name, const char *text)
{
    uint64_t *number = strcmp(name, "--every") == 0      ? &options->every
                       : strcmp(name, "--every-ms") == 0 ? &options->every_ms
                       : strcmp(name, "--limit") == 0    ? &options->limit
                       : strcmp(name, "--slow-ms") == 0  ? &options->slow_ms
                                                         : NULL;
    if (strcmp(name, "--query") == 0 && options->query_count < QUERIES_MAX) {
        options->queries[options->query_count++] = text;
        return 0;
    }
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (number == NULL || *text < '0' || *text > '9' || *end != '\0' || value > UINT32_MAX) {
        return usage();
    }
    *number = value;
    return 0;
}

static int parse(struct options *options, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        const char **place = options->archive == NULL ? &options->archive : &options->folder;
        if (arguments[i][0] != '-' && *place == NULL) {
            *place = arguments[i];
        } else if (parse_flag(options, arguments[i])) {
            continue;
        } else if (i + 1 == count || parse_value(options, arguments[i], arguments[i + 1]) != 0) {
            return usage();
        } else {
            i++;
        }
    }
    return options->archive != NULL ? 0 : usage();
}

static int run(struct store *store, struct folder *folder, const struct options *options)
{
    int code = options->folder != NULL ? folder_open(folder, options->folder, (size_t)options->limit) : 0;
    if (code != 0) {
        return tell(options->folder, strerror(code));
    }
    if (store_open(store, options->archive, options->folder == NULL) != 0 ||
        (options->walk && print_walk(store->heap.arena) != 0) ||
        (options->folder != NULL && build(store, folder, options) != 0)) {
        return -1;
    }
    return print_all(store, options);
}

int main(int count, char **arguments)
{
    struct options options = { .every = 25, .limit = UINT32_MAX };
    struct folder folder = { 0 };
    struct store store = { 0 };
    if (parse(&options, count, arguments) != 0) {
        return 2;
    }
    int failed = run(&store, &folder, &options) != 0;
    folder_close(&folder);
    return store_close(&store) != 0 || failed ? 1 : 0;
}
