/* collector.c - a small concurrent mark-sweep collector that leans on the write-watch as .NET's does */
#define _POSIX_C_SOURCE 200809L
#include "collector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "savepoint/watch.h"

enum { BUFFER_PAGES = 100, ROUNDS = 2 };

_Static_assert(sizeof(struct gc_object) == 128, "cells do not cross pages");

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A collector cannot go on without its watch. */
static void need(enum savepoint_status status, const struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "collector: %s\n", error->message);
        abort();
    }
}

/* ---- open and close */

static bool open_watch(struct gc *gc, const char *backend, size_t bytes, const char **why)
{
    static struct savepoint_error error;
    struct savepoint_watch_options options = SAVEPOINT_WATCH_OPTIONS_INIT;
    struct savepoint_watch_info info;
    options.backend = backend;
    *why = error.message;
    if (savepoint_watch_open(&gc->watch, &options, &error) != SAVEPOINT_OK) {
        return false;
    }
    need(savepoint_watch_add(gc->watch, gc->cells, bytes, &error), &error);
    need(savepoint_watch_describe(gc->watch, &info, &error), &error);
    gc->page_bytes = info.capabilities.page_bytes;
    return true;
}

static void share_cells(struct gc *gc)
{
    const size_t share = gc->count / gc->thread_count / GC_WORD_CELLS * GC_WORD_CELLS;
    for (unsigned i = 0; i < gc->thread_count; i++) {
        const size_t first = i * share;
        gc->threads[i] = (struct gc_thread){
            .gc = gc, .number = i, .random = i + 1, .first = first, .end = first + share, .cursor = first
        };
    }
}

bool gc_open(struct gc *gc, enum gc_mode mode, const char *backend, size_t heap_bytes, unsigned mutators,
             const char **why)
{
    *gc = (struct gc){ .mode = mode, .count = heap_bytes / sizeof(struct gc_object), .thread_count = mutators };
    const size_t words = gc->count / GC_WORD_CELLS;
    gc->cells = aligned_alloc((size_t)64 << 10, heap_bytes);
    gc->marks = calloc(words, sizeof *gc->marks);
    gc->live = calloc(words, sizeof *gc->live);
    gc->audited = calloc(words, sizeof *gc->audited);
    gc->stack = calloc(gc->count, sizeof(struct gc_object *));
    *why = "no memory for a heap";
    if (gc->cells == NULL || gc->marks == NULL || gc->live == NULL || gc->audited == NULL || gc->stack == NULL) {
        gc_close(gc);
        return false;
    }
    memset(gc->cells, 0, heap_bytes);
    pthread_mutex_init(&gc->mutex, NULL);
    pthread_cond_init(&gc->changed, NULL);
    gc->running = mutators;
    share_cells(gc);
    if (mode == GC_CONCURRENT && !open_watch(gc, backend, heap_bytes, why)) {
        gc_close(gc);
        return false;
    }
    return true;
}

void gc_close(struct gc *gc)
{
    savepoint_watch_close(gc->watch);
    free(gc->cells);
    free((void *)gc->marks);
    free(gc->live);
    free(gc->audited);
    free(gc->stack);
}

/* ---- stopping the mutators */

static void park(struct gc *gc, uint64_t until_cycle)
{
    gc->parked++;
    pthread_cond_broadcast(&gc->changed);
    while (atomic_load(&gc->stopping) || atomic_load(&gc->cycle) < until_cycle) {
        pthread_cond_wait(&gc->changed, &gc->mutex);
    }
    gc->parked--;
}

void gc_poll(struct gc_thread *thread)
{
    struct gc *gc = thread->gc;
    if (atomic_load_explicit(&gc->stopping, memory_order_relaxed)) {
        pthread_mutex_lock(&gc->mutex);
        park(gc, 0);
        pthread_mutex_unlock(&gc->mutex);
    }
}

