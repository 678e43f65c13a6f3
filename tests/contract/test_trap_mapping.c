/* test_trap_mapping.c - the application remaps, unmaps, maps over or protects memory under watch */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"

enum { KEEP_OLD_MAPPING = 4 }; /* MREMAP_DONTUNMAP, since Linux 5.7 */

static size_t trap_bytes(const struct watched *watched)
{
    return TRAP_PAGES * watched->page_bytes;
}

/* Of memory that is no longer what was added: an error, or everything that is still there. Never less. */
static void check_unknown_or_all(const struct watched *watched, uint64_t written)
{
    struct svp_watch_run runs[64] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    struct savepoint_error error;
    enum savepoint_status status =
        watched->backend->collect(watched->watch, (uintptr_t)watched->memory, watched->pages * watched->page_bytes,
                                  SVP_WATCH_REARM, 0, runs, 64, &count, &resume, &error);
    if (status != SAVEPOINT_OK) {
        CHECK_STATUS(status, SAVEPOINT_BAD_MEMORY);
        CHECK_MSG(strstr(error.message, "watch it anew") != NULL, "message: %s", error.message);
        return;
    }
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = (runs[i].start - (uintptr_t)watched->memory) / watched->page_bytes;
        found |= PAGES(first, first + runs[i].bytes / watched->page_bytes);
    }
    CHECK_EQ(found & written, written);
}

/* ---- mremap */

/* Grown where it stands: what was added stays watched, the rest is ordinary memory. */
TRAP_TEST(trap_mapping, grown_in_place)
{
    unsigned char *memory = map_pages(2 * TRAP_PAGES);
    CHECK_EQ(munmap(memory + trap_bytes(watched), trap_bytes(watched)), 0);
    memset(memory, 4, trap_bytes(watched)); /* so that parts of one protection can merge again */
    rewatch(watched, memory, TRAP_PAGES);
    write_page(watched, 3);
    if (is(watched, "signal")) { /* an open page among closed ones makes several mappings: mremap takes one only */
        CHECK(mremap(memory, trap_bytes(watched), 2 * trap_bytes(watched), 0) == MAP_FAILED);
        CHECK_EQ(errno, EFAULT);
        CHECK_REARM(watched, PAGE(3));
    }
    void *grown = mremap(memory, trap_bytes(watched), 2 * trap_bytes(watched), 0);
    if (grown == MAP_FAILED) {
        CHECK_EQ(errno, ENOMEM); /* somebody else has mapped there since: nothing has happened */
    } else {
        watched_remove(watched, 0, TRAP_PAGES);
        if (is(watched, "signal")) { /* the new part is as read-only as the old one was */
            CHECK_STATUS(watched_add(watched, 0, 2 * TRAP_PAGES), SAVEPOINT_BAD_MEMORY);
            CHECK_EQ(mprotect(memory, 2 * trap_bytes(watched), PROT_READ | PROT_WRITE), 0);
        }
        memset(memory, 5, 2 * trap_bytes(watched));
        CHECK_OK(watched_add(watched, 0, 2 * TRAP_PAGES));
        watched->pages = 2 * TRAP_PAGES;
        write_page(watched, TRAP_PAGES + 3);
        CHECK_REARM(watched, PAGE(TRAP_PAGES + 3));
    }
    check_alive(watched);
}

/* Shrunk: the end is a hole. */
TRAP_TEST(trap_mapping, shrunk)
{
    write_page(watched, 3);
    CHECK(mremap(watched->memory, trap_bytes(watched), 8 * watched->page_bytes, 0) == watched->memory);
    CHECK_EQ(collect_pages(watched, SVP_WATCH_REARM) & PAGES(0, 8), expected(watched, PAGE(3)) & PAGES(0, 8));
    write_page(watched, 7);
    CHECK_EQ(collect_pages(watched, SVP_WATCH_REARM) & PAGES(0, 8), expected(watched, PAGE(7)) & PAGES(0, 8));
    watched_remove(watched, 0, TRAP_PAGES);
    CHECK_OK(watched_add(watched, 0, 8));
    watched->pages = 8;
    check_alive(watched);
}

