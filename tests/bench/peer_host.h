/* peer_host.h - between peers.c, which runs the processes of peers, and the files that know the ways to save */
#ifndef PEER_HOST_H
#define PEER_HOST_H

#include "harness.h"
#include "peers.h"

struct peer_host { /* a process of peers, seen from inside */
    struct workload workload;
    uint8_t *state;
    size_t bytes;
    const char *folder;
    void *own; /* of the home */
};

struct peer_home_methods {
    /* Makes the state, in a workload that stands at interval 0; false: not here, `why` is a static string. */
    bool (*open)(struct peer_host *host, const char **why);
    /* Goes on by one interval and saves. */
    void (*save)(struct peer_host *host, enum peer peer, struct peer_result *result);
    /* Reads what was saved last to `memory`. */
    void (*load)(struct peer_host *host, enum peer peer, uint8_t *memory);
};

extern const struct peer_home_methods peer_home_small, peer_home_huge;    /* peers_whole.c */
extern const struct peer_home_methods peer_home_msync, peer_home_reflink; /* peers_mapped.c */
extern const struct peer_home_methods peer_home_lmdb;                     /* peers_lmdb.c, where there is one */

/* Where `name` is in the folder of the host. */
void peer_path(const struct peer_host *host, char path[BENCH_PATH_BYTES], const char *name);
/* Draws and makes the changes of the next interval. */
void peer_change(struct peer_host *host);

void peer_read_all(int file, void *memory, size_t bytes);

#endif
