/* watch_floors.c - subjects of bench_watch: what the system calls alone cost
 *
 * raw           userfaultfd and PAGEMAP_SCAN: the floor of `uffd`
 * raw_mprotect  read-only memory and a handler for SIGSEGV that opens the page and notes it: the floor of `signal`. It
 *               serves one piece of memory, no other handler, no limit on mappings, and reports a store that another
 *               thread's handler made possible one query late. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "raw_watch.h"
#include "watch_subjects.h"

/* With room for more than 512 runs, Linux 6.18 sets walk_end behind the last run but 512 when it has reached the end,
 * and so tells of the last ones twice. */
enum { FOUND_MAX = 512 };

static struct watch_page *pages;
static size_t page_count;

/* ---- raw */

static struct raw_watch kernel;
static struct uffd_abi_found found[FOUND_MAX];

static bool raw_arm(struct watch_page *memory, size_t count, const char **why)
{
    pages = memory;
    page_count = count;
    return raw_watch_open(&kernel, memory, count * sizeof *memory, why);
}

static void raw_disarm(void)
{
    raw_watch_close(&kernel);
}

static size_t raw_query(bool reset, void **addresses)
{
    struct uffd_abi_scan scan = raw_watch_scan(pages, page_count * sizeof *pages, reset, found, FOUND_MAX);
    size_t reported = 0;
    while (scan.start < scan.end) {
        int runs = raw_watch_next(&kernel, &scan);
        for (int i = 0; i < runs; i++) {
            for (uint64_t at = found[i].start; at < found[i].end; at += sizeof *pages) {
                if (reported == page_count) {
                    bench_fail("PAGEMAP_SCAN reported a page twice");
                }
                addresses[reported++] = (void *)(uintptr_t)at;
            }
        }
    }
    return reported;
}

static void raw_reset(void)
{
    struct uffd_abi_scan scan = raw_watch_scan(pages, page_count * sizeof *pages, true, found, FOUND_MAX);
    while (scan.start < scan.end) {
        raw_watch_next(&kernel, &scan);
    }
}

const struct watch_subject watch_raw = { "raw", raw_arm, raw_disarm, raw_query, raw_reset };

/* ---- raw_mprotect */

static _Atomic uint8_t *written; /* by page */
static struct sigaction before;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    size_t page = ((uintptr_t)info->si_addr - (uintptr_t)pages) / sizeof *pages;
    (void)context;
    if (page >= page_count) {
        signal(signal_number, SIG_DFL);
        return;
    }
    if (mprotect(&pages[page], sizeof *pages, PROT_READ | PROT_WRITE) != 0) {
        static const char message[] = "raw_mprotect: too many mappings\n";
        (void)!write(2, message, sizeof message - 1);
        abort();
    }
    atomic_store(&written[page], 1);
}

static bool mprotect_arm(struct watch_page *memory, size_t count, const char **why)
{
    struct sigaction handler = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    pages = memory;
    page_count = count;
    written = calloc(count, 1);
    if (written == NULL || sigaction(SIGSEGV, &handler, &before) != 0 ||
        mprotect(pages, count * sizeof *pages, PROT_READ) != 0) {
        *why = "memory cannot be protected here";
        return false;
    }
    return true;
}

static void mprotect_disarm(void)
{
    mprotect(pages, page_count * sizeof *pages, PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &before, NULL);
    free((void *)written);
}

/* The notes go first, then the pages are closed, with one call: a page opened in between is noted after it. */
static size_t mprotect_query(bool reset, void **addresses)
{
    size_t reported = 0;
    for (size_t page = 0; page < page_count; page++) {
        if (atomic_load_explicit(&written[page], memory_order_relaxed) != 0) {
            addresses[reported++] = &pages[page];
            if (reset) {
                atomic_store_explicit(&written[page], 0, memory_order_relaxed);
            }
        }
    }
    if (reset && reported > 0) {
        uint8_t *first = addresses[0];
        size_t bytes = (size_t)((uint8_t *)addresses[reported - 1] - first) + sizeof *pages;
        mprotect(first, bytes, PROT_READ);
    }
    return reported;
}

static void mprotect_reset(void)
{
    memset((void *)written, 0, page_count);
    mprotect(pages, page_count * sizeof *pages, PROT_READ);
}

const struct watch_subject watch_raw_mprotect = { "raw_mprotect", mprotect_arm, mprotect_disarm, mprotect_query,
                                                  mprotect_reset };
