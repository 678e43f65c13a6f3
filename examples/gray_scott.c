/* gray_scott.c - a simulation that takes snapshots of itself, and after any end goes on from the last one */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <savepoint.h>

#include "picture.h"
#include "reaction.h"

struct options {
    const char *archive; /* NULL: no snapshots, the state is plain memory */
    const char *picture; /* NULL: none */
    uint64_t size, steps, every, slow_ms;
    enum savepoint_durability durability;
    int digest;
};

struct simulation {
    struct options options;
    struct savepoint *session; /* NULL without an archive */
    struct reaction *reaction;
    double *scratch;
    uint64_t ticket;      /* of the newest take, 0 when it has been waited for */
    uint64_t ticket_step; /* the step it captured */
};

static int tell_error(const char *doing, const struct savepoint_error *error)
{
    char text[512];
    savepoint_error_format(error, text, sizeof text);
    fprintf(stderr, "gray_scott: %s: %s\n", doing, text);
    return -1;
}

static void print_digest(const struct reaction *reaction)
{
    printf("digest %016" PRIx64 " at step %" PRIu64 "\n", reaction_digest(reaction), reaction->step);
    fflush(stdout);
}

/* ---- the state: mapped by savepoint, or plain memory */

static int begin(struct simulation *simulation)
{
    reaction_begin(simulation->reaction, simulation->options.size);
    fprintf(stderr, "begins at step 0\n");
    return 0;
}

static int open_plain(struct simulation *simulation)
{
    simulation->reaction = malloc(reaction_bytes(simulation->options.size));
    if (simulation->reaction == NULL) {
        fprintf(stderr, "gray_scott: not enough memory\n");
        return -1;
    }
    return begin(simulation);
}

/* The order every resumable program follows: open, map, resume. */
static int open_archived(struct simulation *simulation)
{
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
    size_t bytes = reaction_bytes(simulation->options.size);
    void *base;
    if (savepoint_open(&simulation->session, simulation->options.archive, NULL, &error) != SAVEPOINT_OK) {
        return tell_error("open", &error);
    }
    if (savepoint_map(simulation->session, &base, "reaction", bytes, NULL, &error) != SAVEPOINT_OK) {
        return tell_error("map", &error);
    }
    simulation->reaction = base;
    switch (savepoint_resume(simulation->session, &snapshot, &error)) {
    case SAVEPOINT_OK:
        break;
    case SAVEPOINT_EMPTY:
        return begin(simulation);
    default:
        return tell_error("resume", &error);
    }
    if (simulation->reaction->size != simulation->options.size) {
        fprintf(stderr, "gray_scott: the archive holds a grid of size %" PRIu64 ": use --size %" PRIu64 "\n",
                simulation->reaction->size, simulation->reaction->size);
        return -1;
    }
    fprintf(stderr, "resumes at step %" PRIu64 "\n", simulation->reaction->step);
    return 0;
}

/* ---- snapshots: the worker compresses and writes one while the next steps are computed */

static int await_snapshot(struct simulation *simulation)
{
    struct savepoint_error error;
    struct savepoint_snapshot snapshot;
    char id[SAVEPOINT_ID_TEXT_BYTES];
    if (simulation->ticket == 0) {
        return 0;
    }
    if (savepoint_wait(simulation->session, simulation->ticket, &snapshot, &error) != SAVEPOINT_OK) {
        return tell_error("snapshot", &error);
    }
    simulation->ticket = 0;
    savepoint_id_format(&snapshot.id, id);
    fprintf(stderr,
            "step %" PRIu64 ": snapshot %.8s, %" PRIu64 " of %" PRIu64 " pages, %" PRIu64 " KiB, pause %.1f ms\n",
            simulation->ticket_step, id, snapshot.changed_pages, snapshot.region_pages, snapshot.stored_bytes / 1024,
            (double)snapshot.pause_ns / 1e6);
    return 0;
}

static int take_snapshot(struct simulation *simulation)
{
    struct savepoint_error error;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    char label[32];
    if (await_snapshot(simulation) != 0) {
        return -1;
    }
    snprintf(label, sizeof label, "step %" PRIu64, simulation->reaction->step);
    options.label = label;
    options.durability = simulation->options.durability;
    if (savepoint_take(simulation->session, &simulation->ticket, &options, &error) != SAVEPOINT_OK) {
        return tell_error("take", &error);
    }
    simulation->ticket_step = simulation->reaction->step;
    return 0;
}

