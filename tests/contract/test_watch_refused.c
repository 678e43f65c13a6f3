/* test_watch_refused.c - memory that a watch has to refuse when it is added, and what it says when it cannot know */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "watch/maps_abi.h"
#include "watch_fixture.h"

/* Linux before 6.11 does not know the call. */
static bool query_denied;

int __real_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == MAPS_ABI_QUERY && query_denied) {
        errno = ENOTTY;
        return -1;
    }
    return __real_ioctl(file, request, argument);
}

/* Runs the body under each backend, with that call and without. */
static void run_both_ways(void (*body)(const struct svp_watch_backend *))
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        query_denied = true;
        body(backend);
        query_denied = false;
        body(backend);
    }
}

#define REFUSED_TEST(name)                                                                                             \
    static void name(const struct svp_watch_backend *backend);                                                         \
    CHECK_TEST(watch_refused, name)                                                                                    \
    {                                                                                                                  \
        run_both_ways(name);                                                                                           \
    }                                                                                                                  \
    static void name(const struct svp_watch_backend *backend)

static bool is(const struct watched *watched, const char *name)
{
    return strcmp(watched->backend->name, name) == 0;
}

static enum savepoint_status
add(const struct watched *watched, const void *memory, size_t pages, struct savepoint_error *error)
{
    return watched->backend->add(watched->watch, (uintptr_t)memory, pages * watched->page_bytes, error);
}

static void forget(const struct watched *watched, const void *memory, size_t pages)
{
    watched->backend->remove(watched->watch, (uintptr_t)memory, pages * watched->page_bytes);
}

