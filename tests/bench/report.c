/* report.c - samples, and the rows that tell of them: a table, or one JSON object */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- samples */

void bench_add(struct bench_samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 64 : 2 * samples->capacity;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
        if (samples->values == NULL) {
            bench_fail("no memory for samples");
        }
    }
    samples->values[samples->count++] = value;
}

void bench_clear(struct bench_samples *samples)
{
    free(samples->values);
    *samples = (struct bench_samples){ .values = NULL };
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_quantile(const struct bench_samples *samples, double quantile)
{
    double *sorted = malloc(samples->count * sizeof *sorted);
    if (samples->count == 0 || sorted == NULL) {
        bench_fail("a row without samples");
    }
    for (size_t i = 0; i < samples->count; i++) {
        sorted[i] = samples->values[i];
    }
    qsort(sorted, samples->count, sizeof *sorted, compare);
    double place = quantile * (double)(samples->count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < samples->count ? below + 1 : below;
    double value = sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
    free(sorted);
    return value;
}

/* ---- rows */

static void print_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

/* ,"name":"text" */
static void print_json_member(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    print_json_text(text);
}

static void open_json_row(const struct bench *bench, const char *case_name, const char *subject, const char *metric)
{
    if (bench->any_row) {
        putchar(',');
    } else {
        printf("{\"bench\":\"%s\",\"rows\":[", bench->name);
    }
    printf("\n{\"case\":");
    print_json_text(case_name);
    print_json_member("subject", subject);
    print_json_member("metric", metric);
}

static void print_table_head(const struct bench *bench)
{
    if (!bench->any_row) {
        printf("%-24s %-15s %-24s %9s %9s %9s %-3s %9s %6s %7s\n", "CASE", "SUBJECT", "METRIC", "MEDIAN", "P10", "P90",
               "", "FLOOR", "RATIO", "WANTED");
    }
}

struct figures {
    double value, low, high;
    bool has_floor, is_wanted;
    double floor, ratio, wanted;
    bool good;
};

static struct figures compute(const struct bench_row *row)
{
    struct figures figures = {
        .value = bench_quantile(row->values, 0.5),
        .low = bench_quantile(row->values, 0.1),
        .high = bench_quantile(row->values, 0.9),
        .has_floor = row->floors != NULL && row->floors->count > 0,
    };
    if (figures.has_floor) {
        figures.floor = bench_quantile(row->floors, 0.5);
        figures.ratio = figures.value / figures.floor;
    }
    /* What is wanted of a ratio says nothing where this machine has no floor. */
    figures.is_wanted = row->wanted != 0 && figures.has_floor == (row->floors != NULL);
    figures.wanted = row->wanted > 0 ? row->wanted : 0;
    figures.good = (figures.has_floor ? figures.ratio : figures.value) <= figures.wanted;
    return figures;
}

static void print_json(const struct bench *bench, const struct bench_row *row, const struct figures *figures)
{
    open_json_row(bench, row->case_name, row->subject, row->metric);
    print_json_member("unit", row->unit);
    printf(",\"value\":%.6g,\"p10\":%.6g,\"p90\":%.6g", figures->value, figures->low, figures->high);
    if (figures->has_floor) {
        printf(",\"floor\":%.6g,\"ratio\":%.6g", figures->floor, figures->ratio);
    } else {
        printf(",\"floor\":null,\"ratio\":null");
    }
    if (figures->is_wanted) {
        printf(",\"wanted\":%.6g,\"ok\":%s}", figures->wanted, figures->good ? "true" : "false");
    } else {
        printf(",\"wanted\":null,\"ok\":null}");
    }
}

/* Four digits, more in front of the point. */
static void print_number(double number)
{
    printf(number >= 1000 ? " %9.0f" : " %9.4g", number);
}

static void print_line(const struct bench *bench, const struct bench_row *row, const struct figures *figures)
{
    print_table_head(bench);
    printf("%-24s %-15s %-24s", row->case_name, row->subject, row->metric);
    print_number(figures->value);
    print_number(figures->low);
    print_number(figures->high);
    printf(" %-3s", row->unit);
    if (figures->has_floor) {
        print_number(figures->floor);
        printf(" %6.2f", figures->ratio);
    } else {
        printf(" %9s %6s", "-", "-");
    }
    if (figures->is_wanted) {
        printf(" %7.4g %s\n", figures->wanted, figures->good ? "ok" : "over");
    } else {
        printf(" %7s\n", "-");
    }
}

void bench_print(struct bench *bench, const struct bench_row *row)
{
    const struct figures figures = compute(row);
    (bench->json ? print_json : print_line)(bench, row, &figures);
    fflush(stdout);
    bench->any_row = true;
}

void bench_skip(struct bench *bench, const char *case_name, const char *subject, const char *metric, const char *why)
{
    if (bench->json) {
        open_json_row(bench, case_name, subject, metric);
        printf(",\"unit\":null,\"value\":null,\"p10\":null,\"p90\":null,\"floor\":null,\"ratio\":null,"
               "\"wanted\":null,\"ok\":null");
        print_json_member("skipped", why);
        putchar('}');
    } else {
        print_table_head(bench);
        printf("%-24s %-15s %-24s skipped: %s\n", case_name, subject, metric, why);
    }
    fflush(stdout);
    bench->any_row = true;
}

void bench_end(struct bench *bench)
{
    if (!bench->any_row) {
        bench_fail("no case holds '%s' in its name", bench->only);
    }
    if (bench->json) {
        puts("\n]}");
    }
}
