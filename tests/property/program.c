/* program.c - what a random program does: every step to the session and to the model */
#define _GNU_SOURCE
#include "program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const owned_names[PROGRAM_OWNED] = { "alpha", "beta" };
static const char mapped_name[] = "mapped";

void program_fail(const struct program *program, const char *where, const char *what)
{
    check_fail(where, "%s (backend %s, SEED=%" PRIu64 ", step %u: %s)", what, program->backend, program->seed,
               program->step, program->action);
}

void program_status(const struct program *program, const char *where, enum savepoint_status got,
                    enum savepoint_status wanted, const struct savepoint_error *error)
{
    char text[640];
    if (got != wanted) {
        snprintf(text, sizeof text, "got %s, wanted %s: %.380s", savepoint_status_name(got),
                 savepoint_status_name(wanted), got != SAVEPOINT_OK ? error->message : "");
        program_fail(program, where, text);
    }
}

static uint64_t below(struct program *program, uint64_t limit)
{
    return model_below(&program->random, limit);
}

static struct model_region *any_region(struct program *program)
{
    struct model_state *live = &program->model.live;
    return live->region_count > 0 ? &live->regions[below(program, live->region_count)] : NULL;
}

static uint8_t *memory_of(const struct model_region *region)
{
    return (uint8_t *)(uintptr_t)region->address;
}

/* ---- writing */

/* Stores model bytes [offset, offset + bytes) into the live memory, by stores of different sizes. */
static void copy_out(const struct model_region *region, size_t offset, size_t bytes)
{
    memcpy(memory_of(region) + offset, region->bytes + offset, bytes);
}

static void fill_random(struct program *program, uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)model_random(&program->random);
    }
}

static void write_somewhere(struct program *program)
{
    struct model_region *region = any_region(program);
    if (region == NULL) {
        return;
    }
    size_t page = below(program, region->pages);
    size_t offset = page * MODEL_PAGE_BYTES;
    size_t end = region->pages * MODEL_PAGE_BYTES;
    size_t bytes = MODEL_PAGE_BYTES;
    switch (below(program, 8)) {
    case 0: /* a whole page nobody can compress */
        fill_random(program, region->bytes + offset, bytes);
        break;
    case 1:
        memset(region->bytes + offset, 0, bytes);
        break;
    case 2: /* the same value again */
        break;
    case 3: /* several pages at once, easy to compress */
        bytes = (1 + below(program, region->pages - page)) * MODEL_PAGE_BYTES;
        memset(region->bytes + offset, (int)below(program, 4), bytes);
        break;
    case 4: /* another page's content */
        memmove(region->bytes + offset, region->bytes + below(program, region->pages) * MODEL_PAGE_BYTES, bytes);
        break;
    case 5: /* many runs in one page */
        for (size_t at = below(program, 64); at < MODEL_PAGE_BYTES; at += 5 + below(program, 90)) {
            region->bytes[offset + at]++;
        }
        break;
    default: /* few bytes at any address, perhaps across a page boundary */
        offset += below(program, MODEL_PAGE_BYTES);
        bytes = 1 + below(program, 40);
        bytes = bytes > end - offset ? end - offset : bytes;
        fill_random(program, region->bytes + offset, bytes);
    }
    copy_out(region, offset, bytes);
    program->counts->writes++;
}

/* A system call writes: the range is prepared first, as the header asks. */
static void write_by_kernel(struct program *program)
{
    struct model_region *region = any_region(program);
    struct savepoint_error error;
    int ends[2];
    if (region == NULL) {
        return;
    }
    size_t offset = below(program, region->pages * MODEL_PAGE_BYTES);
    size_t bytes = 1 + below(program, 6000);
    size_t room = region->pages * MODEL_PAGE_BYTES - offset;
    bytes = bytes > room ? room : bytes;
    fill_random(program, region->bytes + offset, bytes);
    PROGRAM_STATUS(program, savepoint_prepare(program->session, memory_of(region) + offset, bytes, &error),
                   SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, pipe(ends) == 0);
    PROGRAM_CHECK(program, write(ends[1], region->bytes + offset, bytes) == (ssize_t)bytes);
    PROGRAM_CHECK(program, read(ends[0], memory_of(region) + offset, bytes) == (ssize_t)bytes);
    close(ends[0]);
    close(ends[1]);
}

static void mark(struct program *program)
{
    struct model_region *region = any_region(program);
    struct savepoint_error error;
    if (region != NULL) {
        size_t offset = below(program, region->pages * MODEL_PAGE_BYTES);
        size_t bytes = 1 + below(program, region->pages * MODEL_PAGE_BYTES - offset);
        PROGRAM_STATUS(program, savepoint_mark(program->session, memory_of(region) + offset, bytes, &error),
                       SAVEPOINT_OK, &error);
    }
}

/* ---- taking */

