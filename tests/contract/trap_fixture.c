/* trap_fixture.c - what the trap tests share: one body over every backend, files to map, bodies that die */
#define _GNU_SOURCE
#include "trap_fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ADVICE_PAGEOUT = 21 };

void trap_run(void (*body)(struct watched *watched))
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, TRAP_PAGES);
        body(&watched);
        watched_close(&watched);
    }
}

bool is(const struct watched *watched, const char *backend_name)
{
    return strcmp(watched->backend->name, backend_name) == 0;
}

unsigned char *page_address(const struct watched *watched, size_t page)
{
    return watched->memory + page * watched->page_bytes;
}

void fill_pages(const struct watched *watched, size_t first, size_t pages, int value)
{
    memset(page_address(watched, first), value, pages * watched->page_bytes);
}

void rewatch(struct watched *watched, unsigned char *memory, size_t pages)
{
    watched_remove(watched, 0, watched->pages);
    if (watched->owned) {
        munmap(watched->memory, watched->pages * watched->page_bytes);
    }
    watched->memory = memory;
    watched->pages = pages;
    watched->owned = true;
    CHECK_OK(watched_add(watched, 0, pages));
}

void check_alive(const struct watched *watched)
{
    CHECK_REARM(watched, 0);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t page = 0; page < watched->pages; page++) {
            write_page(watched, page);
            CHECK_REARM(watched, PAGE(page));
        }
    }
    CHECK_PEEK(watched, 0);
}

void check_seen_by_uffd(const struct watched *watched, size_t first, size_t pages)
{
    if (is(watched, "signal")) {
        check_unseen(watched, first, pages);
        return;
    }
    CHECK_PEEK(watched, PAGES(first, first + pages));
    CHECK_REARM(watched, PAGES(first, first + pages));
    CHECK_REARM(watched, 0);
}

void check_unseen(const struct watched *watched, size_t first, size_t pages)
{
    CHECK_PEEK(watched, 0);
    CHECK_OK(watched_mark(watched, first, pages));
    CHECK_REARM(watched, PAGES(first, first + pages));
    CHECK_REARM(watched, 0);
}

static int fill_file(int file, size_t pages, int fill)
{
    size_t bytes = pages * host_page_bytes();
    unsigned char *block = malloc(bytes);
    CHECK(file >= 0 && block != NULL);
    memset(block, fill, bytes);
    CHECK_EQ(pwrite(file, block, bytes, 0), bytes);
    free(block);
    return file;
}

int memory_file(size_t pages, int fill)
{
    return fill_file(memfd_create("savepoint-trap", MFD_CLOEXEC), pages, fill);
}

int disk_file(size_t pages, int fill)
{
    char name[] = "/var/tmp/savepoint-trap.XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0);
    CHECK_EQ(unlink(name), 0);
    return fill_file(file, pages, fill);
}

unsigned char *map_file(int file, size_t first, size_t pages, int flags)
{
    size_t page_bytes = host_page_bytes();
    void *memory = mmap(NULL, pages * page_bytes, PROT_READ | PROT_WRITE, flags, file, (off_t)(first * page_bytes));
    CHECK(memory != MAP_FAILED);
    return memory;
}

struct dying {
    void (*body)(void *);
    void *argument;
    int signal_number;
};

static void die(void *argument)
{
    const struct dying *dying = argument;
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    signal(dying->signal_number, SIG_DFL);
    dying->body(dying->argument);
}

void check_dies(void (*body)(void *), void *argument, int signal_number)
{
    struct dying dying = { body, argument, signal_number };
    int status = run_child(die, &dying);
    CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == signal_number, "wait status 0x%x, not signal %d",
              (unsigned)status, signal_number);
}

size_t smaps_kib(const void *address, const char *name)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    CHECK(file != NULL);
    char line[512];
    bool inside = false;
    size_t kib = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        uintptr_t start;
        uintptr_t end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2) {
            inside = (uintptr_t)address - start < end - start;
        } else if (inside && strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            kib = strtoull(line + strlen(name) + 1, NULL, 10);
        }
    }
    fclose(file);
    return kib;
}

static bool is_present(const struct watched *watched, size_t page)
{
    uint64_t entry = 0;
    int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    uintptr_t number = (uintptr_t)page_address(watched, page) / watched->page_bytes;
    CHECK_EQ(pread(file, &entry, sizeof entry, (off_t)(number * sizeof entry)), sizeof entry);
    close(file);
    return entry >> 63 != 0;
}

void page_out(const struct watched *watched, size_t first, size_t pages)
{
    for (size_t page = first; page < first + pages; page++) {
        for (int attempt = 0; is_present(watched, page); attempt++) {
            CHECK_MSG(attempt < 500, "page %zu cannot be paged out", page);
            CHECK_EQ(madvise(page_address(watched, page), watched->page_bytes, ADVICE_PAGEOUT), 0);
            usleep(attempt < 10 ? 0 : 10000);
        }
    }
}
