/* store.c - an index that lives in a mapped region, and its snapshots */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>

static const char region[] = "words";
static const uint64_t reserve_bytes = UINT64_C(4) << 30; /* of address space: it costs nothing until it is used */

enum { REGION_BYTES_MIN = 1 << 20, PAGE_BYTES = 4096 };

static int tell_error(const char *doing, const struct savepoint_error *error)
{
    char text[512];
    savepoint_error_format(error, text, sizeof text);
    fprintf(stderr, "word_index: %s: %s\n", doing, text);
    return -1;
}

/* The arena is full: more memory behind it, at the same address. */
static int grow_region(void *user, size_t bytes)
{
    const struct store *store = user;
    struct savepoint_error error;
    return savepoint_grow(store->session, region, bytes, &error) == SAVEPOINT_OK ? 0 : tell_error("grow", &error);
}

/* How large the region was at the last snapshot: it is the only one, so its size is that of the snapshot. */
static int recorded_bytes(const struct store *store, size_t *bytes)
{
    struct savepoint_error error;
    struct savepoint_snapshot head;
    switch (savepoint_find(store->session, &head, "HEAD", &error)) {
    case SAVEPOINT_OK:
        *bytes = (size_t)head.region_pages * PAGE_BYTES;
        return 0;
    case SAVEPOINT_EMPTY:
        *bytes = REGION_BYTES_MIN;
        return 0;
    default:
        return tell_error("find", &error);
    }
}

static int begin(struct store *store, void *base, size_t bytes)
{
    store->heap.arena = arena_begin(base, bytes);
    store->words = words_begin(&store->heap);
    return store->words != NULL ? 0 : -1;
}

/* The root is all that has to be known: the rest hangs on it by pointers, and those are good as they are. */
static int find_again(struct store *store, void *base, size_t bytes)
{
    store->heap.arena = arena_find(base, bytes);
    if (store->heap.arena == NULL) {
        fprintf(stderr, "word_index: the snapshot holds no index\n");
        return -1;
    }
    store->words = store->heap.arena->root;
    return 0;
}

/* The order every resumable program follows: open, map, resume. */
int store_open(struct store *store, const char *archive, int must_exist)
{
    struct savepoint_error error;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_region_options region_options = SAVEPOINT_REGION_OPTIONS_INIT;
    void *base;
    size_t bytes = 0;
    *store = (struct store){ .heap = { .grow = grow_region, .user = store } };
    options.flags = must_exist ? SAVEPOINT_OPEN_MUST_EXIST : 0;
    region_options.reserve_bytes = reserve_bytes;
    if (savepoint_open(&store->session, archive, &options, &error) != SAVEPOINT_OK) {
        return tell_error("open", &error);
    }
    if (recorded_bytes(store, &bytes) != 0) {
        return -1;
    }
    if (savepoint_map(store->session, &base, region, bytes, &region_options, &error) != SAVEPOINT_OK) {
        return tell_error("map", &error);
    }
    switch (savepoint_resume(store->session, NULL, &error)) {
    case SAVEPOINT_OK:
        return find_again(store, base, bytes);
    case SAVEPOINT_EMPTY:
        return begin(store, base, bytes);
    default:
        return tell_error("resume", &error);
    }
}

int store_close(struct store *store)
{
    struct savepoint_error error;
    return savepoint_close(store->session, &error) == SAVEPOINT_OK ? 0 : tell_error("close", &error);
}

int store_take(struct store *store, enum savepoint_durability durability)
{
    struct savepoint_error error;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    char label[32];
    if (store_wait(store) != 0) {
        return -1;
    }
    snprintf(label, sizeof label, "file %" PRIu64, store->words->next_file);
    options.label = label;
    options.durability = durability;
    if (savepoint_take(store->session, &store->ticket, &options, &error) != SAVEPOINT_OK) {
        return tell_error("take", &error);
    }
    store->ticket_file = store->words->next_file;
    return 0;
}

int store_wait(struct store *store)
{
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
    char id[SAVEPOINT_ID_TEXT_BYTES];
    if (store->ticket == 0) {
        return 0;
    }
    if (savepoint_wait(store->session, store->ticket, &snapshot, &error) != SAVEPOINT_OK) {
        return tell_error("snapshot", &error);
    }
    store->ticket = 0;
    savepoint_id_format(&snapshot.id, id);
    fprintf(stderr,
            "file %" PRIu64 ": snapshot %.8s, %" PRIu64 " of %" PRIu64 " pages, %" PRIu64 " KiB, pause %.1f ms\n",
            store->ticket_file, id, snapshot.changed_pages, snapshot.region_pages, snapshot.stored_bytes / 1024,
            (double)snapshot.pause_ns / 1e6);
    return 0;
}
