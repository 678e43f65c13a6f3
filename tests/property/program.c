/* program.c - what a random program does: every step to the session and to the model */
#define _GNU_SOURCE
#include "program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

uint64_t program_below(struct program *program, uint64_t limit)
{
    return model_below(&program->random, limit);
}

struct model_region *program_any_region(struct program *program)
{
    struct model_state *live = &program->model.live;
    return live->region_count > 0 ? &live->regions[program_below(program, live->region_count)] : NULL;
}

uint8_t *program_memory(const struct model_region *region)
{
    return (uint8_t *)(uintptr_t)region->address;
}

/* ---- writing */

/* Stores model bytes [offset, offset + bytes) into the live memory, by stores of different sizes. */
static void copy_out(const struct model_region *region, size_t offset, size_t bytes)
{
    memcpy(program_memory(region) + offset, region->bytes + offset, bytes);
}

void program_fill(struct program *program, uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)model_random(&program->random);
    }
}

static void write_somewhere(struct program *program)
{
    struct model_region *region = program_any_region(program);
    if (region == NULL) {
        return;
    }
    size_t page = program_below(program, region->pages);
    size_t offset = page * MODEL_PAGE_BYTES;
    size_t end = region->pages * MODEL_PAGE_BYTES;
    size_t bytes = MODEL_PAGE_BYTES;
    switch (program_below(program, 8)) {
    case 0: /* a whole page nobody can compress */
        program_fill(program, region->bytes + offset, bytes);
        break;
    case 1:
        memset(region->bytes + offset, 0, bytes);
        break;
    case 2: /* the same value again */
        break;
    case 3: /* several pages at once, easy to compress */
        bytes = (1 + program_below(program, region->pages - page)) * MODEL_PAGE_BYTES;
        memset(region->bytes + offset, (int)program_below(program, 4), bytes);
        break;
    case 4: { /* another page's content, perhaps from another region */
        const struct model_region *from = program_any_region(program);
        memmove(region->bytes + offset, from->bytes + program_below(program, from->pages) * MODEL_PAGE_BYTES, bytes);
        break;
    }
    case 5: /* many runs in one page */
        for (size_t at = program_below(program, 64); at < MODEL_PAGE_BYTES; at += 5 + program_below(program, 90)) {
            region->bytes[offset + at]++;
        }
        break;
    default: /* few bytes at any address, perhaps across a page boundary */
        offset += program_below(program, MODEL_PAGE_BYTES);
        bytes = 1 + program_below(program, 40);
        bytes = bytes > end - offset ? end - offset : bytes;
        program_fill(program, region->bytes + offset, bytes);
    }
    copy_out(region, offset, bytes);
    program->counts->writes++;
}

/* A system call writes: the range is prepared first, as the header asks. */
static void write_by_kernel(struct program *program)
{
    struct model_region *region = program_any_region(program);
    struct savepoint_error error;
    int ends[2];
    if (region == NULL) {
        return;
    }
    size_t offset = program_below(program, region->pages * MODEL_PAGE_BYTES);
    size_t bytes = 1 + program_below(program, 6000);
    size_t room = region->pages * MODEL_PAGE_BYTES - offset;
    bytes = bytes > room ? room : bytes;
    program_fill(program, region->bytes + offset, bytes);
    PROGRAM_STATUS(program, savepoint_prepare(program->session, program_memory(region) + offset, bytes, &error),
                   SAVEPOINT_OK, &error);
    PROGRAM_CHECK(program, pipe(ends) == 0);
    PROGRAM_CHECK(program, write(ends[1], region->bytes + offset, bytes) == (ssize_t)bytes);
    PROGRAM_CHECK(program, read(ends[0], program_memory(region) + offset, bytes) == (ssize_t)bytes);
    close(ends[0]);
    close(ends[1]);
}