static void finish_oldest(struct program *program)
{
    struct model *model = &program->model;
    struct model_snapshot *take = &model->pending[0];
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    enum savepoint_status status = savepoint_wait(program->session, take->ticket, &snapshot, &error);
    if (status != SAVEPOINT_OK) {
        PROGRAM_CHECK(program, status == SAVEPOINT_IO || status == SAVEPOINT_NO_SPACE);
        PROGRAM_CHECK(program, fault_count() > program->faults_seen);
        program->counts->failed_takes++;
        model_commit(model, NULL);
        return;
    }
    program->counts->branches += program->parent_has_child ? 1 : 0;
    program->parent_has_child = false;
    model_commit(model, &snapshot);
    const struct model_snapshot *made = &model->snapshots[model->snapshot_count - 1];
    PROGRAM_CHECK(program, snapshot.sequence == made->sequence);
    PROGRAM_CHECK(program, memcmp(&snapshot.parent, &made->parent, sizeof made->parent) == 0);
    PROGRAM_CHECK(program, memcmp(&snapshot.digest, &made->digest, sizeof made->digest) == 0);
    PROGRAM_CHECK(program, strcmp(snapshot.label, made->label) == 0);
    PROGRAM_CHECK(program, made->durability != SAVEPOINT_SYNC || (snapshot.flags & SAVEPOINT_SNAPSHOT_SEALED) != 0);
}

void program_settle(struct program *program)
{
    while (program->model.pending_count > 0) {
        finish_oldest(program);
    }
    program->faults_seen = fault_count();
}

static void take(struct program *program)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    struct model_snapshot *taken = model_take(&program->model);
    struct savepoint_metadata metadata = { SAVEPOINT_METADATA_APPLICATION, taken->metadata, 0 };
    taken->durability = (uint32_t)below(program, 3);
    options.durability = (enum savepoint_durability)taken->durability;
    if (below(program, 2) == 0) {
        snprintf(taken->label, sizeof taken->label, "label-%u", program->step);
        options.label = taken->label;
    }
    if (below(program, 3) == 0) {
        taken->metadata_bytes = metadata.bytes = below(program, sizeof taken->metadata + 1);
        fill_random(program, taken->metadata, taken->metadata_bytes);
        options.metadata = &metadata;
        options.metadata_count = 1;
    }
    PROGRAM_STATUS(program, savepoint_take(program->session, &taken->ticket, &options, &error), SAVEPOINT_OK, &error);
    program->counts->takes++;
    if (below(program, 2) == 0 || program->model.pending_count == MODEL_PENDING_MAX) {
        program_settle(program);
    }
}

/* The next takes meet a full or broken disk. */
static void fail(struct program *program)
{
    fault_arm(1 + (int)below(program, 4));
}

/* ---- restoring */

bool program_restore(struct program *program, const struct model_snapshot *snapshot, bool skip_missing)
{
    struct savepoint_restore_options options = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_error error;
    options.flags = skip_missing ? SAVEPOINT_RESTORE_SKIP_MISSING : 0;
    enum savepoint_status wanted = model_restore(&program->model, snapshot, skip_missing);
    PROGRAM_STATUS(program, savepoint_restore(program->session, &snapshot->id, &options, &error), wanted, &error);
    program->counts->restores += wanted == SAVEPOINT_OK ? 1 : 0;
    program->counts->refused_restores += wanted != SAVEPOINT_OK ? 1 : 0;
    program->parent_has_child = wanted == SAVEPOINT_OK ? snapshot->sequence < program->model.snapshot_count
                                                       : program->parent_has_child;
    return wanted == SAVEPOINT_OK;
}

static void restore_any(struct program *program)
{
    program_settle(program);
    if (program->model.snapshot_count > 0) {
        size_t index = below(program, program->model.snapshot_count);
        program_restore(program, &program->model.snapshots[index], below(program, 4) == 0);
    }
}

/* ---- regions */

