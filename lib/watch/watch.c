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

static enum savepoint_status
choose_forced(const struct svp_watch_backend **backend, const char *name, struct savepoint_error *error)
{
    const struct svp_watch_backend *found = svp_watch_backend_find(name);
    if (found == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "watch",
                               "this system has no write-watch named '%s' ('savepoint doctor' lists them)", name);
    }
    struct svp_watch_caps caps;
    enum savepoint_status status = found->probe(&caps, error);
    if (status == SAVEPOINT_OK) {
        *backend = found;
    }
    return status;
}

enum savepoint_status svp_watch_choose(const struct svp_watch_backend **backend, bool *fallback, const char *forced,
                                       size_t bytes, size_t compare_max_bytes, struct savepoint_error *error)
{
    if (forced != NULL && forced[0] != '\0') {
        enum savepoint_status status = choose_forced(backend, forced, error);
        if (status == SAVEPOINT_OK) {
            *fallback = false;
        }
        return status;
    }
    struct svp_watch_caps caps;
    if (primary != NULL && primary->probe(&caps, error) == SAVEPOINT_OK) {
        *backend = primary;
        *fallback = false;
        return SAVEPOINT_OK;
    }
    const struct svp_watch_backend *second = bytes > compare_max_bytes ? svp_watch_backend_find("signal") : NULL;
    if (second == NULL) {
        second = &svp_compare_backend;
    }
    enum savepoint_status status = second->probe(&caps, error);
    if (status == SAVEPOINT_OK) {
        *backend = second;
        *fallback = true;
    }
    return status;
}
