/* harness.h - what the benchmarks share: options, clocks, samples, and rows of results
 *
 * A benchmark takes its samples of the subject and of the floor in turn, in one loop, so that both see the same
 * moments of the machine; a row compares their medians. Whatever cannot be measured ends the program (bench_fail). */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

enum { BENCH_NAME_BYTES = 64, BENCH_PATH_BYTES = 4096 };

struct bench_setup {     /* what one benchmark tells of itself */
    const char *name;    /* "take" for bench_take */
    const char *summary; /* one line for --help */
    int pairs;           /* default of --pairs */
    int peers;           /* default of --peers; 0: the benchmark has none */
};

struct bench {
    const char *name;
    uint64_t bytes_max; /* --bytes: larger states are shrunk to it, and their cases named after what they are */
    int pairs;          /* --pairs: samples of the subject, each with one of the floor */
    int peers;          /* --peers: samples of each peer */
    const char *only;   /* --case: run the cases whose names hold this */
    bool json;          /* --json */
    bool any_row;       /* one was printed */
    char folder[BENCH_PATH_BYTES]; /* of its own, for archives; removed when the program ends */
};

/* Parses the command line; ends the program after --help (exit status 0) and after a mistake (2). */
void bench_begin(struct bench *bench, const struct bench_setup *setup, int argc, char **argv);
void bench_end(struct bench *bench);
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_need(enum savepoint_status status, const struct savepoint_error *error);

/* The size of a state after --bytes, in whole pages. */
uint64_t bench_bytes(const struct bench *bench, uint64_t wanted);
/* "1GiB 10% 64B": the size, then `what`. */
void bench_name_case(char name[BENCH_NAME_BYTES], uint64_t bytes, const char *what);
bool bench_wants(const struct bench *bench, const char *case_name);
/* DIR/name, in the benchmark's own folder. */
void bench_path(const struct bench *bench, char path[BENCH_PATH_BYTES], const char *name);

/* ---- measuring */

double bench_wall_ms(void);   /* monotonic */
double bench_cpu_ms(void);    /* of all threads of this process */
double bench_thread_ms(void); /* CPU time of this thread */

/* Memory that is resident: every page was written. */
void *bench_memory(size_t bytes);
/* Memory that no one has touched yet, in small pages. */
void *bench_fresh(size_t bytes);
void bench_unmap(void *memory, size_t bytes);

struct bench_samples {
    double *values;
    size_t count, capacity;
};
void bench_add(struct bench_samples *samples, double value);
void bench_clear(struct bench_samples *samples);
/* Interpolated between neighbours; quantile 0.5 is the median. There must be a sample. */
double bench_quantile(const struct bench_samples *samples, double quantile);

/* ---- results */

struct bench_row {
    const char *case_name, *subject, *metric, *unit;
    const struct bench_samples *values;
    const struct bench_samples *floors; /* NULL: there is no floor */
    double wanted; /* the most that the ratio to the floor may be; without a floor, the value. 0: nothing is wanted */
};
#define BENCH_WANT_ZERO (-1.0) /* wanted is 0 */
void bench_print(struct bench *bench, const struct bench_row *row);
/* A row without figures. */
void bench_skip(struct bench *bench, const char *case_name, const char *subject, const char *metric, const char *why);

#endif
