/* lossy_watch.c - a write-watch with a fault, which the self-test of the tool has to find
 *
 * Linked with --wrap for the functions below. SAVEPOINT_TEST_FAULT tells what is wrong:
 *   page     one written page in five hundred is not reported, and armed again where the others are
 *   store    while a snapshot is written, a store to memory is undone
 *   prepare  prepare does nothing
 * One backend at a time: SAVEPOINT_WATCH has to name it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"
#include "os/vm.h"
#include "watch/watch.h"

enum { LOST_EVERY = 500, UNDONE_EVERY = 20 };

static const struct svp_watch_backend *real;
static struct svp_watch_backend faulty;
static size_t pages_reported, writes_seen;
static _Atomic uintptr_t written_page; /* one that was reported; 0: none */

static bool fault_is(const char *name)
{
    const char *fault = getenv("SAVEPOINT_TEST_FAULT");
    return fault != NULL && strcmp(fault, name) == 0;
}

static void lose_pages(struct svp_watch_run *runs, size_t *run_count)
{
    size_t page_bytes = svp_vm_page_bytes();
    for (size_t i = 0; i < *run_count; i++) {
        size_t before = pages_reported / LOST_EVERY;
        pages_reported += runs[i].bytes / page_bytes;
        if (pages_reported / LOST_EVERY == before) {
            continue;
        }
        runs[i].start += page_bytes;
        runs[i].bytes -= page_bytes;
        if (runs[i].bytes == 0) {
            memmove(&runs[i], &runs[i + 1], (*run_count - i - 1) * sizeof runs[0]);
            *run_count -= 1;
            i--;
        }
    }
}

static enum savepoint_status collect(struct svp_watch *watch, uintptr_t start, size_t bytes, enum svp_watch_mode mode,
                                     size_t max_pages, struct svp_watch_run *runs, size_t run_capacity,
                                     size_t *run_count, uintptr_t *resume, struct savepoint_error *error)
{
    enum savepoint_status status =
        real->collect(watch, start, bytes, mode, max_pages, runs, run_capacity, run_count, resume, error);
    if (status == SAVEPOINT_OK && *run_count > 0) {
        atomic_store(&written_page, runs[*run_count / 2].start);
    }
    if (status == SAVEPOINT_OK && fault_is("page")) {
        lose_pages(runs, run_count);
    }
    return status;
}

static void remove_range(struct svp_watch *watch, uintptr_t start, size_t bytes)
{
    atomic_store(&written_page, 0);
    real->remove(watch, start, bytes);
}

static enum savepoint_status
do_nothing(struct svp_watch *watch, uintptr_t start, size_t bytes, struct savepoint_error *error)
{
    (void)watch;
    (void)start;
    (void)bytes;
    (void)error;
    return SAVEPOINT_OK;
}

enum savepoint_status __real_svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                              size_t compare_max_bytes, struct savepoint_error *error);
enum savepoint_status __wrap_svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                              size_t compare_max_bytes, struct savepoint_error *error);
enum savepoint_status __wrap_svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                              size_t compare_max_bytes, struct savepoint_error *error)
{
    enum savepoint_status status = __real_svp_watch_choose(choice, forced, bytes, compare_max_bytes, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (real != NULL && real != choice->backend) {
        abort();
    }
    real = choice->backend;
    faulty = *real;
    faulty.collect = collect;
    faulty.remove = remove_range;
    faulty.prepare = fault_is("prepare") ? do_nothing : real->prepare;
    choice->backend = &faulty;
    return SAVEPOINT_OK;
}

/* A counter, wherever there is one in the page, is set back by one. */
int __real_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset)
{
    volatile uint64_t *words = (volatile uint64_t *)atomic_load(&written_page);
    if (words != NULL && fault_is("store") && ++writes_seen % UNDONE_EVERY == 0) {
        for (size_t i = 0; i < svp_vm_page_bytes() / sizeof *words; i++) {
            if (words[i] != 0) {
                words[i]--;
                break;
            }
        }
    }
    return __real_svp_file_write(file, from, bytes, offset);
}
