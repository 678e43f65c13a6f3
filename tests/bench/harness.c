/* harness.c - options, clocks, memory, and the folder of a benchmark */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, SMALLEST_BYTES = 1 << 20 };

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void bench_need(enum savepoint_status status, const struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK) {
        char text[512];
        savepoint_error_format(error, text, sizeof text);
        bench_fail("%s", text);
    }
}

/* ---- the folder */

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0) {
            (void)unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(folder);
    (void)rmdir(path);
}

/* A process that removes the folder when this one has ended, in whatever way: archives have gigabytes. */
static void start_janitor(const char *path)
{
    int ends[2];
    char nothing;
    if (pipe(ends) != 0) {
        bench_fail("cannot make a pipe: %s", strerror(errno));
    }
    if (fork() == 0) {
        close(ends[1]);
        setsid(); /* Ctrl-C is not for it */
        while (read(ends[0], &nothing, 1) < 0 && errno == EINTR) {
        }
        remove_folder(path);
        _exit(0);
    }
    close(ends[0]); /* the other end stays open until this process and those it has started are gone */
}

static void make_folder(struct bench *bench, const char *parent)
{
    if (parent == NULL) {
        parent = getenv("TMPDIR");
    }
    if (parent == NULL || parent[0] == '\0') {
        parent = access("build", W_OK) == 0 ? "build" : ".";
    }
    if (snprintf(bench->folder, sizeof bench->folder, "%s/savepoint-bench-XXXXXX", parent) >=
            (int)sizeof bench->folder ||
        mkdtemp(bench->folder) == NULL) {
        bench_fail("cannot make a folder in %s: %s", parent, strerror(errno));
    }
    start_janitor(bench->folder);
}

void bench_path(const struct bench *bench, char path[BENCH_PATH_BYTES], const char *name)
{
    if (snprintf(path, BENCH_PATH_BYTES, "%s/%s", bench->folder, name) >= BENCH_PATH_BYTES) {
        bench_fail("%s: the path is too long", bench->folder);
    }
}

/* ---- the command line */

static void print_help(const struct bench_setup *setup)
{
    printf("bench_%s - %s\n\n"
           "    bench_%s                          all cases, as a table\n"
           "    bench_%s --json >figures.json     the same as one JSON object\n"
           "    bench_%s --bytes 64M --pairs 3    quickly: small states, few samples\n\n"
           "Usage: bench_%s [OPTION...]\n"
           "    --json          print one JSON object\n"
           "    --case TEXT     only the cases whose names hold TEXT\n"
           "    --bytes SIZE    shrink larger states to SIZE (K, M and G are understood; at least 1M)\n"
           "    --pairs N       samples of the subject and of its floor (default %d)\n",
           setup->name, setup->summary, setup->name, setup->name, setup->name, setup->name, setup->pairs);
    if (setup->peers > 0) {
        printf("    --peers N       samples of each peer, 0 for none (default %d)\n", setup->peers);
    }
    printf("    --folder DIR    where archives are written and removed again; a disk, not tmpfs\n"
           "                    (default: $TMPDIR, else build/ where there is one, else the current folder)\n"
           "    --help\n");
}

static _Noreturn void refuse(const char *option, const char *value)
{
    fprintf(stderr, "bench: %s %s: not understood; --help tells more\n", option, value);
    exit(2);
}

static uint64_t parse_size(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long size = strtoull(text, &end, 10);
    static const char units[] = "KMG";
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    int shift = unit != NULL ? 10 * (int)(unit - units + 1) : 0;
    if (errno != 0 || end == text || *(unit != NULL ? end + 1 : end) != '\0' || size > UINT64_MAX >> shift ||
        size << shift < SMALLEST_BYTES) {
        refuse("--bytes", text);
    }
    return (uint64_t)size << shift;
}

static int parse_count(const char *option, const char *text, int least)
{
    char *end;
    errno = 0;
    long count = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || count < least || count > 100000) {
        refuse(option, text);
    }
    return (int)count;
}

void bench_begin(struct bench *bench, const struct bench_setup *setup, int argc, char **argv)
{
    enum { JSON = 1, CASE, BYTES, PAIRS, PEERS, FOLDER, HELP };
    static const struct option options[] = {
        { "json", no_argument, NULL, JSON },         { "case", required_argument, NULL, CASE },
        { "bytes", required_argument, NULL, BYTES }, { "pairs", required_argument, NULL, PAIRS },
        { "peers", required_argument, NULL, PEERS }, { "folder", required_argument, NULL, FOLDER },
        { "help", no_argument, NULL, HELP },         { NULL, 0, NULL, 0 },
    };
    const char *parent = NULL;
    int choice;
    *bench = (struct bench){
        .name = setup->name, .bytes_max = UINT64_MAX, .pairs = setup->pairs, .peers = setup->peers, .only = ""
    };
    while ((choice = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (choice) {
        case JSON:
            bench->json = true;
            break;
        case CASE:
            bench->only = optarg;
            break;
        case BYTES:
            bench->bytes_max = parse_size(optarg);
            break;
        case PAIRS:
            bench->pairs = parse_count("--pairs", optarg, 1);
            break;
        case PEERS:
            bench->peers = parse_count("--peers", optarg, 0);
            break;
        case FOLDER:
            parent = optarg;
            break;
        case HELP:
            print_help(setup);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        refuse("argument", argv[optind]);
    }
    make_folder(bench, parent);
}

/* ---- cases */

uint64_t bench_bytes(const struct bench *bench, uint64_t wanted)
{
    uint64_t bytes = wanted < bench->bytes_max ? wanted : bench->bytes_max;
    return bytes / SMALLEST_BYTES * SMALLEST_BYTES;
}

void bench_name_case(char name[BENCH_NAME_BYTES], uint64_t bytes, const char *what)
{
    bool gib = bytes % (1 << 30) == 0;
    snprintf(name, BENCH_NAME_BYTES, "%llu%s %s", (unsigned long long)(bytes >> (gib ? 30 : 20)), gib ? "GiB" : "MiB",
             what);
}

bool bench_wants(const struct bench *bench, const char *case_name)
{
    return strstr(case_name, bench->only) != NULL;
}

/* ---- clocks and memory */

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double bench_wall_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double bench_cpu_ms(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_thread_ms(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void *bench_fresh(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        bench_fail("no memory for %zu bytes", bytes);
    }
    return memory;
}

void *bench_memory(size_t bytes)
{
    void *memory = bench_fresh(bytes);
    memset(memory, 1, bytes);
    return memory;
}

void bench_unmap(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}
