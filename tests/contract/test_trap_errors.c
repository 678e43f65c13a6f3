/* test_trap_errors.c - the system refuses in the middle: nothing is left armed, and no page is forgotten
 *
 * Linked with --wrap for the calls below: the Nth of them fails, in its place or after it has done its work. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trap_fixture.h"
#include "watch/maps_abi.h"
#include "watch/uffd_abi.h"

static struct {
    unsigned long request; /* only this ioctl; 0: any call */
    unsigned number;       /* which of them fails; 0: none */
    unsigned calls;
    int os_code;
    unsigned last; /* so do those up to this one */
    bool late;     /* after it has been done */
} plan;

static void fail_call(unsigned number, int os_code)
{
    memset(&plan, 0, sizeof plan);
    plan.number = number;
    plan.last = number;
    plan.os_code = os_code;
}

static void fail_scan(unsigned number, int os_code, bool late)
{
    fail_call(number, os_code);
    plan.request = UFFD_ABI_PAGEMAP_SCAN;
    plan.late = late;
}

/* True when this call is to fail. */
static bool is_due(unsigned long request)
{
    if (plan.request != 0 && plan.request != request) {
        return false;
    }
    plan.calls++;
    return plan.calls >= plan.number && plan.calls <= plan.last;
}

int __real_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...);
int __wrap_ioctl(int file, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    bool due = request != MAPS_ABI_QUERY && is_due(request); /* that has another way round */
    int result = !due || plan.late ? __real_ioctl(file, request, argument) : -1;
    if (due) {
        errno = plan.os_code;
        result = -1;
    }
    return result;
}

int __real_mprotect(void *start, size_t bytes, int protection);
int __wrap_mprotect(void *start, size_t bytes, int protection);
int __wrap_mprotect(void *start, size_t bytes, int protection)
{
    bool due = is_due(1);
    int result = !due || plan.late ? __real_mprotect(start, bytes, protection) : -1;
    if (due) {
        errno = plan.os_code;
        result = -1;
    }
    return result;
}

void *__real_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes)
{
    return is_due(2) ? NULL : __real_svp_memory_alloc(bytes);
}

void *__real_svp_memory_zalloc(size_t count, size_t bytes);
void *__wrap_svp_memory_zalloc(size_t count, size_t bytes);
void *__wrap_svp_memory_zalloc(size_t count, size_t bytes)
{
    return is_due(2) ? NULL : __real_svp_memory_zalloc(count, bytes);
}

void *__real_svp_memory_resize(void *memory, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *memory, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *memory, size_t count, size_t bytes)
{
    return is_due(2) ? NULL : __real_svp_memory_resize(memory, count, bytes);
}

static bool was_hit(void)
{
    bool hit = plan.number != 0 && plan.calls >= plan.number;
    fail_call(0, 0);
    return hit;
}

/* ---- open and add */

/* The kernel can write there, and a watch of somebody else can take it. */
static void check_ordinary(const struct watched *watched, unsigned char *memory, size_t pages)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    for (size_t page = 0; page < pages; page++) {
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(read(ends[0], memory + page * watched->page_bytes, 1), 1);
    }
    close(ends[0]);
    close(ends[1]);
    struct watched other;
    watched_open_on(&other, watched->backend, memory, pages);
    check_alive(&other);
    watched_close(&other);
}

TRAP_TEST(trap_errors, open_fails_at_any_call)
{
    unsigned number = 1;
    for (;; number++) {
        struct svp_watch *watch = NULL;
        struct savepoint_error error = { .status = SAVEPOINT_OK };
        fail_call(number, EPERM);
        enum savepoint_status status = watched->backend->open(&watch, &error);
        if (!was_hit()) {
            CHECK_OK(status);
            watched->backend->close(watch);
            break;
        }
        CHECK(status != SAVEPOINT_OK && watch == NULL);
        CHECK(error.status == status && error.message[0] != '\0');
    }
    CHECK(number > 1);
}

/* Memory that is missing during the trial says nothing about the backend: it is told as what it is, and no other
 * backend serves instead. */
