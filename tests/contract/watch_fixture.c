/* watch_fixture.c - watched memory, and sets of pages to compare collects with */
#define _GNU_SOURCE
#include "watch_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const struct svp_watch_backend *backend_under_test(size_t index)
{
    const char *named = getenv("SAVEPOINT_TEST_BACKEND");
    const struct svp_watch_backend *backend;
    for (size_t i = 0, match = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct savepoint_error error;
        if (named != NULL && named[0] != '\0' && strcmp(named, backend->name) != 0) {
            continue;
        }
        if (backend->probe(&caps, &error) != SAVEPOINT_OK) {
            if (named != NULL && named[0] != '\0') {
                CHECK_SKIP("%s: %s", backend->name, error.message);
            }
            fprintf(stderr, "left out: %s: %s\n", backend->name, error.message);
            continue;
        }
        if (match++ == index) {
            return backend;
        }
    }
    CHECK_MSG(index > 0, "no backend is named '%s'", named);
    return NULL;
}

size_t host_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

unsigned char *map_pages(size_t pages)
{
    void *memory = mmap(NULL, pages * host_page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void open_watch(struct watched *watched, const struct svp_watch_backend *backend, void *memory, size_t pages)
{
    *watched = (struct watched){ .backend = backend, .memory = memory, .pages = pages };
    CHECK_OK(backend->probe(&watched->caps, NULL));
    CHECK_OK(backend->open(&watched->watch, NULL));
    watched->page_bytes = watched->caps.page_bytes;
    CHECK_EQ(watched->page_bytes, host_page_bytes());
}

void watched_open_on(struct watched *watched, const struct svp_watch_backend *backend, void *memory, size_t pages)
{
    open_watch(watched, backend, memory, pages);
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    enum savepoint_status status = backend->add(watched->watch, (uintptr_t)memory, pages * watched->page_bytes, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "%s: %s", backend->name, error.message);
}

void watched_open(struct watched *watched, const struct svp_watch_backend *backend, size_t pages)
{
    watched_open_on(watched, backend, map_pages(pages), pages);
    watched->owned = true;
}

void watched_close(struct watched *watched)
{
    watched->backend->close(watched->watch);
    if (watched->owned) {
        munmap(watched->memory, watched->pages * watched->page_bytes);
    }
}

static uintptr_t address_of(const struct watched *watched, size_t page)
{
    return (uintptr_t)watched->memory + page * watched->page_bytes;
}

enum savepoint_status watched_add(struct watched *watched, size_t first_page, size_t pages)
{
    return watched->backend->add(watched->watch, address_of(watched, first_page), pages * watched->page_bytes, NULL);
}

void watched_remove(struct watched *watched, size_t first_page, size_t pages)
{
    watched->backend->remove(watched->watch, address_of(watched, first_page), pages * watched->page_bytes);
}

enum savepoint_status watched_mark(const struct watched *watched, size_t first_page, size_t pages)
{
    return watched->backend->mark(watched->watch, address_of(watched, first_page), pages * watched->page_bytes, NULL);
}

enum savepoint_status watched_prepare(const struct watched *watched, size_t first_page, size_t pages)
{
    return watched->backend->prepare(watched->watch, address_of(watched, first_page), pages * watched->page_bytes,
                                     NULL);
}

void write_page(const struct watched *watched, size_t page)
{
    atomic_uchar *at = (atomic_uchar *)(watched->memory + page * watched->page_bytes + page % 64);
    atomic_fetch_add_explicit(at, 1, memory_order_relaxed);
}

uint64_t collect_some(const struct watched *watched, enum svp_watch_mode mode, size_t first, size_t pages,
                      size_t max_pages, size_t run_capacity, size_t *resume_page)
{
    struct svp_watch_run runs[64] = { { 0, 0 } };
    size_t count = SIZE_MAX;
    uintptr_t start = address_of(watched, first);
    uintptr_t end = address_of(watched, first + pages);
    uintptr_t resume = 0;
    uint64_t found = 0;
    CHECK_OK(watched->backend->collect(watched->watch, start, end - start, mode, max_pages, runs, run_capacity, &count,
                                       &resume, NULL));
    CHECK(count <= run_capacity);
    CHECK(resume > start && resume <= end);
    uintptr_t at = start;
    size_t found_pages = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 ? runs[i].start >= at : runs[i].start > at);
        CHECK(runs[i].bytes > 0 && runs[i].bytes <= resume - runs[i].start);
        at = runs[i].start + runs[i].bytes;
        size_t page = (runs[i].start - (uintptr_t)watched->memory) / watched->page_bytes;
        for (size_t done = 0; done < runs[i].bytes; done += watched->page_bytes) {
            found |= PAGE(page + done / watched->page_bytes);
            found_pages++;
        }
    }
    CHECK(max_pages == 0 || found_pages <= max_pages);
    CHECK(resume == end || count == run_capacity || found_pages == max_pages);
    *resume_page = (resume - (uintptr_t)watched->memory) / watched->page_bytes;
    return found;
}

uint64_t collect_pages(const struct watched *watched, enum svp_watch_mode mode)
{
    size_t resume = 0;
    uint64_t found = collect_some(watched, mode, 0, watched->pages, 0, 64, &resume);
    CHECK_EQ(resume, watched->pages);
    return found;
}

enum savepoint_status try_collect(const struct watched *watched, enum svp_watch_mode mode)
{
    struct svp_watch_run runs[64] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    return watched->backend->collect(watched->watch, (uintptr_t)watched->memory, watched->pages * watched->page_bytes,
                                     mode, 0, runs, 64, &count, &resume, NULL);
}

uint64_t expected(const struct watched *watched, uint64_t written)
{
    return watched->caps.arms_memory ? written : PAGES(0, watched->pages);
}

int run_child(void (*body)(void *), void *argument)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body(argument);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}
