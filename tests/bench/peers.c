/* peers.c - other ways to save the same state, each in a process that holds nothing else */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "harness.h"

enum { BLOCK_BYTES = 4 << 20, HUGE_BYTES = 2 << 20 };

struct host { /* the peer's process */
    struct workload workload;
    uint8_t *state;
    size_t bytes;
    uint8_t *copy; /* for memcpy_zstd; kept out of forks */
    uint8_t *packed;
    ZSTD_CCtx *context;
    char path[BENCH_PATH_BYTES];
};

const char *peer_name(enum peer peer)
{
    static const char *const names[PEER_COUNT] = { "full_write", "memcpy_zstd", "fork_4k", "fork_thp_fresh",
                                                   "fork_thp_steady" };
    return names[peer];
}

/* ---- saving */

static int open_file(const struct host *host)
{
    int file = open(host->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        bench_fail("%s: %s", host->path, strerror(errno));
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

static void save_raw(const struct host *host)
{
    int file = open_file(host);
    write_all(file, host->state, host->bytes);
    close_durable(file);
}

static void save_packed(const struct host *host, const uint8_t *state)
{
    int file = open_file(host);
    for (size_t at = 0; at < host->bytes; at += BLOCK_BYTES) {
        size_t count = host->bytes - at < BLOCK_BYTES ? host->bytes - at : BLOCK_BYTES;
        size_t stored =
            ZSTD_compressCCtx(host->context, host->packed, ZSTD_compressBound(BLOCK_BYTES), state + at, count, 1);
        if (ZSTD_isError(stored)) {
            bench_fail("zstd: %s", ZSTD_getErrorName(stored));
        }
        write_all(file, host->packed, stored);
    }
    close_durable(file);
}

/* ---- the peers */

static void run_full_write(const struct host *host, struct peer_result *result)
{
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    save_raw(host);
    result->wall_ms = result->pause_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
}

static void run_memcpy_zstd(const struct host *host, struct peer_result *result)
{
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    memcpy(host->copy, host->state, host->bytes);
    result->pause_ms = bench_wall_ms() - wall;
    save_packed(host, host->copy);
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
}

static double milliseconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

/* The next interval's changes are made while the child saves this one's: as a program that goes on would. */
static void run_fork(struct host *host, struct peer_result *result)
{
    struct rusage usage;
    int status;
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    pid_t child = fork();
    if (child == 0) {
        save_packed(host, host->state);
        _exit(0);
    }
    result->pause_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
    workload_next(&host->workload);
    workload_apply(&host->workload, host->state);
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
        bench_fail("a forked peer failed");
    }
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms += milliseconds(&usage);
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
static void make_huge_state(struct host *host, struct peer_result *result)
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

static void open_host(struct host *host, const struct workload_shape *shape, const char *folder, bool huge)
{
    *host = (struct host){ .bytes = (size_t)shape->pages * WORKLOAD_PAGE_BYTES };
    snprintf(host->path, sizeof host->path, "%s/peer%d", folder, huge ? 2 : 1);
    host->context = ZSTD_createCCtx();
    host->packed = bench_memory(ZSTD_compressBound(BLOCK_BYTES));
    if (!workload_open(&host->workload, shape) || host->context == NULL) {
        bench_fail("no memory for a peer");
    }
    if (!huge) {
        host->state = bench_fresh(host->bytes);
        host->copy = bench_memory(host->bytes);
        (void)madvise(host->copy, host->bytes, MADV_DONTFORK);
        workload_fill(host->state, shape, 0, shape->pages);
    }
}

static void run_peer(struct host *host, enum peer peer, struct peer_result *result)
{
    if (peer == PEER_FORK_THP_FRESH) {
        make_huge_state(host, result);
    }
    if (result->failed) {
        return;
    }
    if (peer == PEER_FULL_WRITE || peer == PEER_MEMCPY_ZSTD) {
        workload_next(&host->workload);
        workload_apply(&host->workload, host->state);
        (peer == PEER_FULL_WRITE ? run_full_write : run_memcpy_zstd)(host, result);
    } else {
        run_fork(host, result);
    }
    unlink(host->path);
}

/* ---- between the processes: one number asks, one result answers */

static _Noreturn void serve(int channel, const struct workload_shape *shape, const char *folder, bool huge)
{
    struct host host;
    enum peer peer;
    open_host(&host, shape, folder, huge);
    while (read(channel, &peer, sizeof peer) == (ssize_t)sizeof peer) {
        struct peer_result result = { 0 };
        run_peer(&host, peer, &result);
        if (write(channel, &result, sizeof result) != (ssize_t)sizeof result) {
            break;
        }
    }
    _exit(0);
}

void peers_start(struct peers *peers, const struct workload_shape *shape, const char *folder, bool huge)
{
    int ends[2];
    fflush(NULL); /* what is buffered is printed once */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (peers->process = fork()) < 0) {
        bench_fail("cannot start a process for peers: %s", strerror(errno));
    }
    if (peers->process == 0) {
        close(ends[0]);
        serve(ends[1], shape, folder, huge);
    }
    close(ends[1]);
    peers->channel = ends[0];
}

void peers_run(struct peers *peers, enum peer peer, struct peer_result *result)
{
    if (send(peers->channel, &peer, sizeof peer, MSG_NOSIGNAL) != (ssize_t)sizeof peer ||
        read(peers->channel, result, sizeof *result) != (ssize_t)sizeof *result) {
        bench_fail("the process of peer %s is gone", peer_name(peer));
    }
}

void peers_stop(struct peers *peers)
{
    /* Closing would not do: processes started later have inherited this end. */
    shutdown(peers->channel, SHUT_RDWR);
    close(peers->channel);
    waitpid(peers->process, NULL, 0);
}
