/* watch_loop.c - the loops that measure a write-watch: one source for every subject, on Linux and on Windows */
#define _POSIX_C_SOURCE 200809L
#include "watch_loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 64 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* xorshift64; a number below `count`. */
static uint32_t draw(uint64_t *state, uint32_t count)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) * count >> 32);
}

static void store(struct watch_page *page)
{
    atomic_fetch_add_explicit(&page->version, 1, memory_order_relaxed);
}

static uint32_t version_of(struct watch_page *page)
{
    return atomic_load_explicit(&page->version, memory_order_relaxed);
}

/* ---- the stage */

bool watch_stage_open(struct watch_stage *stage, struct watch_page *pages, size_t count)
{
    uint64_t random = 88172645463325252U;
    *stage = (struct watch_stage){
        .pages = pages,
        .count = count,
        .addresses = calloc(count, sizeof *stage->addresses),
        .order = calloc(count, sizeof *stage->order),
        .seen = calloc(count, sizeof *stage->seen),
    };
    if (stage->addresses == NULL || stage->order == NULL || stage->seen == NULL) {
        watch_stage_close(stage);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = draw(&random, i + 1);
        stage->order[i] = stage->order[other];
        stage->order[other] = i;
        stage->addresses[i] = &pages[i]; /* resident */
    }
    return true;
}

void watch_stage_close(struct watch_stage *stage)
{
    free(stage->addresses);
    free(stage->order);
    free(stage->seen);
    *stage = (struct watch_stage){ .count = 0 };
}

/* ---- row: writers and queries at once */

struct race {
    const struct watch_subject *subject;
    struct watch_stage *stage;
    const struct watch_job *job;
    atomic_bool stop;
};

struct writer {
    struct race *race;
    pthread_t thread;
    unsigned number;
    double ns;
    uint64_t stores;
};

static void *write_pages(void *argument)
{
    struct writer *writer = argument;
    struct race *race = writer->race;
    struct watch_page *pages = race->stage->pages;
    const uint32_t count = (uint32_t)race->stage->count;
    const bool at_random = race->job->random != 0;
    uint64_t random = (writer->number + 1) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t next = count / (uint32_t)race->job->threads * writer->number;
    uint64_t stores = 0;
    double start = now_ns();
    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        next = at_random ? draw(&random, count) : next + 1 < count ? next + 1 : 0;
        store(&pages[next]);
        stores++;
    }
    writer->ns = now_ns() - start;
    writer->stores = stores;
    return NULL;
}

/* What a program does with pages that it was told of: it reads them. */
static void look(struct watch_stage *stage, void *const *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct watch_page *page = addresses[i];
        stage->seen[page - stage->pages] = version_of(page);
    }
}

/* A reset by itself forgets what was written before it, so all is read after it. */
static void look_at_all(struct watch_stage *stage)
{
    for (size_t i = 0; i < stage->count; i++) {
        stage->seen[i] = version_of(&stage->pages[i]);
    }
}

struct queries {
    double ns;
    uint64_t count, pages;
    bool failed;
};

static void query_once(struct race *race, struct queries *queries)
{
    struct watch_stage *stage = race->stage;
    const bool inside = race->job->reset_inside != 0;
    double start = now_ns();
    size_t found = race->subject->query(inside, stage->addresses);
    if (!inside) {
        race->subject->reset();
    }
    queries->ns += now_ns() - start;
    queries->count++;
    if (found == SIZE_MAX) {
        queries->failed = true;
        return;
    }
    queries->pages += found;
    if (inside) {
        look(stage, stage->addresses, found);
    } else {
        look_at_all(stage);
    }
}

static void sleep_ms(int milliseconds)
{
    const struct timespec delay = { .tv_nsec = milliseconds * 1000000L };
    nanosleep(&delay, NULL);
}

/* Stores that memory lacks, and those that no query has told of. Nobody writes any more. */
static uint64_t count_lost(const struct race *race, uint64_t stores)
{
    struct watch_stage *stage = race->stage;
    uint64_t kept = 0;
    uint64_t unseen = 0;
    size_t found = race->subject->query(true, stage->addresses);
    if (found != SIZE_MAX) {
        look(stage, stage->addresses, found);
    }
    for (size_t i = 0; i < stage->count; i++) {
        kept += version_of(&stage->pages[i]);
        unseen += version_of(&stage->pages[i]) - stage->seen[i];
    }
    return unseen + (stores > kept ? stores - kept : kept - stores);
}