static unsigned char *map_shared(int file, size_t pages)
{
    void *memory = mmap(NULL, pages * host_page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static int shared_file(size_t pages)
{
    int file = memfd_create("savepoint-refused", MFD_CLOEXEC);
    CHECK_EQ(ftruncate(file, (off_t)(pages * host_page_bytes())), 0);
    return file;
}

/* ---- the mappings cannot be listed */

static void add_without_descriptors(void *argument)
{
    struct watched *watched = argument;
    struct savepoint_error error = { .message = "" };
    unsigned char *good = map_pages(4);
    unsigned char *closed = map_pages(4);
    CHECK_EQ(mprotect(closed, watched->page_bytes, PROT_READ), 0);
    const struct rlimit none = { 0, 0 };
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum savepoint_status wanted = watched->caps.arms_memory ? SAVEPOINT_IO : SAVEPOINT_OK;
    CHECK_STATUS(add(watched, good, 4, &error), wanted);
    if (watched->caps.arms_memory) {
        CHECK_EQ(error.os_code, EMFILE);
        CHECK_MSG(strstr(error.message, "descriptors") != NULL, "message: %s", error.message);
    }
    CHECK_STATUS(add(watched, closed, 4, NULL), wanted);
    CHECK_EQ(munmap(good, 2 * watched->page_bytes), 0);
    CHECK_STATUS(add(watched, good, 4, NULL), SAVEPOINT_BAD_MEMORY); /* a hole shows nevertheless */
    good[2 * watched->page_bytes] = 1;
}

/* In a child: a uffd watch is not inherited. */
static void open_and_add(void *argument)
{
    struct watched watched;
    watched_open(&watched, argument, 8);
    add_without_descriptors(&watched);
    write_page(&watched, 3);
    CHECK_REARM(&watched, PAGE(3));
}

REFUSED_TEST(what_cannot_be_known)
{
    CHECK_CHILD(open_and_add, (void *)(uintptr_t)backend);
}

/* ---- a second mapping */

/* The first one is read-only while it is armed by signal: it counts as writable. */
REFUSED_TEST(a_second_mapping_of_watched_memory)
{
    struct watched watched;
    struct savepoint_error error = { .message = "" };
    int file = shared_file(8);
    watched_open_on(&watched, backend, map_shared(file, 8), 8);
    unsigned char *second = map_shared(file, 8);
    enum savepoint_status status = add(&watched, second + watched.page_bytes, 2, &error);
    CHECK_STATUS(status, watched.caps.arms_memory ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK);
    CHECK(!watched.caps.arms_memory || strstr(error.message, "also mapped writable") != NULL);
    munmap(second, 8 * watched.page_bytes);
    write_page(&watched, 1);
    CHECK_REARM(&watched, PAGE(1));
    watched_close(&watched);
    close(file);
}

/* Neither a part of the file that is apart, nor a mapping that cannot be written to, is in the way. */
REFUSED_TEST(mappings_that_do_no_harm)
{
    struct watched watched;
    int file = shared_file(8);
    watched_open(&watched, backend, 2);
    unsigned char *memory = map_shared(file, 8);
    void *other = mmap(NULL, 4 * watched.page_bytes, PROT_READ, MAP_SHARED, file, 0);
    CHECK(other != MAP_FAILED);
    CHECK_OK(add(&watched, memory, 2, NULL));
    CHECK_OK(add(&watched, memory + 2 * watched.page_bytes, 6, NULL));
    forget(&watched, memory, 2);
    forget(&watched, memory + 2 * watched.page_bytes, 6);
    munmap(memory, 8 * watched.page_bytes);
    munmap(other, 4 * watched.page_bytes);
    close(file);
    watched_close(&watched);
}

/* ---- what the library itself writes */

extern char __data_start, _end; /* the linker's: .data and .bss lie between */

/* All variables of the program, and so the library's. */
REFUSED_TEST(the_variables_of_the_library)
{
    struct watched watched;
    watched_open(&watched, backend, 2);
    uintptr_t start = (uintptr_t)&__data_start / watched.page_bytes * watched.page_bytes;
    size_t pages = ((uintptr_t)&_end - start + watched.page_bytes - 1) / watched.page_bytes;
    enum savepoint_status status = add(&watched, (void *)start, pages, NULL);
    CHECK_STATUS(status, is(&watched, "signal") ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK);
    uintptr_t thread_page = (uintptr_t)&errno / watched.page_bytes * watched.page_bytes;
    status = add(&watched, (void *)thread_page, 1, NULL);
    CHECK_STATUS(status, is(&watched, "signal") ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK);
    write_page(&watched, 1);
    CHECK_REARM(&watched, PAGE(1));
    watched_close(&watched);
}

/* Whether the page of `address` is among the written ones of the range. */
static bool is_reported(const struct watched *watched, uintptr_t start, uintptr_t end, uintptr_t address)
{
    bool reported = false;
    while (start < end) {
        struct svp_watch_run runs[64];
        size_t count = 0;
        CHECK_OK(watched->backend->collect(watched->watch, start, end - start, SVP_WATCH_REARM, 0, runs, 64, &count,
                                           &start, NULL));
        for (size_t i = 0; i < count; i++) {
            reported = reported || address - runs[i].start < runs[i].bytes;
        }
    }
    return reported;
}

/* Where the system's list says that the heap is; 0 where it is elsewhere, as under sanitizers. */
static uintptr_t heap_start(const void *in_heap)
{
    char line[512];
    uintptr_t found = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        uintptr_t start = (uintptr_t)strtoull(line, NULL, 16);
        if (strstr(line, "[heap]") != NULL && (uintptr_t)in_heap - start < (uintptr_t)sbrk(0) - start) {
            found = start;
        }
    }
    fclose(file);
    return found;
}

/* All of it: it goes on to be used, also by the watch. */
static void watch_the_heap(void *argument)
{
    struct watched watched;
    volatile unsigned char *block = malloc(20000);
    watched_open(&watched, argument, 8);
    block += 10000; /* apart from what else is written */
    uintptr_t start = heap_start(watched.watch);
    uintptr_t end = (uintptr_t)sbrk(0) / watched.page_bytes * watched.page_bytes;
    if (start == 0) {
        return;
    }
    CHECK_OK(add(&watched, (void *)start, (end - start) / watched.page_bytes, NULL));
    for (int turn = 0; turn < 20; turn++) {
        struct watched other;
        watched_open(&other, watched.backend, 4);
        write_page(&other, 2);
        CHECK_REARM(&other, PAGE(2));
        watched_close(&other);
        (void)is_reported(&watched, start, end, 0);
        *block = (unsigned char)turn; /* all is armed now, and this is the first store */
        CHECK(is_reported(&watched, start, end, (uintptr_t)block));
    }
    write_page(&watched, 3);
    CHECK_REARM(&watched, PAGE(3));
    watched_close(&watched);
}

REFUSED_TEST(not_the_heap_with_the_watch_in_it)
{
    CHECK_CHILD(watch_the_heap, (void *)(uintptr_t)backend);
}

/* ---- stacks */

/* Pages below where it stands: the next calls go there. */
static void *watch_free_stack(void *argument)
{
    const struct svp_watch_backend *backend = argument;
    struct watched watched;
    watched_open(&watched, backend, 8);
    uintptr_t below = (uintptr_t)&watched - 16 * watched.page_bytes;
    enum savepoint_status status = add(&watched, (void *)(below / watched.page_bytes * watched.page_bytes), 1, NULL);
    CHECK_STATUS(status, is(&watched, "signal") ? SAVEPOINT_BAD_MEMORY : SAVEPOINT_OK);
    watched_close(&watched);
    return NULL;
}

static void use_stack(void)
{
    volatile unsigned char touch[64 * 4096];
    for (size_t i = 0; i < sizeof touch; i += 4096) {
        touch[i] = 1;
    }
}

REFUSED_TEST(the_stack_below)
{
    pthread_t thread;
    use_stack();
    watch_free_stack((void *)(uintptr_t)backend);
    CHECK_EQ(pthread_create(&thread, NULL, watch_free_stack, (void *)(uintptr_t)backend), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}
