/* make_memory.c - makes archives whose writes are known, for the tests of `savepoint report` and `top`
 *
 * usage: make_memory PATH SCENARIO [SNAPSHOTS [PAGES]]
 * Contents, labels and shapes are the same every time; ids and times are not. */
#define _DEFAULT_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "savepoint.h"

enum { PAGE_BYTES = 4096 };

static struct savepoint *session;
static struct savepoint_error error;
static uint32_t noise_state = 2463534242u;

static void must(enum savepoint_status status)
{
    char text[640];
    if (status != SAVEPOINT_OK) {
        savepoint_error_format(&error, text, sizeof text);
        fprintf(stderr, "make_memory: %s\n", text);
        exit(1);
    }
}

static uint32_t noise(void)
{
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 17;
    noise_state ^= noise_state << 5;
    return noise_state;
}

static void open_session(const char *path)
{
    must(savepoint_open(&session, path, NULL, &error));
}

/* Regions get ascending addresses, far apart: their order on the page is that of their addresses. */
static unsigned char *watch(const char *name, size_t pages)
{
    static uintptr_t next = (uintptr_t)UINT64_C(0x200000000000);
    void *wanted = (void *)next;
    next += (uintptr_t)UINT64_C(0x1000000000);
    unsigned char *memory =
        mmap(wanted, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("make_memory: mmap");
        exit(1);
    }
    must(savepoint_watch(session, name, memory, pages * PAGE_BYTES, &error));
    return memory;
}

static struct savepoint_snapshot take(const char *label)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    uint64_t ticket = 0;
    options.label = label;
    options.durability = SAVEPOINT_ORDERED;
    must(savepoint_take(session, &ticket, &options, &error));
    must(savepoint_wait(session, ticket, &snapshot, &error));
    return snapshot;
}

static void fill_with_noise(unsigned char *page)
{
    for (size_t i = 0; i < PAGE_BYTES; i++) {
        page[i] = (unsigned char)(noise() >> 24);
    }
}

/* Changes `bytes` bytes of a page. */
static void touch(unsigned char *memory, size_t page, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        memory[page * PAGE_BYTES + (noise() % PAGE_BYTES)] ^= (unsigned char)(noise() | 1u);
    }
}

/* 10 snapshots: the first holds page 0 of 'heap'; 3 and 7 write page 5 of it (3: all of it, 7: 16 bytes); 9 writes
 * pages 1 and 2 of 'stack', and makes page 0 of 'heap' zeros again. */
static void make_known(const char *path, size_t snapshots, size_t pages)
{
    (void)snapshots;
    (void)pages;
    open_session(path);
    unsigned char *heap = watch("heap", 16);
    unsigned char *stack = watch("stack", 4);
    for (unsigned i = 1; i <= 10; i++) {
        if (i == 1) {
            memset(heap, 'a', PAGE_BYTES);
        } else if (i == 3) {
            fill_with_noise(heap + 5 * PAGE_BYTES);
        } else if (i == 7) {
            for (size_t k = 0; k < 16; k++) {
                heap[5 * PAGE_BYTES + 100 + k] ^= 0xff;
            }
        } else if (i == 9) {
            memset(heap, 0, PAGE_BYTES);
            memset(stack + PAGE_BYTES, 'c', 2 * PAGE_BYTES);
        }
        take(i == 3 ? "third" : NULL);
    }
    must(savepoint_close(session, &error));
}

/* Labels and names that would be markup, or leave a string or a script, if they were not escaped. */
static void make_hostile(const char *path, size_t snapshots, size_t pages)
{
    (void)snapshots;
    (void)pages;
    open_session(path);
    unsigned char *first = watch("</script><script>document.title='broken'</script>", 4);
    unsigned char *second = watch("\"><img src=x onerror=\"document.title='broken'\">", 4);
    memset(first, 'a', PAGE_BYTES);
    memset(second, 'b', PAGE_BYTES);
    take("</script><script>document.title='broken'</script>");
    touch(first, 1, 8);
    take("<!--<script>");
    touch(second, 2, 8);
    take("';document.title='broken';//\\\" &lt;b&gt; ${1} \xe2\x80\xa8 \xe2\x80\xae");
    must(savepoint_close(session, &error));
}

