/* make_archive.c - makes the archives that the tests of the command-line tool look at
 *
 * usage: make_archive PATH SCENARIO
 * Contents, labels and shapes are the same every time; ids and times are not. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "make_archive.h"

struct savepoint *session;
struct savepoint_error error;
unsigned char *heap, *world;
static uint32_t noise_state = 2463534242u;

void must(enum savepoint_status status)
{
    char text[640];
    if (status != SAVEPOINT_OK) {
        savepoint_error_format(&error, text, sizeof text);
        fprintf(stderr, "make_archive: %s\n", text);
        exit(1);
    }
}

/* Bytes that no coder can shorten, so that they stand in the archive as they are. */
void fill_with_noise(unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        noise_state ^= noise_state << 13;
        noise_state ^= noise_state >> 17;
        noise_state ^= noise_state << 5;
        bytes[i] = (unsigned char)(noise_state >> 24);
    }
}

/* False while somebody else has the archive open for writing. */
static bool try_session(const char *path, uint32_t flags)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.flags = flags;
    options.watch = "compare"; /* works everywhere */
    enum savepoint_status status = savepoint_open(&session, path, &options, &error);
    if (status == SAVEPOINT_LOCKED) {
        return false;
    }
    must(status);
    heap = aligned_alloc(PAGE_BYTES, HEAP_BYTES);
    world = aligned_alloc(PAGE_BYTES, WORLD_BYTES);
    if (heap == NULL || world == NULL) {
        exit(1);
    }
    memset(heap, 0, HEAP_BYTES);
    memset(world, 0, WORLD_BYTES);
    must(savepoint_watch(session, "heap", heap, HEAP_BYTES, &error));
    return true;
}

void open_session(const char *path, uint32_t flags)
{
    if (!try_session(path, flags)) {
        must(SAVEPOINT_LOCKED);
    }
}

void close_session(void)
{
    must(savepoint_close(session, &error));
    session = NULL;
    free(heap);
    free(world);
}

/* Changes `pages` pages of the heap and takes a snapshot. */
struct savepoint_snapshot take(const char *label, size_t pages, const struct savepoint_take_options *more)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    if (more != NULL) {
        options = *more;
    }
    options.label = label;
    for (size_t i = 0; i < pages; i++) {
        fill_with_noise(heap + i * PAGE_BYTES, PAGE_BYTES);
    }
    must(savepoint_take(session, &ticket, &options, &error));
    must(savepoint_wait(session, ticket, &snapshot, &error));
    return snapshot;
}

static void make_linear(const char *path)
{
    open_session(path, 0);
    take("one", 1, NULL);
    take("two", 2, NULL);
    take("three", 3, NULL);
    take(NULL, 4, NULL);
    take("five", 1, NULL);
    close_session();
}

/*  one - two - three        "three" is the last of its branch, "other two" is HEAD
 *     \- other - other two                                                       */
static void make_branch(const char *path)
{
    open_session(path, 0);
    struct savepoint_snapshot one = take("one", 1, NULL);
    take("two", 1, NULL);
    take("three", 1, NULL);
    must(savepoint_restore(session, &one.id, NULL, &error));
    take("other", 2, NULL);
    take("other two", 2, NULL);
    close_session();
}

/* Ten autosaves on two branches, of which two are kept, and a take in the middle. */
static void make_autosave(const char *path)
{
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    struct savepoint_snapshot one = { .sequence = 0 };
    options.interval_ns = 1;
    options.keep_last = 2;
    options.label = "auto";
    open_session(path, 0);
    must(savepoint_autosave(session, &options, &error));
    for (int i = 0; i < 10; i++) {
        uint64_t ticket = 0;
        fill_with_noise(heap + (i % 3) * PAGE_BYTES, PAGE_BYTES);
        while (ticket == 0) {
            must(savepoint_tick(session, &ticket, &error));
        }
        must(savepoint_wait(session, ticket, NULL, &error));
        if (i == 4) {
            one = take("by hand", 1, NULL);
        }
        if (i == 7) {
            must(savepoint_restore(session, &one.id, NULL, &error));
        }
    }
    close_session();
}

static void make_empty(const char *path)
{
    open_session(path, 0);
    close_session();
}

static void make_large(const char *path)
{
    size_t bytes = 8u << 20;
    open_session(path, 0);
    unsigned char *field = aligned_alloc(PAGE_BYTES, bytes);
    if (field == NULL) {
        exit(1);
    }
    memset(field, 'f', bytes);
    must(savepoint_remove(session, "heap", &error));
    must(savepoint_watch(session, "field", field, bytes, &error));
    take("large", 0, NULL);
    close_session();
    free(field);
}

/* "old" and "new": bytes of "heap" changed, "world" grown, "temp" removed, "arena" added. */
static void make_changes(const char *path)
{
    open_session(path, 0);
    unsigned char *spare = heap + HEAP_BYTES - 2 * PAGE_BYTES; /* not part of "heap" here */
    must(savepoint_remove(session, "heap", &error));
    must(savepoint_watch(session, "heap", heap, HEAP_BYTES - 2 * PAGE_BYTES, &error));
    must(savepoint_watch(session, "world", world, 2 * PAGE_BYTES, &error));
    must(savepoint_watch(session, "temp", spare, PAGE_BYTES, &error));
    memcpy(heap + 0x13a0, "a line of memory, a line", 24);
    spare[0] = 1;
    take("old", 0, NULL);
    memcpy(heap + 0x13a8, "XXXXXXXX", 8); /* 8 bytes of 24 */
    memset(heap + 0x5ffc, 1, 8);          /* across a page boundary */
    heap[0x8000] = heap[0x8004] = 2;      /* near each other */
    heap[0x8010] = 2;                     /* and not */
    memset(heap + 0x9000, 3, PAGE_BYTES);
    must(savepoint_grow(session, "world", WORLD_BYTES, &error));
    must(savepoint_remove(session, "temp", &error));
    must(savepoint_watch(session, "arena", spare + PAGE_BYTES, PAGE_BYTES, &error));
    take("new", 0, NULL);
    close_session();
}

