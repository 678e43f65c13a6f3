/* watch_backends.c - subjects of bench_watch: the write-watch of the public header, with each of its backends */
#include <stdio.h>

#include "harness.h"
#include "savepoint/watch.h"
#include "watch_subjects.h"

static struct {
    struct savepoint_write_watch *watch;
    struct watch_page *pages;
    size_t count;
    struct savepoint_error error;
} armed;

static bool arm(const char *backend, struct watch_page *pages, size_t count, const char **why)
{
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    options.backend = backend;
    armed.pages = pages;
    armed.count = count;
    *why = armed.error.message;
    if (savepoint_watch_open(&armed.watch, &options, &armed.error) != SAVEPOINT_OK) {
        return false;
    }
    if (savepoint_watch_add(armed.watch, pages, count * sizeof *pages, &armed.error) != SAVEPOINT_OK) {
        savepoint_watch_close(armed.watch);
        return false;
    }
    return true;
}

static void disarm(void)
{
    savepoint_watch_close(armed.watch);
}

static size_t query(bool reset, void **addresses)
{
    struct savepoint_watch_span span = { armed.pages, armed.pages + armed.count };
    size_t found = 0;
    enum savepoint_status status = savepoint_watch_collect_addresses(armed.watch, addresses, armed.count, &found, &span,
                                                                     reset ? 0 : SAVEPOINT_WATCH_PEEK, NULL);
    return status == SAVEPOINT_OK ? found : SIZE_MAX;
}

static void reset(void)
{
    bench_need(savepoint_watch_reset(armed.watch, armed.pages, armed.count * sizeof *armed.pages, &armed.error),
               &armed.error);
}

static bool arm_uffd(struct watch_page *pages, size_t count, const char **why)
{
    return arm("uffd", pages, count, why);
}

static bool arm_signal(struct watch_page *pages, size_t count, const char **why)
{
    return arm("signal", pages, count, why);
}

static bool arm_compare(struct watch_page *pages, size_t count, const char **why)
{
    return arm("compare", pages, count, why);
}

const struct watch_subject watch_uffd = { "uffd", arm_uffd, disarm, query, reset };
const struct watch_subject watch_signal = { "signal", arm_signal, disarm, query, reset };
const struct watch_subject watch_compare = { "compare", arm_compare, disarm, query, reset };