static void mark(struct program *program)
{
    struct model_region *region = program_any_region(program);
    struct savepoint_error error;
    if (region != NULL) {
        size_t offset = program_below(program, region->pages * MODEL_PAGE_BYTES);
        size_t bytes = 1 + program_below(program, region->pages * MODEL_PAGE_BYTES - offset);
        PROGRAM_STATUS(program, savepoint_mark(program->session, program_memory(region) + offset, bytes, &error),
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
    bool given_up = program->given_up != 0 && take->ticket >= program->given_up;
    PROGRAM_CHECK(program, !given_up || status != SAVEPOINT_OK);
    if (status == SAVEPOINT_CANCELLED) {
        PROGRAM_CHECK(program, given_up);
        program->counts->cancelled_takes++;
        model_commit(model, NULL);
        return;
    }
    if (status != SAVEPOINT_OK) {
        PROGRAM_CHECK(program, status == SAVEPOINT_IO || status == SAVEPOINT_NO_SPACE);
        PROGRAM_CHECK(program, bad_disk_count() > program->faults_seen);
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
    program->faults_seen = bad_disk_count();
    program->given_up = 0;
}

static void take(struct program *program)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_error error;
    struct model_snapshot *taken = model_take(&program->model);
    struct savepoint_metadata metadata = { SAVEPOINT_METADATA_APPLICATION, taken->metadata, 0 };
    taken->durability = (uint32_t)program_below(program, 3);
    options.durability = (enum savepoint_durability)taken->durability;
    if (program_below(program, 2) == 0) {
        snprintf(taken->label, sizeof taken->label, "label-%u", program->step);
        options.label = taken->label;
    }
    if (program_below(program, 3) == 0) {
        taken->metadata_bytes = metadata.bytes = program_below(program, sizeof taken->metadata + 1);
        program_fill(program, taken->metadata, taken->metadata_bytes);
        options.metadata = &metadata;
        options.metadata_count = 1;
    }
    PROGRAM_STATUS(program, savepoint_take(program->session, &taken->ticket, &options, &error), SAVEPOINT_OK, &error);
    program->counts->takes++;
    if (program_below(program, 2) == 0 || program->model.pending_count == MODEL_PENDING_MAX) {
        program_settle(program);
    }
}

/* Gives up some of the takes in flight, unless they are too far. */
static void cancel(struct program *program)
{
    const struct model *model = &program->model;
    struct savepoint_error error;
    if (model->pending_count > 0) {
        uint64_t ticket = model->pending[program_below(program, model->pending_count)].ticket;
        enum savepoint_status status = savepoint_cancel(program->session, ticket, &error);
        PROGRAM_CHECK(program, status == SAVEPOINT_OK || status == SAVEPOINT_BUSY || status == SAVEPOINT_NOT_FOUND);
        if (status == SAVEPOINT_OK) {
            bool first = program->given_up == 0 || ticket < program->given_up;
            program->given_up = first ? ticket : program->given_up;
            program_settle(program);
        }
    }
}

/* The next takes meet a full or broken disk. */
static void fail(struct program *program)
{
    bad_disk_arm(1 + (int)program_below(program, 4));
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
    program->parent_has_child =
        wanted == SAVEPOINT_OK ? snapshot->sequence < program->model.snapshot_count : program->parent_has_child;
    return wanted == SAVEPOINT_OK;
}

static void restore_any(struct program *program)
{
    program_settle(program);
    if (program->model.snapshot_count > 0) {
        size_t index = program_below(program, program->model.snapshot_count);
        program_restore(program, &program->model.snapshots[index], program_below(program, 4) == 0);
    }
}

void program_step(struct program *program)
{
    static const struct {
        const char *name;
        unsigned weight;
        void (*act)(struct program *);
    } actions[] = {
        { "write", 36, write_somewhere },
        { "take", 25, take },
        { "restore", 9, restore_any },
        { "exclude", 6, program_exclude_or_include },
        { "kernel write", 4, write_by_kernel },
        { "fault", 4, fail },
        { "cancel", 4, cancel },
        { "mark", 3, mark },
        { "grow", 3, program_grow },
        { "add or remove", 3, program_add_or_remove },
        { "reopen", 3, program_reopen_now },
    };
    uint64_t pick = program_below(program, 100);
    size_t i = 0;
    for (; pick >= actions[i].weight; i++) {
        pick -= actions[i].weight;
    }
    program->action = actions[i].name;
    actions[i].act(program);
    program->step++;
    program->counts->steps++;
}
