/* peers.h - other ways to save the same state, each in a process that holds nothing else
 *
 * A process of its own, because fork() copies the page tables of all of a process: what the subject maps would count
 * against the peer. It makes the same changes to the same state, and works only when it is asked to. */
#ifndef PEERS_H
#define PEERS_H

#include <sys/types.h>

#include "workload.h"

enum peer {
    PEER_FULL_WRITE,      /* write(2) all of the state, fdatasync; the program stands meanwhile */
    PEER_MEMCPY_ZSTD,     /* memcpy all of it, then zstd -1, write, fdatasync; it stands for the memcpy */
    PEER_FORK_4K,         /* fork; the child zstd -1, writes, fdatasyncs; it stands for fork() */
    PEER_FORK_THP_FRESH,  /* the same from transparent huge pages, for the first time */
    PEER_FORK_THP_STEADY, /* and once more, when the changes made beside the child have split them */
    PEER_COUNT
};

struct peer_result {
    double pause_ms; /* the program may not run */
    double cpu_ms;   /* user and system, children included; the program's own changes are not counted */
    double wall_ms;  /* until it is on the disk */
    bool failed;
    char why[64];
};

struct peers {
    pid_t process;
    int channel;
};

const char *peer_name(enum peer peer);

/* Starts the process for the peers that work on small pages, or for those on huge ones. Call it before this process
 * maps anything large. Files are written to and removed from `folder`. */
void peers_start(struct peers *peers, const struct workload_shape *shape, const char *folder, bool huge);
/* Goes on by one interval and saves it. FRESH makes the state anew; STEADY belongs behind it. */
void peers_run(struct peers *peers, enum peer peer, struct peer_result *result);
void peers_stop(struct peers *peers);

#endif
