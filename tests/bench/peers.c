/* peers.c - the processes of peers, and what is asked of them */
#define _GNU_SOURCE
#include "peer_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"

struct request {
    enum { SAVE, RESTORE, RESHAPE } what;
    enum peer peer;
    struct workload_shape shape; /* for RESHAPE */
};

const char *peer_name(enum peer peer)
{
    static const char *const names[PEER_COUNT] = { "full_write",      "memcpy_zstd", "fork_4k", "fork_thp_fresh",
                                                   "fork_thp_steady", "msync",       "reflink", "lmdb" };
    return names[peer];
}

enum peers_home peer_home(enum peer peer)
{
    static const enum peers_home homes[PEER_COUNT] = { PEERS_SMALL, PEERS_SMALL, PEERS_SMALL,   PEERS_HUGE,
                                                       PEERS_HUGE,  PEERS_MSYNC, PEERS_REFLINK, PEERS_LMDB };
    return homes[peer];
}

bool peer_restores(enum peer peer)
{
    return peer_home(peer) != PEERS_HUGE && peer != PEER_FORK_4K;
}

static const struct peer_home_methods *methods_of(enum peers_home home)
{
#ifdef BENCH_LMDB
    static const struct peer_home_methods *const lmdb = &peer_home_lmdb;
#else
    static const struct peer_home_methods *const lmdb = NULL;
#endif
    const struct peer_home_methods *const methods[PEERS_HOME_COUNT] = { &peer_home_small, &peer_home_huge,
                                                                        &peer_home_msync, &peer_home_reflink, lmdb };
    return methods[home];
}

/* ---- inside: what all have in common */

void peer_path(const struct peer_host *host, char path[BENCH_PATH_BYTES], const char *name)
{
    if (snprintf(path, BENCH_PATH_BYTES, "%s/peer-%s", host->folder, name) >= BENCH_PATH_BYTES) {
        bench_fail("%s: the path is too long", host->folder);
    }
}

void peer_change(struct peer_host *host)
{
    workload_next(&host->workload);
    workload_apply(&host->workload, host->state);
}

void peer_read_all(int file, void *memory, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t count = read(file, (uint8_t *)memory + done, bytes - done);
        if (count <= 0) {
            bench_fail("a peer cannot read what it saved: %s", count < 0 ? strerror(errno) : "its file is short");
        }
        done += (size_t)count;
    }
}

static void restore(struct peer_host *host, const struct peer_home_methods *methods, enum peer peer, uint64_t saved,
                    struct peer_result *result)
{
    uint8_t *memory = bench_fresh(host->bytes);
    double wall = bench_wall_ms();
    methods->load(host, peer, memory);
    result->restore_ms = bench_wall_ms() - wall;
    if (raw_hash_state(memory, host->bytes) != saved) {
        bench_fail("%s does not bring back what it saved", peer_name(peer));
    }
    bench_unmap(memory, host->bytes);
}

static void remove_files(const struct peer_host *host)
{
    char path[BENCH_PATH_BYTES];
    for (int peer = 0; peer < PEER_COUNT; peer++) {
        peer_path(host, path, peer_name((enum peer)peer));
        (void)unlink(path);
    }
}

/* ---- between the processes: a request, and a result that answers it */

static void reshape(struct peer_host *host, const struct workload_shape *shape)
{
    workload_close(&host->workload);
    if (!workload_open(&host->workload, shape)) {
        bench_fail("no memory for a workload");
    }
}

static _Noreturn void
serve(int channel, const struct workload_shape *shape, const char *folder, const struct peer_home_methods *methods)
{
    struct peer_host host = { .bytes = (size_t)shape->pages * WORKLOAD_PAGE_BYTES, .folder = folder };
    struct request request;
    uint64_t saved[PEER_COUNT] = { 0 };
    const char *why = "built without it";
    reshape(&host, shape);
    const bool opened = methods != NULL && methods->open(&host, &why);
    while (read(channel, &request, sizeof request) == (ssize_t)sizeof request) {
        struct peer_result result = { .bytes = -1, .failed = !opened };
        if (!opened) {
            snprintf(result.why, sizeof result.why, "%s", why);
        } else if (request.what == RESHAPE) {
            reshape(&host, &request.shape);
        } else if (request.what == RESTORE) {
            restore(&host, methods, request.peer, saved[request.peer], &result);
        } else {
            methods->save(&host, request.peer, &result);
            saved[request.peer] = peer_restores(request.peer) ? raw_hash_state(host.state, host.bytes) : 0;
        }
        if (write(channel, &result, sizeof result) != (ssize_t)sizeof result) {
            break;
        }
    }
    remove_files(&host);
    _exit(0);
}

void peers_start(struct peers *peers, const struct workload_shape *shape, const char *folder, enum peers_home home)
{
    int ends[2];
    fflush(NULL); /* what is buffered is printed once */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (peers->process = fork()) < 0) {
        bench_fail("cannot start a process for peers: %s", strerror(errno));
    }
    if (peers->process == 0) {
        close(ends[0]);
        serve(ends[1], shape, folder, methods_of(home));
    }
    close(ends[1]);
    peers->channel = ends[0];
}

static void ask(struct peers *peers, const struct request *request, struct peer_result *result)
{
    if (send(peers->channel, request, sizeof *request, MSG_NOSIGNAL) != (ssize_t)sizeof *request ||
        read(peers->channel, result, sizeof *result) != (ssize_t)sizeof *result) {
        bench_fail("the process of peer %s is gone", peer_name(request->peer));
    }
}

void peers_run(struct peers *peers, enum peer peer, struct peer_result *result)
{
    const struct request request = { .what = SAVE, .peer = peer };
    ask(peers, &request, result);
}

void peers_restore(struct peers *peers, enum peer peer, struct peer_result *result)
{
    const struct request request = { .what = RESTORE, .peer = peer };
    ask(peers, &request, result);
}

void peers_reshape(struct peers *peers, const struct workload_shape *shape)
{
    const struct request request = { .what = RESHAPE, .shape = *shape };
    struct peer_result result;
    ask(peers, &request, &result);
}

void peers_stop(struct peers *peers)
{
    /* Closing would not do: processes started later have inherited this end. */
    shutdown(peers->channel, SHUT_RDWR);
    close(peers->channel);
    waitpid(peers->process, NULL, 0);
}
