/* test_watch_fork.c - a fork: the parent stays watched, the child has ordinary memory and may watch its own */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch_fixture.h"

static void use_in_child(void *argument)
{
    struct watched *watched = argument;
    for (size_t page = 0; page < 8; page++) {
        write_page(watched, page);
    }
    if (watched->caps.arms_memory) {
        CHECK_STATUS(try_collect(watched, SVP_WATCH_REARM), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_mark(watched, 0, 1), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_prepare(watched, 0, 1), SAVEPOINT_FORKED);
        CHECK_STATUS(watched_add(watched, 0, 1), SAVEPOINT_FORKED);
    }
    /* A watch of the child's own, beside what it has inherited. */
    struct watched own;
    watched_open(&own, watched->backend, 8);
    write_page(&own, 3);
    CHECK_REARM(&own, PAGE(3));
    watched_close(&own);
    watched_close(watched);
    map_pages(8);
}

CHECK_TEST(watch_fork, a_fork_leaves_the_parent_watched)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        write_page(&watched, 1);
        CHECK_CHILD(use_in_child, &watched);
        CHECK_PEEK(&watched, PAGE(1));
        write_page(&watched, 2);
        CHECK_REARM(&watched, PAGE(1) | PAGE(2));
        CHECK_CHILD(use_in_child, &watched);
        CHECK_REARM(&watched, 0);
        write_page(&watched, 7);
        CHECK_REARM(&watched, PAGE(7));
        watched_close(&watched);
    }
}

static void watch_anew(void *argument)
{
    struct watched *watched = argument;
    unsigned char *memory = watched->memory;
    struct watched own;
    struct watched *const inherited[] = { watched, watched + 1 };
    for (size_t i = 0; i < 2; i++) {
        inherited[i]->owned = false;
        write_page(inherited[i], 2);
        watched_close(inherited[i]);
        watched_open_on(&own, watched->backend, memory, 8);
        write_page(&own, 3);
        CHECK_REARM(&own, PAGE(3));
        CHECK_REARM(&own, 0);
        watched_close(&own);
        memory = watched[1].memory;
    }
}

/* A child that has closed what it inherited may watch the same memory by itself. */
CHECK_TEST(watch_fork, a_child_watches_the_same_memory_anew)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched[3];
        for (size_t i = 0; i < 3; i++) {
            watched_open(&watched[i], backend, 8);
        }
        CHECK_CHILD(watch_anew, watched);
        for (size_t i = 0; i < 3; i++) {
            write_page(&watched[i], i);
            CHECK_REARM(&watched[i], PAGE(i));
            watched_close(&watched[i]);
        }
    }
}

static atomic_bool writers_stop;

static void *write_for_ever(void *argument)
{
    const struct watched *watched = argument;
    for (size_t i = 0; !atomic_load(&writers_stop); i++) {
        write_page(watched, i % watched->pages);
    }
    return NULL;
}

static void watch_in_child(void *argument)
{
    const struct watched *inherited = argument;
    struct watched own;
    watched_open(&own, inherited->backend, 8);
    write_page(&own, 3);
    write_page(inherited, 3);
    CHECK_REARM(&own, PAGE(3));
    watched_close(&own);
}

/* Threads that do not exist in the child were in the middle of faults: nothing there may wait for them. */
CHECK_TEST(watch_fork, a_fork_amid_faults)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        pthread_t threads[2];
        watched_open(&watched, backend, 8);
        atomic_store(&writers_stop, false);
        for (size_t i = 0; i < 2; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, write_for_ever, &watched), 0);
        }
        for (int i = 0; i < 50; i++) {
            collect_pages(&watched, SVP_WATCH_REARM);
            CHECK_CHILD(watch_in_child, &watched);
        }
        atomic_store(&writers_stop, true);
        for (size_t i = 0; i < 2; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
        watched_close(&watched);
    }
}

/* A child that outlives the watch must not keep its memory armed in the parent. */
CHECK_TEST(watch_fork, a_living_child_does_not_hold_the_watch)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        int ends[2];
        CHECK_EQ(pipe(ends), 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            char unused;
            close(ends[1]);
            _exit(read(ends[0], &unused, 1) == 0 ? 0 : 1);
        }
        close(ends[0]);
        watched.owned = false;
        watched_close(&watched);
        unsigned char *memory = watched.memory;
        watched_open_on(&watched, backend, memory, 8);
        write_page(&watched, 4);
        CHECK_REARM(&watched, PAGE(4));
        watched_close(&watched);
        close(ends[1]);
        int status = -1;
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
        munmap(memory, 8 * host_page_bytes());
    }
}