/* Sixty that store a few bytes each; "world" is removed and comes back. */
static void make_sixty(const char *path)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = SAVEPOINT_ORDERED;
    open_session(path, 0);
    fill_with_noise(heap, HEAP_BYTES);
    fill_with_noise(world, WORLD_BYTES);
    for (size_t i = 0; i < 60; i++) {
        if (i == 10 || i == 40) {
            must(savepoint_watch(session, "world", world, WORLD_BYTES, &error));
        } else if (i == 30) {
            must(savepoint_remove(session, "world", &error));
        }
        heap[i * 17 % HEAP_BYTES]++;
        heap[i * 5000 % HEAP_BYTES]++;
        memset(world + i % 4 * PAGE_BYTES, (int)i, 7);
        take(NULL, 0, &options);
    }
    close_session();
}

/* Twenty-five regions besides "heap"; the first is the largest in the archive. */
static void make_crowd(const char *path)
{
    char name[16];
    unsigned char *pages = aligned_alloc(PAGE_BYTES, 25 * PAGE_BYTES);
    if (pages == NULL) {
        exit(1);
    }
    memset(pages, 0, 25 * PAGE_BYTES);
    open_session(path, 0);
    for (size_t i = 0; i < 25; i++) {
        snprintf(name, sizeof name, "region-%02zu", i);
        fill_with_noise(pages + i * PAGE_BYTES, PAGE_BYTES - 100 * i);
        must(savepoint_watch(session, name, pages + i * PAGE_BYTES, PAGE_BYTES, &error));
    }
    take("crowd", 0, NULL);
    close_session();
    free(pages);
}

/* Names that a file system would take for a way out of the folder, and two that come to one file name. */
static void make_two_regions(const char *path)
{
    open_session(path, 0);
    must(savepoint_watch(session, "../world", world, 2 * PAGE_BYTES, &error));
    must(savepoint_watch(session, "__/world", world + 2 * PAGE_BYTES, PAGE_BYTES, &error));
    must(savepoint_watch(session, ".._world", world + 3 * PAGE_BYTES, PAGE_BYTES, &error));
    must(savepoint_exclude(session, "heap", 0, 2 * PAGE_BYTES, &error));
    memset(heap + 3 * PAGE_BYTES, 'h', PAGE_BYTES);
    memset(world, 'w', 2 * PAGE_BYTES);
    memset(world + 2 * PAGE_BYTES, 'x', PAGE_BYTES);
    memset(world + 3 * PAGE_BYTES, 'y', PAGE_BYTES);
    take("both", 0, NULL);
    close_session();
}

/* A hundred thousand snapshots of a few bytes each. */
static void make_many(const char *path)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = SAVEPOINT_NONE;
    open_session(path, 0);
    for (uint32_t i = 1; i <= 100000; i++) {
        char label[32];
        snprintf(label, sizeof label, "number %u", i);
        options.label = i % 1000 == 0 ? label : NULL;
        memcpy(heap + i % 16 * PAGE_BYTES, &i, sizeof i);
        must(savepoint_take(session, NULL, &options, &error));
    }
    close_session();
}

/* A program at work: takes, closes, opens again, goes on, until its standard input ends. Who else writes meanwhile (the
 * tool may) has the archive for a moment; then it is tried again. */
static void make_busy(const char *path)
{
    const struct timespec pause = { .tv_nsec = 15000000 };
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    for (unsigned turn = 0; poll(&input, 1, 0) == 0; turn++) {
        while (!try_session(path, 0)) {
            nanosleep(&pause, NULL);
        }
        enum savepoint_status status = savepoint_resume(session, NULL, &error);
        must(status == SAVEPOINT_EMPTY ? SAVEPOINT_OK : status);
        for (unsigned i = 0; i < 8; i++) {
            struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
            options.durability = (enum savepoint_durability)(i % 3);
            take(i % 2 == 0 ? "busy" : NULL, 1 + i % 3, &options);
            nanosleep(&pause, NULL);
        }
        close_session();
        nanosleep(&pause, NULL);
        if (turn == 0) {
            puts("ready");
            fflush(stdout);
        }
    }
}

static const struct {
    const char *name;
    void (*make)(const char *path);
} scenarios[] = {
    { "linear", make_linear },
    { "branch", make_branch },
    { "autosave", make_autosave },
    { "empty", make_empty },
    { "large", make_large },
    { "many", make_many },
    { "two_regions", make_two_regions },
    { "odd_names", make_odd_names },
    { "long_name", make_long_name },
    { "control_labels", make_control_labels },
    { "hostile", make_hostile },
    { "unsynced", make_unsynced },
    { "hold", make_hold },
    { "busy", make_busy },
    { "torn", make_torn },
    { "damaged", make_damaged },
    { "damaged_late", make_damaged_late },
    { "changes", make_changes },
    { "crowd", make_crowd },
    { "sixty", make_sixty },
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[2], scenarios[i].name) == 0) {
            scenarios[i].make(argv[1]);
            return 0;
        }
    }
    fprintf(stderr, "usage: make_archive PATH SCENARIO\n");
    return 2;
}
