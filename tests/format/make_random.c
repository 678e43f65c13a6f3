/* make_random.c - writes an archive of random changes, branches, growth and exclusions: make_random PATH SEED SNAPSHOTS
 */
#include <savepoint.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, HEAP_PAGES = 192, GROWN_PAGES = 256, WORLD_BYTES = 65536 };

static uint64_t state;

static uint32_t random_below(uint32_t limit)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

static int fail(const struct savepoint_error *error)
{
    fprintf(stderr, "make_random: %s\n", error->message);
    return 1;
}

/* A few writes of the kinds coders care about: single bytes, short runs, whole pages, zeros. */
static void scribble(unsigned char *memory, uint32_t bytes)
{
    static const uint32_t lengths[] = { 1, 8, 64, 700, PAGE };
    uint32_t writes = random_below(40);
    for (uint32_t i = 0; i < writes; i++) {
        uint32_t length = lengths[random_below(5)];
        uint32_t at = random_below(bytes - length + 1);
        at = length == PAGE ? at / PAGE * PAGE : at;
        unsigned mask = random_below(8) == 0 ? 0 : random_below(2) == 0 ? 15 : 255;
        for (uint32_t k = 0; k < length; k++) {
            memory[at + k] = (unsigned char)(random_below(256) & mask);
        }
    }
}

static int take(struct savepoint *session, uint32_t number, struct savepoint_snapshot *taken)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    char label[32];
    const struct savepoint_metadata message = { SAVEPOINT_METADATA_MESSAGE, "a message", 9 };
    snprintf(label, sizeof label, "take %u", number);
    options.label = number % 5 == 0 ? NULL : label;
    options.durability = (enum savepoint_durability)(number % 3);
    options.metadata = &message;
    options.metadata_count = number % 4 == 0 ? 1 : 0;
    if (savepoint_take(session, NULL, &options, &error) != SAVEPOINT_OK ||
        savepoint_wait(session, 0, taken, &error) != SAVEPOINT_OK) {
        return fail(&error);
    }
    return 0;
}

/* One step of the random program. */
static int step(struct savepoint *session, unsigned char *heap, unsigned char *world, struct savepoint_snapshot *taken,
                uint32_t number, uint32_t *heap_pages)
{
    struct savepoint_error error;
    enum savepoint_status status = SAVEPOINT_OK;
    uint32_t choice = random_below(16);
    if (choice == 0 && number > 0) {
        status = savepoint_restore(session, &taken[random_below(number)].id, NULL, &error);
    } else if (choice == 1 && *heap_pages == HEAP_PAGES) {
        *heap_pages = GROWN_PAGES;
        status = savepoint_grow(session, "heap", (size_t)GROWN_PAGES * PAGE, &error);
    } else if (choice == 2) {
        status = savepoint_exclude(session, "heap", (size_t)random_below(HEAP_PAGES) * PAGE, PAGE, &error);
    } else if (choice == 3) {
        status = savepoint_include(session, "heap", 0, (size_t)HEAP_PAGES * PAGE, &error);
    }
    if (status != SAVEPOINT_OK) {
        return fail(&error);
    }
    scribble(heap, *heap_pages * PAGE);
    scribble(world, WORLD_BYTES);
    return take(session, number, &taken[number]);
}

int main(int argc, char **argv)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    struct savepoint *session;
    void *world;
    if (argc != 4) {
        fprintf(stderr, "usage: make_random PATH SEED SNAPSHOTS\n");
        return 2;
    }
    state = strtoull(argv[2], NULL, 10);
    uint32_t snapshots = (uint32_t)strtoul(argv[3], NULL, 10);
    unsigned char *heap = aligned_alloc(PAGE, (size_t)GROWN_PAGES * PAGE);
    struct savepoint_snapshot *taken = calloc(snapshots + 1, sizeof *taken);
    options.watch = "compare";
    if (heap == NULL || taken == NULL) {
        return 1;
    }
    memset(heap, 0, (size_t)GROWN_PAGES * PAGE);
    if (savepoint_open(&session, argv[1], &options, &error) != SAVEPOINT_OK ||
        savepoint_watch(session, "heap", heap, (size_t)HEAP_PAGES * PAGE, &error) != SAVEPOINT_OK ||
        savepoint_map(session, &world, "world", WORLD_BYTES, NULL, &error) != SAVEPOINT_OK) {
        return fail(&error);
    }
    uint32_t heap_pages = HEAP_PAGES;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < snapshots; i++) {
        result = step(session, heap, world, taken, i, &heap_pages);
    }
    if (savepoint_close(session, &error) != SAVEPOINT_OK) {
        result = fail(&error);
    }
    free(heap);
    free(taken);
    return result;
}