/* ---- the run */

static void sleep_ms(uint64_t ms)
{
    struct timespec time = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    if (ms > 0) {
        nanosleep(&time, NULL);
    }
}

static int run(struct simulation *simulation)
{
    const struct options *options = &simulation->options;
    struct reaction *reaction = simulation->reaction;
    if (options->digest) {
        print_digest(reaction);
    }
    while (reaction->step < options->steps) {
        reaction_step(reaction, simulation->scratch);
        sleep_ms(options->slow_ms);
        if (reaction->step % options->every != 0 && reaction->step != options->steps) {
            continue;
        }
        if (simulation->session != NULL && take_snapshot(simulation) != 0) {
            return -1;
        }
        if (options->digest && reaction->step != options->steps) {
            print_digest(reaction);
        }
    }
    return await_snapshot(simulation);
}

static int finish(const struct simulation *simulation)
{
    const char *picture = simulation->options.picture;
    print_digest(simulation->reaction);
    if (picture != NULL && picture_write(picture, simulation->reaction) != 0) {
        perror(picture);
        return -1;
    }
    return 0;
}

static int close_all(struct simulation *simulation)
{
    struct savepoint_error error;
    free(simulation->scratch);
    if (simulation->options.archive == NULL) {
        free(simulation->reaction);
    }
    return savepoint_close(simulation->session, &error) == SAVEPOINT_OK ? 0 : tell_error("close", &error);
}

/* ---- the command line */

static int usage(void)
{
    fputs("usage: gray_scott [options]\n"
          "  --archive PATH     take snapshots into PATH, and go on from its last one\n"
          "  --steps N          stop at step N (2500)\n"
          "  --every K          a snapshot every K steps (50)\n"
          "  --size N           a grid of N by N cells (1024)\n"
          "  --durability HOW   sync (default), ordered or none\n"
          "  --picture FILE     write the final state as a PNG picture\n"
          "  --digest           print the digest of the state also at the start and with every snapshot\n"
          "  --slow-ms N        sleep N ms in every step\n",
          stderr);
    return -1;
}

static int parse_number(uint64_t *number, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "gray_scott: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n", text, least, most);
        return -1;
    }
    *number = value;
    return 0;
}

static int parse_durability(enum savepoint_durability *durability, const char *text)
{
    static const char *const names[] = { "sync", "ordered", "none" };
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *durability = (enum savepoint_durability)i;
            return 0;
        }
    }
    return usage();
}

static int parse_option(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--archive") == 0) {
        options->archive = value;
        return 0;
    }
    if (strcmp(name, "--picture") == 0) {
        options->picture = value;
        return 0;
    }
    if (strcmp(name, "--durability") == 0) {
        return parse_durability(&options->durability, value);
    }
    if (strcmp(name, "--size") == 0) {
        return parse_number(&options->size, value, 16, 16384);
    }
    if (strcmp(name, "--steps") == 0) {
        return parse_number(&options->steps, value, 0, UINT64_MAX);
    }
    if (strcmp(name, "--every") == 0) {
        return parse_number(&options->every, value, 1, UINT64_MAX);
    }
    if (strcmp(name, "--slow-ms") == 0) {
        return parse_number(&options->slow_ms, value, 0, 60000);
    }
    return usage();
}

static int parse(struct options *options, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--digest") == 0) {
            options->digest = 1;
        } else if (i + 1 == count) {
            return usage();
        } else if (parse_option(options, arguments[i], arguments[i + 1]) != 0) {
            return -1;
        } else {
            i++;
        }
    }
    return 0;
}

int main(int count, char **arguments)
{
    struct simulation simulation = { .options = { .size = 1024, .steps = 2500, .every = 50 } };
    if (parse(&simulation.options, count, arguments) != 0) {
        return 2;
    }
    simulation.scratch = calloc(reaction_scratch_count(simulation.options.size), sizeof(double));
    int failed = simulation.scratch == NULL;
    failed = failed || (simulation.options.archive ? open_archived(&simulation) : open_plain(&simulation)) != 0;
    failed = failed || run(&simulation) != 0 || finish(&simulation) != 0;
    failed = close_all(&simulation) != 0 || failed;
    return failed ? 1 : 0;
}
