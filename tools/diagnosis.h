/* diagnosis.h - what doctor finds out about this machine, before anything is printed */
#ifndef TOOL_DIAGNOSIS_H
#define TOOL_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"
#include "measure.h"
#include "savepoint.h"
#include "verbs.h"

enum { DIAGNOSIS_BACKENDS_MOST = 8, DIAGNOSIS_ADVICE_MOST = 16, DIAGNOSIS_ADVICE_BYTES = 640, DIAGNOSIS_SYNCS = 20 };

struct diagnosis {
    char system[MACHINE_NAME_BYTES];
    uint64_t mappings_most; /* 0: not known */

    struct savepoint_backend backends[DIAGNOSIS_BACKENDS_MOST]; /* best first */
    struct measure_costs costs[DIAGNOSIS_BACKENDS_MOST];        /* pages is 0 where nothing was measured */
    size_t backend_count;

    /* What a program started here would get. */
    const char *forced;         /* SAVEPOINT_WATCH; NULL: not set */
    char large[16], small[16];  /* write-watch of regions of a MiB, and of 64 KiB; "" where none works */
    bool fallback;              /* the primary of the system is missing */
    struct savepoint_error why; /* where none works */

    const char *folder; /* the one that archives are to be in */
    char file_system[MACHINE_NAME_BYTES];
    int folder_error; /* an errno, where it cannot be written */
    uint64_t sync_median_ns, sync_slowest_ns;

    char advice[DIAGNOSIS_ADVICE_MOST][DIAGNOSIS_ADVICE_BYTES]; /* for people, most important first */
    size_t advice_count;
};

/* Returns TOOL_GO_ON, or an exit code after having said why. */
int diagnosis_make(struct diagnosis *diagnosis, const struct tool *tool, const char *folder);

/* True when a program gets something worse than what this system has to offer, or nothing. */
bool diagnosis_is_finding(const struct diagnosis *diagnosis);

#endif