void gc_leave(struct gc_thread *thread)
{
    struct gc *gc = thread->gc;
    pthread_mutex_lock(&gc->mutex);
    gc->running--;
    pthread_cond_broadcast(&gc->changed);
    pthread_mutex_unlock(&gc->mutex);
}

static double stop(struct gc *gc)
{
    double start = now_ms();
    pthread_mutex_lock(&gc->mutex);
    atomic_store(&gc->stopping, true);
    while (gc->parked < gc->running) {
        pthread_cond_wait(&gc->changed, &gc->mutex);
    }
    pthread_mutex_unlock(&gc->mutex);
    return start;
}

static void go_on(struct gc *gc, double stopped_at)
{
    pthread_mutex_lock(&gc->mutex);
    atomic_store(&gc->stopping, false);
    pthread_cond_broadcast(&gc->changed);
    pthread_mutex_unlock(&gc->mutex);
    if (gc->pause_count < GC_PAUSES_MAX) {
        gc->pauses_ms[gc->pause_count++] = now_ms() - stopped_at;
    }
}

void gc_want_cycle(struct gc *gc)
{
    pthread_mutex_lock(&gc->mutex);
    gc->wanted = true;
    pthread_cond_broadcast(&gc->changed);
    pthread_mutex_unlock(&gc->mutex);
}

void gc_wait_for_cycle(struct gc *gc)
{
    pthread_mutex_lock(&gc->mutex);
    gc->wanted = true;
    park(gc, atomic_load(&gc->cycle) + 1);
    pthread_mutex_unlock(&gc->mutex);
}

/* ---- marking */

static void push(struct gc *gc, struct gc_object *object)
{
    if (object != NULL) {
        const size_t cell = (size_t)(object - gc->cells);
        const uint64_t bit = UINT64_C(1) << (cell % GC_WORD_CELLS);
        if ((atomic_fetch_or_explicit(&gc->marks[cell / GC_WORD_CELLS], bit, memory_order_relaxed) & bit) == 0) {
            gc->stack[gc->depth++] = object;
        }
    }
}

static void push_links(struct gc *gc, struct gc_object *object)
{
    for (int i = 0; i < GC_LINKS; i++) {
        push(gc, atomic_load_explicit(&object->links[i], memory_order_acquire));
    }
}

static void trace(struct gc *gc)
{
    while (gc->depth > 0) {
        push_links(gc, gc->stack[--gc->depth]);
    }
}

/* While the mutators run. To be tried (audit) it takes its time, so that they do. */
static void trace_beside(struct gc *gc)
{
    const struct timespec moment = { .tv_nsec = 100000 };
    for (uint64_t traced = 0; gc->depth > 0; traced++) {
        if (gc->audit && traced % 512 == 0) {
            nanosleep(&moment, NULL);
        }
        push_links(gc, gc->stack[--gc->depth]);
    }
}

static void push_roots(struct gc *gc)
{
    for (size_t i = 0; i < (size_t)gc->thread_count * GC_ROOTS; i++) {
        push(gc, gc->threads[i / GC_ROOTS].roots[i % GC_ROOTS]);
    }
}

/* What the marked objects of a page lead to, now that it was written. */
static void revisit_page(struct gc *gc, void *page)
{
    const size_t first = (size_t)((struct gc_object *)page - gc->cells);
    const size_t end = first + gc->page_bytes / sizeof(struct gc_object);
    for (size_t cell = first; cell < end; cell++) {
        uint64_t word = atomic_load_explicit(&gc->marks[cell / GC_WORD_CELLS], memory_order_relaxed);
        if ((word >> (cell % GC_WORD_CELLS) & 1) != 0) {
            push_links(gc, &gc->cells[cell]);
        }
    }
}

/* As .NET asks: through a small buffer, the base moved on until all is seen. While mutators run the pages are
 * re-armed; when they stand it does not matter, and the next cycle resets them. */
