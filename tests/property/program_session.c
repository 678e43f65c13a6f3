/* program_session.c - a random program's regions, and how its session opens and closes */
#define _GNU_SOURCE
#include "program.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const owned_names[PROGRAM_OWNED] = { "alpha", "beta" };
static const char mapped_name[] = "mapped";

/* ---- regions */

static void add_region(struct program *program, unsigned which, size_t pages)
{
    struct savepoint_error error;
    void *base = NULL;
    bool mapped = which == PROGRAM_OWNED;
    const char *name = mapped ? mapped_name : owned_names[which];
    if (mapped) {
        pages = pages > PROGRAM_MAPPED_PAGES ? 2 * PROGRAM_MAPPED_PAGES : PROGRAM_MAPPED_PAGES;
        PROGRAM_STATUS(program, savepoint_map(program->session, &base, name, pages * MODEL_PAGE_BYTES, NULL, &error),
                       SAVEPOINT_OK, &error);
        const struct model_snapshot *head = model_find(&program->model, &program->model.head);
        const struct model_region *known = head != NULL ? model_find_region(&head->state, name) : NULL;
        PROGRAM_CHECK(program, known == NULL || known->address == (uint64_t)(uintptr_t)base);
        pages = known != NULL && known->pages > pages ? known->pages : pages; /* at least as large as it was */
    } else {
        base = program->arenas[which];
        PROGRAM_STATUS(program, savepoint_watch(program->session, name, base, pages * MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_OK, &error);
    }
    model_add_region(&program->model.live, name, mapped, base, pages);
}

void program_add_or_remove(struct program *program)
{
    struct savepoint_error error;
    unsigned which = (unsigned)program_below(program, PROGRAM_OWNED + 1);
    const char *name = which == PROGRAM_OWNED ? mapped_name : owned_names[which];
    program_settle(program);
    if (model_find_region(&program->model.live, name) == NULL) {
        add_region(program, which, 1 + program_below(program, PROGRAM_PAGES_MAX));
    } else if (program_below(program, 2) == 0) {
        PROGRAM_STATUS(program, savepoint_remove(program->session, name, &error), SAVEPOINT_OK, &error);
        model_remove_region(&program->model.live, name);
    } else {
        PROGRAM_STATUS(program, savepoint_watch(program->session, name, program->arenas[0], MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_EXISTS, &error);
    }
}

void program_grow(struct program *program)
{
    struct model_region *region = program_any_region(program);
    struct savepoint_error error;
    size_t most = region != NULL && region->mapped ? 2 * PROGRAM_MAPPED_PAGES : PROGRAM_PAGES_MAX;
    if (region != NULL && region->pages < most) {
        size_t pages = region->mapped ? most : region->pages + 1 + program_below(program, most - region->pages);
        if (!region->mapped && program_below(program, 2) == 0) { /* what stands behind it becomes part of it */
            program_fill(program, program_memory(region) + region->pages * MODEL_PAGE_BYTES, MODEL_PAGE_BYTES);
        }
        PROGRAM_STATUS(program, savepoint_grow(program->session, region->name, pages * MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_OK, &error);
        model_grow_region(region, program_memory(region), pages);
    }
}

void program_exclude_or_include(struct program *program)
{
    struct model_region *region = program_any_region(program);
    struct savepoint_error error;
    if (region == NULL) {
        return;
    }
    size_t first = program_below(program, region->pages);
    size_t count = 1 + program_below(program, region->pages - first < 3 ? region->pages - first : 3);
    bool exclude = program_below(program, 2) == 0;
    enum savepoint_status status = exclude ? savepoint_exclude(program->session, region->name, first * MODEL_PAGE_BYTES,
                                                               count * MODEL_PAGE_BYTES, &error)
                                           : savepoint_include(program->session, region->name, first * MODEL_PAGE_BYTES,
                                                               count * MODEL_PAGE_BYTES, &error);
    PROGRAM_STATUS(program, status, SAVEPOINT_OK, &error);
    for (size_t page = first; page < first + count; page++) {
        region->excluded[page] = exclude;
    }
}

/* ---- opening and closing */

static void open_session(struct program *program)
{
    static const uint64_t staging[] = { 0, 1, 600000 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    options.watch = program->backend;
    options.staging_bytes = staging[program_below(program, 3)];
    options.compression = (int32_t)program_below(program, 4) - 1;
    PROGRAM_STATUS(program, savepoint_open(&program->session, program->path, &options, &error), SAVEPOINT_OK, &error);
    program->parent_has_child = false;
}

/* The regions of HEAD, at least as large, and perhaps others. */
static void add_regions_for_head(struct program *program, bool as_large_as_possible)
{
    const struct model_snapshot *head = model_find(&program->model, &program->model.head);
    for (unsigned i = 0; i <= PROGRAM_OWNED; i++) {
        const char *name = i == PROGRAM_OWNED ? mapped_name : owned_names[i];
        size_t most = i == PROGRAM_OWNED ? 2 * PROGRAM_MAPPED_PAGES : PROGRAM_PAGES_MAX;
        const struct model_region *known = head != NULL ? model_find_region(&head->state, name) : NULL;
        size_t least = known != NULL ? known->pages : 1;
        size_t pages = as_large_as_possible ? most : least + program_below(program, most - least + 1);
        if (known != NULL || as_large_as_possible || program_below(program, 2) == 0) {
            add_region(program, i, pages);
        }
    }
}

static void resume(struct program *program)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    const struct model_snapshot *head = model_find(&program->model, &program->model.head);
    enum savepoint_status wanted = head != NULL ? model_restore(&program->model, head, false) : SAVEPOINT_EMPTY;
    if (head != NULL) {
        PROGRAM_STATUS(program, savepoint_take(program->session, NULL, NULL, &error), SAVEPOINT_NOT_RESUMED, &error);
    }
    PROGRAM_STATUS(program, savepoint_resume(program->session, &snapshot, &error), wanted, &error);
    PROGRAM_CHECK(program, head == NULL || memcmp(&snapshot.id, &head->id, sizeof head->id) == 0);
    program->parent_has_child = head != NULL && head->sequence < program->model.snapshot_count;
}

static void close_session(struct program *program)
{
    struct savepoint_error error;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    program_settle(program);
    PROGRAM_STATUS(program, savepoint_read_statistics(program->session, &statistics, &error), SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, statistics.restores_around == 0);
    PROGRAM_STATUS(program, savepoint_close(program->session, &error), SAVEPOINT_OK, &error);
    program->session = NULL;
    bad_disk_arm(0);
    while (program->model.live.region_count > 0) {
        model_remove_region(&program->model.live, program->model.live.regions[0].name);
    }
}

void program_reopen(struct program *program, bool as_large_as_possible)
{
    struct model *model = &program->model;
    struct savepoint_error error;
    close_session(program);
    if (model->snapshot_count > 0 && program_below(program, 3) == 0) {
        const struct model_snapshot *target = &model->snapshots[program_below(program, model->snapshot_count)];
        const struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = target->id };
        PROGRAM_STATUS(program, savepoint_archive_set_ref(program->path, &head, &error), SAVEPOINT_OK, &error);
        model->head = target->id;
        program->counts->heads_set++;
    }
    for (unsigned i = 0; i < PROGRAM_OWNED; i++) { /* another process would not find the old contents there */
        program_fill(program, program->arenas[i] + program_below(program, PROGRAM_PAGES_MAX) * MODEL_PAGE_BYTES, 100);
    }
    open_session(program);
    add_regions_for_head(program, as_large_as_possible);
    if (!as_large_as_possible && program_below(program, 4) == 0) {
        program_exclude_or_include(program);
    }
    bool elsewhere = model->snapshot_count > 0 && program_below(program, 4) == 0 &&
                     program_restore(program, &model->snapshots[program_below(program, model->snapshot_count)], false);
    if (!elsewhere) {
        resume(program);
    }
    program->counts->reopens++;
}

void program_reopen_now(struct program *program)
{
    struct savepoint_error error;
    if (program->model.snapshot_count > 0) {
        const struct savepoint_ref head = { .kind = SAVEPOINT_REF_HEAD, .target = program->model.snapshots[0].id };
        PROGRAM_STATUS(program, savepoint_archive_set_ref(program->path, &head, &error), SAVEPOINT_LOCKED, &error);
    }
    program_reopen(program, false);
}

void program_open(struct program *program, const char *backend, uint64_t seed, struct program_counts *counts)
{
    *program = (struct program){ .backend = backend, .seed = seed, .counts = counts, .action = "open" };
    program->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    snprintf(program->path, sizeof program->path, "history-%ld.svp", (long)getpid());
    unlink(program->path);
    for (unsigned i = 0; i < PROGRAM_OWNED; i++) {
        program->arenas[i] = mmap(NULL, PROGRAM_PAGES_MAX * MODEL_PAGE_BYTES, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        PROGRAM_CHECK(program, program->arenas[i] != MAP_FAILED);
    }
    program->faults_seen = bad_disk_count();
    open_session(program);
    add_regions_for_head(program, false);
    resume(program);
}

void program_close(struct program *program)
{
    if (program->session != NULL) {
        close_session(program);
    }
    for (unsigned i = 0; i < PROGRAM_OWNED; i++) {
        munmap(program->arenas[i], PROGRAM_PAGES_MAX * MODEL_PAGE_BYTES);
    }
    model_free(&program->model);
    unlink(program->path);
}
