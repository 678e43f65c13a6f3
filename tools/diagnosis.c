/* diagnosis.c - what doctor finds out about this machine, before anything is printed */
#include "diagnosis.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "terminal.h"
#include "text.h"
#include "trial.h"

enum { LARGE_BYTES = 1 << 20, SMALL_BYTES = 64 << 10 };
#define SLOW_SYNC_NS 20000000u

/* One more piece of advice. */
FAIL_PRINTF(2, 3)
static void advise(struct diagnosis *diagnosis, const char *format, ...)
{
    va_list arguments;
    if (diagnosis->advice_count < DIAGNOSIS_ADVICE_MOST) {
        va_start(arguments, format);
        vsnprintf(diagnosis->advice[diagnosis->advice_count++], DIAGNOSIS_ADVICE_BYTES, format, arguments);
        va_end(arguments);
    }
}

/* ---- facts */

static void measure_backends(struct diagnosis *diagnosis, const char *work)
{
    struct savepoint_backend *backend = diagnosis->backends;
    size_t count = 0;
    for (; count < DIAGNOSIS_BACKENDS_MOST && savepoint_backend_at(backend, count, NULL) == SAVEPOINT_OK; count++) {
        struct savepoint_error error;
        enum savepoint_status status = SAVEPOINT_OK;
        if (backend->available != 0) {
            status = measure_backend(&diagnosis->costs[count], work, backend->name, &error);
        }
        if (status != SAVEPOINT_OK && !terminal_interrupted()) {
            advise(diagnosis, "%s could not be measured: %s", backend->name, error.message);
        }
        backend++;
    }
    diagnosis->backend_count = count;
}

/* The write-watch that a region of `bytes` gets; "" where there is none, and then `why` tells. */
static void find_default(struct diagnosis *diagnosis, char name[16], const char *work, size_t bytes)
{
    struct trial trial;
    struct savepoint_region region;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    if (trial_open(&trial, work, NULL, bytes) == SAVEPOINT_OK &&
        savepoint_region_at(trial.session, &region, 0, &trial.error) == SAVEPOINT_OK &&
        savepoint_read_statistics(trial.session, &statistics, &trial.error) == SAVEPOINT_OK) {
        memcpy(name, region.backend, sizeof region.backend);
        diagnosis->fallback = diagnosis->fallback || (statistics.flags & SAVEPOINT_SESSION_FALLBACK) != 0;
    } else {
        diagnosis->why = trial.error;
    }
    (void)trial_close(&trial);
}

static void examine_folder(struct diagnosis *diagnosis)
{
    uint64_t times_ns[DIAGNOSIS_SYNCS];
    machine_file_system(diagnosis->file_system, diagnosis->folder);
    diagnosis->folder_error = machine_time_syncs(times_ns, DIAGNOSIS_SYNCS, diagnosis->folder);
    if (diagnosis->folder_error == 0) {
        diagnosis->sync_median_ns = measure_median(times_ns, DIAGNOSIS_SYNCS);
        diagnosis->sync_slowest_ns = times_ns[DIAGNOSIS_SYNCS - 1];
    }
}

/* ---- advice */

static void advise_on_choice(struct diagnosis *diagnosis)
{
    const struct savepoint_backend *best = &diagnosis->backends[0];
    if (diagnosis->large[0] == '\0') {
        advise(diagnosis, "A program started here cannot watch memory: %s", diagnosis->why.message);
    }
    if (diagnosis->forced != NULL) {
        bool better = best->available != 0 && strcmp(diagnosis->forced, best->name) != 0;
        advise(diagnosis, "SAVEPOINT_WATCH=%.40s is set: programs started here use that write-watch or none%s%s.",
               diagnosis->forced, better ? "; without it they would use " : "", better ? best->name : "");
    }
    for (size_t i = 0; i < diagnosis->backend_count; i++) {
        if (diagnosis->backends[i].available == 0) {
            advise(diagnosis, "%s does not work here: %s", diagnosis->backends[i].name, diagnosis->backends[i].detail);
        }
    }
    if (diagnosis->fallback) {
        advise(diagnosis,
               "Programs run with a fallback (sessions tell by SAVEPOINT_SESSION_FALLBACK): %s for large regions of "
               "sessions, %s for small ones, and %s for a watch of savepoint/watch.h. They work, and are slower.",
               diagnosis->large, diagnosis->small, diagnosis->large);
    }
}