TRAP_TEST(trap_errors, a_public_watch_without_memory)
{
    for (int forced = 0; forced < 2; forced++) {
        struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
        options.backend = forced ? watched->backend->name : NULL;
        CHECK_EQ(unsetenv("SAVEPOINT_WATCH"), 0);
        unsigned number = 1;
        for (bool hit = true; hit; number++) {
            struct savepoint_write_watch *watch = NULL;
            struct savepoint_watch_info info = { .fallback = 1 };
            struct savepoint_error error = { .message = "" };
            fail_call(number, ENOMEM);
            enum savepoint_status status = savepoint_watch_open(&watch, &options, &error);
            hit = was_hit();
            if (status == SAVEPOINT_OK) { /* some calls have a way round */
                CHECK_OK(savepoint_watch_describe(watch, &info, NULL));
                CHECK_EQ(info.fallback, 0);
                savepoint_watch_close(watch);
            } else if (!forced || !is(watched, "signal") || strstr(error.message, "wrong answers") == NULL) {
                CHECK(hit && watch == NULL); /* signal may not be able to re-arm: its answer is what tells */
                CHECK_MSG(status == SAVEPOINT_NO_MEMORY, "%u: %s", number, error.message);
            }
        }
        CHECK(number > 3);
    }
}

TRAP_TEST(trap_errors, an_allocation_without_memory)
{
    CHECK_EQ(setenv("SAVEPOINT_WATCH", watched->backend->name, 1), 0);
    for (unsigned number = 1;; number++) {
        errno = 0;
        fail_call(number, ENOMEM);
        void *memory = savepoint_write_watch_alloc(watched->page_bytes);
        int code = errno;
        bool hit = was_hit();
        if (memory != NULL) {
            CHECK_EQ(savepoint_write_watch_free(memory), 0);
        } else {
            CHECK(hit);
            CHECK(code == ENOMEM || is(watched, "signal"));
        }
        if (!hit) {
            break;
        }
    }
}

/* A lasting watch of the same backend, and of the same process, goes on meanwhile. */
static void fail_each_add(const struct watched *watched, bool look_first)
{
    unsigned number = 1;
    for (;; number++) {
        unsigned char *memory = map_pages(8);
        struct svp_watch *watch = NULL;
        CHECK_OK(watched->backend->open(&watch, NULL));
        struct savepoint_error error = { .status = SAVEPOINT_OK };
        fail_call(number, ENOMEM);
        enum savepoint_status status = watched->backend->add(watch, (uintptr_t)memory, 8 * watched->page_bytes, &error);
        bool hit = was_hit();
        if (hit) {
            CHECK(status != SAVEPOINT_OK);
            CHECK(error.status == status && error.message[0] != '\0');
            if (look_first) {
                check_ordinary(watched, memory, 8);
            }
            CHECK_OK(watched->backend->add(watch, (uintptr_t)memory, 8 * watched->page_bytes, NULL));
            watched->backend->remove(watch, (uintptr_t)memory, 8 * watched->page_bytes);
            check_ordinary(watched, memory, 8);
            CHECK_OK(watched->backend->add(watch, (uintptr_t)memory, 8 * watched->page_bytes, NULL));
        }
        watched->backend->close(watch);
        check_ordinary(watched, memory, 8);
        munmap(memory, 8 * watched->page_bytes);
        if (!hit) {
            CHECK_OK(status);
            break;
        }
    }
    CHECK_EQ(number > 1, watched->caps.arms_memory);
    check_alive(watched);
}

/* Twice: tables that have grown once need no memory any more, and another call is the first. What a failed add left
 * behind may be seen by another watch, or by the next add of the same. */
TRAP_TEST(trap_errors, add_fails_at_any_call)
{
    fail_each_add(watched, false);
    fail_each_add(watched, true);
}

/* ---- collect */

enum { MANY_PAGES = 1200 };

/* Collects all of many pages; returns how many were reported, or SIZE_MAX for an error, which leaves the outputs. */
static size_t count_written(const struct watched *watched, enum savepoint_status *status)
{
    static struct svp_watch_run runs[MANY_PAGES];
    const size_t untouched = SIZE_MAX - 1;
    size_t count = untouched;
    uintptr_t resume = untouched;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    *status = watched->backend->collect(watched->watch, (uintptr_t)watched->memory, MANY_PAGES * watched->page_bytes,
                                        SVP_WATCH_REARM, 0, runs, MANY_PAGES, &count, &resume, &error);
    if (*status != SAVEPOINT_OK) {
        CHECK_EQ(count, untouched);
        CHECK_EQ(resume, untouched);
        CHECK(error.status == *status && error.message[0] != '\0');
        return SIZE_MAX;
    }
    size_t pages = 0;
    for (size_t i = 0; i < count; i++) {
        pages += runs[i].bytes / watched->page_bytes;
    }
    return pages;
}

