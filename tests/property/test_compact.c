/* test_compact.c - savepoint_archive_compact on archives of random programs: what is kept is as it was, to the byte
 *
 * SEED=n runs that one program; SAVEPOINT_TEST_DEEP=1 twenty times as many. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

enum { PROGRAMS = 40, STEPS = 120, DEEP_FACTOR = 20, SNAPSHOTS_MAX = 200, ROUNDS = 3, NAMES_MAX = 8 };

struct fate { /* of one snapshot of the model */
    bool dropped, bound, kept;
    bool told, told_kept; /* by the report */
    bool gone;            /* in an earlier round */
};

struct trial {
    struct program *program;
    struct fate fates[SNAPSHOTS_MAX];
    struct savepoint_ref names[NAMES_MAX];
    size_t name_count;
    struct savepoint_compact_options options;
};

struct counts {
    uint64_t programs, rounds, branches, kept, removed, regrown, missed;
};

/* ---- a history to compact */

static struct savepoint_id id_at(const struct trial *trial, size_t index)
{
    return trial->program->model.snapshots[index].id;
}

static bool is_head(const struct trial *trial, size_t index)
{
    const struct model *model = &trial->program->model;
    return memcmp(&model->snapshots[index].id, &model->head, sizeof model->head) == 0;
}

static void name_some(struct trial *trial)
{
    struct program *program = trial->program;
    struct savepoint_error error;
    for (size_t i = 0; i < 2 && trial->name_count < NAMES_MAX; i++) {
        struct savepoint_ref *ref = &trial->names[trial->name_count];
        size_t index = program_below(program, program->model.snapshot_count);
        if (trial->fates[index].dropped || trial->fates[index].gone) {
            continue;
        }
        *ref = (struct savepoint_ref){ .kind = i == 0 ? SAVEPOINT_REF_LABEL : SAVEPOINT_REF_PIN };
        snprintf(ref->name, sizeof ref->name, "name %zu", trial->name_count);
        ref->target = id_at(trial, index);
        trial->fates[index].bound = true;
        trial->name_count++;
        PROGRAM_STATUS(program, savepoint_archive_set_ref(program->path, ref, &error), SAVEPOINT_OK, &error);
    }
}

static void drop_some(struct trial *trial)
{
    struct program *program = trial->program;
    struct savepoint_id ids[4];
    struct savepoint_error error;
    size_t count = 0;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        size_t index = program_below(program, program->model.snapshot_count);
        struct fate *fate = &trial->fates[index];
        struct savepoint_id id = id_at(trial, index);
        bool free_to_go = !fate->dropped && !fate->gone && !fate->bound && !is_head(trial, index);
        if (!free_to_go) {
            enum savepoint_status refused = fate->dropped || fate->gone ? SAVEPOINT_NOT_FOUND : SAVEPOINT_INVALID;
            PROGRAM_STATUS(program, savepoint_archive_drop(program->path, &id, 1, &error), refused, &error);
            continue;
        }
        if (i < 2) {
            PROGRAM_STATUS(program, savepoint_archive_drop(program->path, &id, 1, &error), SAVEPOINT_OK, &error);
            fate->dropped = true;
        } else if (count == 0 || memcmp(&ids[0], &id, sizeof id) != 0) {
            ids[count++] = id;
        }
    }
    if (count > 0) {
        PROGRAM_STATUS(program, savepoint_archive_drop(program->path, ids, count, &error), SAVEPOINT_OK, &error);
    }
    for (size_t i = 0; i < program->model.snapshot_count; i++) {
        for (size_t k = 0; k < count; k++) {
            trial->fates[i].dropped |= memcmp(&program->model.snapshots[i].id, &ids[k], sizeof ids[k]) == 0;
        }
    }
}

/* ---- what the rules keep; the logarithmic rule is left to what the archive says */

static void choose_rules(struct trial *trial)
{
    struct program *program = trial->program;
    struct savepoint_compact_options *options = &trial->options;
    *options = (struct savepoint_compact_options)SAVEPOINT_COMPACT_OPTIONS_INIT;
    switch (program_below(program, 5)) {
    case 0:
        options->keep_last = 1 + (uint32_t)program_below(program, program->model.snapshot_count);
        break;
    case 1:
        options->keep_every_ns = 1 + program_below(program, 3000000);
        options->keep_last = (uint32_t)program_below(program, 4);
        break;
    case 2:
        options->flags = SAVEPOINT_COMPACT_KEEP_LOG;
        break;
    case 3:
        options->keep_bytes = 1 + program_below(program, 200000);
        break;
    default:
        break;
    }
}

static void expect(struct trial *trial, const uint64_t *times)
{
    const struct savepoint_compact_options *options = &trial->options;
    bool ruled = options->keep_last != 0 || options->keep_every_ns != 0 || options->flags != 0;
    uint32_t left = options->keep_last;
    uint64_t interval = UINT64_MAX;
    for (size_t i = trial->program->model.snapshot_count; i-- > 0;) {
        struct fate *fate = &trial->fates[i];
        fate->kept = false;
        if (fate->dropped || fate->gone) {
            continue;
        }
        fate->kept = !ruled || fate->bound || is_head(trial, i) || left > 0;
        left -= left > 0 ? 1 : 0;
        if (options->keep_every_ns != 0 && times[i] / options->keep_every_ns != interval) {
            interval = times[i] / options->keep_every_ns;
            fate->kept = true;
        }
    }
}

