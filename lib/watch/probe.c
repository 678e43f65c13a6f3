/* probe.c - trying a write-watch on real pages, both ways: some systems accept every call and then lie */
#include "probe.h"

#include "os/vm.h"
#include "pages.h"
#include "status.h"

enum { PROBE_PAGES = 4, WRITTEN_PAGE = 2 };

struct trial {
    const struct svp_watch_backend *backend;
    struct svp_watch *watch;
    uintptr_t start;
    size_t page_bytes;
};

/* Collects, and compares with the one page expected (or none). */
static enum savepoint_status expect(const struct trial *trial, enum svp_watch_mode mode, bool written, const char *when,
                                    struct savepoint_error *error)
{
    struct svp_watch_run runs[PROBE_PAGES] = { { 0, 0 } };
    size_t count = 0;
    uintptr_t resume = 0;
    enum savepoint_status status = trial->backend->collect(trial->watch, trial->start, PROBE_PAGES * trial->page_bytes,
                                                           mode, 0, runs, PROBE_PAGES, &count, &resume, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    bool as_expected = written ? count == 1 && runs[0].bytes == trial->page_bytes &&
                                     runs[0].start == trial->start + WRITTEN_PAGE * trial->page_bytes
                               : count == 0;
    if (!as_expected) {
        return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "probe", "the %s write-watch gives wrong answers here (%s)",
                               trial->backend->name, when);
    }
    return SAVEPOINT_OK;
}

static void write_page(const struct trial *trial)
{
    volatile unsigned char *page = (volatile unsigned char *)(trial->start + WRITTEN_PAGE * trial->page_bytes);
    *page = (unsigned char)(*page + 1);
}

static enum savepoint_status try_both_ways(const struct trial *trial, struct savepoint_error *error)
{
    enum savepoint_status status = expect(trial, SVP_WATCH_REARM, false, "untouched pages are reported", error);
    if (status == SAVEPOINT_OK) {
        write_page(trial);
        status = expect(trial, SVP_WATCH_PEEK, true, "a first write is not reported", error);
    }
    if (status == SAVEPOINT_OK) {
        status = expect(trial, SVP_WATCH_REARM, true, "a look without re-arming changes the answer", error);
    }
    if (status == SAVEPOINT_OK) {
        status = expect(trial, SVP_WATCH_REARM, false, "re-armed pages are reported", error);
    }
    if (status == SAVEPOINT_OK) {
        write_page(trial);
        status = expect(trial, SVP_WATCH_REARM, true, "a write after re-arming is not reported", error);
    }
    return status;
}

/* Whatever went wrong, it is this backend that cannot be used; the message stays. But for memory, which tells nothing
 * about the backend. */
static enum savepoint_status no_backend(enum savepoint_status status, struct savepoint_error *error)
{
    if (status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY) {
        return status;
    }
    if (error != NULL) {
        error->status = SAVEPOINT_NO_BACKEND;
    }
    return SAVEPOINT_NO_BACKEND;
}

enum savepoint_status svp_probe_try(const struct svp_watch_backend *backend, struct savepoint_error *error)
{
    struct trial trial = { .backend = backend, .page_bytes = svp_vm_page_bytes() };
    size_t bytes = PROBE_PAGES * trial.page_bytes;
    enum savepoint_status status = backend->open(&trial.watch, error);
    if (status != SAVEPOINT_OK) {
        return no_backend(status, error);
    }
    trial.start = (uintptr_t)svp_pages_map(bytes);
    if (trial.start == 0) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "probe", "no memory to try the %s write-watch on",
                                 backend->name);
    } else {
        status = backend->add(trial.watch, trial.start, bytes, error);
        if (status == SAVEPOINT_OK) {
            status = try_both_ways(&trial, error);
        }
    }
    backend->close(trial.watch);
    if (trial.start != 0) {
        svp_pages_unmap((void *)trial.start, bytes);
    }
    return no_backend(status, error);
}