static void revisit_written(struct gc *gc, uint32_t flags)
{
    struct savepoint_watch_span span = { gc->cells, gc->cells + gc->count };
    struct savepoint_error error;
    while (span.next < span.end) {
        void *pages[BUFFER_PAGES];
        size_t count = 0;
        need(savepoint_watch_collect_addresses(gc->watch, pages, BUFFER_PAGES, &count, &span, flags, &error), &error);
        for (size_t i = 0; i < count; i++) {
            revisit_page(gc, pages[i]);
        }
        gc->pages_revisited += count;
        trace(gc);
    }
}

/* ---- the proof: another marking, with the mutators stopped */

static void audit_push(struct gc *gc, struct gc_object *object)
{
    if (object != NULL) {
        const size_t cell = (size_t)(object - gc->cells);
        const uint64_t bit = UINT64_C(1) << (cell % GC_WORD_CELLS);
        if ((gc->audited[cell / GC_WORD_CELLS] & bit) == 0) {
            gc->audited[cell / GC_WORD_CELLS] |= bit;
            gc->unmarked += (atomic_load(&gc->marks[cell / GC_WORD_CELLS]) & bit) == 0;
            gc->stack[gc->depth++] = object;
        }
    }
}

static void audit(struct gc *gc)
{
    memset(gc->audited, 0, gc->count / 8);
    for (size_t i = 0; i < (size_t)gc->thread_count * GC_ROOTS; i++) {
        audit_push(gc, gc->threads[i / GC_ROOTS].roots[i % GC_ROOTS]);
    }
    while (gc->depth > 0) {
        struct gc_object *object = gc->stack[--gc->depth];
        for (int i = 0; i < GC_LINKS; i++) {
            audit_push(gc, atomic_load(&object->links[i]));
        }
    }
}

/* ---- a cycle */

static void begin_marking(struct gc *gc)
{
    struct savepoint_error error;
    for (size_t i = 0; i < gc->count / GC_WORD_CELLS; i++) {
        atomic_store_explicit(&gc->marks[i], 0, memory_order_relaxed);
    }
    if (gc->watch != NULL) {
        need(savepoint_watch_reset(gc->watch, gc->cells, gc->count * sizeof *gc->cells, &error), &error);
    }
    push_roots(gc);
    atomic_store(&gc->marking, true);
}

static void end_marking(struct gc *gc)
{
    push_roots(gc);
    trace(gc);
    if (gc->watch != NULL) {
        revisit_written(gc, SAVEPOINT_WATCH_PEEK);
    }
    if (gc->audit) {
        audit(gc);
    }
    for (size_t i = 0; i < gc->count / GC_WORD_CELLS; i++) {
        gc->live[i] = atomic_load_explicit(&gc->marks[i], memory_order_relaxed);
    }
    atomic_store(&gc->marking, false);
}

static void run_cycle(struct gc *gc)
{
    double stopped_at = stop(gc);
    begin_marking(gc);
    if (gc->mode != GC_STOPPED) {
        go_on(gc, stopped_at);
        trace_beside(gc);
        for (int round = 0; round < ROUNDS && gc->watch != NULL; round++) {
            revisit_written(gc, 0);
        }
        stopped_at = stop(gc);
    }
    end_marking(gc);
    pthread_mutex_lock(&gc->mutex);
    gc->wanted = false;
    atomic_fetch_add(&gc->cycle, 1);
    pthread_mutex_unlock(&gc->mutex);
    go_on(gc, stopped_at);
}

void gc_serve(struct gc *gc)
{
    for (;;) {
        pthread_mutex_lock(&gc->mutex);
        while (!gc->wanted && gc->running > 0) {
            pthread_cond_wait(&gc->changed, &gc->mutex);
        }
        bool over = gc->running == 0;
        pthread_mutex_unlock(&gc->mutex);
        if (over) {
            return;
        }
        run_cycle(gc);
    }
}
