/* live.c - a lesson: threads move money while snapshots are prepared, and stand still for a moment when one is taken */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <savepoint.h>
#include <savepoint/archive.h>

enum { ACCOUNTS = 4 << 20, THREADS = 2, SNAPSHOTS = 10, BATCH = 100 };

static int *accounts; /* 16 MiB; what one has too little another has too much */
static _Atomic int closing_time;
static pthread_rwlock_t counter = PTHREAD_RWLOCK_INITIALIZER; /* shared: threads move money; else they stand */
static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "live: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void *move_money(void *thread) /* from and to accounts of its own: every second one */
{
    for (unsigned random = (unsigned)(uintptr_t)thread; !closing_time; usleep(100)) {
        pthread_rwlock_rdlock(&counter);
        for (int i = 0; i < BATCH; i++) {
            random = random * 1664525 + 1013904222; /* stays odd or even */
            accounts[(random >> 3) % (ACCOUNTS / THREADS) * THREADS + random % THREADS] -= 1;
            accounts[(random >> 5) % (ACCOUNTS / THREADS) * THREADS + random % THREADS] += 1;
        }
        pthread_rwlock_unlock(&counter);
    }
    return NULL;
}

/* The library's own thread prepares snapshots; this one stops the others when there is something to stop for. */
static void take_snapshots(struct savepoint *session)
{
    for (int taken = 0; taken < SNAPSHOTS; usleep(200)) {
        uint64_t ticket = 0;
        if (savepoint_stop_wanted(session)) {
            pthread_rwlock_wrlock(&counter);
            need(savepoint_tick(session, &ticket, &error));
            pthread_rwlock_unlock(&counter);
        }
        taken += ticket != 0;
    }
}

static int count_exact(const char *path) /* the snapshots that hold all of the money */
{
    static int then[ACCOUNTS];
    struct savepoint_archive *archive;
    struct savepoint_snapshot snapshot;
    int exact = 0;
    need(savepoint_archive_open(&archive, path, &error));
    need(savepoint_archive_newest(archive, &snapshot, &error));
    do {
        long long sum = 0;
        need(savepoint_archive_read(archive, then, &snapshot, "accounts", 0, sizeof then, &error));
        for (int i = 0; i < ACCOUNTS; i++) {
            sum += then[i];
        }
        exact += sum == 0;
    } while (savepoint_archive_previous(archive, &snapshot, NULL) == SAVEPOINT_OK);
    savepoint_archive_close(archive);
    return exact;
}

int main(void)
{
    struct savepoint *session;
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    pthread_t threads[THREADS];
    void *base;
    remove("live.svp");
    need(savepoint_open(&session, "live.svp", NULL, &error));
    need(savepoint_map(session, &base, "accounts", ACCOUNTS * sizeof *accounts, NULL, &error));
    accounts = base;
    options.interval_ns = 50 * 1000 * 1000;
    options.mode = SAVEPOINT_LIVE;
    options.pause_budget_ns = 200 * 1000;
    need(savepoint_autosave(session, &options, &error));
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, move_money, (void *)i);
    }
    take_snapshots(session);
    closing_time = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    need(savepoint_close(session, &error));
    printf("%d of %d snapshots hold all of the money\n", count_exact("live.svp"), SNAPSHOTS);
    return 0;
}
