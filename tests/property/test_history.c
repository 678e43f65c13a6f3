/* test_history.c - random programs of everything a session can do, against full copies in plain memory
 *
 * SEED=n runs that one program; SAVEPOINT_TEST_BACKEND=name one backend; SAVEPOINT_TEST_DEEP=1 twenty times as many. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"
#include "watch/watch.h"

enum { PROGRAMS = 60, STEPS = 90, DEEP_FACTOR = 20 };

/* ---- programs */

static void restore_all_anew(struct program *program)
{
    program_reopen(program, true);
    program_check_memory(program);
    size_t count = program->model.snapshot_count;
    for (size_t i = 0; i < count; i++) {
        program->step++;
        program_restore(program, &program->model.snapshots[(i * 7 + 3) % count], true);
        program_check_memory(program);
    }
}

static void run_program(const char *backend, uint64_t seed, struct program_counts *counts)
{
    struct program program;
    program_open(&program, backend, seed, counts);
    for (unsigned i = 0; i < STEPS; i++) {
        program_step(&program);
        program_check_memory(&program);
        program_check_session(&program);
    }
    program.action = "restore all";
    restore_all_anew(&program);
    program.action = "read back";
    program_settle(&program);
    PROGRAM_STATUS(&program, savepoint_close(program.session, NULL), SAVEPOINT_OK, NULL);
    program.session = NULL;
    program_check_archive(&program);
    program_close(&program);
    counts->programs++;
}

static void check_floors(const struct program_counts *counts)
{
    CHECK(counts->takes >= counts->programs * 10);
    CHECK(counts->failed_takes >= counts->programs / 2);
    CHECK(counts->cancelled_takes >= counts->programs / 8);
    CHECK(counts->restores >= counts->programs * 10);
    CHECK(counts->refused_restores >= counts->programs / 8);
    CHECK(counts->branches >= counts->programs);
    CHECK(counts->reopens >= counts->programs * 2);
    CHECK(counts->heads_set >= counts->programs / 4);
    CHECK(counts->snapshots_read >= counts->programs * 8);
}

CHECK_TEST(history, random_programs_agree_with_the_model)
{
    const char *wanted = getenv("SAVEPOINT_TEST_BACKEND");
    const char *seed = getenv("SEED");
    uint64_t programs = getenv("SAVEPOINT_TEST_DEEP") != NULL ? PROGRAMS * DEEP_FACTOR : PROGRAMS;
    const struct svp_watch_backend *backend;
    unsigned ran = 0;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct savepoint_error error;
        struct program_counts counts = { 0 };
        if ((wanted != NULL && strcmp(wanted, backend->name) != 0) || backend->probe(&caps, &error) != SAVEPOINT_OK) {
            continue;
        }
        ran++;
        if (seed != NULL) {
            run_program(backend->name, strtoull(seed, NULL, 0), &counts);
            continue;
        }
        for (uint64_t k = 1; k <= programs; k++) {
            run_program(backend->name, k, &counts);
        }
        fprintf(stderr,
                "history: %s: %" PRIu64 " programs, %" PRIu64 " steps, %" PRIu64 " writes, %" PRIu64 " takes (%" PRIu64
                " failed, %" PRIu64 " given up), %" PRIu64 " restores (%" PRIu64 " refused), %" PRIu64
                " branches, %" PRIu64 " reopened, HEAD set %" PRIu64 " times, %" PRIu64 " snapshots read back (%" PRIu64
                " bytes)\n",
                backend->name, counts.programs, counts.steps, counts.writes, counts.takes, counts.failed_takes,
                counts.cancelled_takes, counts.restores, counts.refused_restores, counts.branches, counts.reopens,
                counts.heads_set, counts.snapshots_read, counts.bytes_read);
        check_floors(&counts);
    }
    if (ran == 0) {
        CHECK_SKIP("backend %s does not work here", wanted != NULL ? wanted : "(any)");
    }
}