static void write_every_other(const struct watched *watched)
{
    for (size_t page = 0; page < MANY_PAGES; page += 2) {
        write_page(watched, page);
    }
}

/* Whether a failed scan has re-armed pages cannot be told: the caller counts all as written (law 3). What is
 * written from then on is reported as ever, by the same watch. */
static void check_failed_scan(const struct watched *watched, int os_code, enum savepoint_status wanted, bool late)
{
    for (unsigned number = 1;; number++) {
        enum savepoint_status status;
        write_every_other(watched);
        fail_scan(number, os_code, late);
        size_t found = count_written(watched, &status);
        bool hit = was_hit();
        if (!hit) {
            CHECK(number > 2); /* more than one batch */
            CHECK_EQ(found, MANY_PAGES / 2);
            break;
        }
        CHECK_STATUS(status, wanted);
        (void)count_written(watched, &status);
        CHECK_OK(status);
        write_page(watched, 601);
        CHECK_EQ(count_written(watched, &status), 1);
    }
}

TRAP_TEST(trap_errors, scan_fails_in_the_middle)
{
    if (!is(watched, "uffd")) {
        return;
    }
    struct watched many;
    watched_open(&many, watched->backend, MANY_PAGES);
    for (int late = 0; late < 2; late++) {
        check_failed_scan(&many, EPERM, SAVEPOINT_BAD_MEMORY, late == 1);
        check_failed_scan(&many, ENOTTY, SAVEPOINT_NO_BACKEND, late == 1);
        check_failed_scan(&many, ENOMEM, SAVEPOINT_NO_MEMORY, late == 1);
        check_failed_scan(&many, EFAULT, SAVEPOINT_IO, late == 1);
        check_failed_scan(&many, EINTR, SAVEPOINT_IO, late == 1);
    }
    watched_close(&many);
}

/* signal closes all that it reports with one call, and when that fails, run by run. What cannot be closed stays
 * open, and so is reported again, until it can be. */
TRAP_TEST(trap_errors, rearming_fails)
{
    if (!is(watched, "signal")) {
        return;
    }
    for (unsigned last = 1; last < 6; last++) {
        write_page(watched, 2);
        write_page(watched, 3);
        write_page(watched, 7);
        write_page(watched, 11);
        fail_call(1, ENOMEM);
        plan.last = last;
        CHECK_REARM(watched, PAGES(2, 4) | PAGE(7) | PAGE(11));
        CHECK(was_hit());
        uint64_t open = (last > 1 ? PAGES(2, 4) : 0) | (last > 2 ? PAGE(7) : 0) | (last > 3 ? PAGE(11) : 0);
        CHECK_PEEK(watched, open);
        CHECK_REARM(watched, open);
        check_alive(watched);
    }
}

/* ---- mark and prepare */

TRAP_TEST(trap_errors, mark_and_prepare_fail)
{
    write_page(watched, 1);
    for (int kind = 0; kind < 2; kind++) {
        for (unsigned number = 1;; number++) {
            fail_call(number, ENOMEM);
            enum savepoint_status status = kind == 0 ? watched_mark(watched, 3, 2) : watched_prepare(watched, 3, 2);
            if (!was_hit()) {
                CHECK_OK(status);
                break;
            }
            /* An error, or a wider range that could be opened and is reported. */
            if (status == SAVEPOINT_OK) {
                CHECK_EQ(collect_pages(watched, SVP_WATCH_PEEK) & PAGES(3, 5), PAGES(3, 5));
            }
            CHECK_EQ(collect_pages(watched, SVP_WATCH_REARM) & PAGE(1), PAGE(1));
            write_page(watched, 1);
        }
        CHECK_REARM(watched, PAGE(1) | PAGES(3, 5));
        write_page(watched, 1);
    }
    CHECK_REARM(watched, PAGE(1));
    check_alive(watched);
}