static void advise_on_signal(struct diagnosis *diagnosis)
{
    if (strcmp(diagnosis->large, "signal") != 0) {
        return;
    }
    advise(diagnosis, "Under signal, system calls that write into a region (read, recv) fail with EFAULT unless "
                      "savepoint_prepare goes before. SAVEPOINT_WATCH=compare has no such rule; each take copies "
                      "everything then.");
    if (diagnosis->mappings_most > 0) {
        advise(diagnosis,
               "Under signal every run of written pages is a mapping of its own, and a process may have %" PRIu64
               ": beyond that wider runs are saved. 'sysctl vm.max_map_count=1048576' allows more.",
               diagnosis->mappings_most);
    }
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}
#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof((names)[0]))

static void advise_on_folder(struct diagnosis *diagnosis)
{
    static const char *const in_memory[] = { "tmpfs", "ramfs" };
    static const char *const remote[] = { "nfs",  "nfs4",       "cifs", "smb3",      "9p",     "virtiofs",
                                          "ceph", "fuse.sshfs", "afs",  "glusterfs", "lustre", "fuse.glusterfs" };
    char time[TEXT_SHORT_BYTES];
    const char *kind = diagnosis->file_system;
    if (diagnosis->folder_error != 0) {
        advise(diagnosis, "No archive can be written in this folder. Name another one, or make this one writable; "
                          "'savepoint doctor FOLDER' looks at it again.");
        return;
    }
    if (IS_ONE_OF(kind, in_memory)) {
        advise(diagnosis, "The folder is in memory (%s): archives there do not survive a power cut, synced or not.",
               kind);
    } else if (IS_ONE_OF(kind, remote)) {
        advise(diagnosis,
               "The folder is on another machine (%s): locks and syncs are worth what that machine makes of them. A "
               "local disk is the better place for archives.",
               kind);
    } else if (strcmp(kind, "overlay") == 0) {
        advise(diagnosis, "The folder belongs to a container and goes with it (overlay): keep archives in a volume.");
    }
    if (diagnosis->sync_median_ns > SLOW_SYNC_NS) {
        advise(diagnosis,
               "The disk needs %s for a sync. A durable take waits that long in savepoint_wait, not in "
               "savepoint_take; with SAVEPOINT_ORDERED it does not wait for the disk.",
               text_duration(time, diagnosis->sync_median_ns));
    }
}

/* ---- all of it */

bool diagnosis_is_finding(const struct diagnosis *diagnosis)
{
    return diagnosis->fallback || diagnosis->large[0] == '\0' || diagnosis->backends[0].available == 0;
}

int diagnosis_make(struct diagnosis *diagnosis, const struct tool *tool, const char *folder)
{
    char *work = NULL;
    *diagnosis = (struct diagnosis){ .folder = folder, .forced = getenv("SAVEPOINT_WATCH") };
    if (diagnosis->forced != NULL && diagnosis->forced[0] == '\0') {
        diagnosis->forced = NULL;
    }
    int os_code = machine_make_folder(&work);
    if (os_code != 0) {
        return fail_system(tool, NULL, "cannot make a temporary folder (TMPDIR)", os_code);
    }
    machine_name(diagnosis->system);
    diagnosis->mappings_most = machine_mappings_most();
    measure_backends(diagnosis, work);
    find_default(diagnosis, diagnosis->large, work, LARGE_BYTES);
    find_default(diagnosis, diagnosis->small, work, SMALL_BYTES);
    examine_folder(diagnosis);
    advise_on_choice(diagnosis);
    advise_on_signal(diagnosis);
    advise_on_folder(diagnosis);
    machine_remove_folder(work);
    free(work);
    return terminal_interrupted() ? TOOL_INTERRUPTED : TOOL_GO_ON;
}
