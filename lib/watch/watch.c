/* watch.c - the switchboard: which write-watch backends this system has, and which one to use */
#include "watch.h"

#include <string.h>

#include "backends.h"
#include "status.h"

/* The one that needs no excuse; NULL where this system has none. */
#if defined(__linux__)
static const struct svp_watch_backend *const primary = &svp_uffd_backend;
#elif defined(__APPLE__)
static const struct svp_watch_backend *const primary = &svp_mach_backend;
#elif defined(_WIN32)
static const struct svp_watch_backend *const primary = &svp_windows_backend;
#else
static const struct svp_watch_backend *const primary = NULL;
#endif

static const struct svp_watch_backend *const preference[] = {
#if defined(__linux__)
    &svp_uffd_backend,
#endif
#if defined(__APPLE__)
    &svp_mach_backend,
#endif
#if defined(_WIN32)
    &svp_windows_backend,
#else
    &svp_signal_backend,
#endif
    &svp_compare_backend,
};

const struct svp_watch_backend *svp_watch_backend_at(size_t index)
{
    return index < sizeof preference / sizeof preference[0] ? preference[index] : NULL;
}

const struct svp_watch_backend *svp_watch_backend_find(const char *name)
{
    const struct svp_watch_backend *backend = NULL;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        if (strcmp(backend->name, name) == 0) {
            break;
        }
    }
    return backend;
}

/* Takes the backend if it works. */
static enum savepoint_status try_backend(struct svp_watch_choice *choice, const struct svp_watch_backend *backend,
                                         bool fallback, struct savepoint_error *error)
{
    struct svp_watch_choice tried = { .backend = backend, .fallback = fallback };
    enum savepoint_status status = backend->probe(&tried.caps, error);
    if (status == SAVEPOINT_OK) {
        *choice = tried;
    }
    return status;
}

enum savepoint_status svp_watch_choose(struct svp_watch_choice *choice, const char *forced, size_t bytes,
                                       size_t compare_max_bytes, struct savepoint_error *error)
{
    if (forced != NULL && forced[0] != '\0') {
        const struct svp_watch_backend *found = svp_watch_backend_find(forced);
        return found != NULL ? try_backend(choice, found, false, error)
                             : svp_status_fail(error, SAVEPOINT_NO_BACKEND, "watch",
                                               "this system has no write-watch named '%.40s' ('savepoint doctor' lists "
                                               "them)",
                                               forced);
    }
    enum savepoint_status status = SAVEPOINT_NO_BACKEND;
    if (primary != NULL) {
        status = try_backend(choice, primary, false, error);
    }
    if (status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY) {
        return status;
    }
    const struct svp_watch_backend *second = bytes > compare_max_bytes ? svp_watch_backend_find("signal") : NULL;
    return try_backend(choice, second != NULL ? second : &svp_compare_backend, true, error);
}