static void note_report(void *user, const struct savepoint_snapshot *snapshot, int kept)
{
    struct trial *trial = user;
    for (size_t i = 0; i < trial->program->model.snapshot_count; i++) {
        if (memcmp(&trial->program->model.snapshots[i].id, &snapshot->id, sizeof snapshot->id) == 0) {
            PROGRAM_CHECK(trial->program, !trial->fates[i].told && !trial->fates[i].gone);
            trial->fates[i].told = true;
            trial->fates[i].told_kept = kept != 0;
        }
    }
}

/* ---- what the archive says afterwards */

/* The nearest ancestor that is kept, by the model; SIZE_MAX: there is none. */
static size_t kept_ancestor(const struct trial *trial, size_t index)
{
    const struct model *model = &trial->program->model;
    do {
        const struct model_snapshot *parent = model_find(model, &model->snapshots[index].parent);
        if (parent == NULL) {
            return SIZE_MAX;
        }
        index = (size_t)(parent - model->snapshots);
    } while (!trial->fates[index].kept);
    return index;
}

static void
check_ancestor(struct trial *trial, struct savepoint_archive *archive, struct savepoint_snapshot snapshot, size_t index)
{
    struct program *program = trial->program;
    struct savepoint_error error;
    size_t wanted = kept_ancestor(trial, index);
    PROGRAM_STATUS(program, savepoint_archive_parent(archive, &snapshot, &error),
                   wanted == SIZE_MAX ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK, &error);
    struct savepoint_id id = wanted == SIZE_MAX ? snapshot.id : id_at(trial, wanted);
    PROGRAM_CHECK(program, memcmp(&snapshot.id, &id, sizeof id) == 0);
}

static void check_names(struct trial *trial, struct savepoint_archive *archive)
{
    struct savepoint_ref ref;
    size_t count = 0;
    for (; savepoint_archive_ref_at(archive, &ref, count, NULL) == SAVEPOINT_OK; count++) {
        const struct savepoint_ref *wanted = &trial->names[trial->name_count - 1 - count]; /* newest first */
        PROGRAM_CHECK(trial->program, count < trial->name_count);
        PROGRAM_CHECK(trial->program, ref.kind == wanted->kind && strcmp(ref.name, wanted->name) == 0);
        PROGRAM_CHECK(trial->program, memcmp(&ref.target, &wanted->target, sizeof ref.target) == 0);
    }
    PROGRAM_CHECK(trial->program, count == trial->name_count);
}

static void report_finding(void *user, const struct savepoint_finding *finding)
{
    program_fail(user, "savepoint_archive_verify", finding->message);
}

static size_t check_archive(struct trial *trial)
{
    struct program *program = trial->program;
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result = { 0 };
    struct savepoint_error error;
    size_t kept = 0;
    PROGRAM_STATUS(program, savepoint_archive_open(&archive, program->path, &error), SAVEPOINT_OK, &error);
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, &error);
    for (size_t i = program->model.snapshot_count; i-- > 0;) {
        if (trial->fates[i].kept) {
            program_status(program, CHECK_WHERE_, status, SAVEPOINT_OK, &error);
            PROGRAM_CHECK(program, memcmp(&snapshot.id, &program->model.snapshots[i].id, sizeof snapshot.id) == 0);
            program_check_snapshot(program, archive, &snapshot, &program->model.snapshots[i]);
            PROGRAM_CHECK(program, ((snapshot.flags & SAVEPOINT_SNAPSHOT_HEAD) != 0) == is_head(trial, i));
            check_ancestor(trial, archive, snapshot, i);
            status = savepoint_archive_previous(archive, &snapshot, &error);
            kept++;
        }
    }
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_NOT_FOUND, &error);
    check_names(trial, archive);
    options.report = report_finding;
    options.report_user = program;
    PROGRAM_STATUS(program, savepoint_archive_verify(archive, &result, &options, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, result.findings == 0 && result.snapshots_checked == kept);
    savepoint_archive_close(archive);
    return kept;
}

/* ---- rounds */

static void read_times(struct trial *trial, uint64_t *times)
{
    struct program *program = trial->program;
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    PROGRAM_STATUS(program, savepoint_archive_open(&archive, program->path, &error), SAVEPOINT_OK, &error);
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, &error);
    for (; status == SAVEPOINT_OK; status = savepoint_archive_previous(archive, &snapshot, &error)) {
        const struct model_snapshot *found = model_find(&program->model, &snapshot.id);
        PROGRAM_CHECK(program, found != NULL);
        times[found - program->model.snapshots] = snapshot.time_ns;
    }
    savepoint_archive_close(archive);
}