/* The number of those that could be started. */
static int start_writers(struct race *race, struct writer *writers)
{
    int count = race->job->threads < THREADS_MAX ? race->job->threads : THREADS_MAX;
    for (int i = 0; i < count; i++) {
        writers[i] = (struct writer){ .race = race, .number = (unsigned)i };
        if (pthread_create(&writers[i].thread, NULL, write_pages, &writers[i]) != 0) {
            return i;
        }
    }
    return count;
}

static bool run_row(struct race *race, double *figures, const char **why)
{
    struct writer writers[THREADS_MAX];
    struct queries queries = { .ns = 0 };
    uint64_t stores = 0;
    double thread_ns = 0;
    const int started = start_writers(race, writers);
    const double start = now_ns();
    while (!queries.failed && (queries.count == 0 || now_ns() - start < race->job->amount * 1e6)) {
        sleep_ms(race->job->delay_ms);
        query_once(race, &queries);
    }
    const double seconds = (now_ns() - start) / 1e9;
    atomic_store(&race->stop, true);
    for (int i = 0; i < started; i++) {
        pthread_join(writers[i].thread, NULL);
        stores += writers[i].stores;
        thread_ns += writers[i].ns;
    }
    figures[WATCH_WRITE_NS] = thread_ns / (double)(stores > 0 ? stores : 1);
    figures[WATCH_QUERY_US] = queries.ns / 1e3 / (double)queries.count;
    figures[WATCH_STORES_PER_S] = (double)stores / seconds;
    figures[WATCH_FAULTS_PER_S] = (double)queries.pages / seconds;
    figures[WATCH_DIRTY_PAGE_NS] = queries.ns / (double)(queries.pages > 0 ? queries.pages : 1);
    figures[WATCH_LOST] = (double)count_lost(race, stores);
    *why = queries.failed ? "a query failed" : "threads cannot be started";
    return !queries.failed && started == race->job->threads;
}

/* ---- first and query: one thread */

static void write_in_order(struct watch_stage *stage, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        store(&stage->pages[stage->order[i % stage->count]]);
    }
}

/* One query, which must find the pages written; the time is added to *us. */
static bool query_dirty(const struct watch_subject *subject, struct watch_stage *stage, size_t least, double *us)
{
    double start = now_ns();
    size_t found = subject->query(true, stage->addresses);
    *us += (now_ns() - start) / 1e3;
    return found != SIZE_MAX && found >= least;
}

static bool run_first(const struct watch_subject *subject, struct watch_stage *stage, const struct watch_job *job,
                      double *figures, const char **why)
{
    for (int round = 0; round < job->amount; round++) {
        double start = now_ns();
        write_in_order(stage, 0, stage->count);
        figures[WATCH_FIRST_WRITE_NS] += (now_ns() - start) / (double)stage->count;
        if (!query_dirty(subject, stage, stage->count, &figures[WATCH_ALL_DIRTY_US]) ||
            !query_dirty(subject, stage, 0, &figures[WATCH_NONE_DIRTY_US])) {
            *why = "a query failed, or missed a page";
            return false;
        }
        write_in_order(stage, 0, stage->count);
        start = now_ns();
        subject->reset();
        figures[WATCH_RESET_US] += (now_ns() - start) / 1e3;
    }
    for (int i = 0; i <= WATCH_RESET_US; i++) {
        figures[i] /= job->amount;
    }
    return true;
}

static bool run_query(const struct watch_subject *subject, struct watch_stage *stage, const struct watch_job *job,
                      double *figures, const char **why)
{
    const size_t dirty = (size_t)job->dirty_pages;
    for (int round = 0; round < job->amount; round++) {
        write_in_order(stage, (size_t)round * dirty, dirty);
        if (!query_dirty(subject, stage, dirty, &figures[0])) {
            *why = "a query failed, or missed a page";
            return false;
        }
    }
    figures[0] /= job->amount;
    return true;
}

bool watch_run(const struct watch_subject *subject, struct watch_stage *stage, const struct watch_job *job,
               double figures[WATCH_FIGURES], const char **why)
{
    struct race race = { .subject = subject, .stage = stage, .job = job };
    bool done;
    memset(figures, 0, WATCH_FIGURES * sizeof *figures);
    for (size_t i = 0; job->kind == WATCH_ROW && i < stage->count; i++) {
        atomic_store_explicit(&stage->pages[i].version, 0, memory_order_relaxed);
        stage->seen[i] = 0;
    }
    if (!subject->arm(stage->pages, stage->count, why)) {
        return false;
    }
    if (job->kind == WATCH_ROW) {
        done = run_row(&race, figures, why);
    } else if (job->kind == WATCH_FIRST) {
        done = run_first(subject, stage, job, figures, why);
    } else {
        done = run_query(subject, stage, job, figures, why);
    }
    subject->disarm();
    return done;
}
