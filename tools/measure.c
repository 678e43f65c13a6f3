/* measure.c - what a write-watch costs on this machine, as a program that uses the library pays it */
#include "measure.h"

#include <stdlib.h>
#include <string.h>

#include "terminal.h"
#include "trial.h"

enum { ROUNDS = 5, PAGE_BYTES = 4096 };

static int compare_values(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

uint64_t measure_median(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_values);
    return values[count / 2];
}

static uint64_t time_writes(const struct trial *trial)
{
    uint64_t start_ns = terminal_clock_ns();
    for (size_t page = 0; page < MEASURE_PAGES; page++) {
        volatile uint64_t *counter = (volatile uint64_t *)(void *)(trial->memory + page * PAGE_BYTES + page % 512 * 8);
        *counter += 1;
    }
    return terminal_clock_ns() - start_ns;
}

static enum savepoint_status time_take(uint64_t *elapsed_ns, struct trial *trial)
{
    uint64_t ticket = 0;
    uint64_t start_ns = terminal_clock_ns();
    enum savepoint_status status = trial_capture(trial, &ticket);
    *elapsed_ns = terminal_clock_ns() - start_ns;
    return status == SAVEPOINT_OK ? trial_wait(trial, NULL, ticket) : status;
}

struct round {
    uint64_t first_write_ns, clean_take_ns, full_take_ns;
};

/* A session of its own, so that nothing it may have learned about these pages changes the result. */
static enum savepoint_status
measure_round(struct round *round, const char *folder, const char *backend, struct savepoint_error *error)
{
    struct trial trial;
    enum savepoint_status status = trial_open(&trial, folder, backend, (size_t)MEASURE_PAGES * PAGE_BYTES);
    if (status == SAVEPOINT_OK) {
        memset(trial.memory, 0, trial.bytes); /* so that the pages are there */
        status = trial_take(&trial, NULL);
    }
    if (status == SAVEPOINT_OK) {
        status = time_take(&round->clean_take_ns, &trial);
    }
    if (status == SAVEPOINT_OK) {
        round->first_write_ns = time_writes(&trial);
        status = time_take(&round->full_take_ns, &trial);
    }
    *error = trial.error;
    enum savepoint_status closed = trial_close(&trial);
    if (status == SAVEPOINT_OK && closed != SAVEPOINT_OK) {
        *error = trial.error;
        status = closed;
    }
    return status;
}

enum savepoint_status
measure_backend(struct measure_costs *costs, const char *folder, const char *backend, struct savepoint_error *error)
{
    uint64_t first_write_ns[ROUNDS], clean_take_ns[ROUNDS], full_take_ns[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        struct round round;
        enum savepoint_status status =
            terminal_interrupted() ? SAVEPOINT_CANCELLED : measure_round(&round, folder, backend, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
        first_write_ns[i] = round.first_write_ns;
        clean_take_ns[i] = round.clean_take_ns;
        full_take_ns[i] = round.full_take_ns;
    }
    *costs = (struct measure_costs){
        .pages = MEASURE_PAGES,
        .first_write_ns = measure_median(first_write_ns, ROUNDS),
        .clean_take_ns = measure_median(clean_take_ns, ROUNDS),
        .full_take_ns = measure_median(full_take_ns, ROUNDS),
    };
    return SAVEPOINT_OK;
}