static uint64_t compact(struct trial *trial, struct savepoint_compact_result *result)
{
    struct program *program = trial->program;
    struct savepoint_compact_result dry = { 0 };
    struct savepoint_error error;
    trial->options.flags |= SAVEPOINT_COMPACT_DRY_RUN;
    enum savepoint_status status = savepoint_archive_compact(program->path, &dry, &trial->options, &error);
    if (status == SAVEPOINT_LIMIT) { /* what must be kept is larger: then the budget is no rule */
        PROGRAM_CHECK(program, trial->options.keep_bytes != 0);
        trial->options.keep_bytes = 0;
        status = savepoint_archive_compact(program->path, &dry, &trial->options, &error);
    }
    program_status(program, CHECK_WHERE_, status, SAVEPOINT_OK, &error);
    trial->options.flags &= ~(uint32_t)SAVEPOINT_COMPACT_DRY_RUN;
    PROGRAM_CHECK(program, dry.replaced == 0);
    trial->options.report = note_report;
    trial->options.report_user = trial;
    PROGRAM_STATUS(program, savepoint_archive_compact(program->path, result, &trial->options, &error), SAVEPOINT_OK,
                   &error);
    PROGRAM_CHECK(program, dry.snapshots_kept == result->snapshots_kept);
    PROGRAM_CHECK(program, dry.snapshots_removed == result->snapshots_removed);
    PROGRAM_CHECK(program, result->replaced == 1 || result->snapshots_removed == 0);
    return dry.bytes_after;
}

static void run_round(struct trial *trial, struct counts *counts)
{
    static uint64_t times[SNAPSHOTS_MAX];
    struct program *program = trial->program;
    struct savepoint_compact_result result = { 0 };
    name_some(trial);
    drop_some(trial);
    choose_rules(trial);
    read_times(trial, times);
    expect(trial, times);
    for (size_t i = 0; i < program->model.snapshot_count; i++) {
        trial->fates[i].told = false;
    }
    uint64_t foreseen = compact(trial, &result);
    for (size_t i = 0; i < program->model.snapshot_count; i++) {
        struct fate *fate = &trial->fates[i];
        PROGRAM_CHECK(program, fate->told == !fate->gone);
        bool logged = (trial->options.flags & SAVEPOINT_COMPACT_KEEP_LOG) != 0;
        if ((logged || trial->options.keep_bytes != 0) && fate->told) {
            PROGRAM_CHECK(program, fate->told_kept || !fate->kept || (!logged && !fate->bound && !is_head(trial, i)));
            fate->kept = fate->told_kept;
        }
        PROGRAM_CHECK(program, fate->gone || fate->kept == fate->told_kept);
        fate->gone = fate->gone || !fate->kept;
    }
    PROGRAM_CHECK(program, check_archive(trial) == result.snapshots_kept);
    uint64_t budget = trial->options.keep_bytes;
    PROGRAM_CHECK(program, budget == 0 || result.bytes_after <= budget);
    counts->missed += foreseen == result.bytes_after ? 0 : 1;
    PROGRAM_CHECK(program, foreseen < result.bytes_after * 2 && result.bytes_after < foreseen * 2);
    counts->rounds++;
    counts->kept += result.snapshots_kept;
    counts->removed += result.snapshots_removed;
    counts->regrown += result.bytes_after > result.bytes_before ? 1 : 0;
}

static void run_program(uint64_t seed, struct counts *counts)
{
    struct program_counts done = { 0 };
    struct program program;
    struct trial trial = { .program = &program };
    program_open(&program, "compare", seed, &done);
    for (unsigned i = 0; i < STEPS; i++) {
        program_step(&program);
    }
    program_settle(&program);
    PROGRAM_STATUS(&program, savepoint_close(program.session, NULL), SAVEPOINT_OK, NULL);
    program.session = NULL;
    bad_disk_arm(0);
    program.action = "compact";
    PROGRAM_CHECK(&program, program.model.snapshot_count <= SNAPSHOTS_MAX);
    counts->branches += done.branches;
    for (int i = 0; i < ROUNDS && program.model.snapshot_count > 0; i++) {
        run_round(&trial, counts);
    }
    program_close(&program);
    counts->programs++;
}

CHECK_TEST(compact, what_is_kept_is_as_it_was)
{
    const char *seed = getenv("SEED");
    uint64_t programs = getenv("SAVEPOINT_TEST_DEEP") != NULL ? PROGRAMS * DEEP_FACTOR : PROGRAMS;
    struct counts counts = { 0 };
    if (seed != NULL) {
        run_program(strtoull(seed, NULL, 0), &counts);
        return;
    }
    for (uint64_t k = 1; k <= programs; k++) {
        run_program(5000 + k, &counts);
    }
    fprintf(stderr,
            "compact: %" PRIu64 " programs, %" PRIu64 " branches, %" PRIu64 " rounds, %" PRIu64
            " snapshots kept, %" PRIu64 " removed, %" PRIu64 " files larger than before, %" PRIu64 " not as foreseen\n",
            counts.programs, counts.branches, counts.rounds, counts.kept, counts.removed, counts.regrown,
            counts.missed);
    CHECK(counts.branches >= counts.programs && counts.rounds == counts.programs * ROUNDS);
    CHECK(counts.kept >= counts.rounds && counts.removed >= counts.rounds);
}