/* Moved: the new place is not watched. The old one must be removed; then the new one can be added. */
static void check_new_place(struct watched *watched, unsigned char *target)
{
    unsigned char *old = watched->memory;
    CHECK_EQ(target[0], 7);
    watched_remove(watched, 0, TRAP_PAGES);
    if (is(watched, "signal")) { /* left as read-only as it was: the application has to open it */
        CHECK_EQ(mprotect(target, trap_bytes(watched), PROT_READ | PROT_WRITE), 0);
    }
    memset(target, 8, trap_bytes(watched));
    watched->memory = target;
    CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    check_alive(watched);
    CHECK(old != target);
}

TRAP_TEST(trap_mapping, moved)
{
    unsigned char *target = map_pages(TRAP_PAGES);
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK(mremap(watched->memory, trap_bytes(watched), trap_bytes(watched), MREMAP_MAYMOVE | MREMAP_FIXED, target) ==
          target);
    check_new_place(watched, target);
}

/* What it left is a hole, in which nothing can be written: there is nothing to report. When other memory comes to stand
 * there, uffd does not know. */
TRAP_TEST(trap_mapping, collected_where_it_was)
{
    unsigned char *target = map_pages(TRAP_PAGES);
    unsigned char *old = watched->memory;
    write_page(watched, 3);
    CHECK(mremap(old, trap_bytes(watched), trap_bytes(watched), MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    if (!is(watched, "signal")) { /* whose bits stay, and which may fail to protect what is gone */
        CHECK_REARM(watched, 0);
        CHECK_REARM(watched, 0);
    }
    CHECK(mmap(old, trap_bytes(watched), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          old);
    if (is(watched, "uffd")) {
        CHECK_STATUS(try_collect(watched, SVP_WATCH_REARM), SAVEPOINT_BAD_MEMORY);
    }
    watched_remove(watched, 0, TRAP_PAGES);
    CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    check_alive(watched);
    munmap(target, trap_bytes(watched));
}

TRAP_TEST(trap_mapping, moved_and_left_behind)
{
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    unsigned char *old = watched->memory;
    unsigned char *target = mremap(old, trap_bytes(watched), trap_bytes(watched), MREMAP_MAYMOVE | KEEP_OLD_MAPPING, 0);
    CHECK(target != MAP_FAILED);
    CHECK_EQ(old[0], 0);
    /* The old place is empty now. */
    check_seen_by_uffd(watched, 0, TRAP_PAGES);
    check_alive(watched);
    check_new_place(watched, target);
    CHECK_EQ(munmap(old, trap_bytes(watched)), 0);
}

static void write_where_it_went(void *argument)
{
    struct watched *watched = argument;
    struct watched own;
    watched_open(&own, watched->backend, TRAP_PAGES);
    unsigned char *target = map_pages(TRAP_PAGES);
    CHECK(mremap(own.memory, trap_bytes(&own), trap_bytes(&own), MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    *(volatile unsigned char *)target = 1;
}

TRAP_TEST(trap_mapping, written_where_it_was_moved_to)
{
    if (is(watched, "signal")) {
        check_dies(write_where_it_went, watched, SIGSEGV);
    } else {
        CHECK_CHILD(write_where_it_went, watched);
    }
}

/* ---- munmap and mmap over it */

TRAP_TEST(trap_mapping, unmapped_in_part)
{
    write_page(watched, 1);
    write_page(watched, 12);
    CHECK_EQ(munmap(page_address(watched, 4), 4 * watched->page_bytes), 0);
    uint64_t rest = ~PAGES(4, 8);
    CHECK_EQ(collect_pages(watched, SVP_WATCH_REARM) & rest, expected(watched, PAGE(1) | PAGE(12)) & rest);
    write_page(watched, 3);
    write_page(watched, 8);
    uint64_t found = collect_pages(watched, SVP_WATCH_REARM) & rest;
    CHECK_EQ(found & (PAGE(3) | PAGE(8)), PAGE(3) | PAGE(8));
    watched_remove(watched, 0, TRAP_PAGES);
    CHECK_EQ(mmap(page_address(watched, 4), 4 * watched->page_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             page_address(watched, 4));
    CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    check_alive(watched);
}

/* uffd says that it does not know, or that there is nothing left. signal cannot notice. */
TRAP_TEST(trap_mapping, unmapped_whole)
{
    write_page(watched, 1);
    CHECK_EQ(munmap(watched->memory, trap_bytes(watched)), 0);
    if (watched->caps.arms_memory) {
        check_unknown_or_all(watched, 0);
    }
    watched_remove(watched, 0, TRAP_PAGES);
    watched->owned = false;
    CHECK_STATUS(watched_add(watched, 0, TRAP_PAGES), SAVEPOINT_BAD_MEMORY);
}

TRAP_TEST(trap_mapping, mapped_over_in_part)
{
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    write_page(watched, 1);
    CHECK_EQ(mmap(page_address(watched, 5), 2 * watched->page_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             page_address(watched, 5));
    if (is(watched, "uffd")) {
        for (int turn = 0; turn < 3; turn++) { /* until it is added anew; then it is another memory */
            check_unknown_or_all(watched, PAGES(0, TRAP_PAGES));
        }
        watched_remove(watched, 0, TRAP_PAGES);
        CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    } else {
        CHECK_REARM(watched, PAGE(1));
        check_unseen(watched, 5, 2);
    }
    check_alive(watched);
}

/* Of another kind, which the kernel does not let one take out of the watch: the rest must be free nevertheless. */
TRAP_TEST(trap_mapping, mapped_over_by_a_file)
{
    int file = disk_file(2, 'f');
    fill_pages(watched, 0, TRAP_PAGES, 7);
    CHECK_REARM(watched, PAGES(0, TRAP_PAGES));
    CHECK_EQ(mmap(page_address(watched, 5), 2 * watched->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                  file, 0),
             page_address(watched, 5));
    watched_remove(watched, 0, TRAP_PAGES);
    struct watched other;
    watched_open_on(&other, watched->backend, watched->memory, TRAP_PAGES);
    check_alive(&other);
    watched_close(&other);
    close(file);
}

/* ---- mprotect */

static void protect(const struct watched *watched, size_t first, size_t pages, int protection)
{
    CHECK_EQ(mprotect(page_address(watched, first), pages * watched->page_bytes, protection), 0);
}

/* uffd: closing, opening, splitting and merging keep all state. */
TRAP_TEST(trap_mapping, closed_and_opened_again)
{
    fill_pages(watched, 0, 8, 7);
    CHECK_REARM(watched, PAGES(0, 8));
    write_page(watched, 2);
    protect(watched, 0, 12, PROT_NONE);
    protect(watched, 1, 6, PROT_READ);
    protect(watched, 0, 12, PROT_READ | PROT_WRITE);
    if (is(watched, "signal")) { /* disarmed: the remedy is to mark */
        write_page(watched, 5);
        CHECK_REARM(watched, PAGE(2));
        check_unseen(watched, 0, 12);
    } else {
        CHECK_PEEK(watched, PAGE(2));
        write_page(watched, 5);
        CHECK_REARM(watched, PAGE(2) | PAGE(5));
    }
    check_alive(watched);
}

/* Collects go on while the application has closed memory, and say what was written before. */
TRAP_TEST(trap_mapping, collected_while_closed)
{
    write_page(watched, 2);
    protect(watched, 0, TRAP_PAGES, PROT_NONE);
    CHECK_PEEK(watched, PAGE(2));
    if (is(watched, "signal")) { /* re-arming is opening for reading, to the signal watch */
        protect(watched, 0, TRAP_PAGES, PROT_READ | PROT_WRITE);
        CHECK_REARM(watched, PAGE(2));
        check_unseen(watched, 0, TRAP_PAGES);
    } else {
        CHECK_REARM(watched, PAGE(2));
        CHECK_PEEK(watched, 0);
        protect(watched, 0, TRAP_PAGES, PROT_READ | PROT_WRITE);
    }
    check_alive(watched);
}

static void write_read_only(void *argument)
{
    struct watched *watched = argument;
    struct watched own;
    watched_open(&own, watched->backend, TRAP_PAGES);
    protect(&own, 0, TRAP_PAGES, PROT_READ);
    write_page(&own, 3);
    CHECK_REARM(&own, PAGE(3));
}

/* signal cannot tell whose protection it meets: it opens the page, and reports it. */
TRAP_TEST(trap_mapping, made_read_only)
{
    if (is(watched, "signal")) {
        CHECK_CHILD(write_read_only, watched);
    } else {
        check_dies(write_read_only, watched, SIGSEGV);
    }
}

static void read_closed(void *argument)
{
    const struct watched *watched = argument;
    struct watched own;
    watched_open(&own, watched->backend, TRAP_PAGES);
    protect(&own, 0, TRAP_PAGES, PROT_NONE);
    (void)*(volatile unsigned char *)own.memory;
}

TRAP_TEST(trap_mapping, read_while_closed)
{
    check_dies(read_closed, watched, SIGSEGV);
}