static void add_region(struct program *program, unsigned which, size_t pages)
{
    struct savepoint_error error;
    void *base = NULL;
    bool mapped = which == PROGRAM_OWNED;
    const char *name = mapped ? mapped_name : owned_names[which];
    if (mapped) {
        pages = pages > PROGRAM_MAPPED_PAGES ? 2 * PROGRAM_MAPPED_PAGES : PROGRAM_MAPPED_PAGES;
        PROGRAM_STATUS(program,
                       savepoint_map(program->session, &base, name, pages * MODEL_PAGE_BYTES, NULL, &error),
                       SAVEPOINT_OK, &error);
        const struct model_snapshot *head = model_find(&program->model, &program->model.head);
        const struct model_region *known = head != NULL ? model_find_region(&head->state, name) : NULL;
        PROGRAM_CHECK(program, known == NULL || known->address == (uint64_t)(uintptr_t)base);
    } else {
        base = program->arenas[which];
        PROGRAM_STATUS(program, savepoint_watch(program->session, name, base, pages * MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_OK, &error);
    }
    model_add_region(&program->model.live, name, mapped, base, pages);
}

static void add_or_remove(struct program *program)
{
    struct savepoint_error error;
    unsigned which = (unsigned)below(program, PROGRAM_OWNED + 1);
    const char *name = which == PROGRAM_OWNED ? mapped_name : owned_names[which];
    program_settle(program);
    if (model_find_region(&program->model.live, name) == NULL) {
        add_region(program, which, 1 + below(program, PROGRAM_PAGES_MAX));
    } else if (below(program, 2) == 0) {
        PROGRAM_STATUS(program, savepoint_remove(program->session, name, &error), SAVEPOINT_OK, &error);
        model_remove_region(&program->model.live, name);
    } else {
        PROGRAM_STATUS(program, savepoint_watch(program->session, name, program->arenas[0], MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_EXISTS, &error);
    }
}

static void grow(struct program *program)
{
    struct model_region *region = any_region(program);
    struct savepoint_error error;
    size_t most = region != NULL && region->mapped ? 2 * PROGRAM_MAPPED_PAGES : PROGRAM_PAGES_MAX;
    if (region != NULL && region->pages < most) {
        size_t pages = region->mapped ? most : region->pages + 1 + below(program, most - region->pages);
        if (!region->mapped && below(program, 2) == 0) { /* what stands behind it becomes part of it */
            fill_random(program, memory_of(region) + region->pages * MODEL_PAGE_BYTES, MODEL_PAGE_BYTES);
        }
        PROGRAM_STATUS(program, savepoint_grow(program->session, region->name, pages * MODEL_PAGE_BYTES, &error),
                       SAVEPOINT_OK, &error);
        model_grow_region(region, memory_of(region), pages);
    }
}

static void exclude_or_include(struct program *program)
{
    struct model_region *region = any_region(program);
    struct savepoint_error error;
    if (region == NULL) {
        return;
    }
    size_t first = below(program, region->pages);
    size_t count = 1 + below(program, region->pages - first < 3 ? region->pages - first : 3);
    bool exclude = below(program, 2) == 0;
    enum savepoint_status status =
        exclude ? savepoint_exclude(program->session, region->name, first * MODEL_PAGE_BYTES,
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
    static const uint64_t restoring[] = { 0, 1, 20000 };
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    options.watch = program->backend;
    options.staging_bytes = staging[below(program, 3)];
    options.restore_bytes = restoring[below(program, 3)];
    options.compression = (int32_t)below(program, 4) - 1;
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
        size_t pages = as_large_as_possible ? most : least + below(program, most - least + 1);
        if (known != NULL || as_large_as_possible || below(program, 2) == 0) {
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
    program_settle(program);
    PROGRAM_STATUS(program, savepoint_close(program->session, &error), SAVEPOINT_OK, &error);
    program->session = NULL;
    fault_arm(0);
    while (program->model.live.region_count > 0) {
        model_remove_region(&program->model.live, program->model.live.regions[0].name);
    }
}

void program_reopen(struct program *program, bool as_large_as_possible)
{
    struct model *model = &program->model;
    struct savepoint_error error;
    close_session(program);
    if (model->snapshot_count > 0 && below(program, 3) == 0) {
        const struct model_snapshot *target = &model->snapshots[below(program, model->snapshot_count)];
        PROGRAM_STATUS(program, savepoint_archive_set_head(program->path, &target->id, &error), SAVEPOINT_OK, &error);
        model->head = target->id;
        program->counts->heads_set++;
    }
    for (unsigned i = 0; i < PROGRAM_OWNED; i++) { /* another process would not find the old contents there */
        fill_random(program, program->arenas[i] + below(program, PROGRAM_PAGES_MAX) * MODEL_PAGE_BYTES, 100);
    }
    open_session(program);
    add_regions_for_head(program, as_large_as_possible);
    if (!as_large_as_possible && below(program, 4) == 0) {
        exclude_or_include(program);
    }
    bool elsewhere = model->snapshot_count > 0 && below(program, 4) == 0 &&
                     program_restore(program, &model->snapshots[below(program, model->snapshot_count)], false);
    if (!elsewhere) {
        resume(program);
    }
    program->counts->reopens++;
}

static void reopen(struct program *program)
{
    struct savepoint_error error;
    if (program->model.snapshot_count > 0) {
        PROGRAM_STATUS(program,
                       savepoint_archive_set_head(program->path, &program->model.snapshots[0].id, &error),
                       SAVEPOINT_LOCKED, &error);
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
    program->faults_seen = fault_count();
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

void program_step(struct program *program)
{
    static const struct {
        const char *name;
        unsigned weight;
        void (*act)(struct program *);
    } actions[] = {
        { "write", 40, write_somewhere }, { "take", 25, take },     { "restore", 9, restore_any },
        { "exclude", 6, exclude_or_include }, { "kernel write", 4, write_by_kernel },
        { "fault", 4, fail },             { "mark", 3, mark },      { "grow", 3, grow },
        { "add or remove", 3, add_or_remove }, { "reopen", 3, reopen },
    };
    uint64_t pick = below(program, 100);
    size_t i = 0;
    for (; pick >= actions[i].weight; i++) {
        pick -= actions[i].weight;
    }
    program->action = actions[i].name;
    actions[i].act(program);
    program->step++;
    program->counts->steps++;
}