/* What a game might do: a world through which the player walks, a heap that grows, a stack, and levels. */
static void make_game(const char *path, size_t snapshots, size_t pages)
{
    enum { WORLD = 4096, ENTITIES = 512, HEAP = 1024, STACK = 32 };
    struct savepoint_snapshot back = { 0 };
    (void)pages;
    open_session(path);
    unsigned char *world = watch("world", WORLD);
    unsigned char *entities = watch("entities", ENTITIES);
    unsigned char *heap = watch("script heap", HEAP);
    unsigned char *stack = watch("stack", STACK);
    snapshots = snapshots == 0 ? 120 : snapshots;
    for (size_t i = 0; i < snapshots; i++) {
        char label[64] = "";
        size_t level = i / 30;
        for (size_t page = 0; i % 30 == 0 && page < WORLD / 4; page++) {
            touch(world, level % 4 * (WORLD / 4) + page, 600); /* a level is loaded */
        }
        for (size_t k = 0; k < 60; k++) {
            size_t walked = level % 4 * (WORLD / 4) + i % 30 * (WORLD / 4) / 30;
            touch(world, (walked + noise() % 48) % WORLD, 16 + noise() % 64);
        }
        for (size_t k = 0; k < 40 + level * 60; k++) {
            touch(entities, noise() % (ENTITIES / 4 * (level % 4 + 1)), 24);
        }
        for (size_t k = 0; k < 12; k++) {
            touch(heap, HEAP * i / snapshots + noise() % 6, 900);
        }
        for (size_t k = 0; k < 6; k++) {
            touch(stack, STACK - 1 - noise() % (1 + noise() % 12), 200);
        }
        if (i % 30 == 0) {
            snprintf(label, sizeof label, "level %zu", level + 1);
        }
        struct savepoint_snapshot taken = take(label[0] == '\0' ? NULL : label);
        back = i == snapshots / 2 ? taken : back;
        if (i == snapshots * 2 / 3) { /* killed by the boss */
            must(savepoint_restore(session, &back.id, NULL, &error));
        }
    }
    must(savepoint_close(session, &error));
}

/* A simulation of `pages` pages: few change, most of them in a place that wanders through the field once. */
static void make_large(const char *path, size_t snapshots, size_t pages)
{
    open_session(path);
    unsigned char *field = watch("field", pages);
    for (size_t i = 0; i < snapshots; i++) {
        size_t place = i * (pages - pages / 64) / snapshots;
        for (size_t k = 0; k < 20; k++) {
            touch(field, place + noise() % (pages / 64), 4);
        }
        touch(field, 12345 % pages, 4); /* the hottest page */
        take(i % 1000 == 0 ? "a thousand" : NULL);
    }
    must(savepoint_close(session, &error));
}

/* 100 regions of 1 to 4 pages; before each further snapshot one gives place to another of its size. */
static void make_regions(const char *path, size_t snapshots, size_t pages)
{
    enum { REGIONS = 100 };
    unsigned char *memory[REGIONS];
    char name[64];
    (void)pages;
    open_session(path);
    for (size_t i = 0; i < REGIONS; i++) {
        snprintf(name, sizeof name, "level %zu", i);
        memory[i] = watch(name, 1 + i % 4);
        touch(memory[i], 0, 8);
    }
    take("all");
    for (size_t i = 0; i < (snapshots == 0 ? 20 : snapshots); i++) {
        snprintf(name, sizeof name, "level %zu", i);
        must(savepoint_remove(session, name, &error));
        snprintf(name, sizeof name, "level %zu", REGIONS + i);
        memory[i] = watch(name, 1 + i % 4);
        touch(memory[i], i % 4, 8);
        take(NULL);
    }
    must(savepoint_close(session, &error));
}

/* A snapshot for every line on the standard input, answered by its number: page 5 of 'heap' changes every time, and
 * page 0 of 'stack' in the first. */
static void make_live(const char *path, size_t snapshots, size_t pages)
{
    int byte;
    (void)snapshots;
    (void)pages;
    open_session(path);
    unsigned char *heap = watch("heap", 16);
    unsigned char *stack = watch("stack", 4);
    memset(stack, 's', PAGE_BYTES);
    while ((byte = getchar()) != EOF) {
        if (byte == '\n') {
            touch(heap, 5, 8);
            printf("%llu\n", (unsigned long long)take(NULL).sequence);
            fflush(stdout);
        }
    }
    must(savepoint_close(session, &error));
}

static const struct {
    const char *name;
    void (*make)(const char *path, size_t snapshots, size_t pages);
} scenarios[] = {
    { "known", make_known },     { "hostile", make_hostile }, { "game", make_game },
    { "regions", make_regions }, { "large", make_large },     { "live", make_live },
};

int main(int argc, char **argv)
{
    size_t snapshots = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    size_t pages = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    for (size_t i = 0; argc >= 3 && i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[2], scenarios[i].name) == 0) {
            scenarios[i].make(argv[1], snapshots, pages);
            return 0;
        }
    }
    fprintf(stderr, "usage: make_memory PATH SCENARIO [SNAPSHOTS [PAGES]]\n");
    return 2;
}
