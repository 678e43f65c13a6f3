/* restore_history.c - the archives that bench_restore brings back, and what is known of them */
#include "restore_history.h"

#include <stdlib.h>
#include <string.h>

#include "raw.h"

static bool open_session(struct restore_history *history)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_error error;
    void *memory;
    options.profile = history->profile;
    options.workers = history->threads;
    bench_need(savepoint_open(&history->session, history->path, &options, &error), &error);
    bench_need(savepoint_map(history->session, &memory, "state", history->bytes, NULL, &error), &error);
    enum savepoint_status status = savepoint_resume(history->session, NULL, &error);
    bench_need(status == SAVEPOINT_EMPTY ? SAVEPOINT_OK : status, &error);
    history->memory = memory;
    return status == SAVEPOINT_OK;
}

void restore_history_open(struct restore_history *history)
{
    if (!open_session(history)) {
        bench_fail("%s: nothing to resume", history->path);
    }
}

void restore_history_close(struct restore_history *history)
{
    struct savepoint_error error;
    bench_need(savepoint_close(history->session, &error), &error);
    history->session = NULL;
}

void restore_history_restore(struct restore_history *history, const struct savepoint_id *id)
{
    struct savepoint_error error;
    bench_need(savepoint_restore(history->session, id, NULL, &error), &error);
}

static uint64_t hash_content(const struct restore_history *history)
{
    return raw_hash_state(history->memory, history->bytes);
}

void restore_history_check(const struct restore_history *history, uint64_t content)
{
    if (hash_content(history) != content) {
        bench_fail("what was restored is not what was taken");
    }
}

static struct savepoint_id take(struct restore_history *history)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error;
    options.durability = SAVEPOINT_ORDERED; /* what is read back here comes from the page cache */
    bench_need(savepoint_take(history->session, NULL, &options, &error), &error);
    bench_need(savepoint_wait(history->session, 0, &snapshot, &error), &error);
    return snapshot.id;
}

static void begin(struct restore_history *history, size_t bytes, uint64_t changed_pages)
{
    const uint64_t pages = bytes / WORKLOAD_PAGE_BYTES;
    const struct workload_shape shape = { .seed = 1, .pages = pages, .changed_pages = changed_pages };
    history->bytes = bytes;
    history->differing = calloc((size_t)pages, sizeof *history->differing);
    if (!workload_open(&history->workload, &shape) || history->differing == NULL) {
        bench_fail("no memory for a workload");
    }
    if (open_session(history)) {
        bench_fail("%s is not new", history->path);
    }
}

static void take_oldest(struct restore_history *history)
{
    history->oldest = take(history);
    history->oldest_content = hash_content(history);
}

void restore_history_begin(struct restore_history *history, size_t bytes, uint64_t changed_pages)
{
    begin(history, bytes, changed_pages);
    workload_fill(history->memory, &history->workload.shape, 0, history->workload.shape.pages);
    take_oldest(history);
}

void restore_history_begin_as(struct restore_history *history, struct restore_history *other)
{
    uint8_t *state = bench_memory(other->bytes); /* both are mapped at the same address */
    restore_history_open(other);
    memcpy(state, other->memory, other->bytes);
    restore_history_close(other);
    begin(history, other->bytes, other->workload.shape.changed_pages);
    memcpy(history->memory, state, other->bytes);
    bench_unmap(state, other->bytes);
    take_oldest(history);
}

/* The pages that any interval has changed. */
static void list_differing(struct restore_history *history)
{
    history->differing_pages = 0;
    for (uint64_t page = 0; page < history->workload.shape.pages; page++) {
        if (history->workload.last_changed[page] != 0) {
            history->differing[history->differing_pages++] = page;
        }
    }
}

void restore_history_go_on(struct restore_history *history, unsigned snapshots)
{
    for (unsigned i = 0; i < snapshots; i++) {
        workload_next(&history->workload);
        workload_apply(&history->workload, history->memory);
        history->newest = take(history);
    }
    history->newest_content = hash_content(history);
    list_differing(history);
}

void restore_history_free(struct restore_history *history)
{
    if (history->differing != NULL) {
        workload_close(&history->workload);
    }
    free(history->differing);
}
