/* peers_whole.c - peers that save all of the state each time: as it is, from a copy, from a forked child */
#define _GNU_SOURCE
#include "peer_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

enum { BLOCK_BYTES = 4 << 20, HUGE_BYTES = 2 << 20 };

struct whole {
    uint8_t *copy; /* for memcpy_zstd; kept out of forks */
    uint8_t *packed;
    ZSTD_CCtx *context;
};

/* ---- files */

static int open_file(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        bench_fail("%s: %s", path, strerror(errno));
    }
    return file;
}

static void write_all(int file, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written < 0) {
            bench_fail("a peer cannot write: %s", strerror(errno));
        }
        bytes += written;
        count -= (size_t)written;
    }
}

static void close_durable(int file)
{
    if (fdatasync(file) != 0 || close(file) != 0) {
        bench_fail("a peer cannot sync: %s", strerror(errno));
    }
}

static size_t block_bytes(size_t left)
{
    return left < BLOCK_BYTES ? left : BLOCK_BYTES;
}

static void save_raw(const struct peer_host *host, const char *path)
{
    int file = open_file(path);
    write_all(file, host->state, host->bytes);
    close_durable(file);
}

/* Blocks, each behind its size. */
static void save_packed(const struct peer_host *host, const uint8_t *state, const char *path)
{
    const struct whole *own = host->own;
    int file = open_file(path);
    for (size_t at = 0; at < host->bytes; at += BLOCK_BYTES) {
        size_t stored = ZSTD_compressCCtx(own->context, own->packed, ZSTD_compressBound(BLOCK_BYTES), state + at,
                                          block_bytes(host->bytes - at), 1);
        if (ZSTD_isError(stored)) {
            bench_fail("zstd: %s", ZSTD_getErrorName(stored));
        }
        write_all(file, (const uint8_t *)&stored, sizeof stored);
        write_all(file, own->packed, stored);
    }
    close_durable(file);
}

static void load(struct peer_host *host, enum peer peer, uint8_t *memory)
{
    const struct whole *own = host->own;
    char path[BENCH_PATH_BYTES];
    size_t stored;
    peer_path(host, path, peer_name(peer));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (peer == PEER_FULL_WRITE) {
        peer_read_all(file, memory, host->bytes);
    } else {
        for (size_t at = 0; at < host->bytes; at += BLOCK_BYTES) {
            peer_read_all(file, &stored, sizeof stored);
            peer_read_all(file, own->packed, stored);
            if (ZSTD_isError(ZSTD_decompress(memory + at, block_bytes(host->bytes - at), own->packed, stored))) {
                bench_fail("a peer cannot unpack what it packed");
            }
        }
    }
    close(file);
}

/* ---- saving */

static void run_full_write(const struct peer_host *host, const char *path, struct peer_result *result)
{
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    save_raw(host, path);
    result->wall_ms = result->pause_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
}

static void run_memcpy_zstd(const struct peer_host *host, const char *path, struct peer_result *result)
{
    const struct whole *own = host->own;
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    memcpy(own->copy, host->state, host->bytes);
    result->pause_ms = bench_wall_ms() - wall;
    save_packed(host, own->copy, path);
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
}

static double milliseconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

/* The next interval's changes are made while the child saves this one's: as a program that goes on would. */
static void run_fork(struct peer_host *host, const char *path, struct peer_result *result)
{
    struct rusage usage;
    int status;
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    pid_t child = fork();
    if (child == 0) {
        save_packed(host, host->state, path);
        _exit(0);
    }
    result->pause_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
    peer_change(host);
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
        bench_fail("a forked peer failed");
    }
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms += milliseconds(&usage);
}

static double file_bytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (double)about.st_size : -1;
}

static void save_small(struct peer_host *host, enum peer peer, struct peer_result *result)
{
    char path[BENCH_PATH_BYTES];
    peer_path(host, path, peer_name(peer));
    (void)unlink(path);
    if (peer == PEER_FORK_4K) {
        run_fork(host, path, result);
    } else {
        peer_change(host);
        (peer == PEER_FULL_WRITE ? run_full_write : run_memcpy_zstd)(host, path, result);
    }
    result->bytes = file_bytes(path);
}

/* ---- the state */

/* How much of this process lies in transparent huge pages. */
static size_t count_huge_bytes(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "AnonHugePages:", 14) == 0) {
            kib = strtoul(line + 14, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

/* A state in huge pages, anew: aligned to them and with all of its changes forgotten. */
static void make_huge_state(struct peer_host *host, struct peer_result *result)
{
    const struct workload_shape shape = host->workload.shape;
    uint8_t *mapped = bench_fresh(host->bytes + HUGE_BYTES);
    size_t before = -(uintptr_t)mapped % HUGE_BYTES;
    if (host->state != NULL) {
        bench_unmap(host->state, host->bytes);
    }
    if (before > 0) {
        bench_unmap(mapped, before);
    }
    bench_unmap(mapped + before + host->bytes, HUGE_BYTES - before);
    host->state = mapped + before;
    (void)madvise(host->state, host->bytes, MADV_HUGEPAGE);
    workload_fill(host->state, &shape, 0, shape.pages);
    workload_close(&host->workload);
    if (!workload_open(&host->workload, &shape)) {
        bench_fail("no memory for a workload");
    }
    if (count_huge_bytes() < host->bytes / 2) {
        result->failed = true;
        snprintf(result->why, sizeof result->why, "no transparent huge pages here");
    }
}

static void save_huge(struct peer_host *host, enum peer peer, struct peer_result *result)
{
    char path[BENCH_PATH_BYTES];
    peer_path(host, path, peer_name(peer));
    if (peer == PEER_FORK_THP_FRESH) {
        make_huge_state(host, result);
    }
    if (!result->failed) {
        run_fork(host, path, result);
        result->bytes = file_bytes(path);
        (void)unlink(path); /* no one reads it */
    }
}

static struct whole *new_whole(struct peer_host *host)
{
    struct whole *own = calloc(1, sizeof *own);
    if (own == NULL) {
        bench_fail("no memory for a peer");
    }
    host->own = own;
    return own;
}

static bool open_huge(struct peer_host *host, const char **why)
{
    struct whole *own = new_whole(host);
    (void)why;
    own->context = ZSTD_createCCtx();
    if (own->context == NULL) {
        bench_fail("no memory for a peer");
    }
    own->packed = bench_memory(ZSTD_compressBound(BLOCK_BYTES));
    return true; /* fork_thp_fresh makes the state */
}

static bool open_small(struct peer_host *host, const char **why)
{
    const struct workload_shape *shape = &host->workload.shape;
    open_huge(host, why);
    struct whole *own = host->own;
    host->state = bench_fresh(host->bytes);
    own->copy = bench_memory(host->bytes);
    (void)madvise(own->copy, host->bytes, MADV_DONTFORK);
    workload_fill(host->state, shape, 0, shape->pages);
    return true;
}

const struct peer_home_methods peer_home_small = { open_small, save_small, load };
const struct peer_home_methods peer_home_huge = { open_huge, save_huge, NULL };
