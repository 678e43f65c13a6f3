/* settings.c - what savepoint_open was asked for, and what it means where nothing was said */
#include "session/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "os/host.h"
#include "status.h"

#define STAGING_DEFAULT (UINT64_C(256) << 20)
#define ENCODED_DEFAULT (UINT64_C(64) << 20)
#define COMPARE_MAX_DEFAULT (UINT64_C(256) << 10)
enum { LEVEL_MIN = -7, LEVEL_MAX = 19 };

static uint32_t default_workers(void)
{
    enum { WORKERS_DEFAULT_MAX = 4 }; /* a program has other work for its cores */
    unsigned cores = svp_host_cores();
    return cores < WORKERS_DEFAULT_MAX ? cores : WORKERS_DEFAULT_MAX;
}

static enum savepoint_status check(const struct savepoint_options *options, struct savepoint_error *error)
{
    const uint32_t unknown = options->flags & ~(uint32_t)(SAVEPOINT_OPEN_MUST_EXIST | SAVEPOINT_OPEN_NEW_ROOT);
    if (options->compression < LEVEL_MIN || options->compression > LEVEL_MAX) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open", "compression %d: zstd levels from %d to %d are taken",
                               options->compression, LEVEL_MIN, LEVEL_MAX);
    }
    if (unknown != 0) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open", "flags %#x are not known", unknown);
    }
    if (options->profile > SAVEPOINT_PROFILE_FAST) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "open", "profile %u is not known", options->profile);
    }
    return SAVEPOINT_OK;
}

enum savepoint_status
svp_settings_read(struct savepoint *session, const struct savepoint_options *options, struct savepoint_error *error)
{
    struct savepoint_options *own = &session->options;
    *own = (struct savepoint_options)SAVEPOINT_OPTIONS_INIT;
    enum savepoint_status status = svp_options_copy(own, sizeof *own, options, "open", error);
    status = status == SAVEPOINT_OK ? check(own, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    const char *forced = own->watch != NULL ? own->watch : getenv("SAVEPOINT_WATCH");
    snprintf(session->watch_name, sizeof session->watch_name, "%s", forced != NULL ? forced : "");
    own->watch = session->watch_name;
    own->compression = own->compression != 0 ? own->compression : 1;
    own->staging_bytes = own->staging_bytes != 0 ? own->staging_bytes : STAGING_DEFAULT;
    own->encoded_bytes = own->encoded_bytes != 0 ? own->encoded_bytes : ENCODED_DEFAULT;
    own->workers = own->workers != 0 ? own->workers : default_workers();
    own->compare_max_bytes = own->compare_max_bytes != 0 ? own->compare_max_bytes : COMPARE_MAX_DEFAULT;
    if (session->watch_name[0] != '\0' && svp_watch_backend_find(session->watch_name) == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "open",
                               "there is no write-watch called '%s' on this system: 'savepoint doctor' lists them",
                               session->watch_name);
    }
    return SAVEPOINT_OK;
}
